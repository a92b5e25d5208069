//! Devices as processes of this machine, on ports of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Project, Ran};
use crate::pace::eventually;

/// Makes an identity for each device, and `cluster.toml`, which ends with `more`.
/// Gives the devices' addresses.
pub fn cluster(project: &Project, devices: &[&str], more: &str) -> Vec<String> {
    let addresses: Vec<String> = devices.iter().map(|_| free_address()).collect();
    let mut text = "format = 1\n".to_owned();
    for (device, address) in devices.iter().zip(&addresses) {
        text += &project.run(&["identity", "new", device]).ok().stdout;
        text += &format!("address = \"{address}\"\n");
    }
    project.write("cluster.toml", text + more);
    addresses
}

/// An address that nothing listens on. The system gives no port this low to a caller, so
/// that it stays free until a device listens on it, and again between two of its runs.
pub fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() * 97;
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::SeqCst));
        let port = 10_000 + (first + next) % 20_000;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// The process of a device, or its agent; killed when this goes.
pub struct Device {
    pub child: Child,
    stderr: PathBuf,
}

impl Device {
    /// Starts `segue COMMAND graph.toml --cluster cluster.toml --device NAME`.
    pub fn start(project: &Project, command: &str, name: &str, more: &[&str]) -> Self {
        let arguments = [command, "graph.toml", "--cluster", "cluster.toml"];
        let own = ["--device", name];
        Device::spawn(project, &[&arguments[..], &own, more].concat())
    }

    pub fn spawn(project: &Project, arguments: &[&str]) -> Self {
        Device::run(project, project.command(arguments))
    }

    pub fn run(project: &Project, mut command: Command) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let stderr = project.path(&format!("{number}.stderr"));
        command
            .stdout(Stdio::null())
            .stderr(File::create(&stderr).unwrap());
        let child = command.spawn().unwrap();
        Device { child, stderr }
    }

    /// What it has said so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ran {
        let mut status = None;
        eventually("a device ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        Ran {
            code: status.unwrap().code(),
            stdout: String::new(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(process: u32, name: &str) {
    let mut command = Command::new("kill");
    command.args([format!("-{name}"), process.to_string()]);
    // It may have ended.
    let _ = command.stderr(Stdio::null()).status();
}

/// The parent of a process that has not ended.
pub fn parent(process: &str) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let mut fields = stat[stat.rfind(')')? + 2..].split(' ');
    let ended = matches!(fields.next()?, "Z" | "X");
    fields.next()?.parse().ok().filter(|_| !ended)
}

pub fn runs(process: u32) -> bool {
    parent(&process.to_string()).is_some()
}

/// The processes that a process has started.
pub fn children_of(process: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let names = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let children = names.filter(|name| parent(name) == Some(process));
    children.map(|name| name.parse().unwrap()).collect()
}

/// The run that an agent has started, when it has.
pub fn child_of(agent: u32) -> u32 {
    let mut child = None;
    eventually("an agent starts a run", || {
        child = children_of(agent).first().copied();
        child.is_some()
    });
    child.unwrap()
}

/// Kills a process, which cannot help it. Whether it was there to be killed.
pub fn kill(process: u32) -> bool {
    let there = runs(process);
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    there && kill_process(pid.unwrap(), Signal::KILL).is_ok()
}
