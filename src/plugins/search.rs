//! The search path.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use segue_plugin::Manifest;

use super::library::{Library, load};
use super::probe::probe;
use crate::diagnostic::Diagnostic;

/// Folders to look in before those beside the binary, as `PATH` has them.
pub const PATH_VARIABLE: &str = "SEGUE_PLUGIN_PATH";

/// The libraries there are.
pub struct Plugins {
    folders: Vec<(PathBuf, bool)>,
    probed: RefCell<BTreeMap<PathBuf, Result<Manifest, Diagnostic>>>,
    loaded: RefCell<BTreeMap<PathBuf, Library>>,
}

impl Default for Plugins {
    fn default() -> Self {
        Self::new()
    }
}

impl Plugins {
    /// Looks in the folders of `SEGUE_PLUGIN_PATH`, then in `deps` beside the binary,
    /// where `cargo run` puts them (and leaves older ones beside the binary as they are),
    /// then beside the binary.
    pub fn new() -> Self {
        let variable = std::env::var_os(PATH_VARIABLE).unwrap_or_default();
        let named = std::env::split_paths(&variable).filter(|p| !p.as_os_str().is_empty());
        let mut folders: Vec<(PathBuf, bool)> = named.map(|path| (path, true)).collect();
        let beside = std::env::current_exe()
            .ok()
            .and_then(|exe| Some(exe.parent()?.to_owned()));
        if let Some(beside) = beside {
            folders.push((beside.join("deps"), false));
            folders.push((beside, false));
        }
        Plugins {
            folders,
            probed: RefCell::default(),
            loaded: RefCell::default(),
        }
    }

    /// The manifest of the library at `path`.
    ///
    /// # Errors
    /// `missing-file`, `bad-plugin`, `plugin-abi`
    pub fn manifest(&self, path: &Path) -> Result<Manifest, Diagnostic> {
        if let Some(known) = self.probed.borrow().get(path) {
            return known.clone();
        }
        let probed = if path.is_file() {
            probe(path)
        } else {
            let message = format!("there is no library at `{}`", path.display());
            Err(Diagnostic::new("missing-file", message))
        };
        self.probed
            .borrow_mut()
            .insert(path.to_owned(), probed.clone());
        probed
    }

    /// The library at `path`, probed and then loaded into this process.
    ///
    /// # Errors
    /// As [`Plugins::manifest`]
    pub fn library(&self, path: &Path) -> Result<Library, Diagnostic> {
        if let Some(library) = self.loaded.borrow().get(path) {
            return Ok(*library);
        }
        self.manifest(path)?;
        let library = load(path)?;
        self.loaded.borrow_mut().insert(path.to_owned(), library);
        Ok(library)
    }

    /// The library that has the operator `name`, and its manifest: of the first folder
    /// with one that has it, the one that is named after it, or else the first by name.
    ///
    /// # Errors
    /// What is wrong with the library of that name; `None` inside when there is none
    pub fn find(&self, name: &str) -> Result<Option<(PathBuf, Manifest)>, Diagnostic> {
        let file = library_file(name);
        for (folder, named) in &self.folders {
            let path = folder.join(&file);
            if path.is_file() {
                let manifest = self.manifest(&path)?;
                if has(&manifest, name) {
                    return Ok(Some((path, manifest)));
                }
            }
            // Beside the binary lie those that ship, each named after an operator of its
            // own; to probe them all takes a while, so that is done last.
            let all = libraries(folder, *named).into_iter().filter(|_| *named);
            let found = all.filter_map(|path| Some((self.manifest(&path).ok()?, path)));
            let mut found = found.filter(|(manifest, _)| has(manifest, name));
            if let Some((manifest, path)) = found.next() {
                return Ok(Some((path, manifest)));
            }
        }
        Ok(self.all().into_iter().find_map(|(path, manifest)| {
            let manifest = manifest.ok().filter(|manifest| has(manifest, name))?;
            Some((path, manifest))
        }))
    }

