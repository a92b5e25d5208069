//! A file holds a stage at a batch for as long as a test wants.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Waits until `path`, a file with a number, has one above `time`, or is not there. While it
/// waits there is also a file `PATH.TIME`.
pub fn wait(path: &str, time: u64) {
    if path.is_empty() {
        return;
    }
    let held = || {
        let end = fs::read_to_string(path).ok()?;
        end.trim().parse().ok().filter(|end: &u64| time >= *end)
    };
    let mark = format!("{path}.{time}");
    while held().is_some() {
        // Whoever holds the leash removes what an earlier run may have left.
        if !Path::new(&mark).exists() {
            fs::write(&mark, "").expect("a file beside the leash");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
