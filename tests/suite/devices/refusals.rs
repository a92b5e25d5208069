//! Who does not belong to the cluster is refused, and disturbs nothing.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Device, SENTIMENT, alone, cluster, eventually};
use crate::harness::{PATIENCE, Project, Random, reviews};
use crate::tiny::Tiny;

/// A device that waits for the other one.
struct Waiting {
    project: Project,
    expected: Vec<u8>,
    kitchen: Device,
    address: String,
}

impl Waiting {
    fn new() -> Self {
        let project = Project::with_graph(SENTIMENT)
            .file("reviews.csv", reviews(20))
            .model("model", Tiny::default());
        let expected = alone(&project, "out.jsonl", &[]);
        let address = cluster(&project, &["kitchen", "hall"], "").remove(0);
        let kitchen = Device::start(&project, "run", "kitchen", &[]);
        eventually("it listens", || TcpStream::connect(&address).is_ok());
        Waiting {
            project,
            expected,
            kitchen,
            address,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Says `bytes`, and waits until the connection is closed.
    fn say(&self, bytes: &[u8]) {
        let mut stream = self.connect();
        // It may be closed before all is said.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            let kind = error.kind();
            assert_eq!(kind, std::io::ErrorKind::ConnectionReset, "{error}");
        }
        assert!(answer.len() < 200, "it answers much: {answer:?}");
    }

    /// Waits until the device says `part`.
    fn says(&self, part: &str) {
        eventually(part, || self.kitchen.stderr().contains(part));
    }

    /// The other device comes, and all goes well. Each of `notes` was said once, and
    /// nothing else.
    fn completes(mut self, notes: &[&str]) {
        assert!(self.kitchen.runs(), "{}", self.kitchen.stderr());
        Device::start(&self.project, "run", "hall", &[]).end().ok();
        let ran = self.kitchen.end().ok();
        assert!(self.project.bytes("out.jsonl") == self.expected);
        for note in notes {
            assert_eq!(ran.stderr.matches(note).count(), 1, "`{note}` in {ran}");
        }
        // The one that looked whether it listens closed its connection.
        let closed = "a connection from 127.0.0.1 was refused: it closed the connection\n";
        assert_eq!(ran.stderr.matches(closed).count(), 1, "{ran}");
        assert_eq!(ran.stderr.lines().count(), notes.len() + 1, "{ran}");
    }
}

#[test]
fn a_port_scan_and_random_bytes() {
    let waiting = Waiting::new();
    let mut random = Random(3);
    for length in [1, 5, 100, 5_000] {
        (0..10).for_each(|_| drop(waiting.connect()));
        let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        let mut stream = waiting.connect();
        let _ = stream.write_all(&bytes);
    }
    waiting.say(&[255; 300]);
    waiting.says("does not speak this protocol");
    waiting
        .completes(&["a connection from 127.0.0.1 was refused: it does not speak this protocol: "]);
}

#[test]
fn a_request_without_tls() {
    let waiting = Waiting::new();
    for _ in 0..3 {
        waiting.say(b"GET / HTTP/1.1\r\nHost: kitchen\r\n\r\n");
    }
    waiting.says("does not speak this protocol");
    waiting
        .completes(&["a connection from 127.0.0.1 was refused: it does not speak this protocol: "]);
}

#[test]
fn connections_that_say_nothing() {
    let waiting = Waiting::new();
    let silent: Vec<TcpStream> = (0..3).map(|_| waiting.connect()).collect();
    for mut stream in silent {
        // Its end, not a timeout.
        assert!(
            !matches!(stream.read(&mut [0; 100]), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
        );
    }
    let _half_open = waiting.connect();
    waiting.completes(&[
        "a connection from 127.0.0.1 was refused: it did not introduce itself within 3 s",
    ]);
}

#[test]
fn a_device_with_another_identity() {
    let waiting = Waiting::new();
    let project = &waiting.project;
    std::fs::create_dir(project.path("other")).unwrap();
    let other = project
        .run(&["identity", "new", "hall", "--folder", "other"])
        .ok();
    let other = other.stdout.lines().nth(1).unwrap().to_owned();
    let own = project.read("cluster.toml");
    let mut pinned = own.lines().filter(|line| line.starts_with("identity"));
    let file = own.replace(pinned.next_back().unwrap(), &other);
    project.write("other/cluster.toml", file + "[mesh]\nconnect-seconds = 5\n");
    let run = ["run", "graph.toml", "--cluster", "other/cluster.toml"];
    let intruder = Device::spawn(project, &[&run[..], &["--device", "hall"]].concat());
    let print = other.split('"').nth(1).unwrap();
    let note = format!(
        "a connection from 127.0.0.1 was refused: its identity {print} is not the one in the \
         cluster file\n"
    );
    let ran = intruder.end();
    assert_eq!(ran.code, Some(1), "{ran}");
    let parts = [
        "error[missing-devices]: after 5 s these devices are missing: `kitchen`",
        "it does not accept the identity of this device",
    ];
    assert!(parts.iter().all(|part| ran.stderr.contains(part)), "{ran}");
    waiting.says(&note);
    waiting.completes(&[&note]);
}

#[test]
fn a_device_with_another_graph() {
    let waiting = Waiting::new();
    let differences = [
        ("stream.batch=5", "`stream`: batch 5 there, 4 here"),
        (
            "tokenize.max-tokens=16",
            "`tokenize`: max-tokens 16 there, 32 here",
        ),
        ("encoder.split=1", "`encoder`: split 1 there, 2 here; "),
        ("encoder.wire=f16", "`encoder`: wire f16 there, f32 here"),
        (
            "verdict.replicas=2",
            "`verdict`: replicas 2 there, none here; ",
        ),
    ];
    for (set, _) in differences {
        let other = Device::start(&waiting.project, "run", "hall", &["--set", set]);
        let ran = other.end();
        assert_eq!(ran.code, Some(1), "{ran}");
        let errors = ran.stderr.matches("error[").count();
        let right = ran
            .stderr
            .starts_with("error[different-plan]: `kitchen` at ");
        let option = set.split(['.', '=']).nth(1).unwrap();
        assert!(ran.stderr.contains(&format!(": {option} ")), "{ran}");
        assert!(right && errors == 1, "{ran}");
    }
    let note = "a connection from 127.0.0.1 was refused: it runs a different graph or plan: ";
    let notes = differences.map(|(_, difference)| format!("{note}{difference}"));
    waiting.completes(&notes.each_ref().map(String::as_str));
}
