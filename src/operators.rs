//! Every operator a graph can name: `read` and `write`, which are built in, and
//! those of the plugins.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use encoding_rs::Encoding;
use segue_plugin::{Column, Columns, Manifest, OperatorManifest, Rows, Scalar, Type, Units};
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Note, did_you_mean};
use crate::graph::{ASKED, Catalog, Graph, Operator, Role, Stage, TAKEN, merging_notes};
use crate::hub::{self, HubError, OnFetch};
use crate::io::{self, EpochOptions, ReadOptions, Role as RecordRole, WriteOptions};
use crate::plugins::Plugins;

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

/// A byte that stands for something in a CSV file, as people write it.
fn byte(text: &str) -> Option<u8> {
    match (text, text.as_bytes()) {
        ("\\t" | "tab", _) => Some(b'\t'),
        (_, [byte]) if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => Some(*byte),
        _ => None,
    }
}

fn encoding(name: &str) -> Option<&'static Encoding> {
    let name = name.trim().to_lowercase().replace('_', "-");
    let name = match name.as_str() {
        // As Python calls them.
        "latin-1" => "latin1",
        "utf-8-sig" => "utf-8",
        other => other,
    };
    Encoding::for_label(name.as_bytes())
}

/// The labels' names, and what the file says for each where the option says that.
fn labels(option: &Value) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    if let Some(table) = option.as_object() {
        let names = table.keys().cloned().collect();
        return Some((names, table.values().map(texts).collect()));
    }
    option.is_array().then(|| (texts(option), Vec::new()))
}

