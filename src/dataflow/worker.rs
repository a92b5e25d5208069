//! What one worker thread does: builds the dataflow, creates its stages, steps.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use segue_plugin::Context;
use timely::dataflow::Scope;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::{ConnectLoop, Feedback};
use timely::worker::Worker;

use super::commit::ToCommit;
use super::journal::Entry;
use super::metrics::StageReport;
use super::shared::{Failure, Shared};
use super::sink;
use super::source::{self, Opening, Wakers};
use super::stage::{self, Edge, Rows};
use super::tally::Tally;
use crate::graph::{Plan, Role};
use crate::plugins::{Instance, Library};

/// The name of the one device of a run without a cluster.
pub const LOCAL: &str = "local";
/// How long a worker may sleep before it looks whether the run was stopped.
const NAP: Duration = Duration::from_millis(50);

/// A run, as each worker gets it.
pub struct Job {
    pub plan: Arc<Plan>,
    /// For each stage, its library.
    pub libraries: Vec<Option<Library>>,
    /// Where to go on.
    pub resume: Option<Entry>,
    pub strict: bool,
    pub shared: Arc<Shared>,
    pub committer: Sender<ToCommit>,
    /// All workers start when all have loaded.
    pub loaded: Arc<Barrier>,
    pub started: Instant,
    /// Told at the end.
    pub done: Sender<()>,
}

type Made = Vec<Option<(Instance, Tally)>>;

impl Job {
    /// Everything; gives what each stage did here, and the seconds until all was loaded.
    pub fn run(&self, worker: &mut Worker) -> (Vec<StageReport>, f64) {
        let index = worker.index();
        let made = self.create(index);
        let tallies: Vec<Option<Tally>> = made
            .iter()
            .map(|one| one.as_ref().map(|(_, tally)| tally.clone()))
            .collect();
        let probe = Probe::new();
        let sources = worker.dataflow(|scope| self.build(scope, made, &probe));
        self.loaded.wait();
        let load_seconds = self.started.elapsed().as_secs_f64();
        while !probe.done() && !self.shared.stopped() {
            worker.step_or_park(Some(NAP));
            sources.after_step(&probe);
        }
        if self.shared.stopped() {
            // Nothing that is still on its way is wanted.
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        }
        let names = self.plan.graph.stages.iter().map(|stage| &stage.name);
        let reports = names
            .zip(tallies)
            .filter_map(|(name, tally)| Some(tally?.report(name, LOCAL, index)));
        let reports = reports.collect();
        // The receiver waits for every worker, unless one panicked.
        let _ = self.done.send(());
        (reports, load_seconds)
    }

    /// The instances of this worker; none at all once anything has failed.
    fn create(&self, index: usize) -> Made {
        (self.plan.graph.stages.iter().enumerate())
            .map(|(i, stage)| {
                let library = self.libraries[i].filter(|_| self.plan.runs_on(i, index))?;
                if self.shared.stopped() {
                    return None;
                }
                let context = Context {
                    stage: stage.name.clone(),
                    device: LOCAL.to_owned(),
                    worker: index,
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

    fn build(&self, scope: Scope<'_, u64>, made: Made, probe: &Probe<u64>) -> Wakers {
        let stages = &self.plan.graph.stages;
        let mut rows: Vec<Option<Rows<'_>>> = Vec::new();
        let mut handles = Vec::new();
        let (mut marks, mut wakers, mut sinks) = (Vec::new(), Vec::new(), 0);
        for (i, (stage, made)) in stages.iter().zip(made).enumerate() {
            let here = self.plan.runs_on(i, scope.index());
            let mut edges: Vec<Edge<'_>> = (stage.inputs.iter())
                .filter_map(|&input| rows[input].clone())
                .map(|rows| Edge {
                    rows,
                    looped: false,
                })
                .collect();
            for &from in &stage.loops {
                let (handle, rows) = scope.feedback(1);
                handles.push((from, handle));
                edges.push(Edge { rows, looped: true });
            }
            match stage.operator.role {
                Role::Source => {
                    let built = source::build(
                        scope,
                        stage,
                        here,
                        self.opening(&stage.name),
                        probe.clone(),
                        &self.shared,
                    );
                    marks.push(built.marks);
                    wakers.extend(built.wake);
                    rows.push(Some(built.rows));
                }
                Role::Transform => {
                    let built = stage::build(scope, &self.plan, i, edges, made, &self.shared);
                    rows.push(Some(built));
                }
                Role::Sink => {
                    let committer = here.then(|| (sinks, self.committer.clone()));
                    let inputs = sink::Inputs {
                        edges,
                        marks: marks.clone(),
                    };
                    sink::build(scope, &self.plan, i, inputs, committer, probe, &self.shared);
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

    fn opening(&self, source: &str) -> Opening {
        let entry = self.resume.as_ref();
        Opening {
            skip: entry
                .and_then(|entry| entry.sources.get(source).copied())
                .unwrap_or(0),
            time: entry.map_or(0, |entry| entry.time + 1),
            batch: self.plan.graph.batch,
            window: self.plan.graph.window as u64,
            strict: self.strict,
        }
    }
}
