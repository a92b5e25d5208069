//! Ctrl-C and `kill`: the first asks a run to end where it is, the second ends it at once.

use std::ffi::OsString;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Notices the signals that ask a process to end, from [`watch`](Self::watch) on. Before
/// that they end it at once.
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// From now on the first such signal is only noticed.
    pub fn watch() -> Self {
        let signal = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // In this order, for the second signal is to find what the first has set. A
            // signal that cannot be watched ends the process as it always does.
            let watched = flag::register_conditional_default(number, Arc::clone(&again))
                .and_then(|_| flag::register(number, Arc::clone(&again)));
            let code = usize::try_from(number).unwrap_or_default();
            drop(watched.and_then(|_| flag::register_usize(number, Arc::clone(&signal), code)));
        }
        Interrupt { signal }
    }

    /// The number of the signal that came.
    pub fn signal(&self) -> Option<u8> {
        let signal = self.signal.load(Ordering::Acquire);
        u8::try_from(signal).ok().filter(|signal| *signal > 0)
    }
}

/// Asks `child` to end as this process was asked.
pub fn pass_on(child: &Child) {
    // One that has just ended by itself needs no asking.
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
}

/// `SIGINT`
pub fn name(signal: u8) -> &'static str {
    if i32::from(signal) == SIGINT {
        "SIGINT"
    } else {
        "SIGTERM"
    }
}

/// This process's command line, to go on with what it did.
pub fn command_to_resume() -> String {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".into());
    }
    quoted(&words)
}

/// The command line of the agent that started this process.
pub fn command_of_agent() -> String {
    let hidden = |word: &OsString| {
        let word = word.to_string_lossy();
        word == "--tied" || word == "--resume" || word.starts_with("--generation")
    };
    let mut words: Vec<OsString> = std::env::args_os().filter(|word| !hidden(word)).collect();
    if let Some(command) = words.iter_mut().find(|word| *word == "run") {
        *command = "agent".into();
    }
    quoted(&words)
}

/// Words as a shell takes them.
fn quoted(words: &[OsString]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    let words = words.iter().map(|word| {
        let word = word.to_string_lossy();
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_for_a_shell() {
        let words = ["segue", "a b", "it's", "", "x.y=[\"z\"]", "é"].map(Into::into);
        let expected = r#"segue 'a b' 'it'\''s' '' 'x.y=["z"]' é"#;
        assert_eq!(quoted(&words), expected);
    }
}
