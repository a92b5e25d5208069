//! What is said of strangers and refusals: each thing once.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use super::link::lock;

/// Where lines for people go. It is called on threads of the mesh.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// As many different things are said; a whole network may be scanning.
const NOTES_MAX: usize = 256;

/// Says each thing once for each peer address and kind of reason.
pub struct Notes {
    log: Log,
    said: Mutex<HashSet<(IpAddr, String)>>,
}

impl Notes {
    /// Nothing said yet.
    pub fn new(log: Log) -> Self {
        Notes {
            log,
            said: Mutex::default(),
        }
    }

    /// Says `line` unless something of this `kind` was said of `peer` already.
    pub fn say(&self, peer: IpAddr, kind: &str, line: &str) {
        let mut said = lock(&self.said);
        let full = said.len() >= NOTES_MAX;
        let what = (peer, kind.to_owned());
        if said.contains(&what) || full && said.len() > NOTES_MAX {
            return;
        }
        said.insert(what);
        drop(said);
        if full {
            (self.log)("of further strangers nothing is said")
        } else {
            (self.log)(line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_said_once_and_not_without_end() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let notes = Notes::new(Arc::new(move |line: &str| {
            lock(&sink).push(line.to_owned())
        }));
        for _ in 0..3 {
            notes.say([10, 0, 0, 1].into(), "silent", "a");
            notes.say([10, 0, 0, 1].into(), "not-tls", "b");
            notes.say([10, 0, 0, 2].into(), "silent", "c");
        }
        assert_eq!(*lock(&lines), ["a", "b", "c"]);
        for i in 0..2000_u16 {
            let [high, low] = i.to_be_bytes();
            notes.say([10, 1, high, low].into(), "silent", "d");
        }
        assert_eq!(lock(&lines).len(), NOTES_MAX + 1);
    }
}
