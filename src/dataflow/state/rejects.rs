//! The rejects file: made when there is a first reject, or when it was asked for.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::outputs::beside;
use crate::dataflow::source::Mark;
use crate::diagnostic::Diagnostic;
use crate::graph::{Graph, Role};

/// The keys of each line.
const KEYS: [&str; 5] = ["source", "record", "line", "code", "reason"];
/// The longest line that is looked at to tell whose a file is.
const LONGEST_LINE: u64 = 1 << 20;

/// Records that cannot be used, in a file of JSON Lines.
pub struct Rejects {
    path: PathBuf,
    file: Option<File>,
}

/// Where rejects go when the user names no file.
pub fn default_rejects(graph: &Graph) -> Option<PathBuf> {
    let sink = graph
        .stages
        .iter()
        .find(|stage| stage.operator.role == Role::Sink)?;
    Some(beside(sink, "rejects.jsonl"))
}

/// Whether the file at `path` may be replaced: there is none, or it holds rejects.
pub fn is_ours(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else {
        return true;
    };
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_LINE).read_to_end(&mut start));
    if !metadata.is_file() || read.is_err() {
        return false;
    }
    let Some(end) = start.iter().position(|byte| *byte == b'\n') else {
        // A first line that a crash tore.
        let (start, begins) = (start.as_slice(), b"{\"code\":".as_slice());
        return start.starts_with(begins) || begins.starts_with(start);
    };
    let line: Value = serde_json::from_slice(&start[..end]).unwrap_or_default();
    let keys = line.as_object().map(|line| line.len());
    keys == Some(KEYS.len()) && KEYS.iter().all(|key| line.get(key).is_some())
}

impl Rejects {
    /// Opens `path` at `position`, and cuts off what is behind it. At 0 it is made only
    /// when it was `asked` for.
    ///
    /// # Errors
    /// `not-rejects` when a file of something else is in the way, `bad-resume` when it
    /// is shorter than `position`, `write-failed`
    pub fn open((path, asked): (PathBuf, bool), position: u64) -> Result<Self, Diagnostic> {
        if (position > 0 || !asked) && !is_ours(&path) {
            return Err(in_the_way(&path));
        }
        let mut rejects = Rejects { path, file: None };
        if position == 0 && !asked {
            // One of an earlier run would be taken for this one's.
            let _ = std::fs::remove_file(&rejects.path);
            return Ok(rejects);
        }
        let have = std::fs::metadata(&rejects.path).map_or(0, |found| found.len());
        if have < position {
            let path = rejects.path.display();
            let message =
                format!("`{path}` has {have} bytes, fewer than the {position} to resume at");
            let help = "name the rejects file that the run began with";
            return Err(Diagnostic::new("bad-resume", message).help(help));
        }
        rejects.file = Some(rejects.create(position)?);
        Ok(rejects)
    }

    /// Opens the file, keeps other runs off it, and cuts it off at `position`.
    fn create(&self, position: u64) -> Result<File, Diagnostic> {
        let failed = |e| failed(&self.path, &e);
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false);
        let mut file = options.open(&self.path).map_err(failed)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let message = format!("`{}` is being written by another run", self.path.display());
            let help = "wait until that has ended, or name another file with `--rejects`";
            return Err(Diagnostic::new("in-use", message).help(help));
        }
        let cut = file.set_len(position);
        cut.and_then(|()| file.seek(SeekFrom::End(0)).map(drop))
            .map_err(failed)?;
        crate::io::sync_folder(&self.path);
        Ok(file)
    }

    /// Adds the rejects of `mark`.
    ///
    /// # Errors
    /// `write-failed`
    pub fn write(&mut self, mark: &Mark) -> Result<(), Diagnostic> {
        let mut lines = String::new();
        for reject in &mark.rejects {
            let line = json!({
                "source": mark.stage, "record": reject.record, "line": reject.line,
                "code": reject.code, "reason": reject.reason,
            });
            lines.push_str(&format!("{line}\n"));
        }
        if lines.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(self.create(0)?);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(lines.as_bytes())
            .map_err(|e| failed(&self.path, &e))
    }

    /// Where it ends.
    ///
    /// # Errors
    /// `write-failed`
    pub fn position(&mut self) -> Result<u64, Diagnostic> {
        let position = self.file.as_mut().map_or(Ok(0), Seek::stream_position);
        position.map_err(|e| failed(&self.path, &e))
    }

    /// Puts it on disk.
    ///
    /// # Errors
    /// `write-failed`; `output-lost` when it was removed
    pub fn sync(&mut self) -> Result<(), Diagnostic> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.sync_data().map_err(|e| failed(&self.path, &e))?;
        if crate::io::is_at(file, &self.path) {
            Ok(())
        } else {
            let message = format!("`{}` was removed during the run", self.path.display());
            Err(Diagnostic::new("output-lost", message).help("run again from the start"))
        }
    }
}

fn in_the_way(path: &Path) -> Diagnostic {
    let message = format!(
        "`{}` is in the way: it does not hold the rejects of a run",
        path.display()
    );
    let help = "records that cannot be used go there: move the file away, or name another with `--rejects`";
    Diagnostic::new("not-rejects", message).help(help)
}

fn failed(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::new(
        "write-failed",
        format!("cannot write `{}`: {error}", path.display()),
    )
}
