//! What one worker thread does: builds the dataflow, creates its stages, steps.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use segue_plugin::Context;
use serde::{Deserialize, Serialize};
use timely::dataflow::Scope;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::{ConnectLoop, Feedback};
use timely::worker::Worker;

use super::commit::ToCommit;
use super::gather::gather;
use super::journal::Entry;
use super::keep;
use super::metrics::{DeviceReport, StageReport, peak_rss_bytes};
use super::network::Leave;
use super::shared::{Failure, Shared};
use super::sink;
use super::source::{self, Opening, Wakers};
use super::stage::{self, Edge, Rows};
use super::tally::Tally;
use super::wire::compacted;
use crate::graph::{Plan, Role};
use crate::plugins::{Instance, Library};

/// How long a worker may sleep before it looks whether the run was stopped.
const NAP: Duration = Duration::from_millis(50);
/// Between two looks whether the last commit is on disk.
const SHORT_NAP: Duration = Duration::from_millis(1);

/// A run, as each worker of one device gets it.
pub struct Job {
    pub plan: Arc<Plan>,
    /// For each stage that runs on this device, its library.
    pub libraries: Vec<Option<Library>>,
    /// What was committed before; only where results are committed.
    pub start: Option<Entry>,
    /// Whether there is no other device.
    pub alone: bool,
    pub device: usize,
    pub strict: bool,
    pub shared: Arc<Shared>,
    pub committer: Sender<ToCommit>,
    /// All workers of the device start when all have loaded.
    pub loaded: Arc<Barrier>,
    pub started: Instant,
    /// Told at the end.
    pub done: Sender<()>,
}

/// What workers measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    pub stages: Vec<StageReport>,
    pub devices: Vec<DeviceReport>,
    /// Until all was loaded.
    pub load_seconds: f64,
}

impl Measured {
    /// Takes in what others measured.
    pub fn add(&mut self, other: Self) {
        self.stages.extend(other.stages);
        self.devices.extend(other.devices);
        self.load_seconds = self.load_seconds.max(other.load_seconds);
    }
}

type Made = Vec<Option<(Instance, Tally)>>;

/// What watches the dataflow.
#[derive(Default)]
struct Probes {
    /// Sees times that need no more memory: sources open new ones behind it.
    window: Probe<u64>,
    /// Sees times that every sink has handed over.
    done: Probe<u64>,
}

impl Job {
    /// Everything a worker does. What it gives back holds, on each device's first worker
    /// of a cluster, what all of them measured.
    pub fn run(&self, worker: &mut Worker, leave: Option<&Leave>) -> Measured {
        let measured = self.work(worker, leave).unwrap_or_default();
        if self.shared.stopped() {
            if let Some(leave) = leave {
                leave.fail(&self.shared);
            }
            // Nothing that is still on its way is wanted.
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        }
        // The receiver waits for every worker, unless one panicked.
        let _ = self.done.send(());
        measured
    }

    /// `None` when the run was stopped.
    fn work(&self, worker: &mut Worker, leave: Option<&Leave>) -> Option<Measured> {
        let index = worker.index();
        let start = self.agree(worker)?;
        if start.done {
            leave.inspect(|leave| leave.finish());
            return Some(Measured::default());
        }
        let made = self.create(index, start.next_time());
        let tallies: Vec<Option<Tally>> = made
            .iter()
            .map(|one| one.as_ref().map(|(_, tally)| tally.clone()))
            .collect();
        for (stage, tally) in self.plan.graph.stages.iter().zip(&tallies) {
            let tally = tally.as_ref();
            tally.inspect(|tally| self.shared.progress.add_stage(&stage.name, tally));
        }
        let probes = Probes::default();
        let sources = worker.dataflow(|scope| self.build(scope, made, &probes, &start));
        match self.alone {
            true => drop(self.loaded.wait()),
            false => drop(gather(worker, None, &self.shared)?),
        }
        let load_seconds = self.started.elapsed().as_secs_f64();
        while !probes.done.done() && !self.shared.stopped() {
            worker.step_or_park(Some(NAP));
            sources.after_step(&probes.window);
        }
        self.wait_for_journal();
        let mut measured = Measured {
            load_seconds,
            ..Measured::default()
        };
        let threads = self.plan.layout.threads;
        let device = &self.plan.layout.devices[self.device].0;
        for (stage, tally) in self.plan.graph.stages.iter().zip(&tallies) {
            let report = tally
                .as_ref()
                .map(|t| t.report(&stage.name, device, index % threads));
            measured.stages.extend(report);
        }
        if self.is_first(index) {
            measured.devices.push(device_report(device, leave));
        }
        let Some(leave) = leave else {
            return Some(measured);
        };
        let measured = self.share(worker, &measured)?;
        leave.finish();
        Some(measured)
    }

    /// Other devices end when they have heard from all: what they do not repeat must be
    /// in the journal by then.
    fn wait_for_journal(&self) {
        let commits = self.start.is_some() && !self.alone;
        while commits && !self.shared.written() && !self.shared.stopped() {
            std::thread::sleep(SHORT_NAP);
        }
    }

