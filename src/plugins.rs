//! Plugins: found, probed in a child process, loaded, shaken hands with, called.
//! The host's only `unsafe`. A library is never unloaded.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io::Read;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use segue_plugin::ffi::{ABI_MAJOR, ABI_MINOR, MAGIC, Reply, SIZE_OF_1_0, SYMBOL, Table, Text};
use segue_plugin::{
    Column, Columns, Context, Error, Manifest, Next, Units, export_batch, import_batch,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::graph::Problem;

/// Folders to look in before those beside the binary, as `PATH` has them.
pub const PATH_VARIABLE: &str = "SEGUE_PLUGIN_PATH";
/// The hidden subcommand that probes a library.
pub const PROBE_COMMAND: &str = "__probe";
/// The longest that loading a library and naming its operators may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// A loaded library.
#[derive(Clone, Copy)]
pub struct Library {
    table: &'static Table,
}

/// Loads the library at `path` into this process.
///
/// # Errors
/// `bad-plugin` when it is no library or no plugin, `plugin-abi` when it is built
/// for another ABI
pub fn load(path: &Path) -> Result<Library, Problem> {
    let bad =
        |message: String| Problem::new("bad-plugin", format!("`{}` {message}", path.display()));
    // A bare file name would be looked for on the system's library path.
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // SAFETY: loading runs the library's initialisers; it was probed in a child
    // process first, and the user named its folder.
    let library = unsafe { libloading::Library::new(&whole) }.map_err(|e| {
        bad(format!(
            "is not a library this system can load: {}",
            reason(&e)
        ))
    })?;
    // Never unloaded: its table and code live as long as the process.
    let library: &'static libloading::Library = Box::leak(Box::new(library));
    type Entry = unsafe extern "C" fn() -> *const Table;
    // SAFETY: the symbol's type is the one `segue.h` gives it.
    let entry = unsafe { library.get::<Entry>(SYMBOL) }
        .map_err(|_| bad(format!("is not a Segue plugin: it has no `{SYMBOL}`")))?;
    // SAFETY: the function takes nothing and returns a pointer.
    let table = unsafe { entry() };
    if table.is_null() || !table.is_aligned() {
        return Err(bad(format!(
            "is not a Segue plugin: `{SYMBOL}` gives no table"
        )));
    }
    let size = check_header(table, path)?;
    let table = whole_table(table, size);
    let complete = table.manifest.is_some()
        && table.columns.is_some()
        && table.create.is_some()
        && table.process.is_some()
        && table.drop.is_some();
    if !complete {
        return Err(bad(
            "lacks a function that every plugin must have".to_owned()
        ));
    }
    Ok(Library { table })
}

/// A copy of a table of `size` bytes, in which the functions it is too old for are missing.
fn whole_table(table: *const Table, size: usize) -> &'static Table {
    let mut whole = MaybeUninit::<Table>::zeroed();
    // SAFETY: magic, ABI and size say that so many bytes of a table are there; both
    // sides are at least as large as what is copied.
    unsafe {
        std::ptr::copy_nonoverlapping(
            table.cast::<u8>(),
            whole.as_mut_ptr().cast::<u8>(),
            size.min(size_of::<Table>()),
        );
    }
    // SAFETY: numbers and optional functions may all be zero.
    Box::leak(Box::new(unsafe { whole.assume_init() }))
}

