//! A plan as a timely dataflow: the only place with timely's generics.
//!
//! One dataflow; a timestamp is a micro-batch's sequence number. Every worker builds
//! the same operators; the plan routes each batch to the worker that holds the stage,
//! and only there is the plugin's instance created.

mod apply;
mod build;
mod failure;
mod gather;
mod inbox;
mod judge;
mod ledger;
mod losses;
mod metrics;
mod network;
mod parcel;
mod progress;
mod restore;
mod seen;
mod shared;
mod sink;
mod source;
mod stage;
mod standing;
mod state;
mod stateful;
mod tally;
mod wire;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::cluster::Stream;
use crate::diagnostic::Diagnostic;
use crate::graph::{Graph, Plan, Stage};
use crate::operators::Operators;
use crate::plugins::Library;
use judge::Judge;
use network::{Connections, Leave};
use shared::Shared;
use standing::{rejects_path, start};
use state::{Committed, Committer, Kept, Messages, Start, ToCommit};
use timely::communication::allocator::zero_copy::stream::Stream as TimelyStream;
use timely::worker::Worker;
use worker::{Job, Measured, Origin};

pub use metrics::{Bottleneck, DeviceReport, Latency, Report, StageReport, Totals};
pub use network::{Network, Tell};
pub use parcel::Parcel;
pub use progress::{Progress, Reading, Worked};
pub use standing::{journal_path, read_journal, standing, sum_journal};
pub use state::Standing;
pub use wire::{compact, expand};

/// How often a run that waits tells how far it is.
const TICK: Duration = Duration::from_millis(100);

/// How to run a plan.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Go on after the last commit of an earlier run.
    pub resume: bool,
    /// End at the first record that cannot be used.
    pub strict: bool,
    /// Where records that cannot be used go; `None` for beside the first sink's file.
    pub rejects: Option<PathBuf>,
    /// How many records of each source are read, to the end of their batch; all where it is not
    /// said.
    pub records: Option<u64>,
}

/// Which device of the plan this process is, and how it reaches the others.
pub struct Here {
    /// Its number in the plan's layout.
    pub device: usize,
    /// The connections; `None` when there is one device.
    pub network: Option<Network>,
}

