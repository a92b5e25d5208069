//! A device needs no input file of a source that another device reads. What columns there
//! are it learns from that one.

use std::path::Path;

use segue_plugin::Column;

use super::load::{Loaded, Unready, checked, load, read_text};
use super::target::{Request, Where};
use crate::cluster::{self, Cluster, Identity};
use crate::diagnostic::{Diagnostic, Sources};
use crate::graph::{Plan, Role};
use crate::hub::OnFetch;
use crate::operators::Operators;

type Known = Vec<Option<Vec<Column>>>;

/// Loads a graph as [`load`] does, for a run on this device, which may be one of several.
/// `on_fetch` is told of models that have to be fetched.
///
/// # Errors
/// The same, and why others could not be asked
pub fn load_here(request: &Request, on_fetch: Option<OnFetch>) -> Result<Loaded, Unready> {
    let telling = |mut operators: Operators| {
        operators.on_fetch = on_fetch.clone();
        operators
    };
    let here = load(request, telling(Operators::default()));
    let (errors, file, name) = match (here, &request.on) {
        (
            Err(errors),
            Where::Cluster {
                file,
                device: Some(name),
            },
        ) => (errors, file, name),
        (loaded, _) => return loaded.map_err(Unready::Wrong),
    };
    let probe = telling(Operators::elsewhere(Vec::new()));
    // What is wrong is in `errors`, or will be found when the columns are known.
    let _ = checked(request, &probe);
    let known = probe.sources();
    let cluster = read(file).and_then(|cluster| Some((cluster.device(name)?, cluster)));
    let (me, cluster) = match cluster {
        Some(both) if known.iter().any(Option::is_none) => both,
        _ => return Err(Unready::Wrong(errors)),
    };
    let known = ask(&cluster, me, file, known)?;
    let loaded = load(request, telling(Operators::elsewhere(known))).map_err(Unready::Wrong)?;
    if lacks_own(&loaded.plan, me) {
        Err(Unready::Wrong(errors))
    } else {
        Ok(loaded)
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
fn ask(cluster: &Cluster, me: usize, file: &Path, mut known: Known) -> Result<Known, Unready> {
    let name = &cluster.devices[me].name;
    let identity = Identity::load(file.parent().unwrap_or(Path::new("")), name)
        .map_err(|e| Unready::Failed(Diagnostic::new(e.code(), e.to_string())))?;
    let notice = serde_json::to_vec(&known).unwrap_or_default();
    let mut enough = |notice: &[u8]| {
        let theirs: Known = serde_json::from_slice(notice).unwrap_or_default();
        let pairs = known.iter_mut().zip(theirs);
        pairs.for_each(|(ours, theirs)| *ours = ours.take().or(theirs));
        known.iter().all(Option::is_some)
    };
    let found = cluster::notices(cluster, me, &identity, notice, &mut enough)
        .map_err(|e| Unready::Failed(Diagnostic::new(e.code(), e.to_string())))?;
    if found {
        return Ok(known);
    }
    let message = "an input file is not here, and no device that has it could be asked";
    let help = "start the device that reads it, or copy the file here";
    let error = Diagnostic::new("missing-devices", message).help(help);
    Err(Unready::Nobody(error))
}

/// Whether the file of a source that device `me` reads is not here.
fn lacks_own(plan: &Plan, me: usize) -> bool {
    (plan.graph.stages.iter().enumerate()).any(|(i, stage)| {
        let mine = plan.layout.device(plan.worker(i, 0)) == me;
        let lacks = stage
            .reads()
            .any(|(_, path)| !crate::io::files(path).iter().any(|path| path.exists()));
        stage.operator.role == Role::Source && mine && lacks
    })
}
