//! How far a model on a hub is that has to be fetched, as one bar a file on a terminal.

use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use segue::diagnostic::visible;
use segue::hub::{Fetch, OnFetch};
use segue::operators::Operators;

/// File, time, how much of it is here, and when the rest will be.
const TEMPLATE: &str =
    "{msg} [{elapsed_precise}] [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} ({eta})";

/// These operators, which show what they fetch.
pub fn shown(mut operators: Operators) -> Operators {
    operators.on_fetch = Some(on_fetch());
    operators
}

/// Shows what is fetched.
pub fn on_fetch() -> OnFetch {
    let bar = Mutex::new(None);
    Arc::new(move |fetch| show(fetch, &bar))
}

fn show(fetch: Fetch<'_>, bar: &Mutex<Option<ProgressBar>>) {
    // A thread that panicked while it held the lock left a whole value.
    let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
    match (fetch, bar.as_ref()) {
        (Fetch::Begins { file, bytes }, _) => *bar = Some(begun(file, bytes)),
        (Fetch::Came(bytes), Some(bar)) => bar.inc(bytes),
        (Fetch::Ended, Some(bar)) => bar.finish_and_clear(),
        (Fetch::Came(_) | Fetch::Ended, None) => {}
    }
}

fn begun(file: &str, bytes: u64) -> ProgressBar {
    // A template that cannot be parsed leaves the default style.
    let style = ProgressStyle::with_template(TEMPLATE);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(bytes).with_style(style);
    bar.with_message(visible(file).into_owned())
}
