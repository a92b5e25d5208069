//! From what was typed to a plan, or to its errors as text.

use std::path::Path;

use super::fetch::{on_fetch, shown};
use super::{Failed, GraphArgs};
use segue::deploy::{self, Errors, Loaded, Request, Unready, Where};
use segue::diagnostic::{Diagnostic, Place, Sources, visible};
use segue::graph::Plan;
use segue::operators::Operators;

impl GraphArgs {
    /// What these ask for.
    pub fn request(&self) -> Request {
        let workers = self.workers.map(usize::from);
        let on = match (&self.cluster, self.devices) {
            (_, Some(devices)) => Where::Local {
                devices,
                workers: workers.unwrap_or(1),
            },
            (Some(file), None) => Where::Cluster {
                file: file.clone(),
                device: self.device.clone(),
            },
            (None, None) => Where::Here { workers },
        };
        Request {
            graph: self.graph.clone(),
            set: self.set.clone(),
            on,
            profile: self.profile.clone(),
        }
    }
}

/// Reads, checks and plans a graph, for the devices it is to run on.
///
/// # Errors
/// [`Failed::Wrong`] with every error of the graph, or of the cluster
pub fn load(arguments: &GraphArgs) -> Result<Loaded, Failed> {
    deploy::load(&arguments.request(), shown(Operators::default())).map_err(wrong)
}

/// The same for a run on this device, which may be one of several.
///
/// # Errors
/// The same; [`Failed::Nobody`] when a device that had to be asked was not there
pub fn load_here(arguments: &GraphArgs) -> Result<Loaded, Failed> {
    let loaded = deploy::load_here(&arguments.request(), Some(on_fetch()));
    loaded.map_err(|unready| match unready {
        Unready::Wrong(errors) => wrong(errors),
        Unready::Failed(error) => error.into(),
        Unready::Nobody(error) => Failed::Nobody(error.text()),
    })
}

/// What is wrong with what was asked for, as text.
pub fn wrong(wrong: Errors) -> Failed {
    let Errors {
        errors,
        sources,
        file,
    } = wrong;
    match file {
        Some(path) => render_all(&errors, &sources, &path),
        None => Failed::Wrong(errors.iter().map(|error| error.render(&sources)).collect()),
    }
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
pub fn render_failure(failure: Diagnostic, plan: &Plan, sources: &Sources) -> String {
    let blamed = failure.blamed_stage();
    let stages = plan.graph.stages.iter();
    let stage = blamed.and_then(|name| stages.into_iter().find(|s| s.file_name == name));
    let spans = stage.map(|stage| stage.spans.clone());
    let find = |place: &Place| match place {
        Place::Option(name) => spans.as_ref()?.options.get(name).copied(),
        Place::Stage(_) => Some(spans.as_ref()?.name),
        Place::Port(_) | Place::Span(_) => None,
    };
    failure.resolve(find).render(sources)
}