fn texts(list: &Value) -> Vec<String> {
    let text = |one: &Value| match one {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    list.as_array()
        .map_or_else(Vec::new, |all| all.iter().map(text).collect())
}

/// The options of `read`.
pub fn read_options(options: &Value) -> ReadOptions {
    let text = |name: &str| options[name].as_str().map(str::to_owned);
    let plain = ReadOptions::new(text("path").unwrap_or_default());
    let (labels, label_values) =
        labels(&options["labels"]).unwrap_or((plain.labels, plain.label_values));
    let quote = options["quote"].as_str();
    let max_bytes = options["max-bytes"]
        .as_u64()
        .and_then(|n| usize::try_from(n).ok());
    ReadOptions {
        text: text("text").unwrap_or(plain.text),
        label: text("label"),
        labels,
        label_values,
        delimiter: options["delimiter"].as_str().and_then(byte),
        quote: quote.map(byte),
        encoding: options["encoding"].as_str().and_then(encoding),
        taken: texts(&options[TAKEN]),
        asked: texts(&options[ASKED]),
        strip_markup: options["strip-markup"]
            .as_bool()
            .unwrap_or(plain.strip_markup),
        max_bytes: max_bytes.unwrap_or(plain.max_bytes),
        path: plain.path,
        role: text("role")
            .and_then(|name| RecordRole::ALL.into_iter().find(|role| role.name() == name)),
        epochs: epoch_options(options),
    }
}

/// Whether the file is read more than once, or in another order.
fn epoch_options(options: &Value) -> Option<EpochOptions> {
    let epochs = options["epochs"].as_u64();
    let shuffle = options["shuffle"].as_u64();
    let hold_out = options["hold-out"].as_f64();
    let path = |option: &str| options[option].as_str().map(PathBuf::from);
    let (unlabelled, exclude) = (path("unlabelled"), path("exclude"));
    let ordered = epochs.is_some() || shuffle.is_some() || hold_out.is_some();
    let asked = ordered || unlabelled.is_some();
    asked.then(|| EpochOptions {
        epochs: epochs.map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        shuffle,
        hold_out: hold_out.unwrap_or(0.0),
        unlabelled,
        exclude,
    })
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

/// What is wrong with the options of `read` that the manifest cannot say.
fn check_read_options(options: &Value) -> Result<(), Diagnostic> {
    let bad = |option: &str, message: &str| Diagnostic::new("bad-option", message).option(option);
    let whole = |option: &str| options[option].as_i64();
    if whole("epochs").is_some_and(|n| !(1..=i64::from(u32::MAX)).contains(&n)) {
        return Err(bad(
            "epochs",
            "`epochs` must be at least 1, and at most 4294967295",
        ));
    }
    if whole("max-bytes").is_some_and(|n| n < 1) {
        return Err(bad("max-bytes", "`max-bytes` must be at least 1"));
    }
    if whole("shuffle").is_some_and(|seed| seed < 0) {
        return Err(bad("shuffle", "`shuffle` is a seed, 0 or more"));
    }
    let given = |option: &str| options[option].as_str();
    if given("delimiter").is_some_and(|text| byte(text).is_none()) {
        let message = "`delimiter` is one ASCII character, such as `;`, or `\\t` for a tab";
        return Err(bad("delimiter", message));
    }
    if given("quote").is_some_and(|text| !text.is_empty() && byte(text).is_none()) {
        return Err(bad(
            "quote",
            "`quote` is one ASCII character, or empty for none",
        ));
    }
    if let Some(both) = quoted_as_delimited(options) {
        let message = format!("`quote` and `delimiter` are both `{both}`");
        let at = ["quote", "delimiter"].into_iter();
        let at = at.filter(|option| options[option].is_string());
        return Err(bad(at.into_iter().next().unwrap_or("quote"), &message));
    }
    if let Some(name) = given("encoding").filter(|name| encoding(name).is_none()) {
        let message = format!("there is no encoding `{name}`");
        let help = "such as `utf-8`, `windows-1252`, `latin-1`, `utf-16le`, `shift_jis`";
        return Err(bad("encoding", &message).help(help));
    }
    if let Some((names, _)) = labels(&options["labels"]) {
        let same = |(i, name): &(usize, &String)| {
            let before = names[..*i].iter();
            before
                .map(|one| one.to_lowercase())
                .any(|one| one == name.to_lowercase())
        };
        if names.is_empty() {
            let help = "leave it out for `negative` and `positive`";
            return Err(bad("labels", "`labels` names no label").help(help));
        }
        if let Some((_, name)) = names.iter().enumerate().find(same) {
            let message = format!("`labels` names `{name}` twice, in whatever letter case");
            return Err(bad("labels", &message));
        }
    }
    if let Some((one, other, value)) = ambiguous(&options["labels"]) {
        let message = format!("`labels` says that `{value}` is `{one}`, and that it is `{other}`");
        return Err(bad("labels", &message));
    }
    let hold_out = options["hold-out"].as_f64();
    if hold_out.is_some_and(|part| !(0.0..1.0).contains(&part)) {
        return Err(bad("hold-out", "`hold-out` is a part, from 0 to below 1"));
    }
    if options["exclude"].is_string() && !options["unlabelled"].is_string() {
        let message = "`exclude` leaves texts out of `unlabelled`, which is not given";
        return Err(bad("exclude", message));
    }
    let read = read_options(options);
    if read.epochs.is_some() && read.role.is_some_and(|role| role != RecordRole::Train) {
        let message = "records with a role of their own are read once, in the order of the file";
        return Err(bad("role", message));
    }
    Ok(())
}

/// What stands both between fields of a CSV file and around them, where one of these is said.
fn quoted_as_delimited(options: &Value) -> Option<char> {
    let read = read_options(options);
    let tabs = read.path.extension().is_some_and(|ending| ending == "tsv");
    let usual = if tabs { b'\t' } else { b',' };
    let quote = read.quote.unwrap_or(Some(b'"'))?;
    (quote == read.delimiter.unwrap_or(usual)).then_some(char::from(quote))
}

/// Two labels that a table gives the same value.
fn ambiguous(labels: &Value) -> Option<(&str, &str, String)> {
    let mut seen: Vec<(&str, String)> = Vec::new();
    for (label, values) in labels.as_object()? {
        for value in texts(values) {
            let known = seen
                .iter()
                .find(|(other, known)| *known == value && *other != label);
            if let Some((other, _)) = known {
                return Some((other, label, value));
            }
            seen.push((label, value));
        }
    }
    None
}

/// The options of `write`.
pub fn write_options(options: &Value) -> WriteOptions {
    WriteOptions {
        path: options["path"].as_str().unwrap_or_default().into(),
    }
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
            None => write_columns(options, input),
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
            .filter(|found| found.nlink() > 1)
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
        let read = read_columns(options);
        sources
            .seen
            .push(read.as_ref().ok().map(|columns| columns.writes.clone()));
        let lacks = operator
            .reads(options)
            .any(|(_, path)| !io::files(path).iter().any(|path| path.exists()));
        let told = sources.elsewhere.as_ref();
        let told = told.and_then(|told| told.get(number)?.clone());
        match (read, told) {
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

fn read_columns(options: &Value) -> Result<Columns, Diagnostic> {
    check_read_options(options)?;
    let source = io::open(&read_options(options))?;
    let mut columns = Columns::new().rows(Rows::New);
    for field in source.schema().fields() {
        let number = io::is_number_field(field).then_some(Type::Scalar(Scalar::Number));
        if let Some(column_type) = number.or_else(|| Type::from_arrow(field.data_type())) {
            columns.writes.push(Column::new(field.name(), column_type));
        }
    }
    Ok(columns)
}

/// The columns that `write` puts in the file: those its option names, or else every
/// column that is not a list.
pub fn written_columns(options: &Value, input: &[Column]) -> Result<Vec<Column>, Diagnostic> {
    let Some(names) = options["columns"]
        .as_array()
        .filter(|names| !names.is_empty())
    else {
        return Ok(input
            .iter()
            .filter(|column| column.column_type.is_scalar())
            .cloned()
            .collect());
    };
    let known = || input.iter().map(|column| column.name.as_str());
    let twice = |(i, name): &(usize, &Value)| names[..*i].contains(name);
    if let Some((_, name)) = names.iter().enumerate().find(twice) {
        let message = format!("`columns` names {name} twice");
        return Err(Diagnostic::new("duplicate", message).option("columns"));
    }
    (names.iter().filter_map(Value::as_str))
        .map(|name| {
            let found = input.iter().find(|column| column.name == name).cloned();
            found.ok_or_else(|| {
                let message = format!("no column `{name}` reaches `write`");
                let help = did_you_mean(name, "columns that reach it", known());
                let error = Diagnostic::new("missing-column", message).option("columns");
                error.help_some(help)
            })
        })
        .collect()
}

/// What accuracy is measured with, where both reach a sink: what the file says, and
/// what the pipeline says.
pub const JUDGED: [&str; 2] = ["truth", "label"];

/// The column with a record's number.
pub const NUMBER: &str = "review";

/// Whether `write` has a row for each record that cannot be used.
pub fn keeps_rejects(options: &Value) -> bool {
    options["rejects"] == "keep"
}

fn write_columns(options: &Value, input: &[Column]) -> Result<Columns, Diagnostic> {
    io::check_write_path(&write_options(options).path)?;
    let mut reads = written_columns(options, input)?;
    let number = keeps_rejects(options).then_some(NUMBER);
    let needed = input.iter().filter(|column| {
        let name = column.name.as_str();
        JUDGED.contains(&name) || number == Some(name)
    });
    let unwritten: Vec<Column> = needed
        .filter(|column| !reads.contains(column))
        .cloned()
        .collect();
    reads.extend(unwritten);
    Ok(Columns {
        reads,
        ..Columns::default()
    })
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
