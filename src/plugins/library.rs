//! A library: loaded, shaken hands with, and asked about its operators.

use std::mem::MaybeUninit;
use std::path::Path;

use segue_plugin::ffi::{ABI_MAJOR, ABI_MINOR, MAGIC, SYMBOL, Table, Text, least_size};
use segue_plugin::{Column, Columns, Context, Manifest, Units};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::calls::{Call, Label, Work};
use super::instance::Instance;
use super::manifest;
use super::reply::ask;
use crate::diagnostic::Diagnostic;

/// A loaded library.
#[derive(Clone, Copy)]
pub struct Library {
    table: &'static Table,
    path: &'static Path,
}

/// Loads the library at `path` into this process.
///
/// # Errors
/// `bad-plugin` when it is no library or no plugin, `plugin-abi` when it is built
/// for another ABI
pub fn load(path: &Path) -> Result<Library, Diagnostic> {
    let bad =
        |message: String| Diagnostic::new("bad-plugin", format!("`{}` {message}", path.display()));
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
    Ok(Library {
        table,
        path: Box::leak(whole.into_boxed_path()),
    })
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
fn check_header(table: *const Table, path: &Path) -> Result<usize, Diagnostic> {
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
        return Err(Diagnostic::new("bad-plugin", message));
    }
    if major != ABI_MAJOR || minor > ABI_MINOR {
        let message = format!(
            "`{path}` is built for plugin ABI {major}.{minor}; this Segue has {ABI_MAJOR}.{ABI_MINOR}"
        );
        let help = "build it again with this version's `segue.h` or `segue-plugin`";
        return Err(Diagnostic::new("plugin-abi", message).help(help));
    }
    let least = least_size(minor);
    if size < least {
        let message = format!("`{path}` has a table of {size} bytes, not {least}");
        return Err(Diagnostic::new("bad-plugin", message));
    }
    // A larger table is read as far as this ABI knows it.
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

fn reason(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    source.unwrap_or_else(|| error.to_string())
}

fn parse<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Diagnostic> {
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = match error.path().iter().next() {
            Some(_) => format!(", at `{}`", error.path()),
            None => String::new(),
        };
        (place, error.into_inner())
    });
    let read = read.and_then(|value| json.end().map(|()| value).map_err(|e| (String::new(), e)));
    read.map_err(|(place, error)| {
        let message = match text.trim() {
            "" => format!("the plugin gave no {what}"),
            _ => format!("the plugin's {what} cannot be read{place}: {error}"),
        };
        Diagnostic::new("bad-plugin", message)
    })
}

fn json(value: &impl Serialize) -> Result<String, Diagnostic> {
    serde_json::to_string(value).map_err(|e| Diagnostic::new("json", e.to_string()))
}

pub(super) fn missing(function: &str) -> Diagnostic {
    Diagnostic::new("bad-plugin", format!("the plugin lacks `{function}`"))
}

impl Library {
    fn label(&self, name: &str) -> Label {
        Label::new(name, self.path)
    }

    /// Every operator of the library.
    ///
    /// # Errors
    /// `bad-plugin`
    pub fn manifest(&self) -> Result<Manifest, Diagnostic> {
        let manifest = self.table.manifest.ok_or_else(|| missing("manifest"))?;
        let label = self.label("manifest");
        let call = Call::begin(&label, Work::Describe);
        // SAFETY: the reply is valid for the call.
        let answer = ask(|reply| unsafe { manifest(reply) })?;
        drop(call);
        let manifest = parse("manifest", &answer.text)?;
        manifest::check(&manifest)?;
        Ok(manifest)
    }

    /// What an operator reads and writes.
    ///
    /// # Errors
    /// What the operator finds wrong; `bad-plugin`
    pub fn columns(
        &self,
        name: &str,
        options: &Value,
        input: &[Column],
    ) -> Result<Columns, Diagnostic> {
        let input: Vec<Column> = input.iter().map(Column::for_plugins).collect();
        let input = input.as_slice();
        let columns = self.table.columns.ok_or_else(|| missing("columns"))?;
        let (options, input) = (options.to_string(), json(&input)?);
        let texts = (Text::new(name), Text::new(&options), Text::new(&input));
        let label = self.label(name);
        let call = Call::begin(&label, Work::Describe);
        // SAFETY: texts and reply are valid for the call.
        let answer = ask(|reply| unsafe { columns(texts.0, texts.1, texts.2, reply) })?;
        drop(call);
        let columns = parse("answer to `columns`", &answer.text)?;
        manifest::check_columns(&columns)?;
        Ok(columns)
    }

    /// The parts an operator can be cut into.
    ///
    /// # Errors
    /// What the operator finds wrong; `bad-plugin`
    pub fn units(&self, name: &str, options: &Value) -> Result<Option<Units>, Diagnostic> {
        let Some(units) = self.table.units else {
            return Ok(None);
        };
        let options = options.to_string();
        let label = self.label(name);
        let call = Call::begin(&label, Work::Describe);
        // SAFETY: texts and reply are valid for the call.
        let answer = ask(|reply| unsafe { units(Text::new(name), Text::new(&options), reply) })?;
        drop(call);
        let units: Option<Units> = parse("answer to `units`", &answer.text)?;
        let units = units.filter(|units| !units.units.is_empty());
        units.iter().try_for_each(manifest::check_units)?;
        Ok(units)
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
    ) -> Result<Instance, Diagnostic> {
        let create = self.table.create.ok_or_else(|| missing("create"))?;
        let (options, context_json) = (options.to_string(), json(context)?);
        let mut stage = std::ptr::null_mut();
        let texts = (
            Text::new(name),
            Text::new(&options),
            Text::new(&context_json),
        );
        let label = self.label(&context.stage);
        let call = Call::begin(&label, Work::Start);
        // SAFETY: texts, reply and the place for the stage are valid for the call.
        ask(|reply| unsafe { create(texts.0, texts.1, texts.2, reply, &mut stage) })?;
        drop(call);
        Ok(Instance::new(stage, self.table, label))
    }
}
