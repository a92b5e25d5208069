//! What sinks and other stages write must be nobody else's file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::catalog::Role;
use super::check::Checker;
use super::stage::Stage;
use crate::diagnostic::{Diagnostic, Span};

impl Checker<'_> {
    /// A sink must not write the file of another sink, or one that a source reads; nor may
    /// what is kept beside its file be one.
    pub(super) fn outputs_differ(&mut self) {
        let mut seen: BTreeMap<PathBuf, (Span, &str)> = BTreeMap::new();
        let mut errors = Vec::new();
        let of = |role: Role| self.stages.iter().filter(move |s| s.operator.role == role);
        let stages = of(Role::Source).chain(of(Role::Sink));
        let files = stages.flat_map(|stage| {
            let files = stage.own_files().into_iter();
            let files = files.flat_map(|(option, path)| {
                let all = self.catalog.files(path).into_iter();
                all.map(move |path| (option, path))
            });
            files.map(move |(option, path)| (stage, option, path))
        });
        let mut sinks = Vec::new();
        for (stage, option, path) in files {
            let span = stage.place_of(option);
            let is_source = stage.operator.role == Role::Source;
            let does = if is_source { "reads" } else { "writes" };
            let resolved = self.catalog.resolved(&path);
            if !is_source {
                sinks.push((stage, path.clone(), span));
            }
            let known = seen.insert(resolved, (span, does));
            let Some((other, did)) = known.or_else(|| self.fitting(&path)).filter(|_| !is_source)
            else {
                continue;
            };
            let message = format!("`{}` writes a file that another stage {did}", stage.name);
            let error = Diagnostic::new("duplicate", message).at(span);
            errors.push(error.label(other, "the other"));
        }
        for (stage, path, span) in sinks {
            for kept in self.catalog.kept_beside(&path) {
                let Some((other, does)) = seen.get(&self.catalog.resolved(&kept)) else {
                    continue;
                };
                let (name, kept) = (&stage.name, kept.display());
                let message = format!(
                    "beside the file of `{name}` a run keeps `{kept}`, which another stage {does}"
                );
                let error = Diagnostic::new("duplicate", message).at(span);
                errors.push(
                    error
                        .label(*other, "the other")
                        .help("write to another file"),
                );
            }
        }
        self.errors.extend(errors);
    }

    /// What a stage writes by itself, such as a trained model, must not lie at or within what a
    /// stage reads, itself included, nor where another writes.
    pub(super) fn outputs_lose_nothing(&mut self) {
        let mut errors = Vec::new();
        let mut written: BTreeMap<PathBuf, (Span, &str)> = BTreeMap::new();
        for stage in self.stages.iter().filter(|s| s.operator.role == Role::Sink) {
            for (option, path) in stage.own_files() {
                let here = (stage.place_of(option), stage.name.as_str());
                written.insert(self.catalog.resolved(path), here);
            }
        }
        for stage in &self.stages {
            for (option, path) in stage.outputs() {
                let (name, place) = (stage.name.as_str(), stage.place_of(option));
                let resolved = self.catalog.resolved(path);
                let shown = path.display();
                let read = self.reader_of(&resolved).map(|(place, who, read)| {
                    let how = if self.catalog.resolved(read) == resolved {
                        format!("over `{shown}`")
                    } else {
                        format!("`{shown}` within `{}`", read.display())
                    };
                    ((place, who), format!("{how}, which `{who}` reads"))
                });
                let taken = written.insert(resolved, (place, name));
                let taken = taken.map(|(place, who)| {
                    (
                        (place, who),
                        format!("over `{shown}`, which `{who}` writes"),
                    )
                });
                let Some(((other, _), how)) = read.or(taken) else {
                    continue;
                };
                let message = format!("`{name}` would write {how}");
                let error = Diagnostic::new("duplicate", message).at(place);
                errors.push(error.label(other, "the other").help("name another place"));
            }
        }
        self.errors.extend(errors);
    }

    /// The stage that reads the file at `path`, or a folder that it lies in, and what it reads.
    fn reader_of(&self, path: &Path) -> Option<(Span, &str, &Path)> {
        let stages = self.stages.iter();
        let mut stages = stages.filter(|stage| stage.operator.role != Role::Sink);
        stages.find_map(|stage| {
            let lies_in = |read: &Path| {
                let mut files = self.catalog.files(read).into_iter();
                path.starts_with(self.catalog.resolved(read))
                    || files.any(|file| self.catalog.resolved(&file) == path)
            };
            let (option, read) = stage.reads().find(|(_, read)| lies_in(read))?;
            Some((stage.place_of(option), stage.name.as_str(), read))
        })
    }

    /// The source whose pattern fits `path`, as the next run would find.
    fn fitting(&self, path: &Path) -> Option<(Span, &'static str)> {
        let mut sources = self
            .stages
            .iter()
            .filter(|s| s.operator.role == Role::Source);
        let fits = |stage: &&Stage| {
            let mut own = stage.own_files().into_iter();
            own.any(|(_, pattern)| self.catalog.fits(pattern, path))
        };
        let stage = sources.find(fits)?;
        Some((stage.place_of("path"), "would read the next time"))
    }
}
