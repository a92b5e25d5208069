//! Every operator a graph can name: `read` and `write`, which are built in, and
//! those of the plugins.

mod read;
mod write;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use segue_plugin::{Column, Columns, Manifest, OperatorManifest, Rows, Units};
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Note, did_you_mean};
use crate::graph::{Catalog, Graph, Operator, Role, Stage, merging_notes};
use crate::hub::{self, HubError, OnFetch};
use crate::io;
use crate::plugins::Plugins;

pub use read::read_options;
pub use write::{JUDGED, NUMBER, keeps_rejects, write_options, written_columns};

/// The catalog of this installation.
#[derive(Default)]
pub struct Operators {
    /// The libraries.
    pub plugins: Plugins,
    /// Is told how far a model on a hub is that has to be fetched.
    pub on_fetch: Option<OnFetch>,
    sources: RefCell<Sources>,
    /// What came of each address on a hub: one that failed is not tried at every stage.
    fetched: RefCell<HashMap<String, Result<PathBuf, Diagnostic>>>,
}

/// The columns of the graph's sources, in the order in which they are checked.
#[derive(Default)]
struct Sources {
    /// None where there is no such file.
    seen: Vec<Option<Vec<Column>>>,
    /// What others say of files that are not here; `None` where each must be.
    elsewhere: Option<Vec<Option<Vec<Column>>>>,
}

/// What a user should know of the files that the sources of `graph` read, as far as
/// they are here, and of what is lost where stages merge.
pub fn notes(graph: &Graph) -> Vec<Note> {
    let sources = graph.stages.iter();
    let sources = sources.filter(|stage| stage.operator.role == Role::Source);
    let notes = |stage: &Stage| {
        let source = io::open(&read_options(&stage.options)).ok()?;
        let note = |message| Note::new(&stage.file_name, message);
        Some(source.notes().into_iter().map(note).collect::<Vec<_>>())
    };
    let of_files = sources.filter_map(notes).flatten();
    of_files.chain(merging_notes(graph)).collect()
}

impl From<HubError> for Diagnostic {
    fn from(error: HubError) -> Self {
        let help = error.help().map(str::to_owned);
        Diagnostic::new(error.code(), error.to_string()).help_some(help)
    }
}

impl Catalog for Operators {
    fn operator(&self, plugin: &str, base: &Path) -> Result<Operator, Diagnostic> {
        if let Some(built_in) = built_in()
            .into_iter()
            .find(|one| one.manifest.name == plugin)
        {
            return Ok(built_in);
        }
        if is_path(plugin) {
            return self.at_path(plugin, base);
        }
        match self.plugins.find(plugin)? {
            Some((path, manifest)) => named(manifest, plugin, &path),
            None => Err(self.unknown(plugin)),
        }
    }

    fn columns(
        &self,
        operator: &Operator,
        options: &Value,
        input: &[Column],
    ) -> Result<Columns, Diagnostic> {
        let name = &operator.manifest.name;
        match &operator.library {
            Some(path) => {
                let columns = self.plugins.library(path)?.columns(name, options, input)?;
                crate::plugins::check_ports_of(&operator.manifest, &columns)?;
                Ok(columns)
            }
            None if operator.role == Role::Source => self.read_columns(operator, options),
            None => write::columns(options, input),
        }
    }

    fn units(&self, operator: &Operator, options: &Value) -> Result<Option<Units>, Diagnostic> {
        match &operator.library {
            Some(path) if operator.manifest.units => Ok(self
                .plugins
                .library(path)?
                .units(&operator.manifest.name, options)?),
            _ => Ok(None),
        }
    }

    /// Where files may be elsewhere, what is missing is found when it is opened.
    fn exists(&self, path: &Path) -> bool {
        self.sources.borrow().elsewhere.is_some()
            || io::files(path).iter().any(|path| path.exists())
    }

    fn files(&self, path: &Path) -> Vec<PathBuf> {
        io::files(path)
    }

