//! How long batches take from when they come until they are committed.

use std::time::Instant;

use hdrhistogram::Histogram;

use crate::dataflow::metrics::Latency;
use crate::diagnostic::Diagnostic;

/// The longest latency that is told apart: an hour, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// The clock of a run.
pub struct Timing {
    /// When batches arrived that are not sealed.
    opened: Vec<(u64, Instant)>,
    latency: Histogram<u64>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Timing {
    /// Of a run that began at `began`; where that is not known, with its first batch.
    ///
    /// # Errors
    /// What the histogram says of its bounds
    pub fn new(began: Option<Instant>) -> Result<Self, Diagnostic> {
        // Three digits: a latency is known to a thousandth of itself.
        let latency = Histogram::new_with_bounds(1, LONGEST_US, 3);
        Ok(Timing {
            opened: Vec::new(),
            latency: latency.map_err(|e| Diagnostic::new("internal", e.to_string()))?,
            first: began,
            last: None,
        })
    }

    /// A batch of `time` came at `arrived`.
    pub fn arrived(&mut self, time: u64, arrived: Instant) {
        self.first = Some(self.first.map_or(arrived, |first| first.min(arrived)));
        self.opened.push((time, arrived));
    }

    /// Whether a batch has come that is not sealed.
    pub fn waits(&self) -> bool {
        !self.opened.is_empty()
    }

    /// All up to `time` is sealed now.
    pub fn sealed(&mut self, time: u64) {
        let now = Instant::now();
        self.last = Some(now);
        let latency = &mut self.latency;
        self.opened.retain(|(opened, arrived)| {
            let sealed = *opened <= time;
            if sealed {
                let us = now.duration_since(*arrived).as_micros();
                latency.saturating_record(u64::try_from(us).unwrap_or(u64::MAX));
            }
            !sealed
        });
    }

    /// The files are complete now, if anything was sealed.
    pub fn finished(&mut self) {
        self.last = self.last.map(|_| Instant::now());
    }

    /// From the first batch to the last commit.
    pub fn seconds(&self) -> f64 {
        let ends = self.first.zip(self.last);
        ends.map_or(0.0, |(first, last)| (last - first).as_secs_f64())
    }

    /// Per batch.
    pub fn latency(&self) -> Latency {
        let ms = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            p50: ms(0.5),
            p99: ms(0.99),
        }
    }
}
