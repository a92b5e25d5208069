//! What one worker thread does: builds the dataflow, creates its stages, steps.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use segue_plugin::Context;
use serde::{Deserialize, Serialize};
use timely::dataflow::Scope;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::{Concat, ConnectLoop, Feedback, Probe as _};
use timely::worker::Worker;

use super::gather::gather;
use super::inbox::{Edge, Rows};
use super::ledger;
use super::metrics::{DeviceReport, StageReport, Totals, peak_rss_bytes};
use super::network::Leave;
use super::restore::restore;
use super::shared::{Failure, Shared};
use super::sink;
use super::source::{self, Opening, Wakers};
use super::stage;
use super::state::{Cut, Kept, Participants, ToCommit, ToCommitter};
use super::stateful::{self, Begins};
use super::tally::Tally;
use super::wire::compacted;
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
    fn next_time(&self) -> u64 {
        self.cut.as_ref().map_or(0, |cut| cut.time + 1)
    }

    fn done(&self) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.done)
    }
}

type Made = Vec<Option<(Instance, Tally)>>;

/// What watches the dataflow.
#[derive(Default)]
struct Probes {
    /// Sees times that need no more memory: sources open new ones behind it.
    window: Probe<u64>,
    /// Sees times of which all side inputs have arrived: their sources open new ones behind
    /// it, whatever else waits for them.
    side: Probe<u64>,
    /// Sees times that every sink has handed over.
    done: Probe<u64>,
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
        let made = self.shared.catching("a stage's start", create);
        let made = made.unwrap_or_else(none);
        let tallies: Vec<Option<Tally>> = made
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
        let sources = worker.dataflow(|scope| self.build(scope, made, &probes, &start, kept));
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
        let mut kept = match self.start.is_some() && worker.index() == self.plan.commit_worker() {
            // A thread that panicked while it held the lock left a whole value.
            true => std::mem::take(&mut *self.kept.lock().unwrap_or_else(|e| e.into_inner())),
            false => Kept::default(),
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
    fn create(&self, index: usize, from: u64, kept: &Kept) -> Made {
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
                        self.shared
                            .fail(Failure::of_stage(stage, "to start", error));
                        None
                    }
                }
            })
            .collect()
    }

    fn build(
        &self,
        scope: Scope<'_, u64>,
        made: Made,
        probes: &Probes,
        start: &Origin,
        mut kept: Kept,
    ) -> Wakers {
        let stages = &self.plan.graph.stages;
        let (plan, shared) = (&self.plan, &self.shared);
        let both = [&probes.window, &probes.done];
        let participants = Participants::of(&plan.graph);
        let commits = plan.commit_worker();
        let committer = || (scope.index() == commits).then(|| self.committer.clone());
        let mut built: Vec<Streams<'_>> = stages.iter().map(|_| Streams::default()).collect();
        let (mut marks, mut wakers, mut tells, mut sinks) = (vec![], vec![], vec![], 0);
        let (side, scattered) = (plan.graph.side(), plan.scattered());
        let stops = start.cut.as_ref().map(|cut| &cut.stops);
        for stage in stops.into_iter().flatten().map(|(stage, _)| stage) {
            shared.set_ended(&plan.graph, stage);
        }
        for (i, stage) in stages.iter().enumerate() {
            if stage.operator.role == Role::Source {
                let here = plan.runs_on(i, scope.index());
                let opening = self.opening(&stage.name, start, side[i]);
                let probe = if side[i] {
                    &probes.side
                } else {
                    &probes.window
                };
                let source = source::build(scope, stage, here, opening, probe.clone(), shared);
                marks.push(source.marks);
                wakers.extend(source.wake);
                built[i].rows = Some(source.rows);
            }
        }
        // Round a loop: what a stage gives, or gave before, at one time arrives at the next.
        let (mut handles, mut loops) = (Vec::new(), Vec::new());
        for (edge, &(_, from)) in participants.loops.iter().enumerate() {
            let (handle, mut rows) = scope.feedback(1);
            // On every worker, though only one has rows: all build the same dataflow.
            if let Some(cut) = start.cut.as_ref().filter(|cut| cut.state.is_some()) {
                let old = kept.loops.remove(&edge).unwrap_or_default();
                rows = rows.concat(ledger::replay(scope, edge, cut.time, old.0));
            }
            handles.push((from, handle));
            loops.push(rows);
        }
        let cuts = ledger::build(
            scope,
            ledger::Inputs {
                marks,
                loops: loops.clone(),
            },
            &participants,
            (commits, start.next_time()),
            committer().map(|sender| (participants.sinks, sender)),
            both,
            shared,
        );
        for (i, (stage, made)) in stages.iter().zip(made).enumerate() {
            let mut edges: Vec<Edge<'_>> = (stage.inputs.iter().zip(&stage.ports.inputs))
                .filter_map(|(&input, &port)| {
                    let rows = built[input].towards(plan.graph.on_one_loop(input, i))?;
                    let rows = compacted(rows, stage.wire);
                    if stage.is_whole(port) {
                        rows.clone().probe_with(&probes.side);
                    }
                    Some(Edge {
                        rows,
                        looped: false,
                        port,
                    })
                })
                .collect();
            let round = participants.loops.iter().zip(&loops);
            let round = round
                .filter(|((to, _), _)| *to == i)
                .zip(&stage.ports.loops);
            edges.extend(round.map(|((_, rows), &port)| Edge {
                rows: compacted(rows.clone(), stage.wire),
                looped: true,
                port,
            }));
            let from_scattered = stage.edges().any(|(from, _)| scattered[from]);
            match stage.operator.role {
                Role::Source => {}
                Role::Transform if stage.columns.keeps => {
                    let begins = match (&start.cut, kept.stages.remove(&stage.name)) {
                        (None, _) => Begins::Fresh,
                        (Some(cut), state) if cut.stops.contains_key(&stage.name) => {
                            Begins::Ended(state)
                        }
                        (Some(_), _) => Begins::Resumed,
                    };
                    let made = (made, begins);
                    let one = stateful::build(scope, plan, i, edges, cuts.clone(), made, shared);
                    tells.push(one.tells);
                    // Its end counts even where nobody reads what it gives there.
                    one.at_end.clone().probe_with(&probes.done);
                    (built[i].rows, built[i].at_end) = (Some(one.rows), Some(one.at_end));
                }
                Role::Transform => {
                    let (plan, made) = (plan, (from_scattered, made));
                    built[i].rows = Some(stage::build(scope, plan, i, edges, made, shared));
                }
                Role::Sink => {
                    let here = plan.runs_on(i, scope.index());
                    let committer = here.then(|| (sinks, self.committer.clone()));
                    sink::build(scope, plan, i, edges, committer, both, shared);
                    sinks += 1;
                }
            }
        }
        for (from, handle) in handles {
            if let Some(rows) = built[from].rows.clone() {
                rows.connect_loop(handle);
            }
        }
        let archive = committer().map(|sender| (participants.sinks + 1, sender));
        ledger::archive(scope, tells.clone(), commits, archive, &probes.done);
        let (plan, shared) = (Arc::clone(plan), Arc::clone(shared));
        ledger::spread_ends(scope, tells, move |stage| {
            shared.set_ended(&plan.graph, stage);
        });
        Wakers::new(wakers)
    }

    fn opening(&self, source: &str, start: &Origin, side: bool) -> Opening {
        let cut = start.cut.as_ref();
        let consumed = cut.and_then(|cut| cut.sources.get(source).copied());
        let consumed = consumed.unwrap_or(0);
        let (skip, told) = if side { (0, consumed) } else { (consumed, 0) };
        Opening {
            skip,
            told,
            time: start.next_time(),
            batch: self.plan.graph.batch,
            window: self.plan.graph.window as u64,
            strict: self.strict,
            device: self.plan.layout.devices[self.device].0.clone(),
        }
    }
}

/// The streams of a stage.
#[derive(Default)]
struct Streams<'scope> {
    rows: Option<Rows<'scope>>,
    /// What it gives at its own end, where it keeps state.
    at_end: Option<Rows<'scope>>,
}

impl<'scope> Streams<'scope> {
    /// What a stage gets of it. One that is on a loop with it gets nothing of its end: the
    /// end comes when nothing goes round the loop any more.
    fn towards(&self, on_one_loop: bool) -> Option<Rows<'scope>> {
        let rows = self.rows.clone()?;
        Some(match self.at_end.clone().filter(|_| !on_one_loop) {
            Some(at_end) => rows.concat(at_end),
            None => rows,
        })
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
