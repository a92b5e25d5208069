//! A Python program that measures what others have, asked line by line.
#![allow(dead_code, reason = "each bench uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The program, which has printed `ready`.
pub struct Peer {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// `program` of `benches`, run by the Python that `SEGUE_BENCH_PYTHON` names, or else by
    /// `python3`; `None` where that lacks what the program needs.
    pub fn start(program: &str, arguments: &[String]) -> Option<Self> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.ancestors().nth(2)?;
        let python = std::env::var_os("SEGUE_BENCH_PYTHON").unwrap_or("python3".into());
        let mut process = Command::new(python)
            .arg(root.join("benches").join(program))
            .args(arguments)
            // Some write a log where they stand.
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut peer = Peer {
            input: process.stdin.take()?,
            output: BufReader::new(process.stdout.take()?),
            process,
        };
        (peer.line().trim() == "ready").then_some(peer)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        // An end of the output is an empty line.
        let _ = self.output.read_line(&mut line);
        line
    }

    /// What it answers to `question`.
    pub fn ask(&mut self, question: &str) -> String {
        writeln!(self.input, "{question}").expect("the peer listens");
        let line = self.line();
        assert!(!line.is_empty(), "the peer ended at `{question}`");
        line
    }

    /// An answer that is a number of seconds.
    pub fn seconds(&mut self, question: &str) -> f64 {
        let answer = self.ask(question);
        answer.trim().parse().expect("the peer answers in seconds")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