    /// Whether worker `index` is its device's first.
    fn is_first(&self, index: usize) -> bool {
        index.is_multiple_of(self.plan.layout.threads)
    }

    /// Where the run starts, as the device that commits says.
    fn agree(&self, worker: &mut Worker) -> Option<Entry> {
        if let (true, Some(start)) = (self.alone, &self.start) {
            return Some(start.clone());
        }
        let first = self.is_first(worker.index());
        let mine = self.start.as_ref().filter(|_| first);
        let mine = mine.and_then(|start| serde_json::to_string(start).ok());
        let words = gather(worker, mine, &self.shared)?;
        words
            .iter()
            .find_map(|word| serde_json::from_str(word).ok())
    }

    /// On the first worker of each device, what all workers measured.
    fn share(&self, worker: &mut Worker, measured: &Measured) -> Option<Measured> {
        let words = gather(worker, serde_json::to_string(measured).ok(), &self.shared)?;
        let mut all = Measured::default();
        if self.is_first(worker.index()) {
            let heard = words
                .iter()
                .filter_map(|word| serde_json::from_str(word).ok());
            heard.for_each(|one| all.add(one));
        }
        Some(all)
    }

    /// The instances of this worker; none at all once anything has failed.
    fn create(&self, index: usize, from: u64) -> Made {
        (self.plan.graph.stages.iter().enumerate())
            .map(|(i, stage)| {
                let library = self.libraries[i].filter(|_| self.plan.runs_on(i, index))?;
                if self.shared.stopped() {
                    return None;
                }
                let context = Context {
                    stage: stage.name.clone(),
                    device: self.plan.layout.devices[self.device].0.clone(),
                    worker: index % self.plan.layout.threads,
                    from,
                    input: self.plan.graph.input_columns(i),
                };
                match library.create(&stage.operator.manifest.name, &stage.options, &context) {
                    Ok(instance) => Some((instance, Tally::default())),
                    Err(error) => {
                        self.shared
                            .fail(Failure::of_stage(stage, "to start", error));
                        None
                    }
                }
            })
            .collect()
    }

    fn build(&self, scope: Scope<'_, u64>, made: Made, probes: &Probes, start: &Entry) -> Wakers {
        let stages = &self.plan.graph.stages;
        let mut rows: Vec<Option<Rows<'_>>> = Vec::new();
        let mut handles = Vec::new();
        let (mut marks, mut wakers, mut sinks) = (Vec::new(), Vec::new(), 0);
        for (i, (stage, made)) in stages.iter().zip(made).enumerate() {
            let here = self.plan.runs_on(i, scope.index());
            let mut edges: Vec<Edge<'_>> = (stage.inputs.iter())
                .filter_map(|&input| rows[input].clone())
                .map(|rows| Edge {
                    rows: compacted(rows, stage.wire),
                    looped: false,
                })
                .collect();
            for &from in &stage.loops {
                let (handle, rows) = scope.feedback(1);
                handles.push((from, handle));
                let rows = compacted(rows, stage.wire);
                edges.push(Edge { rows, looped: true });
            }
            match stage.operator.role {
                Role::Source => {
                    let built = source::build(
                        scope,
                        stage,
                        here,
                        self.opening(&stage.name, start),
                        probes.window.clone(),
                        &self.shared,
                    );
                    marks.push(built.marks);
                    wakers.extend(built.wake);
                    rows.push(Some(built.rows));
                }
                Role::Transform => {
                    let (plan, shared) = (&self.plan, &self.shared);
                    let built = match stage.columns.keeps {
                        true => keep::build(scope, plan, i, edges, made, &probes.window, shared),
                        false => stage::build(scope, plan, i, edges, made, shared),
                    };
                    rows.push(Some(built));
                }
                Role::Sink => {
                    let committer = here.then(|| (sinks, self.committer.clone()));
                    let inputs = sink::Inputs {
                        edges,
                        marks: marks.clone(),
                        behind_keeper: self.plan.graph.behind_keeper(i),
                    };
                    let watching: &[&Probe<u64>] = match inputs.behind_keeper {
                        true => &[&probes.done],
                        false => &[&probes.done, &probes.window],
                    };
                    let (plan, shared) = (&self.plan, &self.shared);
                    sink::build(scope, plan, i, inputs, committer, watching, shared);
                    sinks += 1;
                    rows.push(None);
                }
            }
        }
        for (from, handle) in handles {
            if let Some(rows) = rows[from].clone() {
                rows.connect_loop(handle);
            }
        }
        Wakers::new(wakers)
    }

    fn opening(&self, source: &str, start: &Entry) -> Opening {
        Opening {
            skip: start.sources.get(source).copied().unwrap_or(0),
            time: start.next_time(),
            batch: self.plan.graph.batch,
            window: self.plan.graph.window as u64,
            strict: self.strict,
        }
    }
}

fn device_report(name: &str, leave: Option<&Leave>) -> DeviceReport {
    let (bytes_sent, bytes_received) = leave.map_or((0, 0), Leave::traffic);
    DeviceReport {
        name: name.to_owned(),
        peak_rss_bytes: peak_rss_bytes(),
        bytes_sent,
        bytes_received,
    }
}
