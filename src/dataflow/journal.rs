//! The journal: how far a run is committed, so that a later one can go on.
//!
//! One JSON line for what is run, then one for each commit, written after the data
//! it speaks of is on disk. A line that was cut off by a crash does not count.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Standing;
use super::shared::Failure;
use crate::graph::{Graph, Role, Stage};

/// The state after a commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The last time committed.
    pub time: u64,
    /// Records consumed of each source.
    pub sources: BTreeMap<String, u64>,
    /// Bytes of each sink.
    pub sinks: BTreeMap<String, u64>,
    /// Bytes of the rejects file.
    pub rejects: u64,
    /// Sums so far.
    pub counts: Counts,
    /// Whether every source is at its end.
    pub ended: bool,
    /// Whether every sink is complete.
    pub done: bool,
}

impl Entry {
    /// The first time that is not committed.
    pub fn next_time(&self) -> u64 {
        // An entry without sources is of a run that has committed nothing.
        if self.sources.is_empty() {
            0
        } else {
            self.time + 1
        }
    }
}

/// Sums over all commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows committed by the first sink.
    pub reviews: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Rows with both a true label and a verdict.
    pub judged: u64,
    /// Those where they are the same.
    pub correct: u64,
}

/// An open journal.
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// Where the journal of `graph` lies: beside the file of its first sink.
pub fn path(graph: &Graph) -> Option<PathBuf> {
    let sink = graph
        .stages
        .iter()
        .find(|stage| stage.operator.role == Role::Sink)?;
    Some(beside(sink, "journal"))
}

/// The file of `sink` with `ending` added to its name.
pub fn beside(sink: &Stage, ending: &str) -> PathBuf {
    PathBuf::from(format!(
        "{}.{ending}",
        sink.options["path"].as_str().unwrap_or_default()
    ))
}

impl Journal {
    /// A new journal, in place of any old one.
    ///
    /// # Errors
    /// `write-failed`
    pub fn create(path: PathBuf, header: &Value) -> Result<Self, Failure> {
        let file = File::create(&path).map_err(|e| failed(&path, &e))?;
        let mut journal = Journal { file, path };
        journal.line(&header.to_string())?;
        Ok(journal)
    }

    /// The journal at `path` and its last entry, if it is of the same run; `None` if
    /// there is no journal, or nothing was committed.
    ///
    /// # Errors
    /// `other-journal` when graph, options or input files are not what they were
    pub fn resume(path: PathBuf, header: &Value) -> Result<Option<(Self, Entry)>, Failure> {
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&path, &e)),
        };
        let mut whole = text
            .split_inclusive('\n')
            .take_while(|line| line.ends_with('\n'));
        let Some(first) = whole.next() else {
            return Ok(None);
        };
        let old: Value = serde_json::from_str(first).unwrap_or_default();
        if old != *header {
            return Err(other_run(&path, &old, header));
        }
        let mut length = first.len();
        let mut last = None;
        for line in whole {
            let Ok(entry) = serde_json::from_str::<Entry>(line) else {
                break;
            };
            length += line.len();
            last = Some(entry);
        }
        let Some(last) = last else { return Ok(None) };
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(length as u64)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(|e| failed(&path, &e))?;
        Ok(Some((Journal { file, path }, last)))
    }

    /// Adds `entry`, and returns when it is on disk.
    ///
    /// # Errors
    /// `write-failed`
    pub fn append(&mut self, entry: &Entry) -> Result<(), Failure> {
        let line = serde_json::to_string(entry).map_err(|e| failed(&self.path, &e))?;
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|e| failed(&self.path, &e))
    }
}

/// How far the journal at `path` is, without a change to it.
pub fn standing(path: &Path, header: &Value) -> Standing {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut whole = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
    let first = whole.next().map(serde_json::from_str::<Value>);
    if !matches!(first, Some(Ok(first)) if first == *header) {
        return Standing::New;
    }
    match whole.next_back().map(serde_json::from_str::<Entry>) {
        Some(Ok(entry)) if entry.done => Standing::Done,
        _ => Standing::Begun,
    }
}

fn failed(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(
        "write-failed",
        format!("cannot keep the journal `{}`: {error}", path.display()),
    )
}

/// What makes two runs the same as far as their output goes: stages, options, and the
/// size and time of the files they read. Workers and splits do not, nor does the batch
/// size of a single source.
pub fn header(graph: &Graph) -> Value {
    let mut stages = serde_json::Map::new();
    for stage in &graph.stages {
        let inputs: Vec<&str> = stage
            .inputs
            .iter()
            .map(|&i| graph.stages[i].file_name.as_str())
            .collect();
        let first = !stages.contains_key(&stage.file_name);
        if first {
            let operator = [
                &stage.operator.manifest.name,
                &stage.operator.manifest.version,
            ];
            let options = options_but_range(stage);
            let files = files(stage);
            let whole =
                json!({"operator": operator, "from": inputs, "options": options, "files": files});
            stages.insert(stage.file_name.clone(), whole);
        }
    }
    let sources = graph
        .stages
        .iter()
        .filter(|stage| stage.operator.role == Role::Source);
    // Batches of several sources take turns, so there the order of rows depends on it.
    let batch = (sources.count() > 1).then_some(graph.batch);
    json!({"segue-journal": 1, "batch": batch, "stages": stages})
}

fn options_but_range(stage: &Stage) -> Value {
    let mut options = stage.options.clone();
    if let (Some(segment), Some(all)) = (&stage.segment, options.as_object_mut())
        && segment.count > 1
    {
        let range = format!("{}..{}", segment.range.start, segment.range.end);
        all.retain(|_, value| *value != range.as_str());
    }
    // Left out and given as its default are the same.
    let manifest = &stage.operator.manifest.options;
    if let Some(all) = options.as_object_mut() {
        all.retain(|name, value| {
            !manifest
                .iter()
                .any(|option| option.name == *name && option.default == *value)
        });
    }
    options
}

/// Size and time of each file that an option of `stage` names, or of those in the
/// folder it names.
fn files(stage: &Stage) -> Value {
    let mut files = BTreeMap::new();
    for (_, path) in stage.reads() {
        let inside = std::fs::read_dir(path).into_iter().flatten().flatten();
        let paths = inside
            .map(|entry| entry.path())
            .chain([PathBuf::from(path)]);
        for path in paths.filter(|path| path.is_file()) {
            let state = std::fs::metadata(&path).ok().and_then(|metadata| {
                let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
                Some(json!([metadata.len(), since.as_millis().to_string()]))
            });
            files.insert(
                path.to_string_lossy().into_owned(),
                state.unwrap_or_default(),
            );
        }
    }
    json!(files)
}

fn other_run(path: &Path, old: &Value, new: &Value) -> Failure {
    let empty = serde_json::Map::new();
    let stages = |value: &Value| value["stages"].as_object().unwrap_or(&empty).clone();
    let (old, new) = (stages(old), stages(new));
    let names = new.keys().chain(old.keys());
    let changed = names.filter(|name| old.get(*name) != new.get(*name)).min();
    let what = match changed {
        Some(name) => format!("stage `{name}` or a file it reads has changed since"),
        None => "the batch size or the version has changed since".to_owned(),
    };
    let message = format!("the journal `{}` cannot be resumed: {what}", path.display());
    let help = Some("leave out `--resume` to start afresh".to_owned());
    Failure {
        help,
        ..Failure::new("other-journal", message)
    }
}
