//! What one worker thread does: creates its stages, builds the dataflow, steps.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use segue_plugin::Context;
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::probe::Handle as Probe;
use timely::worker::Worker;

use super::failure::stage_failed;
use super::gather::gather;
use super::metrics::{DeviceReport, StageReport, Totals, peak_rss_bytes};
use super::network::Leave;
use super::restore::restore;
use super::shared::Shared;
use super::source;
use super::state::{Cut, Kept, ToCommit, ToCommitter};
use super::tally::Tally;
use crate::diagnostic::Note;
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
    pub start: Option<Origin>,
    /// What stages and loop edges gave to keep then, for the first worker.
    pub kept: Mutex<Kept>,
    /// Whether there is no other device.
    pub alone: bool,
    pub device: usize,
    pub strict: bool,
    /// How many records of each source are read, where not all are.
    pub records: Option<u64>,
    pub shared: Arc<Shared>,
    pub committer: ToCommitter,
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
    /// From the device that commits.
    pub totals: Option<Totals>,
    /// What a user should know.
    pub notes: Vec<Note>,
}

impl Measured {
    /// Takes in what others measured.
    pub fn add(&mut self, other: Self) {
        self.stages.extend(other.stages);
        self.devices.extend(other.devices);
        self.load_seconds = self.load_seconds.max(other.load_seconds);
        self.totals = other.totals.or(self.totals.take());
        self.notes.extend(other.notes);
    }
}

/// Where a run starts: behind the cut, or where there is none at the beginning.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    /// What was committed last.
    pub cut: Option<Cut>,
}

impl Origin {
    /// The first time that is not committed.
    pub fn next_time(&self) -> u64 {
        self.cut.as_ref().map_or(0, |cut| cut.time + 1)
    }

    fn done(&self) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.done)
    }
}

/// For each stage that this worker runs, its instance.
pub type Instances = Vec<Option<(Instance, Tally)>>;

/// What watches the dataflow.
#[derive(Default)]
pub struct Probes {
    /// Sees times that need no more memory: sources open new ones behind it.
    pub window: Probe<u64>,
    /// Sees times of which all side inputs have arrived: their sources open new ones behind
    /// it, whatever else waits for them.
    pub side: Probe<u64>,
    /// Sees times that every sink has handed over.
    pub done: Probe<u64>,
}

impl Job {
    /// Everything a worker does. What it gives back holds, on each device's first worker
    /// of a cluster, what all of them measured.
    pub fn run(&self, worker: &mut Worker, leave: Option<&Leave>) -> Measured {
        let index = worker.index() % self.plan.layout.threads;
        let work = || self.work(worker, leave);
        let measured = self
            .shared
            .catching(&format!("worker {index}"), work)
            .flatten();
        if self.shared.stopped() {
            if let Some(leave) = leave {
                leave.fail(&self.shared);
            }
            // Nothing that is still on its way is wanted. After a panic in the middle of
            // a step not even this may work, and the failure is known.
            self.shared.catching("the end of a worker", || {
                for dataflow in worker.installed_dataflows() {
                    worker.drop_dataflow(dataflow);
                }
            });
        }
        let measured = measured.unwrap_or_default();
        // The receiver waits for every worker, unless one panicked.
        let _ = self.done.send(());
        measured
    }

