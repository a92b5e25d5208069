//! What a graph may use: the operators there are, and the files.

use std::path::{Path, PathBuf};

use segue_plugin::{Column, Columns, OperatorManifest, OptionType, Units};
use serde_json::Value;

use crate::diagnostic::Diagnostic;

/// What a stage does in the dataflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads no other stage.
    Source,
    /// Reads stages, and is read.
    Transform,
    /// Reads stages, and nothing reads it.
    Sink,
}

/// An operator that a graph names.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// Its name, options and documentation.
    pub manifest: OperatorManifest,
    /// Its place in the dataflow.
    pub role: Role,
    /// The shared library it is in; `None` for one that is built in.
    pub library: Option<PathBuf>,
}

impl Operator {
    /// Each of `options` that names a file or folder to read, and what that is.
    pub fn reads<'a>(&'a self, options: &'a Value) -> impl Iterator<Item = (&'a str, &'a Path)> {
        self.paths(OptionType::Path, options)
    }

    /// Each of `options` that names a file or folder to write.
    pub fn writes<'a>(&'a self, options: &'a Value) -> impl Iterator<Item = (&'a str, &'a Path)> {
        self.paths(OptionType::OutputPath, options)
    }

    fn paths<'a>(
        &'a self,
        of: OptionType,
        options: &'a Value,
    ) -> impl Iterator<Item = (&'a str, &'a Path)> {
        let all = self.manifest.options.iter();
        let named = all.filter(move |option| option.option_type == of);
        named.filter_map(|option| {
            let path = options[option.name.as_str()].as_str()?;
            Some((option.name.as_str(), Path::new(path)))
        })
    }
}

/// Answers what a graph file cannot say by itself.
pub trait Catalog {
    /// The operator that `plugin` names; a path in it is relative to `base`.
    ///
    /// # Errors
    /// `unknown-plugin`, and whatever is wrong with the library
    fn operator(&self, plugin: &str, base: &Path) -> Result<Operator, Diagnostic>;

    /// What `operator` reads and writes under `options`, given `input`.
    ///
    /// # Errors
    /// Whatever the operator finds wrong
    fn columns(
        &self,
        operator: &Operator,
        options: &Value,
        input: &[Column],
    ) -> Result<Columns, Diagnostic>;

    /// The parts that `operator` can be cut into.
    ///
    /// # Errors
    /// Whatever the operator finds wrong
    fn units(&self, operator: &Operator, options: &Value) -> Result<Option<Units>, Diagnostic>;

    /// Whether there is a file or folder at `path`, or one that fits it as a pattern.
    fn exists(&self, path: &Path) -> bool;

    /// The files that `path` names: itself, or those that it is a pattern of.
    fn files(&self, path: &Path) -> Vec<PathBuf> {
        vec![path.to_owned()]
    }

    /// Whether `pattern` is one, and fits `path`, which need not exist.
    fn fits(&self, _pattern: &Path, _path: &Path) -> bool {
        false
    }

    /// The same graph is gone through once more: what was found out of its sources is forgotten.
    fn again(&self) {}

    /// The file or folder at `address` when that is an address and no path; `None` for a path.
    ///
    /// # Errors
    /// Why it is missing
    fn fetched(&self, address: &str) -> Option<Result<PathBuf, Diagnostic>>;

    /// One name for all the ways to name the file at `path`, which need not exist: links of
    /// both kinds have the name of what they lead to. Only good to compare.
    fn resolved(&self, path: &Path) -> PathBuf;

    /// The files that a run keeps beside the output at `path`.
    fn kept_beside(&self, path: &Path) -> Vec<PathBuf>;
}
