//! A plan as a timely dataflow: the only place with timely's generics.
//!
//! One dataflow; a timestamp is a micro-batch's sequence number. Every worker builds
//! the same operators; the plan routes each batch to the worker that holds the stage,
//! and only there is the plugin's instance created.

mod apply;
mod commit;
mod journal;
mod metrics;
mod parcel;
mod shared;
mod sink;
mod source;
mod stage;
mod tally;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use timely::{CommunicationConfig, Config, WorkerConfig};

use crate::graph::Plan;
use crate::operators::Operators;
use crate::plugins::Library;
use commit::{Committed, Committer, QUEUE, Start};
use journal::{Entry, Journal};
use shared::Shared;
use worker::Job;

pub use metrics::{DeviceReport, Latency, Report, StageReport};
pub use shared::{Failure, Progress};

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
}

/// Runs `plan` on this device. `watch` is called now and then with the progress.
///
/// # Errors
/// The first failure of any stage or file; what was committed before it stays
pub fn run(
    plan: Plan,
    operators: &Operators,
    options: &RunOptions,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Report, Failure> {
    let started = Instant::now();
    let shared = Arc::new(Shared::default());
    let (start, committed_before) = start(&plan, options)?;
    let Some(start) = start else {
        return Ok(report(
            &plan,
            &committed_before,
            Committed::default(),
            Vec::new(),
            0.0,
        ));
    };
    let resume = start.entry.clone();
    let libraries = libraries(&plan, operators)?;
    let committer = Committer::open(&plan.graph, start, Arc::clone(&shared))?;
    let (to_committer, messages) = bounded(QUEUE);
    let committing = {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            let result = committer.run(&messages);
            result
                .map_err(|failure| shared.fail(failure))
                .ok()
                .flatten()
        })
    };
    let plan = Arc::new(plan);
    let (done, all_done) = bounded(plan.workers);
    let job = Job {
        plan: Arc::clone(&plan),
        libraries,
        resume,
        strict: options.strict,
        shared: Arc::clone(&shared),
        committer: to_committer,
        loaded: Arc::new(Barrier::new(plan.workers)),
        started,
        done,
    };
    let config = Config {
        communication: match plan.workers {
            1 => CommunicationConfig::Thread,
            n => CommunicationConfig::Process(n),
        },
        worker: WorkerConfig::default(),
    };
    let guards = timely::execute(config, move |worker| job.run(worker))
        .map_err(|message| Failure::new("internal", message))?;
    let mut left = plan.workers;
    while left > 0 {
        match all_done.recv_timeout(TICK) {
            Ok(()) => left -= 1,
            Err(RecvTimeoutError::Timeout) => watch(&shared.progress),
            // A worker that panicked has said so; `join` tells it.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let mut stages = Vec::new();
    let mut load_seconds: f64 = 0.0;
    for result in guards.join() {
        let (reports, seconds) = result.map_err(|message| Failure::new("internal", message))?;
        stages.extend(reports);
        load_seconds = load_seconds.max(seconds);
    }
    let committed = committing.join().unwrap_or_default();
    watch(&shared.progress);
    match (shared.take_failure(), committed) {
        (Some(failure), _) => Err(failure),
        (None, None) => Err(Failure::new("internal", "the committer ended early")),
        (None, Some(committed)) => Ok(report(
            &plan,
            &committed_before,
            committed,
            stages,
            load_seconds,
        )),
    }
}

/// Opens the journal, and finds where to start; no start when all is done already.
fn start(plan: &Plan, options: &RunOptions) -> Result<(Option<Start>, Entry), Failure> {
    let missing = || Failure::new("incomplete-graph", "the graph has no sink");
    let path = journal::path(&plan.graph).ok_or_else(missing)?;
    let rejects = match &options.rejects {
        Some(path) => (path.clone(), true),
        None => (
            commit::default_rejects(&plan.graph).ok_or_else(missing)?,
            false,
        ),
    };
    let header = journal::header(&plan.graph);
    let resumed = match options.resume {
        true => Journal::resume(path.clone(), &header)?,
        false => None,
    };
    match resumed {
        Some((_, entry)) if entry.done => Ok((None, entry)),
        Some((journal, entry)) => {
            let start = Start {
                entry: Some(entry.clone()),
                journal,
                rejects,
            };
            Ok((Some(start), entry))
        }
        None => {
            let journal = Journal::create(path, &header)?;
            Ok((
                Some(Start {
                    entry: None,
                    journal,
                    rejects,
                }),
                Entry::default(),
            ))
        }
    }
}

fn libraries(plan: &Plan, operators: &Operators) -> Result<Vec<Option<Library>>, Failure> {
    let load = |path: &PathBuf| {
        let problem = |p: crate::graph::Problem| Failure::new(p.code, p.message);
        operators.plugins.library(path).map_err(problem)
    };
    (plan.graph.stages.iter())
        .map(|stage| stage.operator.library.as_ref().map(load).transpose())
        .collect()
}

fn report(
    plan: &Plan,
    before: &Entry,
    committed: Committed,
    stages: Vec<StageReport>,
    load_seconds: f64,
) -> Report {
    let counts = if before.done {
        before.counts
    } else {
        committed.counts
    };
    let now = counts.reviews - before.counts.reviews;
    let rate = if committed.seconds > 0.0 {
        now as f64 / committed.seconds
    } else {
        0.0
    };
    let device = DeviceReport {
        name: worker::LOCAL.to_owned(),
        peak_rss_bytes: metrics::peak_rss_bytes(),
        ..DeviceReport::default()
    };
    let mut stages = stages;
    let order = |name: &str| {
        plan.graph
            .stages
            .iter()
            .position(|stage| stage.name == name)
    };
    stages.sort_by_key(|stage| (order(&stage.name), stage.worker));
    Report {
        graph: String::new(),
        reviews: counts.reviews,
        resumed: before.counts.reviews,
        rejected: counts.rejected,
        seconds: committed.seconds,
        load_seconds,
        reviews_per_second: rate,
        accuracy: (counts.judged > 0).then(|| counts.correct as f64 / counts.judged as f64),
        latency_ms: committed.latency,
        stages,
        devices: vec![device],
    }
}
