//! From a graph file to a plan, or to its errors.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::automatic::{self, Planning};
use super::measured::measured;
use super::memory::check_memory;
use super::target::{Request, Target, target};
use crate::diagnostic::{Diagnostic, Sources};
use crate::graph::{self, Catalog, Cuts, Graph, Layout, Plan, Splitting};
use crate::operators::Operators;

/// The longest graph or cluster file: some are not files at all, and never end.
const TEXT_MAX: u64 = 16 << 20;

/// A plan, and what its messages point into.
pub struct Loaded {
    /// Over the devices that it is to run on.
    pub plan: Plan,
    /// Who made it, and from what.
    pub planning: Planning,
    /// These devices.
    pub target: Target,
    /// What messages about plan and cluster point into.
    pub sources: Sources,
    /// Those that the plan names, and all others.
    pub operators: Operators,
}

/// What is wrong with a request, and the texts that it points into.
#[derive(Debug)]
pub struct Errors {
    /// At least one.
    pub errors: Vec<Diagnostic>,
    /// What they point into.
    pub sources: Sources,
    /// The file that they are all of; `None` where it is the request itself.
    pub file: Option<PathBuf>,
}

impl Errors {
    /// All those of the file at `path`.
    pub(super) fn of(errors: Vec<Diagnostic>, sources: &Sources, path: &Path) -> Self {
        Errors {
            errors,
            sources: sources.clone(),
            file: Some(path.to_owned()),
        }
    }

    /// One of the request.
    pub(super) fn alone(error: Diagnostic, sources: &Sources) -> Self {
        Errors {
            errors: vec![error],
            sources: sources.clone(),
            file: None,
        }
    }
}

/// Why a device has no plan.
pub enum Unready {
    /// The request is wrong.
    Wrong(Errors),
    /// Other devices could not be asked.
    Failed(Diagnostic),
    /// There was no one to ask.
    Nobody(Diagnostic),
}

/// Reads, checks and plans a graph, for the devices it is to run on.
///
/// # Errors
/// Every error of the graph, or of the cluster
pub fn load(request: &Request, operators: Operators) -> Result<Loaded, Errors> {
    let (graph, mut sources) = checked(request, &operators)?;
    let target = target(request, &graph, &mut sources)?;
    let measured = measured(request, &mut sources)?;
    let cut = |cuts: &Cuts| {
        // The same sources come again.
        operators.again();
        let cut = checked_cut(request, &operators, cuts).ok();
        cut.map(|(graph, _)| graph)
    };
    let (plan, planning) = automatic::plan(graph, &target, measured.as_ref(), &cut);
    if let (Some(cluster), Some(path)) = (&target.cluster, request.on.file()) {
        let errors = check_memory(&plan, cluster);
        if !errors.is_empty() {
            return Err(Errors::of(errors, &sources, path));
        }
    }
    Ok(Loaded {
        plan,
        planning,
        target,
        sources,
        operators,
    })
}

/// The same on one worker of this device, with a segment for each unit of each stage that has
/// any, so that each is measured by itself.
///
/// # Errors
/// The same
pub fn load_units(request: &Request, operators: Operators) -> Result<Loaded, Errors> {
    let (whole, _) = checked(request, &operators)?;
    let mut apart = request.clone();
    for stage in whole.stages.iter().filter(|stage| stage.segment.is_some()) {
        let set = |key: &str| format!("{}.{key}", stage.file_name);
        if stage.splitting == Splitting::Fixed {
            apart.set.push(set("split=auto"));
        }
        if stage.replicas.is_some() {
            apart.set.push(set("replicas=1"));
        }
    }
    operators.again();
    let (graph, sources) = checked_cut(&apart, &operators, &Cuts::Units { unsaid: true })?;
    let layout = Layout::local(1);
    Ok(Loaded {
        plan: graph::plan(graph, layout.clone()),
        planning: Planning::Fixed,
        target: Target::without_cluster(layout),
        sources,
        operators,
    })
}

/// The graph alone.
///
/// # Errors
/// Every error of the graph
pub(super) fn checked(
    request: &Request,
    operators: &Operators,
) -> Result<(Graph, Sources), Errors> {
    checked_cut(request, operators, &Cuts::Whole)
}

/// The same with stages cut by `cuts` where that is left open.
fn checked_cut(
    request: &Request,
    operators: &Operators,
    cuts: &Cuts,
) -> Result<(Graph, Sources), Errors> {
    let path = &request.graph;
    let mut sources = Sources::new();
    let text = read_text(path).map_err(|error| Errors::alone(error, &sources))?;
    let number = sources.add(path.to_string_lossy(), text);
    let base = path.parent().unwrap_or(Path::new(""));
    graph::check_cut(&mut sources, number, &request.set, base, operators, cuts)
        .map(|graph| (graph, sources.clone()))
        .map_err(|errors| Errors::of(errors, &sources, path))
}

/// The text of a graph file, a cluster file or a profile.
///
/// # Errors
/// `missing-file`, `is-directory`, `unreadable`, `invalid-utf8`
pub(super) fn read_text(path: &Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(TEXT_MAX + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Diagnostic::new("missing-file", format!("there is no file `{shown}`"))
        }
        std::io::ErrorKind::IsADirectory => {
            let error = Diagnostic::new("is-directory", format!("`{shown}` is a folder"));
            error.help("name a file in it")
        }
        _ => Diagnostic::new("unreadable", format!("cannot read `{shown}`: {error}")),
    })?;
    if bytes.len() as u64 > TEXT_MAX {
        let message = format!("`{shown}` is longer than {} MiB", TEXT_MAX >> 20);
        return Err(Diagnostic::new("too-large", message).help("is it the right file?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .split(|b| *b == b'\n')
            .count();
        Diagnostic::new(
            "invalid-utf8",
            format!("line {line} of `{shown}` is not UTF-8"),
        )
    })
}
