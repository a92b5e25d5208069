//! How far a run is, as its threads tell it and those who show it ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::state::Counts;
use super::tally::Tally;
use crate::diagnostic::Note;

/// How far a run is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records that the sources have in all; 0 when unknown.
    pub total: AtomicU64,
    /// Reviews whose verdicts are committed.
    pub committed: AtomicU64,
    /// Records rejected.
    pub rejected: AtomicU64,
    /// The last line that a stage with a long job gave on how far it is.
    said: Mutex<Option<String>>,
    sources: Mutex<BTreeMap<String, Reading>>,
    stages: Mutex<Vec<(String, Tally)>>,
    notes: Mutex<BTreeSet<Note>>,
    commits: AtomicBool,
    /// Whether what is read does not tell how much is left: stages begin by themselves, or
    /// rows go round.
    open: AtomicBool,
    ended: AtomicBool,
}

/// How far a source is that this device reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Records read, good and bad.
    pub records: u64,
    /// The part of its files that is read, from 0 to 1, where it is known.
    pub share: Option<f64>,
    /// What it counts beside other sources: the bytes of its files.
    pub bytes: u64,
}

/// What the stages that run on this device have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// The stages, in the order of the graph.
    pub stages: Vec<String>,
    /// Batches that the last of them has processed.
    pub batches: u64,
    /// Rows that the last of them has processed.
    pub rows: u64,
}

impl Progress {
    /// So much is committed.
    pub fn set_committed(&self, counts: &Counts) {
        self.committed.store(counts.reviews, Ordering::Relaxed);
        self.rejected.store(counts.rejected, Ordering::Relaxed);
    }

    /// Shows `line` of the stage `name` from now on.
    pub fn note(&self, name: &str, line: &str) {
        *lock(&self.said) = Some(format!("{name}: {line}"));
    }

    /// The last line given.
    pub fn noted(&self) -> Option<String> {
        lock(&self.said).clone()
    }

    /// The source of the stage `name` is as far as `reading` says.
    pub fn set_read(&self, name: &str, reading: Reading) {
        lock(&self.sources).insert(name.to_owned(), reading);
    }

    /// Records read on this device, good and bad.
    pub fn records(&self) -> u64 {
        let sources = lock(&self.sources);
        sources.values().map(|source| source.records).sum()
    }

    /// From now on what is read does not tell how much is left.
    pub fn set_open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// So many records more are to be read in all.
    pub fn add_total(&self, records: u64) {
        if !self.open.load(Ordering::Relaxed) {
            self.total.fetch_add(records, Ordering::Relaxed);
        }
    }

    /// The part of the sources that is read, from 0 to 1; none where this device reads
    /// none, or one whose length is not known, or where that does not tell how much is left.
    pub fn share_read(&self) -> Option<f64> {
        if self.open.load(Ordering::Relaxed) {
            return None;
        }
        let sources = lock(&self.sources);
        // Files are far below 2^53 bytes, and this is shown in whole percent.
        let weight = |source: &Reading| source.bytes.max(1) as f64;
        let all: f64 = sources.values().map(weight).sum();
        let parts = sources.values().map(|one| Some(one.share? * weight(one)));
        let read = parts.sum::<Option<f64>>()?;
        (all > 0.0).then(|| (read / all).clamp(0.0, 1.0))
    }

    /// From now on what `tally` counts is what the stage `name` has done here.
    pub fn add_stage(&self, name: &str, tally: &Tally) {
        lock(&self.stages).push((name.to_owned(), tally.clone()));
    }

    /// What the stages of this device have done.
    pub fn worked(&self) -> Worked {
        let stages = lock(&self.stages);
        let mut worked = Worked::default();
        for (name, tally) in stages.iter() {
            let report = tally.report(name, "", 0);
            if worked.stages.last() == Some(name) {
                // A replica.
                worked.batches += report.batches;
                worked.rows += report.rows;
            } else {
                worked.stages.push(name.clone());
                (worked.batches, worked.rows) = (report.batches, report.rows);
            }
        }
        worked
    }

    /// A user should know `message` of `stage`; given twice, it is shown once.
    pub fn add_note(&self, stage: &str, message: impl Into<String>) {
        lock(&self.notes).insert(Note::new(stage, message));
    }

    /// What was given to [`add_note`](Self::add_note).
    pub fn notes(&self) -> Vec<Note> {
        lock(&self.notes).iter().cloned().collect()
    }

    /// Says whether results are committed on this device.
    pub fn set_commits(&self, commits: bool) {
        self.commits.store(commits, Ordering::Release);
    }

    /// Whether results are committed on this device.
    pub fn commits(&self) -> bool {
        self.commits.load(Ordering::Acquire)
    }

    /// Asks the run to end where it is: with the failure `interrupted`, after the batches
    /// under way.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether it was asked to.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked while it held the lock left a whole value.
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_count_as_much_as_their_files_are_long() {
        let progress = Progress::default();
        assert_eq!(progress.share_read(), None);
        let read = |records, share, bytes| Reading {
            records,
            share,
            bytes,
        };
        progress.set_read("a", read(10, Some(0.25), 3000));
        progress.set_read("b", read(5, Some(1.0), 1000));
        assert_eq!(progress.share_read(), Some(0.4375));
        assert_eq!(progress.records(), 15);
        progress.set_read("c", read(1, None, 1));
        assert_eq!(progress.share_read(), None);
    }

    #[test]
    fn what_is_read_says_nothing_of_a_run_without_an_end_in_sight() {
        let progress = Progress::default();
        progress.set_open();
        progress.add_total(10);
        let reading = Reading {
            records: 10,
            share: Some(1.0),
            bytes: 1,
        };
        progress.set_read("a", reading);
        assert_eq!(progress.share_read(), None);
        assert_eq!(progress.total.load(Ordering::Relaxed), 0);
        assert_eq!(progress.records(), 10);
    }

    #[test]
    fn replicas_count_together_and_the_last_stage_counts() {
        let progress = Progress::default();
        for name in ["a", "b", "b"] {
            let tally = Tally::default();
            tally.add(4, std::time::Duration::ZERO);
            progress.add_stage(name, &tally);
        }
        let stages = vec!["a".to_owned(), "b".to_owned()];
        let expected = Worked {
            stages,
            batches: 2,
            rows: 8,
        };
        assert_eq!(progress.worked(), expected);
    }

    #[test]
    fn a_note_is_kept_once() {
        let progress = Progress::default();
        progress.add_note("b", "x");
        progress.add_note("a", "y");
        progress.add_note("b", "x");
        assert_eq!(progress.notes(), [Note::new("a", "y"), Note::new("b", "x")]);
    }
}