    fn fits(&self, pattern: &Path, path: &Path) -> bool {
        io::fits(pattern, path)
    }

    fn again(&self) {
        self.sources.borrow_mut().seen.clear();
    }

    fn fetched(&self, address: &str) -> Option<Result<PathBuf, Diagnostic>> {
        if !hub::is_address(address) {
            return None;
        }
        let mut fetched = self.fetched.borrow_mut();
        let new = || Ok(hub::folder(address, self.on_fetch.clone())?);
        Some(
            fetched
                .entry(address.to_owned())
                .or_insert_with(new)
                .clone(),
        )
    }

    fn kept_beside(&self, path: &Path) -> Vec<PathBuf> {
        let beside = |ending: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let mut files = io::side_files(path);
        files.extend([".journal", ".journal.new", ".rejects.jsonl"].map(beside));
        files
    }

    fn resolved(&self, path: &Path) -> PathBuf {
        if let Some(found) = std::fs::metadata(path)
            .ok()
            .filter(|found| found.is_file() && found.nlink() > 1)
        {
            // Two names of one file have nothing else in common.
            return PathBuf::from(format!("inode {} of device {}", found.ino(), found.dev()));
        }
        let whole = || {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(folder.join(path.file_name()?))
        };
        path.canonicalize()
            .ok()
            .or_else(whole)
            .unwrap_or_else(|| path.to_owned())
    }
}

impl Operators {
    /// Those of a device that need not have the files of sources which other devices
    /// read: these say what columns there are, as far as it is known.
    pub fn elsewhere(columns: Vec<Option<Vec<Column>>>) -> Self {
        let operators = Operators::default();
        operators.sources.borrow_mut().elsewhere = Some(columns);
        operators
    }

    /// The columns of each source of the graph that was checked, none where its file is
    /// not here.
    pub fn sources(&self) -> Vec<Option<Vec<Column>>> {
        self.sources.borrow().seen.clone()
    }

    fn read_columns(&self, operator: &Operator, options: &Value) -> Result<Columns, Diagnostic> {
        let mut sources = self.sources.borrow_mut();
        let number = sources.seen.len();
        let read = read::columns(options);
        sources
            .seen
            .push(read.as_ref().ok().map(|columns| columns.writes.clone()));
        let lacks = operator
            .reads(options)
            .any(|(_, path)| !io::files(path).iter().any(|path| path.exists()));
        let elsewhere = sources.elsewhere.as_ref();
        let elsewhere = elsewhere.and_then(|elsewhere| elsewhere.get(number)?.clone());
        match (read, elsewhere) {
            (Err(_), Some(writes)) if lacks => Ok(Columns {
                writes,
                ..Columns::new().rows(Rows::New)
            }),
            (read, _) => read,
        }
    }

