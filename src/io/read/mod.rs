//! Reading: a format gives records one by one, and everything else is shared.

mod batch;
mod bytes;
mod columns;
mod csv;
mod epochs;
mod files;
mod held_out;
mod input;
mod json;
mod labels;
mod notes;
mod number;
mod parquet;
mod records;
mod role;
mod sniff;
mod source;
mod unlabelled;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use self::epochs::Epochs;
use self::role::OneRole;
use self::source::{Opened, RecordSource};
use self::unlabelled::Unlabelled;
use super::format::Format;
use super::{ReadOptions, Source};
use crate::diagnostic::Diagnostic;
use crate::io::error::file_error;

pub use files::{files, fits};
pub use number::json_number;
pub use role::Role;

/// Good records that are read from a file at once where all are held in memory.
const CHUNK: usize = 1024;

#[cfg(test)]
pub use csv::{CsvReader, Dialect, RawRecord};
#[cfg(test)]
pub use input::Input;

/// See [`crate::io::open`].
pub fn open(options: &ReadOptions) -> Result<Box<dyn Source>, Diagnostic> {
    let mut paths = files(&options.path);
    let opened = match (paths.pop(), paths.is_empty()) {
        (None, _) => {
            let what = "fits no file";
            return Err(file_error("missing-file", &options.path, what));
        }
        (Some(path), true) => open_one(&ReadOptions {
            path,
            ..options.clone()
        }),
        (Some(last), false) => {
            paths.push(last);
            files::open(paths, options, open_one)
        }
    }?;
    let source = Box::new(RecordSource::new(opened));
    Ok(match (&options.epochs, options.role) {
        (Some(epochs), _) => {
            held_out::check(&source.schema(), options)?;
            let unlabelled = Unlabelled::new(options)?;
            Box::new(Epochs::new(source, unlabelled, epochs.clone()))
        }
        (None, Some(role)) => Box::new(OneRole::new(source, role)),
        (None, None) => source,
    })
}

fn open_one(options: &ReadOptions) -> Result<Opened, Diagnostic> {
    let format = Format::of_packed(&options.path)?;
    let file = open_file(&options.path)?;
    match format {
        Format::Csv { delimiter } => csv::open(file, delimiter, options),
        Format::JsonLines => json::open(file, options),
        Format::Parquet => parquet::open(file, options),
    }
}

fn open_file(path: &Path) -> Result<File, Diagnostic> {
    // Asked before opening, for opening a pipe would wait for its writer.
    let found = fs::metadata(path).map_err(|error| cannot_open(path, &error))?;
    if found.is_dir() {
        return Err(file_error("is-directory", path, "is a directory"));
    }
    if !found.is_file() {
        return Err(file_error("unreadable", path, "is not a regular file"));
    }
    if found.len() == 0 {
        return Err(file_error("empty-file", path, "is empty"));
    }
    File::open(path).map_err(|error| cannot_open(path, &error))
}

fn cannot_open(path: &Path, error: &std::io::Error) -> Diagnostic {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            file_error("missing-file", path, "does not exist")
        }
        ErrorKind::PermissionDenied => {
            file_error("unreadable", path, "cannot be read: permission denied")
        }
        _ => unreadable(path, error),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    file_error("unreadable", path, format_args!("cannot be read: {error}"))
}

fn no_records(path: &Path) -> Diagnostic {
    file_error("no-records", path, "has no records")
}
