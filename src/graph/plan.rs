//! Graph -> plan: which worker, on which device, runs each stage.

use std::collections::BTreeMap;

use super::catalog::Role;
use super::stage::{Graph, Stage};
use crate::diagnostic::Diagnostic;
use crate::planner::turns;

/// A graph with a place for every stage.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The graph.
    pub graph: Graph,
    /// Where it runs.
    pub layout: Layout,
    /// For each stage of the graph, the workers that share its batches, as [`Plan::worker`]
    /// deals them.
    pub replicas: Vec<Vec<Replica>>,
    /// What tells the profile that it was made from from others, where there was one.
    pub profile: Option<String>,
    /// For each stage, a repeating pattern of its replicas' numbers.
    turns: Vec<Vec<usize>>,
}

/// One instance of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The worker it runs on, counted over all devices.
    pub worker: usize,
    /// Its share of the batches, beside the weights of the others.
    pub weight: u32,
}

/// Devices and their worker threads, and what is placed by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Each device's name and how many of its workers are used.
    pub devices: Vec<(String, usize)>,
    /// Worker numbers from one device's first to the next one's: every device has the
    /// same number of threads, those beyond its used ones stay idle.
    pub threads: usize,
    /// The devices that a stage, or one segment, must run on.
    pub place: BTreeMap<String, Vec<usize>>,
}

/// The name of the one device of a run without a cluster.
pub const LOCAL: &str = "local";

impl Layout {
    /// One device with `workers` threads.
    pub fn local(workers: usize) -> Self {
        let devices = vec![(LOCAL.to_owned(), workers.max(1))];
        Layout {
            devices,
            threads: workers.max(1),
            place: BTreeMap::new(),
        }
    }

    /// Several devices, with how many workers each may use.
    pub fn of_devices(devices: Vec<(String, usize)>, place: BTreeMap<String, Vec<usize>>) -> Self {
        let threads = devices
            .iter()
            .map(|(_, workers)| *workers)
            .max()
            .unwrap_or(1)
            .max(1);
        Layout {
            devices,
            threads,
            place,
        }
    }

    /// The device of a worker.
    pub fn device(&self, worker: usize) -> usize {
        worker / self.threads
    }

    /// The devices that `stage` is bound to, if it is.
    pub fn placed(&self, stage: &Stage) -> Option<&Vec<usize>> {
        let place = self.place.get(&stage.name);
        place.or_else(|| self.place.get(&stage.file_name))
    }

    /// The workers in use on `devices`: the first of each, then the second ones.
    fn in_turns(&self, devices: &[usize]) -> Vec<usize> {
        let turn = |worker: usize| {
            let of = devices.iter().map(move |device| (device, worker));
            of.filter(|(device, worker)| {
                let device = self.devices.get(**device);
                device.is_some_and(|(_, used)| worker < used)
            })
        };
        let workers = (0..self.threads).flat_map(turn);
        workers
            .map(|(device, worker)| device * self.threads + worker)
            .collect()
    }

    /// The workers in use on `devices`, in order.
    fn workers(&self, devices: impl Iterator<Item = usize>) -> Vec<usize> {
        let of = |device: usize| {
            let used = self.devices.get(device).map_or(0, |(_, workers)| *workers);
            (0..used).map(move |worker| device * self.threads + worker)
        };
        devices.flat_map(of).collect()
    }
}

impl Plan {
    /// The plan in which each stage has these replicas.
    pub fn new(graph: Graph, layout: Layout, replicas: Vec<Vec<Replica>>) -> Self {
        let weights = |of: &Vec<Replica>| of.iter().map(|one| one.weight).collect::<Vec<_>>();
        let turns = replicas.iter().map(|of| turns(&weights(of))).collect();
        Plan {
            graph,
            layout,
            replicas,
            profile: None,
            turns,
        }
    }

    /// The worker that runs the batch `time` of stage `stage`, where it is one part.
    pub fn worker(&self, stage: usize, time: u64) -> usize {
        self.worker_of_part(stage, time, &[])
    }

    /// The worker that runs one part of the batch `time` of stage `stage`. Parts are dealt
    /// over all replicas where each is for itself, and stay together elsewhere.
    pub fn worker_of_part(&self, stage: usize, time: u64, part: &[u32]) -> usize {
        let turns = &self.turns[stage];
        let part = if self.graph.stages[stage].deals_parts() {
            part.iter().map(|&number| u64::from(number)).sum()
        } else {
            0
        };
        // The remainder is smaller than the length of a pattern.
        let turn = turns[(time.wrapping_add(part) % turns.len() as u64) as usize];
        self.replicas[stage][turn].worker
    }

    /// The workers that run stage `stage`, each once.
    pub fn workers_of(&self, stage: usize) -> Vec<usize> {
        let mut workers: Vec<usize> = self.replicas[stage].iter().map(|one| one.worker).collect();
        workers.sort_unstable();
        workers.dedup();
        workers
    }

    /// Whether stage `stage` runs on `worker`.
    pub fn runs_on(&self, stage: usize, worker: usize) -> bool {
        self.replicas[stage]
            .iter()
            .any(|replica| replica.worker == worker)
    }

    /// The device on which results are committed.
    pub fn sink_device(&self) -> usize {
        let sink = self
            .graph
            .stages
            .iter()
            .position(|s| s.operator.role == Role::Sink);
        sink.map_or(0, |sink| self.layout.device(self.worker(sink, 0)))
    }

