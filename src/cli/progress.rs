//! How far a run is, on stderr: a bar on a terminal, else a line now and then.

use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::dataflow::Progress;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows progress.
pub struct Display {
    kind: Kind,
    started: Option<(Instant, u64)>,
    noted: Option<String>,
}

enum Kind {
    Quiet,
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Display {
    /// A display for this stderr.
    pub fn new(quiet: bool) -> Self {
        let kind = match quiet {
            true => Kind::Quiet,
            false if std::io::stderr().is_terminal() => Kind::Bar(ProgressBar::no_length()),
            false => Kind::Lines {
                last: Instant::now(),
            },
        };
        Display {
            kind,
            started: None,
            noted: None,
        }
    }

    /// Shows `progress`.
    pub fn update(&mut self, progress: &Progress) {
        let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let done = of(&progress.committed) + of(&progress.rejected);
        if of(&progress.records) == 0 {
            return;
        }
        if let Some(note) = progress.noted() {
            return self.note(note);
        }
        let (since, before) = *self.started.get_or_insert((Instant::now(), done));
        let rate = (done - before) as f64 / since.elapsed().as_secs_f64().max(1e-3);
        let total = of(&progress.total);
        let left = match total > done && rate > 0.0 {
            true => format!(", {} left", clock((total - done) as f64 / rate)),
            false => String::new(),
        };
        let message = format!("{rate:.1} a second{left}");
        match &mut self.kind {
            Kind::Quiet => {}
            Kind::Bar(bar) => show(bar, done, total, message),
            Kind::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                let of_total = if total > 0 {
                    format!(" of {total}")
                } else {
                    String::new()
                };
                eprintln!("{done}{of_total} reviews, {message}");
            }
            Kind::Lines { .. } => {}
        }
    }

    /// Shows what a stage with a long job said of itself.
    fn note(&mut self, note: String) {
        match &mut self.kind {
            Kind::Quiet => {}
            Kind::Bar(bar) => {
                let style = ProgressStyle::with_template("{spinner} {msg}");
                // A template that cannot be parsed leaves the default style.
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_message(note);
                bar.tick();
            }
            Kind::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                if self.noted.as_ref() != Some(&note) {
                    eprintln!("{note}");
                    self.noted = Some(note);
                }
            }
            Kind::Lines { .. } => {}
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

fn show(bar: &ProgressBar, done: u64, total: u64, message: String) {
    if total > 0 && bar.length() != Some(total) {
        bar.set_length(total);
        let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} reviews, {msg}");
        // A template that cannot be parsed leaves the default style.
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }
    bar.set_position(done);
    bar.set_message(message);
}

/// Minutes and seconds.
fn clock(seconds: f64) -> String {
    // Far below 2^53, and a display.
    let seconds = seconds.round() as u64;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}