    /// `path/to/lib.so`, or `path/to/lib.so#operator` when it has several.
    fn at_path(&self, plugin: &str, base: &Path) -> Result<Operator, Diagnostic> {
        let (path, name) = match plugin.rsplit_once('#') {
            Some((path, name)) => (base.join(path), Some(name)),
            None => (base.join(plugin), None),
        };
        let manifest = self.plugins.manifest(&path)?;
        match (name, manifest.operators.as_slice()) {
            (Some(name), _) => named(manifest.clone(), name, &path),
            (None, [only]) => named(manifest.clone(), &only.name, &path),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|one| one.name.as_str()).collect();
                let message = format!("`{plugin}` has several operators");
                let help = format!("write `{plugin}#NAME` with one of: {}", names.join(", "));
                Err(Diagnostic::new("unknown-plugin", message).help(help))
            }
        }
    }

    fn unknown(&self, plugin: &str) -> Diagnostic {
        let libraries = self.plugins.all();
        let mut names: Vec<String> = self
            .list()
            .into_iter()
            .map(|one| one.manifest.name)
            .collect();
        names.sort();
        let broken = libraries
            .iter()
            .find_map(|(_, manifest)| manifest.as_ref().err());
        let near = did_you_mean(plugin, "plugins", names.iter().map(String::as_str));
        let broken = broken.map(|broken| format!("not usable: {}", broken.message));
        let looked = format!("looked in {}", self.plugins.looked_in());
        let help = near.into_iter().chain(broken).chain([looked]);
        let message = format!("there is no plugin `{plugin}`");
        Diagnostic::new("unknown-plugin", message).help(help.collect::<Vec<_>>().join("\n"))
    }

    /// The operators of the library that `plugin` names by a path, as in a graph file in
    /// the working directory; one alone where it names one with `#`.
    ///
    /// # Errors
    /// As for a graph that names it
    pub fn of_library(&self, plugin: &str) -> Result<Vec<Operator>, Diagnostic> {
        if plugin.contains('#') {
            return Ok(vec![self.at_path(plugin, Path::new(""))?]);
        }
        let path = Path::new(plugin);
        let manifest = self.plugins.manifest(path)?;
        let all = manifest.operators.into_iter();
        Ok(all.map(|one| transform(one, path)).collect())
    }

    /// Which other libraries have the operators of `graph` too that it names without a
    /// path: a line for each. Without `probe` only what was probed before is looked at.
    pub fn shadowed(&self, graph: &Graph, probe: bool) -> Vec<String> {
        let mut lines = BTreeSet::new();
        for stage in &graph.stages {
            let Some(used) = &stage.operator.library else {
                continue;
            };
            let name = &stage.operator.manifest.name;
            if !self.plugins.on_search_path(used) {
                continue;
            }
            let others = self.plugins.others(name, used, probe);
            lines.extend(twice(name, used, &others));
        }
        lines.into_iter().collect()
    }

    /// Every operator there is: the built-in ones, then those of the plugins.
    pub fn list(&self) -> Vec<Operator> {
        let of_plugins = self
            .plugins
            .all()
            .into_iter()
            .filter_map(|(path, manifest)| {
                let operators = manifest.ok()?.operators.into_iter();
                Some(operators.map(move |manifest| transform(manifest, &path)))
            });
        built_in().into_iter().chain(of_plugins.flatten()).collect()
    }
}

/// Says that more than one library has the operator `name`; `None` where none but the
/// one at `used` has.
pub fn twice(name: &str, used: &Path, others: &[PathBuf]) -> Option<String> {
    let others: Vec<String> = others
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    let (used, all) = (used.display(), others.join(", "));
    (!others.is_empty())
        .then(|| format!("note: `{name}` is in several libraries: `{used}` is used, not {all}"))
}

/// Whether `plugin` names a library by its path.
pub fn is_path(plugin: &str) -> bool {
    plugin.contains(['/', '\\']) || plugin.contains(std::env::consts::DLL_SUFFIX)
}

fn transform(manifest: OperatorManifest, path: &Path) -> Operator {
    Operator {
        manifest,
        role: Role::Transform,
        library: Some(path.to_owned()),
    }
}

fn named(manifest: Manifest, name: &str, path: &Path) -> Result<Operator, Diagnostic> {
    let found = manifest.operators.into_iter().find(|one| one.name == name);
    let message = || format!("`{}` has no operator `{name}`", path.display());
    found
        .map(|one| transform(one, path))
        .ok_or_else(|| Diagnostic::new("unknown-plugin", message()))
}

fn built_in() -> [Operator; 2] {
    [(READ, Role::Source), (WRITE, Role::Sink)].map(|(text, role)| Operator {
        // The two manifests are constants, and a test reads them.
        manifest: serde_json::from_str(text).unwrap_or_default(),
        role,
        library: None,
    })
}

const READ: &str = include_str!("operators/read.json");
const WRITE: &str = include_str!("operators/write.json");

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_manifests_can_be_read() {
        let names: Vec<String> = super::built_in().map(|one| one.manifest.name).to_vec();
        assert_eq!(names, ["read", "write"]);
    }
}
