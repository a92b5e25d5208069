//! Where a run begins: what an earlier one has committed, and what is left of it to do.

use std::path::PathBuf;
use std::sync::Arc;

use super::RunOptions;
use super::shared::Shared;
use super::source;
use super::state::{self, Committer, Cut, Journal, Names, Standing, Start};
use crate::diagnostic::Diagnostic;
use crate::graph::{Plan, Role};

/// How an earlier run of `plan` stands, as its journal says.
///
/// # Errors
/// `other-journal` when it was of something else, `damaged-journal`
pub fn standing(plan: &Plan) -> Result<Standing, Diagnostic> {
    let path = journal_path(plan)?;
    state::peek(&path, &state::header(&plan.graph), &Names::of(&plan.graph))
}

/// How the run stands whose journal holds `bytes`, of a graph with these sources and sinks. No
/// command leads here: it is for tests of what reads journals.
///
/// # Errors
/// `damaged-journal`, `other-journal`
#[doc(hidden)]
pub fn read_journal(
    bytes: &[u8],
    sources: &[&str],
    sinks: &[&str],
) -> Result<Standing, Diagnostic> {
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
    let (sources, sinks) = (names(sources), names(sinks));
    state::parse(bytes, &Names { sources, sinks })
}

/// `bytes` as a journal whose lines all have the right checksum, for such tests.
#[doc(hidden)]
pub fn sum_journal(bytes: &[u8]) -> Vec<u8> {
    state::summed(bytes)
}

fn no_sink() -> Diagnostic {
    Diagnostic::new("incomplete-graph", "the graph has no sink")
}

/// Where the journal of `plan` lies: beside the file of the first sink.
///
/// # Errors
/// `incomplete-graph` when there is none
pub fn journal_path(plan: &Plan) -> Result<PathBuf, Diagnostic> {
    let mut stages = plan.graph.stages.iter();
    let sink = stages.find(|stage| stage.operator.role == Role::Sink);
    Ok(state::beside(sink.ok_or_else(no_sink)?, "journal"))
}

/// Opens the journal, which keeps other runs off, and finds where to start. What was
/// committed but not completed is completed here.
pub fn start(plan: &Plan, options: &RunOptions, shared: &Arc<Shared>) -> Result<Start, Diagnostic> {
    let rejects = match &options.rejects {
        Some(path) => (path.clone(), true),
        None => (
            state::default_rejects(&plan.graph).ok_or_else(no_sink)?,
            false,
        ),
    };
    let header = state::header(&plan.graph);
    let journal = Journal::open(&journal_path(plan)?)?;
    let standing = if options.resume {
        let found = journal.standing(&header, &Names::of(&plan.graph))?;
        if found.torn {
            shared
                .progress
                .add_note("journal", "its last line was torn, and does not count");
        }
        if found.standing == Standing::Fresh {
            let message = "nothing is committed: the run starts at the beginning";
            shared.progress.add_note("journal", message);
        }
        found.standing
    } else {
        Standing::Fresh
    };
    let start = Start {
        journal,
        header,
        standing,
        rejects,
    };
    match start.standing.clone() {
        Standing::Fresh | Standing::ToResume(_) => Ok(start),
        Standing::ToFinish(_) => {
            let start = Committer::open(&plan.graph, start, Arc::clone(shared))?.complete()?;
            Ok(start)
        }
        Standing::Done(cut) => {
            check_inputs(plan, &cut)?;
            state::verify(&plan.graph, &cut)?;
            state::sweep(&plan.graph);
            Ok(start)
        }
    }
}

/// Checks what is read where results are committed.
fn check_inputs(plan: &Plan, cut: &Cut) -> Result<(), Diagnostic> {
    let device = plan.sink_device();
    let name = &plan.layout.devices[device].0;
    let stages = plan.graph.stages.iter().enumerate();
    let mut sources = stages.filter(|(i, stage)| {
        let here = plan.layout.device(plan.worker(*i, 0)) == device;
        here && stage.operator.role == Role::Source
    });
    sources.try_for_each(|(_, stage)| source::check_inputs(stage, name, cut))
}

/// Where records go that cannot be used.
pub fn rejects_path(plan: &Plan, options: &RunOptions) -> Option<PathBuf> {
    let asked = options.rejects.clone();
    asked.or_else(|| state::default_rejects(&plan.graph))
}