    /// The libraries that have the operator `name` too, besides the one at `used`, where
    /// it was found. One file under two names counts once, and so do the two folders
    /// beside the binary. Without `probe` only libraries that were probed before count.
    pub fn others(&self, name: &str, used: &Path, probe: bool) -> Vec<PathBuf> {
        let file = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut files = vec![file(used)];
        let mut shipped = Vec::new();
        if self.ships(used) {
            shipped.push(used.file_name().map(ToOwned::to_owned));
        }
        let mut others = Vec::new();
        for (folder, named) in &self.folders {
            for path in libraries(folder, *named) {
                let name_of_file = path.file_name().map(ToOwned::to_owned);
                let twin = !named && shipped.contains(&name_of_file);
                let known = probe || self.probed.borrow().contains_key(&path);
                if twin || !known || files.contains(&file(&path)) {
                    continue;
                }
                if self
                    .manifest(&path)
                    .is_ok_and(|manifest| has(&manifest, name))
                {
                    if !named {
                        shipped.push(name_of_file);
                    }
                    files.push(file(&path));
                    others.push(path);
                }
            }
        }
        others
    }

    /// Whether the library at `path` is one of those beside the binary.
    pub fn ships(&self, path: &Path) -> bool {
        let mut beside = self.folders.iter().filter(|(_, named)| !named);
        beside.any(|(folder, _)| path.parent() == Some(folder))
    }

    /// Whether the library at `path` lies in a folder that is searched.
    pub fn on_search_path(&self, path: &Path) -> bool {
        self.folders
            .iter()
            .any(|(folder, _)| path.parent() == Some(folder))
    }

    /// Where a plugin is looked for, as words.
    pub fn looked_in(&self) -> String {
        let of = |wanted: bool| {
            let folders = self.folders.iter().filter(|(_, named)| *named == wanted);
            let shown = folders.map(|(path, _)| {
                if path.is_dir() {
                    format!("`{}`", path.display())
                } else {
                    format!("`{}` (which is not a folder)", path.display())
                }
            });
            shown.collect::<Vec<_>>().join(", ")
        };
        let named = match of(true) {
            none if none.is_empty() => format!("{PATH_VARIABLE}, which is not set"),
            named => format!("{PATH_VARIABLE}: {named}"),
        };
        format!("{named}; beside the program: {}", of(false))
    }

    /// Every library there is, with its manifest or what is wrong with it. A library
    /// of one file name hides those of the same name further down the search path.
    pub fn all(&self) -> Vec<(PathBuf, Result<Manifest, Diagnostic>)> {
        let mut names = std::collections::BTreeSet::new();
        let mut all = Vec::new();
        for (folder, named) in &self.folders {
            for path in libraries(folder, *named) {
                if names.insert(path.file_name().map(ToOwned::to_owned)) {
                    let manifest = self.manifest(&path);
                    all.push((path, manifest));
                }
            }
        }
        all
    }
}

fn has(manifest: &Manifest, name: &str) -> bool {
    manifest.operators.iter().any(|one| one.name == name)
}

/// The libraries in `folder`, by name.
fn libraries(folder: &Path, named: bool) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = (std::fs::read_dir(folder).into_iter().flatten())
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_candidate(path, named))
        .collect();
    paths.sort();
    paths
}

/// The file name that a library with the operator `name` has by custom:
/// `libsegue_mean_pool.so` for `mean-pool` on Linux.
pub fn library_file(name: &str) -> String {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    format!("{prefix}segue_{}{suffix}", name.replace('-', "_"))
}

/// Beside the binary only libraries named as plugins are; in a folder that the user
/// names, every library is.
fn is_candidate(path: &Path, named: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{}segue_", std::env::consts::DLL_PREFIX);
    name.ends_with(std::env::consts::DLL_SUFFIX)
        && (named || name.starts_with(&prefix))
        && path.is_file()
}
