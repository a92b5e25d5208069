//! Writing: text formats grow in place, Parquet by way of a spool.

mod csv;
mod json;
mod number;
mod parquet;
mod spool;
mod text;

use std::fmt::Display;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};
use crc32fast::Hasher;

use super::format::Format;
use super::{Position, Sink};
use crate::diagnostic::Diagnostic;
use crate::io::error::{file_error, option_error};

pub use json::push_value as push_json;

/// See [`crate::io::create`].
pub fn create(
    path: &Path,
    schema: SchemaRef,
    resume_at: Option<Position>,
) -> Result<Box<dyn Sink>, Diagnostic> {
    check_path(path)?;
    let format = Format::of(path)?;
    check_columns(path, &schema, format)?;
    match format {
        Format::Csv { delimiter } => {
            let encoder = Box::new(csv::CsvEncoder::new(&schema, delimiter));
            text::create(path, schema, encoder, resume_at)
        }
        Format::JsonLines => {
            let encoder = Box::new(json::JsonEncoder::new(&schema));
            text::create(path, schema, encoder, resume_at)
        }
        Format::Parquet => parquet::create(path, schema, resume_at),
    }
}

/// See [`crate::io::check_write_path`].
pub fn check_path(path: &Path) -> Result<(), Diagnostic> {
    Format::of(path)?;
    let folder = folder(path);
    if !folder.is_dir() {
        let message = format!("directory `{}` does not exist", folder.display());
        return Err(option_error("missing-directory", "path", message));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(file_error("is-directory", path, "is a directory")),
        Ok(found) if !found.is_file() => Err(unwritable(path, "is not a regular file")),
        // Opening for writing neither makes nor changes anything.
        Ok(_) => match OpenOptions::new().write(true).open(path) {
            Ok(_) => Ok(()),
            Err(error) => Err(unwritable(path, format_args!("cannot be written: {error}"))),
        },
        Err(_) => match fs::metadata(&folder) {
            Ok(found) if found.permissions().readonly() => Err(unwritable(
                path,
                "cannot be written: its directory is read-only",
            )),
            _ => Ok(()),
        },
    }
}

fn unwritable(path: &Path, what: impl Display) -> Diagnostic {
    file_error("unwritable", path, what)
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn check_columns(path: &Path, schema: &Schema, format: Format) -> Result<(), Diagnostic> {
    let lists = !matches!(format, Format::Csv { .. });
    let unsupported = |data_type: &DataType| !(is_scalar(data_type) || lists && is_list(data_type));
    match schema
        .fields()
        .iter()
        .find(|field| unsupported(field.data_type()))
    {
        None => Ok(()),
        Some(field) => {
            let (name, is) = (field.name(), field.data_type());
            let what = format_args!("cannot hold column `{name}` of type {is}");
            let help = (!lists && is_list(is)).then(|| "write `.jsonl` to keep lists".into());
            Err(file_error("unsupported-column", path, what).help_some(help))
        }
    }
}

fn is_scalar(data_type: &DataType) -> bool {
    use DataType::{Boolean, LargeUtf8, Utf8, Utf8View};
    matches!(data_type, Boolean | Utf8 | LargeUtf8 | Utf8View)
        || data_type.is_integer()
        || data_type.is_floating()
}

fn is_list(data_type: &DataType) -> bool {
    use DataType::{FixedSizeList, LargeList, List};
    match data_type {
        List(item) | LargeList(item) | FixedSizeList(item, _) => {
            is_scalar(item.data_type()) || is_list(item.data_type())
        }
        _ => false,
    }
}

/// # Errors
/// `schema-mismatch` when the columns of `batch` are not those of the sink, or
/// have nulls where those have none.
fn check_batch(path: &Path, schema: &Schema, batch: &RecordBatch) -> Result<(), Diagnostic> {
    let given = if has_columns(&batch.schema(), schema) {
        let columns = schema.fields().iter().zip(batch.columns());
        let nulls = |column: &dyn Array| column.logical_null_count() > 0;
        match columns
            .filter(|(field, _)| !field.is_nullable())
            .find(|(_, column)| nulls(column))
        {
            None => return Ok(()),
            Some((field, _)) => format!("nulls in column `{}`", field.name()),
        }
    } else {
        names(&batch.schema())
    };
    let what = format_args!("takes columns {}, and was given {given}", names(schema));
    Err(file_error("schema-mismatch", path, what))
}

fn has_columns(have: &Schema, want: &Schema) -> bool {
    let columns = |schema: &Schema| {
        let fields = schema.fields().iter();
        let columns = fields.map(|field| (field.name().clone(), field.data_type().clone()));
        columns.collect::<Vec<_>>()
    };
    columns(have) == columns(want)
}

fn names(schema: &Schema) -> String {
    let fields = schema.fields().iter();
    let names = fields.map(|field| format!("`{}: {}`", field.name(), field.data_type()));
    names.collect::<Vec<_>>().join(", ")
}

fn write_failed(path: &Path, error: impl Display) -> Diagnostic {
    let what = format_args!("cannot be written: {error}");
    file_error("write-failed", path, what)
}

fn in_the_way(path: &Path) -> Diagnostic {
    let what = "is in the way: a run keeps its rows there until they are complete";
    let error = file_error("in-the-way", path, what);
    error.help("move it away, or write somewhere else")
}

fn bad_resume(path: &Path, what: impl Display) -> Diagnostic {
    file_error("bad-resume", path, what).help("run again from the start")
}

/// Opens `path` for reading and writing, and locks it. Nothing in it changes yet. Gives
/// the sum of its bytes up to `resume_at`, which must be as they were written.
fn open_at(path: &Path, resume_at: Option<Position>) -> Result<(File, Hasher), Diagnostic> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .truncate(false)
        .create(resume_at.is_none());
    let mut file = match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(bad_resume(path, "is gone, and cannot be resumed"));
        }
        Err(error) => return Err(unwritable(path, format_args!("cannot be written: {error}"))),
        Ok(file) => file,
    };
    lock(path, &file)?;
    let failed = |error| write_failed(path, error);
    let Some(Position { bytes, crc32 }) = resume_at else {
        file.set_len(0).map_err(failed)?;
        return Ok((file, Hasher::new()));
    };
    let have = file.metadata().map_err(failed)?.len();
    if have < bytes {
        let what = format_args!("has {have} bytes, fewer than the {bytes} to resume at");
        return Err(bad_resume(path, what));
    }
    let hasher = sum(&file, bytes).map_err(failed)?;
    if hasher.clone().finalize() != crc32 {
        let what = format_args!("was changed since: its first {bytes} bytes are others");
        return Err(bad_resume(path, what));
    }
    file.set_len(bytes).map_err(failed)?;
    file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
    Ok((file, hasher))
}

