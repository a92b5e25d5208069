//! The journal: a file with one line for what is run, then one for each commit, written
//! when the data that it speaks of is on disk.
//!
//! Each line is a JSON object whose last key is the CRC-32 of what stands before it in the
//! line. A last line that fails the check was torn by a crash, and does not count; one that
//! fails further up is damage, and refused. The file is locked while a run uses it, and
//! written anew, in place of the old, when it has grown.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::cut::{Cut, Names, Standing};
use crate::diagnostic::Diagnostic;
use crate::io::is_at;

/// How a journal begins.
const MAGIC: &str = "{\"segue-journal\":";
/// What stands before a line's checksum.
const SUM: &str = ",\"crc32\":\"";
/// The characters of a checksum, its quote and the end of the object.
const SUM_END: usize = 10;
/// Bytes from which on it is written anew.
const LARGE: u64 = 256 * 1024;

/// An open journal, locked against other runs.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// What stood there when it was opened.
    found: Vec<u8>,
    /// Whether it was not there before.
    is_new: bool,
    /// Its first line, once it is written or known to be right.
    first: Vec<u8>,
    length: u64,
}

impl Journal {
    /// Opens or makes the journal at `path`, and locks it. What it holds stays as it is.
    ///
    /// # Errors
    /// `in-use` when another run has it, `not-a-journal` when it is a file of something
    /// else, `unwritable`
    pub fn open(path: &Path) -> Result<Self, Diagnostic> {
        loop {
            let is_new = !path.exists();
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(path).map_err(|e| failed(path, &e))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(in_use(path)),
                // A file system without locks still takes a run.
                Err(TryLockError::Error(_)) => {}
            }
            if !is_at(&file, path) {
                // The run that had it has put another in its place meanwhile.
                continue;
            }
            let mut found = Vec::new();
            file.read_to_end(&mut found).map_err(|e| failed(path, &e))?;
            if !is_journal(&found) {
                return Err(not_ours(path));
            }
            return Ok(Journal {
                path: path.to_owned(),
                file,
                is_new: is_new && found.is_empty(),
                found,
                first: Vec::new(),
                length: 0,
            });
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the run stands that it is of, with the note to show when its end was torn.
    ///
    /// # Errors
    /// `other-journal` when graph, options or files are not what they were;
    /// `damaged-journal`
    pub fn standing(&self, header: &Value, names: &Names) -> Result<Found, Diagnostic> {
        read(&self.path, &self.found, header, names)
    }

    /// Starts it afresh.
    ///
    /// # Errors
    /// `write-failed`
    pub fn begin(&mut self, header: &Value) -> Result<(), Diagnostic> {
        self.first = line(header);
        self.is_new = false;
        self.replace(None)
    }

    /// Goes on behind its last whole line.
    ///
    /// # Errors
    /// `write-failed`
    pub fn go_on(&mut self, header: &Value) -> Result<(), Diagnostic> {
        self.first = line(header);
        self.is_new = false;
        self.length = whole(&self.found) as u64;
        let cut = self.file.set_len(self.length);
        cut.and_then(|()| self.file.seek(SeekFrom::End(0)).map(drop))
            .map_err(|e| failed(&self.path, &e))
    }

    /// Adds `cut`, and returns when it is on disk.
    ///
    /// # Errors
    /// `write-failed`
    pub fn append(&mut self, cut: &Cut) -> Result<(), Diagnostic> {
        if self.length > LARGE {
            // Another run may have its own there by now.
            return if is_at(&self.file, &self.path) {
                self.replace(Some(cut))
            } else {
                Err(removed(&self.path))
            };
        }
        let line = line(cut);
        let written = self.file.write_all(&line);
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|e| failed(&self.path, &e))?;
        self.length += line.len() as u64;
        // Someone who removes it while it is in use takes the way back with it.
        if is_at(&self.file, &self.path) {
            Ok(())
        } else {
            Err(removed(&self.path))
        }
    }

    /// Writes a new one that holds only `cut`, and puts it in place of the old.
    fn replace(&mut self, cut: Option<&Cut>) -> Result<(), Diagnostic> {
        let mut text = self.first.clone();
        text.extend(cut.map(line).unwrap_or_default());
        let mut name = self.path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let write = || -> std::io::Result<File> {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true);
            let mut file = options.open(&new)?;
            // Locked before it has the name: nobody else can have it in between.
            let _ = file.try_lock();
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)?;
            crate::io::sync_folder(&self.path);
            Ok(file)
        };
        self.file = write().map_err(|e| failed(&self.path, &e))?;
        self.length = text.len() as u64;
        Ok(())
    }
}

