//! A device needs no input file of a source that another device reads. What columns there
//! are it learns from that one.

use std::path::Path;

use segue_plugin::Column;

use super::fetch::shown;
use super::load::{Loaded, checked, load, load_with, read_text};
use super::{Failed, GraphArgs};
use segue::cluster::{self, Cluster, Identity};
use segue::diagnostic::{Diagnostic, Sources};
use segue::graph::{Plan, Role};
use segue::operators::Operators;

type Known = Vec<Option<Vec<Column>>>;

/// Loads a graph as [`load`] does, for a run on one of several devices.
///
/// # Errors
/// The same; [`Failed::Nobody`] when there was no one to ask
pub fn load_here(arguments: &GraphArgs) -> Result<Loaded, Failed> {
    let failed = match (load(arguments), &arguments.cluster, &arguments.device) {
        (Err(Failed::Wrong(text)), Some(file), Some(name)) => (text, file, name),
        (loaded, ..) => return loaded,
    };
    let (text, file, name) = failed;
    let wrong = || Failed::Wrong(text.clone());
    let probe = shown(Operators::elsewhere(Vec::new()));
    // What is wrong is told already, or will be when the columns are known.
    let _ = checked(arguments, &probe);
    let known = probe.sources();
    if known.iter().all(Option::is_some) {
        return Err(wrong());
    }
    let cluster = read(file).ok_or_else(wrong)?;
    let me = cluster.device(name).ok_or_else(wrong)?;
    let known = ask(&cluster, me, file, known)?;
    let loaded = load_with(arguments, shown(Operators::elsewhere(known)))?;
    match lacks_own(&loaded.plan, me) {
        true => Err(wrong()),
        false => Ok(loaded),
    }
}

/// The cluster, where nothing is wrong with its file.
fn read(file: &Path) -> Option<Cluster> {
    let mut sources = Sources::new();
    let number = sources.add(file.to_string_lossy(), read_text(file).ok()?);
    cluster::check(&sources, number).ok()
}

/// What the sources of a graph are, for those who ask.
pub fn notice(operators: &Operators) -> Vec<u8> {
    serde_json::to_vec(&operators.sources()).unwrap_or_default()
}

/// Asks the other devices for what is not in `known`.
fn ask(cluster: &Cluster, me: usize, file: &Path, mut known: Known) -> Result<Known, Failed> {
    let render = |error: Diagnostic| error.render(&Sources::new());
    let name = &cluster.devices[me].name;
    let identity = Identity::load(file.parent().unwrap_or(Path::new("")), name)
        .map_err(|e| Failed::Running(render(Diagnostic::new(e.code(), e.to_string()))))?;
    let notice = serde_json::to_vec(&known).unwrap_or_default();
    let mut enough = |notice: &[u8]| {
        let theirs: Known = serde_json::from_slice(notice).unwrap_or_default();
        let pairs = known.iter_mut().zip(theirs);
        pairs.for_each(|(ours, theirs)| *ours = ours.take().or(theirs));
        known.iter().all(Option::is_some)
    };
    let found = cluster::notices(cluster, me, &identity, notice, &mut enough)
        .map_err(|e| Failed::Running(render(Diagnostic::new(e.code(), e.to_string()))))?;
    if found {
        return Ok(known);
    }
    let message = "an input file is not here, and no device that has it could be asked";
    let help = "start the device that reads it, or copy the file here";
    let error = Diagnostic::new("missing-devices", message).help(help);
    Err(Failed::Nobody(render(error)))
}

/// Whether the file of a source that device `me` reads is not here.
fn lacks_own(plan: &Plan, me: usize) -> bool {
    (plan.graph.stages.iter().enumerate()).any(|(i, stage)| {
        let mine = plan.layout.device(plan.worker(i, 0)) == me;
        let lacks = stage
            .reads()
            .any(|(_, path)| !segue::io::files(path).iter().any(|path| path.exists()));
        stage.operator.role == Role::Source && mine && lacks
    })
}