/// Reads only the four fields that keep their place in every ABI; gives the size.
fn check_header(table: *const Table, path: &Path) -> Result<usize, Problem> {
    // SAFETY: a plugin of any ABI has these fields at these places.
    let (magic, major, minor, size) = unsafe {
        let table = table.cast::<u64>();
        let versions = table.add(1).cast::<u32>();
        (
            table.read(),
            versions.read(),
            versions.add(1).read(),
            table.add(2).read(),
        )
    };
    let path = path.display();
    if magic != MAGIC {
        let message = format!("`{path}` is not a Segue plugin: its table has the wrong magic");
        return Err(Problem::new("bad-plugin", message));
    }
    if major != ABI_MAJOR || minor > ABI_MINOR {
        let message = format!(
            "`{path}` is built for plugin ABI {major}.{minor}; this Segue has {ABI_MAJOR}.{ABI_MINOR}"
        );
        let help =
            Some("build it again with this version's `segue.h` or `segue-plugin`".to_owned());
        return Err(Problem {
            help,
            ..Problem::new("plugin-abi", message)
        });
    }
    let least = match minor {
        0 => SIZE_OF_1_0,
        _ => size_of::<Table>() as u64,
    };
    if size < least {
        let message = format!("`{path}` has a table of {size} bytes, not {least}");
        return Err(Problem::new("bad-plugin", message));
    }
    // A larger table is read as far as this ABI knows it.
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

fn reason(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    source.unwrap_or_else(|| error.to_string())
}

/// What a plugin answered during one call.
#[derive(Default)]
struct Answer<'a> {
    text: String,
    batches: Vec<(FFI_ArrowArray, FFI_ArrowSchema)>,
    failure: Option<Error>,
    saved: bool,
    show: Option<&'a Show>,
}

/// Where lines on a stage's progress go.
pub type Show = dyn Fn(String);

/// What a stage gave in one call.
#[derive(Debug, Default)]
pub struct Given {
    /// Its batches.
    pub batches: Vec<RecordBatch>,
    /// Whether all it was given so far survives a crash.
    pub saved: bool,
}

unsafe extern "C" fn take_text(host: *mut c_void, text: Text) {
    // SAFETY: `host` is the `Answer` of the call that is under way.
    unsafe { (*host.cast::<Answer>()).text = text.read() };
}

unsafe extern "C" fn take_batch(
    host: *mut c_void,
    array: *mut FFI_ArrowArray,
    schema: *mut FFI_ArrowSchema,
) {
    // SAFETY: as in `take_text`; the structs are moved out and left released.
    unsafe {
        let moved = (
            FFI_ArrowArray::from_raw(array),
            FFI_ArrowSchema::from_raw(schema),
        );
        (*host.cast::<Answer>()).batches.push(moved);
    }
}

unsafe extern "C" fn take_failure(host: *mut c_void, code: Text, message: Text, option: Text) {
    // SAFETY: as in `take_text`.
    unsafe {
        let option = Some(option.read()).filter(|name| !name.is_empty());
        let failure = Error {
            code: code.read(),
            message: message.read(),
            option,
        };
        (*host.cast::<Answer>()).failure = Some(failure);
    }
}

unsafe extern "C" fn take_progress(host: *mut c_void, line: Text) {
    // SAFETY: as in `take_text`.
    unsafe {
        if let Some(show) = (*host.cast::<Answer>()).show {
            show(line.read());
        }
    }
}

unsafe extern "C" fn take_saved(host: *mut c_void) {
    // SAFETY: as in `take_text`.
    unsafe { (*host.cast::<Answer>()).saved = true };
}

/// Makes one call and collects its answer.
fn ask(call: impl FnOnce(*const Reply) -> i32) -> Result<Answer<'static>, Error> {
    ask_and_show(None, call)
}

/// As [`ask`], with a place for lines of progress.
fn ask_and_show(
    show: Option<&Show>,
    call: impl FnOnce(*const Reply) -> i32,
) -> Result<Answer<'_>, Error> {
    let mut answer = Answer {
        show,
        ..Answer::default()
    };
    let reply = Reply {
        host: (&raw mut answer).cast(),
        text: take_text,
        batch: take_batch,
        fail: take_failure,
        progress: take_progress,
        saved: take_saved,
    };
    let status = call(&reply);
    match (status, answer.failure.take()) {
        (0, None) => Ok(answer),
        (_, Some(failure)) => Err(failure),
        (status, None) => Err(Error::new(
            "plugin-error",
            format!("the plugin failed with status {status} and no reason"),
        )),
    }
}

