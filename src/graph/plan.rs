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

/// As many workers as the file asks to be busy at once: the segments of the most divided
/// stage, times its replicas.
pub fn asked_workers(graph: &Graph) -> usize {
    let width =
        |stage: &Stage| stage.replicas.unwrap_or(1) * stage.segment.as_ref().map_or(1, |s| s.count);
    graph.stages.iter().map(width).max().unwrap_or(1)
}

/// Places every stage of `graph` on one of `workers` threads; left out, on as many as
/// [`asked_workers`].
///
/// Segment s of S gets the s-th of S equal groups of workers, and a replica on each
/// worker of its group, unless the file says how many; replicas beyond the group, and
/// segments beyond the workers, wrap around. Every other stage stays with what it reads,
/// so that its batches move nowhere.
pub fn plan(graph: Graph, workers: Option<usize>) -> Plan {
    let workers = workers.unwrap_or_else(|| asked_workers(&graph)).max(1);
    let mut replicas: Vec<Vec<Replica>> = Vec::new();
    for stage in &graph.stages {
        let (first, width) = match &stage.segment {
            Some(segment) => group(segment.index, segment.count, workers),
            None => (
                stage
                    .inputs
                    .first()
                    .map_or(0, |&input| replicas[input][0].worker),
                1,
            ),
        };
        let place = |r: usize| Replica {
            worker: (first + r) % workers,
        };
        let count = stage.replicas.unwrap_or(width).min(workers);
        replicas.push((0..count).map(place).collect());
    }
    Plan {
        graph,
        workers,
        replicas,
    }
}

/// The first worker of a segment's group, and how many there are; at least one.
fn group(index: usize, count: usize, workers: usize) -> (usize, usize) {
    let start = index * workers / count;
    (start, ((index + 1) * workers / count - start).max(1))
}

#[cfg(test)]
mod tests {
    use super::group;

    #[test]
    fn groups_share_all_workers() {
        assert_eq!([group(0, 1, 1), group(0, 1, 3)], [(0, 1), (0, 3)]);
        assert_eq!([group(0, 2, 2), group(1, 2, 2)], [(0, 1), (1, 1)]);
        assert_eq!([group(0, 2, 5), group(1, 2, 5)], [(0, 2), (2, 3)]);
        assert_eq!(
            [group(0, 3, 2), group(1, 3, 2), group(2, 3, 2)],
            [(0, 1), (0, 1), (1, 1)]
        );
    }
}