impl Drop for Journal {
    /// A run that did not start leaves nothing behind.
    fn drop(&mut self) {
        if self.is_new && is_at(&self.file, &self.path) {
            // An empty file that stays does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What was read of a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// How the run stands.
    pub standing: Standing,
    /// Whether its last line was torn or damaged, and is left out.
    pub torn: bool,
}

/// What the journal at `path` says, with no lock and no change to it.
///
/// # Errors
/// As [`Journal::standing`]; a journal that is not there is one of a fresh run
pub fn peek(path: &Path, header: &Value, names: &Names) -> Result<Standing, Diagnostic> {
    match std::fs::read(path) {
        Ok(found) => Ok(read(path, &found, header, names)?.standing),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Standing::Fresh),
        Err(e) => Err(failed(path, &e)),
    }
}

/// How the run stands whose journal holds `found`, be its first line whose it may.
///
/// # Errors
/// `damaged-journal`, and `other-journal` when its first line is no line of a journal
pub fn parse(found: &[u8], names: &Names) -> Result<Standing, Diagnostic> {
    let first = found.split_inclusive(|byte| *byte == b'\n').next();
    let header = first.and_then(checked);
    let header = header.and_then(|text| serde_json::from_slice(&text).ok());
    let path = Path::new("journal");
    Ok(read(path, found, &header.unwrap_or_default(), names)?.standing)
}

/// `found` with the checksum of each line put right.
pub fn summed(found: &[u8]) -> Vec<u8> {
    let line = |line: &[u8]| {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let end = text.len().saturating_sub(SUM.len() + SUM_END);
        let sum = crc32fast::hash(&text[..end]);
        [&text[..end], format!("{SUM}{sum:08x}\"}}\n").as_bytes()].concat()
    };
    let lines = found.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(line).collect()
}

fn read(path: &Path, found: &[u8], header: &Value, names: &Names) -> Result<Found, Diagnostic> {
    let fresh = |torn| Found {
        standing: Standing::Fresh,
        torn,
    };
    let mut lines = found.split_inclusive(|byte| *byte == b'\n').peekable();
    let Some(first) = lines.next() else {
        return Ok(fresh(false));
    };
    match checked(first).and_then(|text| serde_json::from_slice::<Value>(&text).ok()) {
        Some(old) if old == *header => {}
        Some(old) => return Err(other_run(path, &old, header)),
        None if lines.peek().is_none() && !first.ends_with(b"\n") => return Ok(fresh(true)),
        None => return Err(damaged(path, 1, "it is not as it was written")),
    }
    let (mut last, mut number) = (None, 1);
    while let Some(line) = lines.next() {
        number += 1;
        let Some(text) = checked(line) else {
            if lines.peek().is_some() {
                return Err(damaged(path, number, "it is not as it was written"));
            }
            let standing = last.map_or(Standing::Fresh, Standing::after);
            return Ok(Found {
                standing,
                torn: true,
            });
        };
        let cut = serde_json::from_slice::<Cut>(&text);
        let cut = cut.map_err(|e| damaged(path, number, &e.to_string()))?;
        if let Some(what) = names.difference(&cut) {
            return Err(damaged(path, number, &what));
        }
        last = Some(cut);
    }
    Ok(Found {
        standing: last.map_or(Standing::Fresh, Standing::after),
        torn: false,
    })
}

/// The bytes up to the end of the last line that is whole.
fn whole(found: &[u8]) -> usize {
    let lines = found.split_inclusive(|byte| *byte == b'\n');
    lines
        .take_while(|line| checked(line).is_some())
        .map(<[u8]>::len)
        .sum()
}

/// `value` as a line with its checksum.
fn line(value: &impl Serialize) -> Vec<u8> {
    // Maps with text keys and numbers: there is nothing in it that JSON cannot say.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.pop();
    let sum = crc32fast::hash(text.as_bytes());
    format!("{text}{SUM}{sum:08x}\"}}\n").into_bytes()
}

/// The object of a line whose checksum is right, without the checksum.
fn checked(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.strip_suffix(b"\n")?;
    let (text, end) = line.split_at_checked(line.len().checked_sub(SUM.len() + SUM_END)?)?;
    let sum = end.strip_prefix(SUM.as_bytes())?.strip_suffix(b"\"}")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (crc32fast::hash(text) == sum).then(|| [text, b"}"].concat())
}

/// Whether a file that holds `found` is one that a run may take as its journal.
fn is_journal(found: &[u8]) -> bool {
    let magic = MAGIC.as_bytes();
    // Those of version 1 began with their other keys.
    let old = |found: &[u8]| {
        let first = found
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let first = serde_json::from_slice::<Value>(first).unwrap_or_default();
        first.get("segue-journal").is_some()
    };
    found.starts_with(magic) || magic.starts_with(found) || old(found)
}

fn failed(path: &Path, error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::new(
        "write-failed",
        format!("cannot keep the journal `{}`: {error}", path.display()),
    )
}

fn helped(code: &str, message: String, help: &str) -> Diagnostic {
    Diagnostic::new(code, message).help(help)
}

fn in_use(path: &Path) -> Diagnostic {
    let message = format!("another run uses the journal `{}`", path.display());
    helped(
        "in-use",
        message,
        "wait until it has ended, or write somewhere else",
    )
}

fn not_ours(path: &Path) -> Diagnostic {
    let message = format!("`{}` is in the way: it is not a journal", path.display());
    let help = "a journal is kept under that name: move the file away, or write somewhere else";
    helped("not-a-journal", message, help)
}

fn removed(path: &Path) -> Diagnostic {
    let message = format!(
        "the journal `{}` was removed during the run",
        path.display()
    );
    helped("output-lost", message, "run again from the start")
}

fn damaged(path: &Path, line: usize, what: &str) -> Diagnostic {
    let path = path.display();
    let message = format!("line {line} of the journal `{path}` is damaged: {what}");
    helped(
        "damaged-journal",
        message,
        "leave out `--resume` to start afresh",
    )
}

fn other_run(path: &Path, old: &Value, new: &Value) -> Diagnostic {
    let empty = serde_json::Map::new();
    let stages = |value: &Value| value["stages"].as_object().unwrap_or(&empty).clone();
    let (before, now) = (stages(old), stages(new));
    let names = now.keys().chain(before.keys());
    let changed = names
        .filter(|name| before.get(*name) != now.get(*name))
        .min();
    let what = match changed {
        Some(name) => format!("stage `{name}` or a file it reads has changed since"),
        None if old["segue-journal"] != new["segue-journal"] => {
            "it is of another version of this program".to_owned()
        }
        None => "the batch size has changed since".to_owned(),
    };
    let message = format!("the journal `{}` cannot be resumed: {what}", path.display());
    helped(
        "other-journal",
        message,
        "leave out `--resume` to start afresh",
    )
}
