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
            let span = stage.spans.options.get(option).copied();
            let span = span.unwrap_or(stage.spans.name);
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

    /// What a stage writes by itself, such as a trained model, must not take the place of what a
    /// stage reads, itself included, or of what another writes.
    pub(super) fn outputs_lose_nothing(&mut self) {
        let mut seen: BTreeMap<PathBuf, (Span, &str, &str)> = BTreeMap::new();
        for stage in &self.stages {
            let span = |option: &str| stage.spans.options.get(option).copied();
            let span = |option: &str| span(option).unwrap_or(stage.spans.name);
            let does = match stage.operator.role {
                Role::Source | Role::Transform => "reads",
                Role::Sink => "writes",
            };
            let read = stage.reads().filter(|_| does == "reads");
            let written = stage.own_files().into_iter().filter(|_| does == "writes");
            for (option, path) in read.chain(written) {
                // The folder of a model by itself, the files of a source's pattern.
                let files = [vec![path.to_owned()], self.catalog.files(path)];
                for file in files.concat() {
                    let resolved = self.catalog.resolved(&file);
                    seen.insert(resolved, (span(option), &stage.name, does));
                }
            }
        }
        let mut errors = Vec::new();
        for stage in &self.stages {
            for (option, path) in stage.outputs() {
                let span = stage.spans.options.get(option).copied();
                let span = span.unwrap_or(stage.spans.name);
                let here = (span, stage.name.as_str(), "writes");
                let resolved = self.catalog.resolved(path);
                // A file of a folder that is read, such as a model's weights.
                let above = resolved.parent().filter(|_| resolved.is_file());
                let above = above.and_then(|folder| seen.get(folder)).copied();
                let Some((other, who, does)) = seen.insert(resolved, here).or(above) else {
                    continue;
                };
                let message = format!(
                    "`{}` would write over `{}`, which `{who}` {does}",
                    stage.name,
                    path.display()
                );
                let error = Diagnostic::new("duplicate", message).at(span);
                let error = error.label(other, "the other").help("name another place");
                errors.push(error);
            }
        }
        self.errors.extend(errors);
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
        let span = stage.spans.options.get("path").copied();
        Some((span.unwrap_or(stage.spans.name), "would read the next time"))
    }
}