/// Runs `plan`, which has one device. `watch` is called now and then with the progress.
///
/// # Errors
/// The first failure of any stage or file; what was committed before it stays
pub fn run(
    plan: Plan,
    operators: &Operators,
    options: &RunOptions,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Report, Diagnostic> {
    let here = Here {
        device: 0,
        network: None,
    };
    let report = run_here(plan, operators, options, here, watch)?;
    report.ok_or_else(|| Diagnostic::new("internal", "the one device has no sink"))
}

/// Runs this device's part of `plan`. There is no report where another device commits, and
/// says that nothing is left to do.
///
/// # Errors
/// The first failure of any stage or file, or of another device
pub fn run_here(
    plan: Plan,
    operators: &Operators,
    options: &RunOptions,
    here: Here,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Option<Report>, Diagnostic> {
    let mesh = here.network.as_ref().map(|network| network.mesh.clone());
    let connections: Connections<Stream> = match here.network {
        None => Connections::Alone,
        Some(network) => Connections::Mesh(network),
    };
    let result = run_connected(plan, operators, options, here.device, connections, watch);
    if let (Err(failure), Some(mesh)) = (&result, mesh) {
        // Where it failed before it began, nobody has told the others.
        mesh.leave_unstarted(&failure.message);
    }
    result
}

/// The same over `streams`, which are used as they are: nothing is encrypted, and whoever
/// is at the other end is trusted. A stream that fails is a panic. For measuring what
/// [`run_here`] costs: no command leads here.
///
/// # Errors
/// The first failure of any stage or file
pub fn run_over<S: TimelyStream + 'static>(
    plan: Plan,
    operators: &Operators,
    options: &RunOptions,
    device: usize,
    streams: Vec<Option<S>>,
) -> Result<Option<Report>, Diagnostic> {
    let connections = Connections::Plain(streams);
    run_connected(plan, operators, options, device, connections, &mut |_| {})
}

fn run_connected<S: TimelyStream + 'static>(
    plan: Plan,
    operators: &Operators,
    options: &RunOptions,
    device: usize,
    connections: Connections<S>,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Option<Report>, Diagnostic> {
    let started = Instant::now();
    let shared = Arc::new(Shared::default());
    let commits = plan.sink_device() == device;
    shared.progress.set_commits(commits);
    let goes_on = |stage: &Stage| stage.operator.manifest.starts || !stage.loops.is_empty();
    if plan.graph.stages.iter().any(goes_on) {
        shared.progress.set_open();
    }
    let start = if commits {
        Some(start(&plan, options, &shared)?)
    } else {
        None
    };
    let alone = matches!(connections, Connections::Alone);
    let origin = start.as_ref().map(|start| Origin {
        cut: start.standing.cut().cloned(),
    });
    let before = origin.clone().and_then(|origin| origin.cut);
    let before = before.unwrap_or_default();
    let rejects = rejects_path(&plan, options).map(|path| path.to_string_lossy().into_owned());
    let totals = {
        let (judge, before) = (Judge::new(&plan.graph), before.counts.clone());
        move |committed: &Committed| {
            let accuracy = judge.accuracy(&committed.counts);
            metrics::totals(&before, committed, accuracy, rejects.as_deref())
        }
    };
    // What there is to tell where nothing is left to do.
    let nothing = totals(&Committed {
        counts: before.counts.clone(),
        ..Committed::default()
    });
    if alone && before.done {
        return Ok(Some(report(&plan, nothing, Measured::default())));
    }
    let kept = match (&start, &before.state) {
        (Some(start), Some(stored)) if !before.done => state::read(start.journal.path(), stored)?,
        _ => Kept::default(),
    };
    let libraries = libraries(&plan, operators, device)?;
    let (to_committer, messages) = state::channel();
    let committing = start.filter(|_| !before.done).map(|start| {
        let (shared, graph) = (Arc::clone(&shared), plan.graph.clone());
        std::thread::spawn(move || {
            let work = || commit(&graph, start, &messages, &shared);
            let result = shared.catching("the committer", work)?;
            let committed = result.map_err(|failure| shared.fail(failure)).ok()?;
            let totals = committed.as_ref().map(totals)?;
            shared.set_written(totals.clone());
            Some(totals)
        })
    });
    let plan = Arc::new(plan);
    let threads = plan.layout.threads;
    let (done, all_done) = bounded(threads);
    let job = Job {
        plan: Arc::clone(&plan),
        libraries,
        start: origin,
        kept: Mutex::new(kept),
        alone,
        device,
        strict: options.strict,
        records: options.records,
        shared: Arc::clone(&shared),
        committer: to_committer,
        started,
        done,
    };
    let work = move |worker: &mut Worker, leave: Option<&Leave>| job.run(worker, leave);
    let guards = network::launch(connections, device, threads, &shared, work)?;
    let mut left = threads;
    while left > 0 {
        match all_done.recv_timeout(TICK) {
            Ok(()) => left -= 1,
            Err(RecvTimeoutError::Timeout) => {
                watch(&shared.progress);
                if shared.progress.ended() {
                    shared.fail(Diagnostic::new("interrupted", "the run was interrupted"));
                }
            }
            // A worker that panicked has said so; `join` tells it.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let mut measured = Measured::default();
    for result in guards.join() {
        measured.add(result.map_err(|message| Diagnostic::new("internal", message))?);
    }
    let committed = committing.map(|thread| thread.join().unwrap_or_default());
    watch(&shared.progress);
    measured.notes.extend(shared.progress.notes());
    measured
        .notes
        .extend(crate::graph::merging_notes(&plan.graph));
    match (shared.take_failure(), committed) {
        (Some(failure), _) => Err(failure),
        (None, Some(None)) => Err(Diagnostic::new("internal", "the committer ended early")),
        (None, None) if commits => Ok(Some(report(&plan, nothing, measured))),
        (None, None) => {
            let totals = measured.totals.take();
            Ok(totals.map(|totals| report(&plan, totals, measured)))
        }
        (None, Some(Some(totals))) => Ok(Some(report(&plan, totals, measured))),
    }
}

/// Writes what comes, once every stage has started: a run that cannot start leaves what an
/// earlier one wrote as it is.
fn commit(
    graph: &Graph,
    start: Start,
    messages: &Messages,
    shared: &Arc<Shared>,
) -> Result<Option<Committed>, Diagnostic> {
    match messages.recv() {
        Ok(ToCommit::Ready) => Committer::open(graph, start, Arc::clone(shared))?.run(messages),
        // Nothing else comes before.
        _ => Ok(None),
    }
}

/// The libraries of the stages that run on `device`.
fn libraries(
    plan: &Plan,
    operators: &Operators,
    device: usize,
) -> Result<Vec<Option<Library>>, Diagnostic> {
    let load = |path: &PathBuf| operators.plugins.library(path);
    (plan.graph.stages.iter().zip(&plan.replicas))
        .map(|(stage, replicas)| {
            let here = replicas
                .iter()
                .any(|one| plan.layout.device(one.worker) == device);
            stage
                .operator
                .library
                .as_ref()
                .filter(|_| here)
                .map(load)
                .transpose()
        })
        .collect()
}

fn report(plan: &Plan, totals: Totals, measured: Measured) -> Report {
    let now = totals.reviews - totals.resumed;
    let rate = if totals.seconds > 0.0 {
        now as f64 / totals.seconds
    } else {
        0.0
    };
    let Measured {
        mut stages,
        mut devices,
        load_seconds,
        mut notes,
        ..
    } = measured;
    let order = |name: &str| {
        plan.graph
            .stages
            .iter()
            .position(|stage| stage.name == name)
    };
    let device = |name: &str| {
        plan.layout
            .devices
            .iter()
            .position(|(known, _)| known == name)
    };
    stages.sort_by_key(|stage| (order(&stage.name), device(&stage.device), stage.worker));
    devices.sort_by_key(|one| device(&one.name));
    notes.sort();
    notes.dedup();
    let bottleneck = metrics::busy(&stages, &mut devices, totals.seconds);
    Report {
        graph: String::new(),
        reviews: totals.reviews,
        resumed: totals.resumed,
        rejected: totals.rejected,
        rejected_by_reason: totals.rejected_by_reason,
        rejects_file: totals.rejects_file,
        labels: totals.labels,
        seconds: totals.seconds,
        load_seconds,
        reviews_per_second: rate,
        accuracy: totals.accuracy,
        latency_ms: totals.latency_ms,
        stages,
        devices,
        bottleneck,
        notes,
    }
}