    /// `None` when the run was stopped.
    fn work(&self, worker: &mut Worker, leave: Option<&Leave>) -> Option<Measured> {
        let index = worker.index();
        let start = self.agree(worker)?;
        leave.inspect(|leave| leave.begin(start.next_time()));
        if start.done() {
            leave.inspect(|leave| leave.finish());
            return Some(Measured::default());
        }
        let kept = self.restored(worker, &start)?;
        self.check_inputs(index, &start);
        // The others wait until all have created theirs, whatever becomes of these.
        let create = || self.create(index, start.next_time(), &kept);
        let none = || self.libraries.iter().map(|_| None).collect();
        let instances = self.shared.catching("a stage's start", create);
        let instances = instances.unwrap_or_else(none);
        let tallies: Vec<Option<Tally>> = instances
            .iter()
            .map(|one| one.as_ref().map(|(_, tally)| tally.clone()))
            .collect();
        for (stage, tally) in self.plan.graph.stages.iter().zip(&tallies) {
            let tally = tally.as_ref();
            tally.inspect(|tally| self.shared.progress.add_stage(&stage.name, tally));
        }
        // All start when all have loaded.
        gather(worker, None, &self.shared)?;
        let load_seconds = self.started.elapsed().as_secs_f64();
        if self.shared.stopped() {
            return None;
        }
        // By the worker from which all else comes that is to be committed.
        if self.start.is_some() && index == self.plan.commit_worker() {
            self.committer.send(ToCommit::Ready);
        }
        let probes = Probes::default();
        let sources = worker.dataflow(|scope| self.build(scope, instances, &probes, &start, kept));
        while !probes.done.done() && !self.shared.stopped() {
            worker.step_or_park(Some(NAP));
            sources.after_step(&[&probes.window, &probes.side]);
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
            measured.totals = self.shared.totals();
            measured.notes = self.shared.progress.notes();
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
    fn agree(&self, worker: &mut Worker) -> Option<Origin> {
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

    /// What was kept of the stages that this worker runs, and on the worker that commits
    /// also what was on its way round loops.
    fn restored(&self, worker: &mut Worker, start: &Origin) -> Option<Kept> {
        let stored = start.cut.as_ref().filter(|cut| cut.state.is_some());
        let Some(cut) = stored else {
            return Some(Kept::default());
        };
        let commits = worker.index() == self.plan.commit_worker();
        let mut kept = if self.start.is_some() && commits {
            // A thread that panicked while it held the lock left a whole value.
            std::mem::take(&mut *self.kept.lock().unwrap_or_else(|e| e.into_inner()))
        } else {
            Kept::default()
        };
        let given = std::mem::take(&mut kept.stages);
        kept.stages = restore(worker, &self.plan, cut.time, given, &self.shared)?;
        Some(kept)
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

    /// A source that reads something else than before must not go on.
    fn check_inputs(&self, index: usize, start: &Origin) {
        let device = &self.plan.layout.devices[self.device].0;
        for (i, stage) in self.plan.graph.stages.iter().enumerate() {
            let here = stage.operator.role == Role::Source && self.plan.runs_on(i, index);
            if let Some(cut) = start.cut.as_ref().filter(|_| here)
                && let Err(failure) = source::check_inputs(stage, device, cut)
            {
                self.shared.fail(failure);
            }
        }
    }

    /// The instances of this worker; none at all once anything has failed.
    fn create(&self, index: usize, from: u64, kept: &Kept) -> Instances {
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
                    input: (self.plan.graph.input_columns(i).iter())
                        .map(segue_plugin::Column::for_plugins)
                        .collect(),
                };
                let created = library
                    .create(&stage.operator.manifest.name, &stage.options, &context)
                    .and_then(|instance| {
                        let mut instance = instance.relating(stage.columns.rows);
                        if let Some(state) = kept.stages.get(&stage.name) {
                            instance.restore(state)?;
                        }
                        Ok(instance)
                    });
                match created {
                    Ok(instance) => Some((instance, Tally::default())),
                    Err(error) => {
                        self.shared.fail(stage_failed(stage, "to start", error));
                        None
                    }
                }
            })
            .collect()
    }
}

fn device_report(name: &str, leave: Option<&Leave>) -> DeviceReport {
    let (bytes_sent, bytes_received) = leave.map_or((0, 0), Leave::traffic);
    DeviceReport {
        name: name.to_owned(),
        peak_rss_bytes: peak_rss_bytes(),
        bytes_sent,
        bytes_received,
        busy: 0.0,
    }
}