/// Keeps other runs off `file` for as long as it is open.
fn lock(path: &Path, file: &File) -> Result<(), Diagnostic> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let error = file_error("in-use", path, "is being written by another run");
            let help = "wait until that has ended, or write somewhere else";
            Err(error.help(help))
        }
        // A file system without locks still takes a run.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// The sum of the first `bytes` bytes of `file`.
fn sum(file: &File, bytes: u64) -> std::io::Result<Hasher> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let (mut hasher, mut left) = (Hasher::new(), bytes);
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        let wanted = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        file.read_exact(&mut buffer[..wanted])?;
        hasher.update(&buffer[..wanted]);
        left -= wanted as u64;
    }
    Ok(hasher)
}

/// See [`crate::io::verify`].
pub fn verify(path: &Path, end: Position) -> Result<(), Diagnostic> {
    let lost = |what: String| {
        let error = file_error("output-lost", path, what);
        error.help("run again from the start, without `--resume`")
    };
    let file = File::open(path).map_err(|error| lost(format!("cannot be read: {error}")))?;
    let have = file.metadata().map_or(0, |found| found.len());
    if have != end.bytes {
        let wrote = end.bytes;
        return Err(lost(format!("has {have} bytes, and {wrote} were written")));
    }
    match sum(&file, have) {
        Ok(hasher) if hasher.clone().finalize() == end.crc32 => Ok(()),
        Ok(_) => Err(lost("was changed since it was written".into())),
        Err(error) => Err(lost(format!("cannot be read: {error}"))),
    }
}

/// See [`crate::io::sweep`].
pub fn sweep(path: &Path) {
    if let Ok(Format::Parquet) = Format::of(path) {
        parquet::sweep(path);
    }
}

/// See [`crate::io::not_finite`].
pub fn not_finite(path: &Path, batch: &RecordBatch) -> Vec<(String, u64)> {
    match Format::of(path) {
        Ok(Format::Csv { .. } | Format::JsonLines) => number::not_finite(batch),
        Ok(Format::Parquet) | Err(_) => Vec::new(),
    }
}

/// See [`crate::io::side_files`].
pub fn side_files(path: &Path) -> Vec<PathBuf> {
    match Format::of(path) {
        Ok(Format::Parquet) => vec![beside(path, "spool"), beside(path, "tmp")],
        _ => Vec::new(),
    }
}

/// `<path>.<ending>`
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Whether `path` still names the open `file`.
pub fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// # Errors
/// `output-lost` when `path` does not name `file` any more, or the file does not end at
/// `bytes`.
fn check_still(file: &File, path: &Path, bytes: u64) -> Result<(), Diagnostic> {
    let have = file.metadata().map_or(0, |found| found.len());
    let what = if !is_at(file, path) {
        "was removed or replaced during the run".to_owned()
    } else if have != bytes {
        format!("has {have} bytes, and {bytes} were written: something else changed it")
    } else {
        return Ok(());
    };
    let error = file_error("output-lost", path, what);
    Err(error.help("run again from the start"))
}

/// Makes a new or renamed file's name as durable as its bytes.
pub fn sync_folder(path: &Path) {
    // Best effort: not every system can open a directory, and where it cannot
    // there is nothing else to do.
    if let Ok(folder) = File::open(folder(path)) {
        let _ = folder.sync_all();
    }
}
