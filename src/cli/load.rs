//! From a graph file to a plan, or to its errors as text.

use std::io::Read;
use std::path::Path;

use super::cluster::{Target, target};
use super::fetch::shown;
use super::memory::check_memory;
use super::{Failed, GraphArgs};
use segue::dataflow::Failure;
use segue::diagnostic::{Diagnostic, Sources, visible};
use segue::graph::{self, Graph, Plan};
use segue::operators::Operators;

/// The longest graph or cluster file: some are not files at all, and never end.
const TEXT_MAX: u64 = 16 << 20;

/// A plan, and what its messages point into.
pub struct Loaded {
    pub plan: Plan,
    pub target: Target,
    pub sources: Sources,
    pub operators: Operators,
}

/// Reads, checks and plans a graph, for the devices it is to run on.
///
/// # Errors
/// [`Failed::Wrong`] with every error of the graph, or of the cluster
pub fn load(arguments: &GraphArgs) -> Result<Loaded, Failed> {
    load_with(arguments, shown(Operators::default()))
}

/// The same with these operators.
///
/// # Errors
/// The same
pub fn load_with(arguments: &GraphArgs, operators: Operators) -> Result<Loaded, Failed> {
    let (graph, mut sources) = checked(arguments, &operators)?;
    let target = target(arguments, &graph, &mut sources)?;
    let plan = graph::plan(graph, target.layout.clone());
    if let (Some(cluster), Some(path)) = (&target.cluster, &arguments.cluster) {
        let errors = check_memory(&plan, cluster);
        if !errors.is_empty() {
            return Err(render_all(&errors, &sources, path));
        }
    }
    Ok(Loaded {
        plan,
        target,
        sources,
        operators,
    })
}

/// The graph alone.
///
/// # Errors
/// [`Failed::Wrong`] with every error of the graph
pub fn checked(arguments: &GraphArgs, operators: &Operators) -> Result<(Graph, Sources), Failed> {
    let path = &arguments.graph;
    let mut sources = Sources::new();
    let text = read_text(path).map_err(|error| Failed::Wrong(error.render(&sources)))?;
    let number = sources.add(path.to_string_lossy(), text);
    let base = path.parent().unwrap_or(Path::new(""));
    match graph::check(&mut sources, number, &arguments.set, base, operators) {
        Ok(graph) => Ok((graph, sources)),
        Err(errors) => Err(render_all(&errors, &sources, path)),
    }
}

/// The text of a graph or cluster file.
///
/// # Errors
/// `missing-file`, `is-directory`, `unreadable`, `invalid-utf8`
pub fn read_text(path: &Path) -> Result<String, Diagnostic> {
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

/// More errors than anyone mends at once; a damaged file can have one in each of its bytes.
const ERRORS_SHOWN_MAX: usize = 100;

/// All errors of the file at `path`, or the first of very many.
pub fn render_all(errors: &[Diagnostic], sources: &Sources, path: &Path) -> Failed {
    let shown = errors.iter().take(ERRORS_SHOWN_MAX);
    let texts: Vec<String> = shown.map(|error| error.render(sources)).collect();
    let count = match errors.len() {
        1 => "1 error".to_owned(),
        n if n > ERRORS_SHOWN_MAX => format!("{n} errors, and these are the first"),
        n => format!("{n} errors"),
    };
    let path = path.to_string_lossy();
    let path = visible(&path);
    Failed::Wrong(format!("{}\n{path}: {count}\n", texts.join("\n")))
}

/// A failure of a run as text, pointing at the stage or option it blames.
pub fn render_failure(failure: Failure, plan: &Plan, sources: &Sources) -> String {
    let stage = failure.stage.as_ref();
    let stage = stage.and_then(|name| plan.graph.stages.iter().find(|s| s.file_name == *name));
    let span = stage.map(|stage| {
        let option = failure
            .option
            .as_ref()
            .and_then(|name| stage.spans.options.get(name));
        option.copied().unwrap_or(stage.spans.name)
    });
    let error = Diagnostic::new(failure.code, failure.message).at_some(span);
    error.help_some(failure.help).render(sources)
}
