//! Files that a host wants to write beside those of the graph, such as a report: none may be
//! one that the run reads or writes.

use std::path::{Path, PathBuf};

use super::load::Loaded;
use super::target::Request;
use crate::diagnostic::Diagnostic;
use crate::graph::{Catalog, Role, Stage};

/// What a host writes at a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// What was measured.
    Report,
    /// Records that cannot be used. They may go where they go anyway.
    Rejects,
}

/// Checks that nothing is lost when `extra`, which the user named by `flag`, is written at
/// `path`.
///
/// # Errors
/// `duplicate`, with the stage whose file it is; `write-failed` where it cannot be made, before
/// a long run finds that out
pub fn check_extra(
    (extra, flag, path): (Extra, &str, &Path),
    request: &Request,
    loaded: &Loaded,
) -> Result<(), Diagnostic> {
    if extra == Extra::Report {
        can_be_made(path)?;
    }
    let path = loaded.operators.resolved(path);
    let stages = loaded.plan.graph.stages.iter();
    let is_it = |stage: &&Stage| {
        let files = files_of(stage, extra, loaded);
        files
            .iter()
            .any(|file| loaded.operators.resolved(file) == path)
    };
    if let Some(stage) = stages.into_iter().find(is_it) {
        let message = format!("`{flag}` names the file of `{}`", stage.name);
        return Err(Diagnostic::new("duplicate", message).at(stage.spans.name));
    }
    match read_by_the_run(&path, request, loaded) {
        Some(what) => {
            let message = format!("`{flag}` names {what}, which would be lost");
            Err(Diagnostic::new("duplicate", message))
        }
        None => Ok(()),
    }
}

/// The files of a source or sink, and those that the run keeps beside them.
fn files_of(stage: &Stage, extra: Extra, loaded: &Loaded) -> Vec<PathBuf> {
    let own = stage.own_files();
    let mut files: Vec<PathBuf> = own.iter().map(|(_, file)| file.to_path_buf()).collect();
    if stage.operator.role == Role::Sink {
        let kept = files
            .iter()
            .flat_map(|file| loaded.operators.kept_beside(file));
        let its_own = |file: &PathBuf| {
            extra == Extra::Rejects && file.to_string_lossy().ends_with(".rejects.jsonl")
        };
        let kept: Vec<PathBuf> = kept.filter(|file| !its_own(file)).collect();
        files.extend(kept);
    }
    files
}

fn can_be_made(path: &Path) -> Result<(), Diagnostic> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let what = match (path.is_dir(), folder.is_dir()) {
        (true, _) => "it is a folder",
        (_, false) => "its folder does not exist",
        _ => return Ok(()),
    };
    let message = format!("cannot write the report `{}`: {what}", path.display());
    Err(Diagnostic::new("write-failed", message))
}

/// What of the things that the run reads has the resolved name `path`.
fn read_by_the_run(path: &Path, request: &Request, loaded: &Loaded) -> Option<String> {
    let resolved = |file: &Path| loaded.operators.resolved(file);
    if resolved(&request.graph) == path {
        return Some("the graph file".to_owned());
    }
    if let Some(cluster) = request.on.file() {
        let secret = path
            .extension()
            .is_some_and(|end| end == "key" || end == "crt");
        if resolved(cluster) == path || secret {
            return Some("the cluster file or an identity".to_owned());
        }
    }
    loaded.plan.graph.stages.iter().find_map(|stage| {
        let library = stage.operator.library.as_deref();
        let mut files = stage.reads().map(|(_, file)| file).chain(library);
        let is_it = |file: &Path| {
            let file = resolved(file);
            path == file || file.is_dir() && path.starts_with(&file) && path.exists()
        };
        files
            .any(is_it)
            .then(|| format!("a file that `{}` reads", stage.name))
    })
}