fn parse<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|e| {
        Error::new(
            "bad-plugin",
            format!("the plugin's {what} cannot be read: {e}"),
        )
    })
}

fn missing(function: &str) -> Error {
    Error::new("bad-plugin", format!("the plugin lacks `{function}`"))
}

impl Library {
    /// Every operator of the library.
    ///
    /// # Errors
    /// `bad-plugin`
    pub fn manifest(&self) -> Result<Manifest, Error> {
        let manifest = self.table.manifest.ok_or_else(|| missing("manifest"))?;
        // SAFETY: the reply is valid for the call.
        let answer = ask(|reply| unsafe { manifest(reply) })?;
        parse("manifest", &answer.text)
    }

    /// What an operator reads and writes.
    ///
    /// # Errors
    /// What the operator finds wrong; `bad-plugin`
    pub fn columns(&self, name: &str, options: &Value, input: &[Column]) -> Result<Columns, Error> {
        let columns = self.table.columns.ok_or_else(|| missing("columns"))?;
        let options = options.to_string();
        let input = serde_json::to_string(input).map_err(|e| Error::new("json", e.to_string()))?;
        let texts = (Text::new(name), Text::new(&options), Text::new(&input));
        // SAFETY: texts and reply are valid for the call.
        let answer = ask(|reply| unsafe { columns(texts.0, texts.1, texts.2, reply) })?;
        parse("columns", &answer.text)
    }

    /// The parts an operator can be cut into.
    ///
    /// # Errors
    /// What the operator finds wrong; `bad-plugin`
    pub fn units(&self, name: &str, options: &Value) -> Result<Option<Units>, Error> {
        let Some(units) = self.table.units else {
            return Ok(None);
        };
        let options = options.to_string();
        // SAFETY: texts and reply are valid for the call.
        let answer = ask(|reply| unsafe { units(Text::new(name), Text::new(&options), reply) })?;
        let units: Option<Units> = parse("units", &answer.text)?;
        Ok(units.filter(|units| !units.units.is_empty()))
    }

    /// Makes a stage, which stays on this thread.
    ///
    /// # Errors
    /// What the operator finds wrong
    pub fn create(
        &self,
        name: &str,
        options: &Value,
        context: &Context,
    ) -> Result<Instance, Error> {
        let create = self.table.create.ok_or_else(|| missing("create"))?;
        let context =
            serde_json::to_string(context).map_err(|e| Error::new("json", e.to_string()))?;
        let options = options.to_string();
        let mut stage = std::ptr::null_mut();
        let texts = (Text::new(name), Text::new(&options), Text::new(&context));
        // SAFETY: texts, reply and the place for the stage are valid for the call.
        ask(|reply| unsafe { create(texts.0, texts.1, texts.2, reply, &mut stage) })?;
        Ok(Instance {
            stage,
            table: self.table,
            show: None,
        })
    }
}

/// A stage made by a plugin.
pub struct Instance {
    stage: *mut c_void,
    table: &'static Table,
    show: Option<Box<Show>>,
}

impl Instance {
    /// Lines on the stage's progress go to `show`.
    pub fn listen(&mut self, show: Box<Show>) {
        self.show = Some(show);
    }

    /// One batch in, any number out.
    ///
    /// # Errors
    /// What the plugin says; `plugin-panic`; `bad-batch` when what it gives is no batch
    pub fn process(&mut self, time: u64, batch: RecordBatch) -> Result<Given, Error> {
        let process = self.table.process.ok_or_else(|| missing("process"))?;
        let (mut array, mut schema) = export_batch(batch)?;
        // SAFETY: the stage is alive, calls on it never overlap, and ownership of
        // both structs goes to the plugin, which leaves them released.
        let answer = ask_and_show(self.show.as_deref(), |reply| unsafe {
            process(self.stage, time, &mut array, &mut schema, reply)
        })?;
        import_all(answer)
    }

