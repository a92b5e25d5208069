//! Graph -> plan: which worker runs each stage.

use super::check::{Graph, Stage};

/// A graph with a place for every stage.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The graph.
    pub graph: Graph,
    /// Worker threads, over all devices.
    pub workers: usize,
    /// For each stage of the graph, the workers that share its batches: batch `t`
    /// goes to number `t % len`.
    pub replicas: Vec<Vec<Replica>>,
}

/// One instance of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The worker it runs on, counted over all devices.
    pub worker: usize,
}

impl Plan {
    /// The worker that runs batch `time` of stage `stage`.
    pub fn worker(&self, stage: usize, time: u64) -> usize {
        let replicas = &self.replicas[stage];
        // The remainder is smaller than a count of workers.
        replicas[(time % replicas.len() as u64) as usize].worker
    }

    /// Whether stage `stage` runs on `worker`.
    pub fn runs_on(&self, stage: usize, worker: usize) -> bool {
        self.replicas[stage]
            .iter()
            .any(|replica| replica.worker == worker)
    }
}

/// As many workers as can be busy at once: the segments of the most divided stage,
/// times its replicas.
pub fn useful_workers(graph: &Graph) -> usize {
    let width = |stage: &Stage| stage.replicas * stage.segment.as_ref().map_or(1, |s| s.count);
    graph.stages.iter().map(width).max().unwrap_or(1)
}

/// Places every stage of `graph` on one of `workers` threads.
///
/// Segment s of S goes to the s-th of S equal groups of workers, and replica r to
/// the r-th worker of that group; both wrap around where workers are fewer. Every
/// other stage stays with what it reads, so that its batches move nowhere.
pub fn plan(graph: Graph, workers: Option<usize>) -> Plan {
    let workers = workers.unwrap_or_else(|| useful_workers(&graph)).max(1);
    let mut replicas: Vec<Vec<Replica>> = Vec::new();
    for stage in &graph.stages {
        let base = match &stage.segment {
            Some(segment) if segment.count > 1 => {
                group_start(segment.index, segment.count, workers)
            }
            _ => stage
                .inputs
                .first()
                .map_or(0, |&input| replicas[input][0].worker),
        };
        let place = |r: usize| Replica {
            worker: (base + r) % workers,
        };
        let count = stage.replicas.min(workers);
        replicas.push((0..count).map(place).collect());
    }
    Plan {
        graph,
        workers,
        replicas,
    }
}

fn group_start(index: usize, count: usize, workers: usize) -> usize {
    index * workers / count
}
