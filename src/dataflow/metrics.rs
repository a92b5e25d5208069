//! What a run measured: the report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state::{Committed, Counts};
use crate::diagnostic::Note;

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
    /// These by the code of the reason.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// Where they and the reasons are; `None` without any.
    pub rejects_file: Option<String>,
    /// The verdicts: reviews by label. Beyond 64 labels the further ones count as `others`.
    pub labels: BTreeMap<String, u64>,
    /// From the first batch read to the last verdict committed.
    pub seconds: f64,
    /// Before that: plugins created, weights loaded.
    pub load_seconds: f64,
    /// This run's reviews over `seconds`.
    pub reviews_per_second: f64,
    /// Correct verdicts over those with a label that verdicts can have; `None` without such
    /// labels, and where it is not sure what the file's mean.
    pub accuracy: Option<f64>,
    /// From a batch's reading to its commit.
    pub latency_ms: Latency,
    /// Each stage on each worker that ran it.
    pub stages: Vec<StageReport>,
    /// Each device.
    pub devices: Vec<DeviceReport>,
    /// What the others wait for; `None` where nothing was measured.
    pub bottleneck: Option<Bottleneck>,
    /// What a user should know though nothing failed.
    pub notes: Vec<Note>,
}

/// What the device that commits tells the others at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// As in [`Report`].
    pub reviews: u64,
    /// As in [`Report`].
    pub resumed: u64,
    /// As in [`Report`].
    pub rejected: u64,
    /// As in [`Report`].
    pub seconds: f64,
    /// As in [`Report`].
    pub accuracy: Option<f64>,
    /// As in [`Report`].
    pub latency_ms: Latency,
    /// As in [`Report`].
    pub labels: BTreeMap<String, u64>,
    /// As in [`Report`].
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// As in [`Report`].
    pub rejects_file: Option<String>,
}

/// The stage that the worker with the most to do spent most on.
#[derive(Clone, Debug, Serialize)]
pub struct Bottleneck {
    /// The stage.
    pub stage: String,
    /// The device.
    pub device: String,
    /// The worker within the device.
    pub worker: usize,
    /// The part of the run's seconds that the worker was busy, from 0 to 1.
    pub busy: f64,
}

/// What was committed in all, by an earlier run (`before`) and this one, with its `accuracy`.
pub fn totals(
    before: &Counts,
    committed: &Committed,
    accuracy: Option<f64>,
    rejects: Option<&str>,
) -> Totals {
    let counts = &committed.counts;
    Totals {
        reviews: counts.reviews,
        resumed: before.reviews,
        rejected: counts.rejected,
        seconds: committed.seconds,
        accuracy,
        latency_ms: committed.latency,
        labels: counts.seen.labels.clone(),
        rejected_by_reason: counts.seen.rejects.clone(),
        rejects_file: rejects.filter(|_| counts.rejected > 0).map(str::to_owned),
    }
}

/// Says of each of `devices` how busy it was in the `seconds` of a run, and gives what the
/// others waited for.
pub fn busy(
    stages: &[StageReport],
    devices: &mut [DeviceReport],
    seconds: f64,
) -> Option<Bottleneck> {
    let mut workers: BTreeMap<(&str, usize), (f64, &StageReport)> = BTreeMap::new();
    for stage in stages {
        let worker = (stage.device.as_str(), stage.worker);
        let (busy, most) = workers.entry(worker).or_insert((0.0, stage));
        *busy += stage.busy_seconds;
        if stage.busy_seconds > most.busy_seconds {
            *most = stage;
        }
    }
    let share = |busy: f64| {
        if seconds > 0.0 {
            (busy / seconds).clamp(0.0, 1.0)
        } else {
            0.0
        }
    };
    for device in devices {
        let own = workers.iter().filter(|((name, _), _)| *name == device.name);
        let own: Vec<f64> = own.map(|(_, (busy, _))| share(*busy)).collect();
        device.busy = own.iter().sum::<f64>() / own.len().max(1) as f64;
    }
    let most = workers.values().max_by(|a, b| a.0.total_cmp(&b.0));
    most.filter(|_| seconds > 0.0)
        .map(|(busy, stage)| Bottleneck {
            stage: stage.name.clone(),
            device: stage.device.clone(),
            worker: stage.worker,
            busy: share(*busy),
        })
}

/// Milliseconds that half and all but a hundredth of the batches stay below.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
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
    /// Of the columns that reached it; 0 where it keeps state.
    #[serde(default)]
    pub bytes_in: u64,
    /// Of the columns that it sent on; 0 where it keeps state.
    #[serde(default)]
    pub bytes_out: u64,
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
    /// The part of the run's seconds that its workers were busy, from 0 to 1, on average over
    /// those that run a stage.
    #[serde(default)]
    pub busy: f64,
}

/// The most memory this process had resident, in bytes, as Linux tells it.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_worker_is_the_bottleneck() {
        let stage = |name: &str, device: &str, worker, busy_seconds| StageReport {
            name: name.to_owned(),
            device: device.to_owned(),
            worker,
            busy_seconds,
            ..StageReport::default()
        };
        let device = |name: &str| DeviceReport {
            name: name.to_owned(),
            ..DeviceReport::default()
        };
        let stages = [
            stage("a", "x", 0, 3.0),
            stage("b", "x", 0, 4.0),
            stage("c", "x", 1, 1.0),
            stage("d", "y", 0, 5.0),
        ];
        let mut devices = ["x", "y", "z"].map(device);
        let bottleneck = busy(&stages, &mut devices, 10.0).expect("something was done");
        assert_eq!((bottleneck.stage.as_str(), bottleneck.worker), ("b", 0));
        assert!((bottleneck.busy - 0.7).abs() < 1e-9);
        let shares = devices.map(|device| device.busy);
        assert!((shares[0] - 0.4).abs() < 1e-9, "{shares:?}");
        assert_eq!(shares[1..], [0.5, 0.0]);
        assert!(busy(&stages, &mut [], 0.0).is_none());
    }
}