    /// The worker of the first sink, on which what is committed is gathered.
    pub fn commit_worker(&self) -> usize {
        let mut stages = self.graph.stages.iter();
        let sink = stages.position(|s| s.operator.role == Role::Sink);
        sink.map_or(0, |sink| self.worker(sink, 0))
    }

    /// For each stage, whether its rows of one time may come from several workers, or in
    /// another order than that of their parts.
    pub fn scattered(&self) -> Vec<bool> {
        let stages = &self.graph.stages;
        let many = self.graph.many_parts();
        let mut scattered = vec![false; stages.len()];
        // Along loops it takes more than one pass.
        for _ in 0..stages.len() {
            for (at, stage) in stages.iter().enumerate() {
                let edges = || stage.edges().filter(|(_, port)| !stage.is_whole(*port));
                let dealt = self.replicas[at].len() > 1 && edges().any(|(from, _)| many[from]);
                let passed = edges().any(|(from, _)| scattered[from]);
                scattered[at] = stage.deals_parts() && (dealt || passed);
            }
        }
        scattered
    }

    /// All worker threads, idle ones too.
    pub fn threads(&self) -> usize {
        self.layout.devices.len() * self.layout.threads
    }
}

/// The most worker threads of a device.
pub const WORKERS_MAX: usize = 256;

/// As many workers as the file asks to be busy at once: the segments of the most divided
/// stage, times its replicas.
///
/// # Errors
/// `bad-value` when that is more than [`WORKERS_MAX`]
pub fn asked_workers(graph: &Graph) -> Result<usize, Diagnostic> {
    let segments = |stage: &Stage| stage.segment.as_ref().map_or(1, |s| s.count);
    let width = |stage: &Stage| stage.replicas.unwrap_or(1) * segments(stage);
    let Some(widest) = graph.stages.iter().max_by_key(|stage| width(stage)) else {
        return Ok(1);
    };
    match width(widest) {
        width if width > WORKERS_MAX => {
            let name = &widest.file_name;
            let message = format!(
                "`{name}` asks for {width} workers at once, of {WORKERS_MAX} that a device can have"
            );
            let error = Diagnostic::new("bad-value", message).at(widest.spans.name);
            Err(error.help(
                "lower its `split` or `replicas`, or say with `--workers` how many share them",
            ))
        }
        width => Ok(width),
    }
}

/// Gives every stage of `graph` its workers.
///
/// Segment s of S gets the s-th of S equal groups of workers, and a replica on each
/// worker of its group, unless the file says how many; replicas beyond the group, and
/// segments beyond the workers, wrap around. Every other stage stays with what it reads,
/// so that its batches move nowhere, and all sinks are together. What the layout places
/// by hand gets workers of those devices alone, however many replicas it asks for, and in
/// turns, so that each device has a part; all sinks are where any of them is placed.
pub fn plan(graph: Graph, layout: Layout) -> Plan {
    let all = layout.workers(0..layout.devices.len());
    let mut replicas: Vec<Vec<Replica>> = Vec::new();
    let sinks = graph
        .stages
        .iter()
        .filter(|s| s.operator.role == Role::Sink);
    let mut sink = sinks
        .filter_map(|stage| layout.placed(stage))
        .find_map(|devices| layout.in_turns(devices).first().copied());
    for stage in &graph.stages {
        let placed = layout.placed(stage);
        let with_input = stage.inputs.first().map(|&input| replicas[input][0].worker);
        let group: Vec<usize> = match (placed, &stage.segment) {
            (Some(devices), _) => layout.in_turns(devices),
            (None, Some(segment)) => {
                let (first, width) = group(segment.index, segment.count, all.len());
                all[first..]
                    .iter()
                    .chain(&all)
                    .copied()
                    .take(width)
                    .collect()
            }
            (None, None) => vec![with_input.unwrap_or(0)],
        };
        let count = match (stage.operator.role, &stage.segment) {
            (Role::Transform, Some(_)) => stage.replicas.unwrap_or(group.len()),
            (Role::Transform, None) if stage.columns.stateful => 1,
            (Role::Transform, None) if stage.columns.spreads => {
                stage.replicas.unwrap_or(placed.map_or(all.len(), Vec::len))
            }
            (Role::Transform, None) => stage.replicas.unwrap_or(placed.map_or(1, Vec::len)),
            (Role::Source | Role::Sink, _) => 1,
        };
        let group = match stage.operator.role {
            Role::Sink => vec![*sink.get_or_insert(group[0])],
            _ => group,
        };
        let most = match placed {
            Some(_) => group.len(),
            None => all.len(),
        };
        replicas.push(spread(&group, count.min(most), &all));
    }
    Plan::new(graph, layout, replicas)
}

/// `count` workers: those of `group`, then, where it has fewer, the ones after its last.
fn spread(group: &[usize], count: usize, all: &[usize]) -> Vec<Replica> {
    let last = group
        .last()
        .and_then(|last| all.iter().position(|worker| worker == last));
    let after = all.iter().cycle().skip(last.map_or(0, |at| at + 1));
    let beyond = after
        .filter(|worker| !group.contains(worker))
        .take(all.len());
    group
        .iter()
        .chain(beyond)
        .take(count.max(1))
        .map(|&worker| Replica { worker, weight: 1 })
        .collect()
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
