//! What is said once about a file, however often it is met.

use std::collections::HashSet;

/// Notes that wait to be passed on.
#[derive(Default)]
pub struct Notes {
    said: HashSet<(&'static str, usize)>,
    waiting: Vec<String>,
}

impl Notes {
    /// Says `text` unless something of this kind was said before.
    pub fn once(&mut self, kind: (&'static str, usize), text: impl FnOnce() -> String) {
        if self.said.insert(kind) {
            self.waiting.push(text());
        }
    }

    /// Those not passed on yet.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.waiting)
    }
}