    /// No more input can come at `time`.
    ///
    /// # Errors
    /// As [`Instance::process`]
    pub fn flush(&mut self, time: u64) -> Result<Given, Error> {
        let Some(flush) = self.table.flush else {
            return Ok(Given::default());
        };
        // SAFETY: as in `process`.
        let answer = ask_and_show(self.show.as_deref(), |reply| unsafe {
            flush(self.stage, time, reply)
        })?;
        import_all(answer)
    }

    /// No more input can come at all.
    ///
    /// # Errors
    /// As [`Instance::process`]
    pub fn finish(&mut self) -> Result<(Given, Next), Error> {
        let Some(finish) = self.table.finish else {
            return Ok((Given::default(), Next::Done));
        };
        let mut more = 0;
        // SAFETY: as in `process`; the place for the answer is valid for the call.
        let answer = ask_and_show(self.show.as_deref(), |reply| unsafe {
            finish(self.stage, reply, &mut more)
        })?;
        let next = match more {
            0 => Next::Done,
            _ => Next::More,
        };
        Ok((import_all(answer)?, next))
    }

    /// What the stage needs to go on behind the last time it was given.
    ///
    /// # Errors
    /// `no-state` where the stage has none to give
    pub fn snapshot(&mut self) -> Result<Vec<u8>, Error> {
        Err(Error::new("no-state", "it does not give its state"))
    }

    /// Puts the stage behind the time at which it gave `state`.
    ///
    /// # Errors
    /// `no-state` where the stage takes none
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        let message = format!("it does not take a state of {} bytes", state.len());
        Err(Error::new("no-state", message))
    }
}

fn import_all(answer: Answer<'_>) -> Result<Given, Error> {
    let batches = (answer.batches.into_iter())
        // SAFETY: a plugin's batches follow the Arrow C Data Interface, as `segue.h`
        // demands; their contents are validated.
        .map(|(array, schema)| unsafe { import_batch(array, &schema) })
        .collect::<Result<_, _>>()?;
    Ok(Given {
        batches,
        saved: answer.saved,
    })
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(drop) = self.table.drop {
            // SAFETY: the stage is alive, and this is its last use.
            unsafe { drop(self.stage) };
        }
    }
}

/// What the probing child prints: one of the two.
#[derive(Default, Serialize, Deserialize)]
struct Probed {
    manifest: Option<Manifest>,
    problem: Option<(String, String, Option<String>)>,
}

/// The probing child's whole work: loads `path` and gives its manifest as JSON.
pub fn probe_here(path: &Path) -> String {
    let manifest = load(path).and_then(|library| library.manifest().map_err(Problem::from));
    let probed = match manifest {
        Ok(manifest) => Probed {
            manifest: Some(manifest),
            ..Probed::default()
        },
        Err(p) => Probed {
            problem: Some((p.code, p.message, p.help)),
            ..Probed::default()
        },
    };
    serde_json::to_string(&probed).unwrap_or_default()
}

/// The manifest of the library at `path`, loaded by a child process, so that a bad
/// library cannot take this one down.
fn probe(path: &Path) -> Result<Manifest, Problem> {
    let text = match segue_binary() {
        Some(binary) => probe_in_child(&binary, path)?,
        // Within a program that only links this crate there is no child to ask.
        None => probe_here(path),
    };
    let probed: Probed = serde_json::from_str(&text).unwrap_or_default();
    match (probed.manifest, probed.problem) {
        (Some(manifest), _) => Ok(manifest),
        (None, Some((code, message, help))) => Err(Problem {
            help,
            ..Problem::new(code, message)
        }),
        (None, None) => Err(crashed(path, "printed no manifest")),
    }
}

fn crashed(path: &Path, how: &str) -> Problem {
    let message = format!("`{}` {how} while it was probed", path.display());
    Problem::new("bad-plugin", message)
}

