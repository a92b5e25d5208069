//! What the threads of one run share: whether it goes on, and how far it is.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::metrics::Totals;
use super::progress::Progress;
use crate::diagnostic::Diagnostic;
use crate::graph::Graph;

/// Shared by the workers, the readers and the committer of a run.
#[derive(Debug, Default)]
pub struct Shared {
    stopped: AtomicBool,
    failure: Mutex<Option<Diagnostic>>,
    written: AtomicBool,
    totals: Mutex<Option<Totals>>,
    /// The time after the last cut that is in the journal; 0 where there is none.
    sealed: AtomicU64,
    /// Stages that need no more, and the sources that nobody needs since.
    ends: Mutex<(BTreeSet<String>, BTreeSet<String>)>,
    /// How far it is.
    pub progress: Progress,
}

impl Shared {
    /// Ends the run; the first failure is the one that is shown.
    pub fn fail(&self, failure: Diagnostic) {
        // A thread that panicked while it held the lock left a whole value.
        let mut slot = self
            .failure
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        slot.get_or_insert(failure);
        drop(slot);
        self.stopped.store(true, Ordering::Release);
    }

    /// What `work` gives; a panic in it ends the run, as a failure of `what`.
    pub fn catching<T>(&self, what: &str, work: impl FnOnce() -> T) -> Option<T> {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let failed = |payload: Box<dyn std::any::Any + Send>| {
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "no message".to_owned());
            let error = Diagnostic::new("internal", format!("{what} panicked: {text}"));
            self.fail(error.help("this is a mistake in segue, not in the graph or its data"));
        };
        caught.map_err(failed).ok()
    }

    /// Whether the run is to end now.
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The cut behind `time` is in the journal.
    pub fn set_sealed(&self, time: u64) {
        self.sealed.store(time.saturating_add(1), Ordering::Release);
    }

    /// The last time of the last cut that is in the journal; known where results are.
    pub fn sealed(&self) -> Option<u64> {
        self.sealed.load(Ordering::Acquire).checked_sub(1)
    }

    /// A stage of `graph` needs no more.
    pub fn set_ended(&self, graph: &Graph, stage: &str) {
        // A thread that panicked while it held the lock left a whole value.
        let mut ends = self.ends.lock().unwrap_or_else(|e| e.into_inner());
        if ends.0.insert(stage.to_owned()) {
            ends.1 = graph.unneeded(&ends.0);
        }
    }

    /// Whether nobody needs more of a source.
    pub fn is_unneeded(&self, source: &str) -> bool {
        // A thread that panicked while it held the lock left a whole value.
        let ends = self.ends.lock().unwrap_or_else(|e| e.into_inner());
        ends.1.contains(source)
    }

    /// All is committed.
    pub fn set_written(&self, totals: Totals) {
        // A thread that panicked while it held the lock left a whole value.
        let mut slot = self.totals.lock().unwrap_or_else(|e| e.into_inner());
        *slot = Some(totals);
        drop(slot);
        self.written.store(true, Ordering::Release);
    }

    /// What was committed in all; known where it is.
    pub fn totals(&self) -> Option<Totals> {
        // A thread that panicked while it held the lock left a whole value.
        let totals = self.totals.lock().unwrap_or_else(|e| e.into_inner());
        totals.clone()
    }

    /// Whether all is committed; known where results are.
    pub fn written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    /// Why it ended, if it failed.
    pub fn failure(&self) -> Option<Diagnostic> {
        self.failure
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone()
    }

    /// The same, which then is no longer there.
    pub fn take_failure(&self) -> Option<Diagnostic> {
        self.failure
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_of_what_panicked() {
        let shared = Shared::default();
        assert_eq!(shared.catching("the reader", || 7), Some(7));
        assert!(!shared.stopped());
        let caught: Option<()> = shared.catching("the reader", || panic!("{} is odd", 7));
        assert_eq!(caught, None);
        assert!(shared.stopped());
        let failure = shared.take_failure().unwrap();
        assert_eq!(failure.message, "the reader panicked: 7 is odd");
    }
}
