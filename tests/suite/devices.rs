//! The same graph on several devices: real processes, on ports of this machine.

mod agents;
mod differences;
mod failures;
mod files;
mod hello;
mod memory;
mod network;
mod place;
mod refusals;
mod same_bytes;
mod survivors;

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::harness::{Project, Ran};
use crate::pace::{self, Leash, eventually};

/// A model in two segments.
const SENTIMENT: &str = "format = 1
[stream]
batch = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"model\"
with.max-tokens = 32
[stage.encoder]
plugin = \"bert\"
from = \"tokenize\"
with.model = \"model\"
split = 2
[stage.verdict]
plugin = \"aggregator\"
from = \"encoder\"
[stage.out]
plugin = \"write\"
from = \"verdict\"
with.path = \"out.jsonl\"
";

/// A stage that a leash may hold, and that can be placed.
const SLOW: &str = "format = 1
[stream]
batch = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.slow]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.out]
plugin = \"write\"
from = \"slow\"
with.path = \"out.jsonl\"
";

/// The first device reads, the second does the rest.
const SLOW_ON_HALL: &str = "[place]\nslow = \"hall\"\n";

/// Makes an identity for each device, and `cluster.toml`, which ends with `more`.
/// Gives the devices' addresses.
fn cluster(project: &Project, devices: &[&str], more: &str) -> Vec<String> {
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
fn free_address() -> String {
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

/// A cluster whose devices go on without one that is gone for two seconds.
fn cluster_of_survivors(project: &Project, devices: &[&str], more: &str) {
    cluster(project, devices, more);
    let text = project.read("cluster.toml");
    let first = "format = 1\n";
    // The one that commits also waits so long for those who are to hear of the end.
    let mesh = "survivors-seconds = 2\n[mesh]\nconnect-seconds = 5\n";
    let text = text.replace(first, &format!("{first}{mesh}"));
    project.write("cluster.toml", text);
}

/// The process of a device, or its agent; killed when this goes.
struct Device {
    child: Child,
    stderr: PathBuf,
}

impl Device {
    /// Starts `segue COMMAND graph.toml --cluster cluster.toml --device NAME`.
    fn start(project: &Project, command: &str, name: &str, more: &[&str]) -> Self {
        let arguments = [command, "graph.toml", "--cluster", "cluster.toml"];
        let own = ["--device", name];
        Device::spawn(project, &[&arguments[..], &own, more].concat())
    }

    fn spawn(project: &Project, arguments: &[&str]) -> Self {
        Device::run(project, project.command(arguments))
    }

    fn run(project: &Project, mut command: Command) -> Self {
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
    fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    fn end(mut self) -> Ran {
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

fn signal(process: u32, name: &str) {
    let mut command = Command::new("kill");
    command.args([format!("-{name}"), process.to_string()]);
    // It may have ended.
    let _ = command.stderr(Stdio::null()).status();
}

/// How many commits the journal has.
fn commits(project: &Project) -> usize {
    pace::commits(project, "out.jsonl")
}

/// Holds [`SLOW`] after some commits, which it waits for.
fn commit_some(project: &Project) -> Leash<'_> {
    let mut leash = Leash::new(project);
    leash.until("it commits", || commits(project) > 5);
    leash
}

/// The output of the graph on this device alone, which goes.
fn alone(project: &Project, output: &str, more: &[&str]) -> Vec<u8> {
    project.run_graph(&[&["--workers", "1", "--quiet"], more].concat());
    let bytes = project.bytes(output);
    for name in [output, "out.jsonl.journal"] {
        // Only the output is sure to be there.
        let _ = std::fs::remove_file(project.path(name));
    }
    assert!(!bytes.is_empty());
    bytes
}
