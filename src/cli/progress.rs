//! How far a run is, on stderr: one line that changes on a terminal, else a line now and
//! then.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::numbers::{clock, grouped};
use super::say::{can_redraw, keep_below, say};
use segue::dataflow::Progress;
use segue::diagnostic::visible;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Before this time nothing is said of the time that is left.
const STEADY: Duration = Duration::from_secs(2);
/// Columns of the bar.
const BAR: usize = 24;

/// Shows progress.
pub struct Display {
    kind: Kind,
    started: Option<Started>,
    said: Option<String>,
}

enum Kind {
    Quiet,
    Line(ProgressBar),
    Lines { last: Instant },
}

/// What there was when the first batch was there.
#[derive(Clone, Copy)]
struct Started {
    at: Instant,
    done: u64,
    share: f64,
}

impl Display {
    /// A display for this stderr.
    pub fn new(quiet: bool) -> Self {
        let kind = if quiet {
            Kind::Quiet
        } else if can_redraw() {
            Kind::Line(line())
        } else {
            Kind::Lines {
                last: Instant::now(),
            }
        };
        Display {
            kind,
            started: None,
            said: None,
        }
    }

    /// Shows `progress`.
    pub fn update(&mut self, progress: &Progress) {
        if matches!(self.kind, Kind::Quiet) {
            return;
        }
        let Some(text) = self.text(progress) else {
            return;
        };
        match &mut self.kind {
            Kind::Quiet => {}
            Kind::Line(line) => {
                line.set_message(text);
                line.tick();
            }
            Kind::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                if self.said.as_ref() != Some(&text) {
                    say(&text);
                    self.said = Some(text);
                }
            }
            Kind::Lines { .. } => {}
        }
    }

    /// None before there is anything to tell.
    fn text(&mut self, progress: &Progress) -> Option<String> {
        let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let committed = of(&progress.committed) + of(&progress.rejected);
        let (records, total) = (progress.records(), of(&progress.total));
        let worked = progress.worked();
        let (done, what) = match progress.commits() {
            true if committed + records + worked.rows == 0 => return None,
            true => (committed, "reviews".to_owned()),
            // On other devices what passed their stages counts, or what they have read.
            false if worked.rows > 0 => {
                let stages = worked.stages.join(", ");
                (worked.rows, format!("rows through {}", visible(&stages)))
            }
            false if records > 0 => (records, "records read".to_owned()),
            false => return None,
        };
        let share = share(progress, committed, records);
        let now = Started {
            at: Instant::now(),
            done,
            share: share.unwrap_or(0.0),
        };
        let started = *self.started.get_or_insert(now);
        let seconds = started.at.elapsed().as_secs_f64();
        let rate = done.saturating_sub(started.done) as f64 / seconds.max(1e-3);
        let mut parts = Vec::new();
        if let Some(said) = progress.noted() {
            // It says itself how far it is and what is left.
            parts.push(visible(&said).into_owned());
            if committed > 0 {
                parts.push(format!("{} reviews", grouped(done)));
            }
            return Some(parts.join("; "));
        }
        parts.extend(share.map(|share| format!("{:.0} %", (share * 100.0).floor())));
        parts.push(if total > 0 && progress.commits() {
            format!("{} of {} {what}", grouped(done), grouped(total))
        } else {
            format!("{} {what}", grouped(done))
        });
        parts.push(format!("{rate:.1} a second"));
        let gained = share.map_or(0.0, |share| share - started.share);
        if gained > 0.0 && started.at.elapsed() > STEADY {
            let left = seconds * (1.0 - now.share) / gained;
            parts.push(format!("{} left", clock(left)));
        }
        let bar = match (&self.kind, share) {
            (Kind::Line(_), Some(share)) => format!("  {}", bar(share)),
            _ => String::new(),
        };
        Some(parts.join(", ") + &bar)
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Kind::Line(line) = &self.kind {
            keep_below(None);
            line.finish_and_clear();
        }
    }
}

/// The part of the work that is done, from 0 to 1: where results are committed, what of
/// the records is; elsewhere, what of the files is read.
fn share(progress: &Progress, committed: u64, records: u64) -> Option<f64> {
    let read = progress.share_read()?;
    if progress.commits() && records > 0 {
        // Reading is a few batches ahead.
        Some(read * (committed as f64 / records as f64).min(1.0))
    } else {
        Some(read)
    }
}

fn line() -> ProgressBar {
    let line = ProgressBar::no_length();
    // It is cut where the terminal ends. A template that cannot be parsed leaves the
    // default style.
    let style = ProgressStyle::with_template("{wide_msg}");
    line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    keep_below(Some(line.clone()));
    line
}

fn bar(share: f64) -> String {
    // A share is at most 1.
    let full = (share * BAR as f64) as usize;
    let head = if full < BAR { ">" } else { "" };
    let empty = " ".repeat(BAR.saturating_sub(full + 1));
    format!("[{}{head}{empty}]", "=".repeat(full))
}
