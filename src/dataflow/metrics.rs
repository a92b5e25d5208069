//! What a run measured: the report.

use serde::{Deserialize, Serialize};

/// What `--report` writes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The graph file.
    pub graph: String,
    /// Reviews with a committed verdict, those before a resume included.
    pub reviews: u64,
    /// Of these, the ones an earlier run committed.
    pub resumed: u64,
    /// Records that could not be used.
    pub rejected: u64,
    /// From the first batch read to the last verdict committed.
    pub seconds: f64,
    /// Before that: plugins created, weights loaded.
    pub load_seconds: f64,
    /// This run's reviews over `seconds`.
    pub reviews_per_second: f64,
    /// Correct verdicts over those with a true label; `None` without labels.
    pub accuracy: Option<f64>,
    /// From a batch's reading to its commit.
    pub latency_ms: Latency,
    /// Each stage on each worker that ran it.
    pub stages: Vec<StageReport>,
    /// Each device.
    pub devices: Vec<DeviceReport>,
}

/// Milliseconds that half and all but a hundredth of the batches stay below.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// The work of one stage on one worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StageReport {
    /// `encoder/0`
    pub name: String,
    /// The device.
    pub device: String,
    /// The worker within the device.
    pub worker: usize,
    /// Batches processed.
    pub batches: u64,
    /// Rows processed.
    pub rows: u64,
    /// Seconds spent in it.
    pub busy_seconds: f64,
}

/// What one device used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DeviceReport {
    /// The device.
    pub name: String,
    /// The most memory it had resident; 0 where the system does not tell.
    pub peak_rss_bytes: u64,
    /// To other devices.
    pub bytes_sent: u64,
    /// From other devices.
    pub bytes_received: u64,
}

/// The most memory this process had resident, in bytes, as Linux tells it.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