fn probe_in_child(binary: &Path, path: &Path) -> Result<String, Problem> {
    let failed =
        |e: std::io::Error| Problem::new("bad-plugin", format!("cannot probe a plugin: {e}"));
    let mut child = Command::new(binary)
        .arg(PROBE_COMMAND)
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        // What cannot be read shows as a manifest that cannot be parsed.
        let _ = stdout.map(|mut stdout| stdout.read_to_string(&mut text));
        text
    });
    let deadline = Instant::now() + PROBE_TIMEOUT;
    loop {
        match child.try_wait().map_err(failed)? {
            Some(status) if status.success() => break,
            Some(status) => return Err(crashed(path, &format!("died ({status})"))),
            None if Instant::now() > deadline => {
                // Already gone is as good.
                let _ = child.kill();
                let _ = child.wait();
                return Err(crashed(path, "hung"));
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    reader
        .join()
        .map_err(|_| crashed(path, "printed no manifest"))
}

/// This program, if it is `segue`; else the `segue` built beside it.
fn segue_binary() -> Option<PathBuf> {
    let name = format!("segue{}", std::env::consts::EXE_SUFFIX);
    let current = std::env::current_exe().ok()?;
    let folder = current.parent()?;
    let beside = [
        current.clone(),
        folder.join(&name),
        folder.parent()?.join(&name),
    ];
    beside
        .into_iter()
        .find(|path| path.file_name().is_some_and(|n| n == name.as_str()) && path.is_file())
}

/// The libraries there are.
pub struct Plugins {
    folders: Vec<(PathBuf, bool)>,
    probed: RefCell<BTreeMap<PathBuf, Result<Manifest, Problem>>>,
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
    pub fn manifest(&self, path: &Path) -> Result<Manifest, Problem> {
        if let Some(known) = self.probed.borrow().get(path) {
            return known.clone();
        }
        let probed = match path.is_file() {
            true => probe(path),
            false => {
                let message = format!("there is no library at `{}`", path.display());
                Err(Problem::new("missing-file", message))
            }
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
    pub fn library(&self, path: &Path) -> Result<Library, Problem> {
        if let Some(library) = self.loaded.borrow().get(path) {
            return Ok(*library);
        }
        self.manifest(path)?;
        let library = load(path)?;
        self.loaded.borrow_mut().insert(path.to_owned(), library);
        Ok(library)
    }

    /// The library that has the operator `name`, and its manifest.
    ///
    /// # Errors
    /// What is wrong with the library of that name; `None` inside when there is none
    pub fn find(&self, name: &str) -> Result<Option<(PathBuf, Manifest)>, Problem> {
        let has = |manifest: &Manifest| manifest.operators.iter().any(|one| one.name == name);
        let file = library_file(name);
        for (folder, _) in &self.folders {
            let path = folder.join(&file);
            if path.is_file() {
                let manifest = self.manifest(&path)?;
                if has(&manifest) {
                    return Ok(Some((path, manifest)));
                }
            }
        }
        Ok(self.all().into_iter().find_map(|(path, manifest)| {
            let manifest = manifest.ok().filter(&has)?;
            Some((path, manifest))
        }))
    }

    /// Every library there is, with its manifest or what is wrong with it. A library
    /// of one file name hides those of the same name further down the search path.
    pub fn all(&self) -> Vec<(PathBuf, Result<Manifest, Problem>)> {
        let mut names = std::collections::BTreeSet::new();
        let mut all = Vec::new();
        for (folder, named) in &self.folders {
            let mut paths: Vec<PathBuf> = (std::fs::read_dir(folder).into_iter().flatten())
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| is_candidate(path, *named))
                .collect();
            paths.sort();
            for path in paths {
                if names.insert(path.file_name().map(ToOwned::to_owned)) {
                    let manifest = self.manifest(&path);
                    all.push((path, manifest));
                }
            }
        }
        all
    }
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
