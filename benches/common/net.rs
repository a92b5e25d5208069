//! Devices in network namespaces of their own. Needs root, `ip` and, to be slow, `tc`.

use std::process::{Child, ChildStdin, Command, Stdio};

/// Each way, at both ends of each device's cable.
const SHAPE: [&str; 7] = [
    "tbf", "rate", "100mbit", "burst", "128kb", "latency", "100ms",
];

/// A namespace for each device, and one with the bridge that joins them.
pub struct Net {
    /// How many devices there are.
    pub devices: usize,
    /// Removes it all when the other end of its stdin is gone, whatever the reason.
    remover: Child,
    held: Option<ChildStdin>,
}

impl Net {
    /// Of so many devices, with addresses from 10.77.0.1 on.
    ///
    /// # Errors
    /// Why there can be no such thing here
    pub fn new(devices: usize) -> Result<Self, String> {
        let names: Vec<String> = (0..=devices).map(namespace).collect();
        let remove = "trap '' INT TERM HUP; cat; for name in \"$@\"; do
            ip netns pids $name | xargs -r kill -9; ip netns del $name; done";
        let mut remover = Command::new("sh")
            .args(["-c", remove, "remover"])
            .args(&names)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| e.to_string())?;
        let held = remover.stdin.take();
        let net = Net {
            devices,
            remover,
            held,
        };
        names
            .iter()
            .try_for_each(|name| ip(&format!("netns add {name}")))?;
        let middle = namespace(devices);
        ip(&format!("-n {middle} link add bridge type bridge"))?;
        ip(&format!("-n {middle} addr add 10.77.0.254/24 dev bridge"))?;
        ip(&format!("-n {middle} link set bridge up"))?;
        for device in 0..devices {
            let (name, own) = (namespace(device), format!("10.77.0.{}/24", device + 1));
            let peer = format!("type veth peer name to{device} netns {middle}");
            ip(&format!("link add eth0 netns {name} {peer}"))?;
            ip(&format!("-n {name} addr add {own} dev eth0"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
            ip(&format!("-n {middle} link set to{device} master bridge up"))?;
        }
        Ok(net)
    }

    /// A command that runs in the namespace of `device`, or, one beyond them, in the middle.
    pub fn exec(&self, device: usize) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &namespace(device)]);
        command
    }

    /// Slows down both ends of each cable.
    ///
    /// # Errors
    /// Why that cannot be
    pub fn shape(&self) -> Result<(), String> {
        for device in 0..self.devices {
            let far = format!("to{device}");
            let ends = [(namespace(device), "eth0"), (namespace(self.devices), &far)];
            for (namespace, end) in ends {
                let mut command = Command::new("tc");
                command.args(["-n", &namespace, "qdisc", "add", "dev", end, "root"]);
                done(command.args(SHAPE))?;
            }
        }
        Ok(())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.held = None;
        // Nothing can be done about a remover that is gone.
        let _ = self.remover.wait();
    }
}

fn namespace(device: usize) -> String {
    format!("segue-net-{}-{device}", std::process::id())
}

fn ip(words: &str) -> Result<(), String> {
    done(Command::new("ip").args(words.split(' ')))
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
