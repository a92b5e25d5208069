//! What is said on stderr: lines, and below them, on a terminal, the one line of progress.
//!
//! Nobody may be there to read: a closed stderr is no failure.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard};

use indicatif::ProgressBar;

/// The line of progress that stands below all others now.
static BELOW: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Says one line.
pub fn say(line: impl Display) {
    write(&format!("{line}\n"));
}

/// Says `text`, which has its line ends, above the line of progress.
pub fn write(text: &str) {
    // With stderr gone there is nobody to tell.
    let write = || drop(std::io::stderr().write_all(text.as_bytes()));
    match below().as_ref() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// From now on `bar` stands below all that is said; `None` takes it away.
pub fn keep_below(bar: Option<ProgressBar>) {
    *below() = bar;
}

fn below() -> MutexGuard<'static, Option<ProgressBar>> {
    // A thread that panicked while it held the lock left a whole value.
    BELOW
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Whether a line on stderr can be written over: it is a terminal that moves its cursor.
pub fn can_redraw() -> bool {
    std::io::stderr().is_terminal() && !is("TERM", |term| term == "dumb")
}

/// Whether stderr shows colours, and they are wanted (<https://no-color.org>).
pub fn has_colours() -> bool {
    can_redraw() && !is("NO_COLOR", |value| !value.is_empty())
}

fn is(variable: &str, wanted: impl Fn(&str) -> bool) -> bool {
    std::env::var_os(variable).is_some_and(|value| wanted(&value.to_string_lossy()))
}
