//! Counts of one stage on one worker, shared with whoever makes the report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::metrics::StageReport;

/// A handle on the counts.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    batches: AtomicU64,
    rows: AtomicU64,
    busy_ns: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Tally {
    /// A batch of `rows` took `time`.
    pub fn add(&self, rows: usize, time: Duration) {
        self.0.batches.fetch_add(1, Ordering::Relaxed);
        self.0.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.add_time(time);
    }

    /// Work that belongs to no new batch took `time`.
    pub fn add_time(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.busy_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// A batch came in so many bytes, and what was given for it has so many.
    pub fn add_bytes(&self, came: usize, given: usize) {
        self.0.bytes_in.fetch_add(came as u64, Ordering::Relaxed);
        self.0.bytes_out.fetch_add(given as u64, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn report(&self, name: &str, device: &str, worker: usize) -> StageReport {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        StageReport {
            name: name.to_owned(),
            device: device.to_owned(),
            worker,
            batches: of(&self.0.batches),
            rows: of(&self.0.rows),
            busy_seconds: of(&self.0.busy_ns) as f64 / 1e9,
            bytes_in: of(&self.0.bytes_in),
            bytes_out: of(&self.0.bytes_out),
        }
    }
}
