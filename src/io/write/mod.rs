//! Writing: text formats grow in place, Parquet by way of a spool.

mod csv;
mod json;
mod number;
mod parquet;
mod spool;
mod text;

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};

use super::format::Format;
use super::{IoError, Sink};

/// See [`crate::io::create`].
pub fn create(
    path: &Path,
    schema: SchemaRef,
    resume_at: Option<u64>,
) -> Result<Box<dyn Sink>, IoError> {
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
pub fn check_path(path: &Path) -> Result<(), IoError> {
    Format::of(path)?;
    let folder = folder(path);
    if !folder.is_dir() {
        let message = format!("directory `{}` does not exist", folder.display());
        return Err(IoError::new("missing-directory", "path", message));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(IoError::file("is-directory", path, "is a directory")),
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

fn unwritable(path: &Path, what: impl Display) -> IoError {
    IoError::file("unwritable", path, what)
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn check_columns(path: &Path, schema: &Schema, format: Format) -> Result<(), IoError> {
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
            Err(IoError::file("unsupported-column", path, what).with_help(help))
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
fn check_batch(path: &Path, schema: &Schema, batch: &RecordBatch) -> Result<(), IoError> {
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
    Err(IoError::file("schema-mismatch", path, what))
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

fn write_failed(path: &Path, error: impl Display) -> IoError {
    let what = format_args!("cannot be written: {error}");
    IoError::file("write-failed", path, what)
}

fn bad_resume(path: &Path, what: impl Display) -> IoError {
    IoError::file("bad-resume", path, what).with_help(Some("run again from the start".into()))
}

/// Opens `path` for reading and writing and cuts it off at `length`.
fn open_at(path: &Path, length: u64) -> Result<File, IoError> {
    let mut options = OpenOptions::new();
    // What lies before `length` stays.
    options
        .read(true)
        .write(true)
        .truncate(false)
        .create(length == 0);
    let file = match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(bad_resume(path, "is gone, and cannot be resumed"));
        }
        Err(error) => return Err(unwritable(path, format_args!("cannot be written: {error}"))),
        Ok(file) => file,
    };
    let have = file
        .metadata()
        .map_err(|error| write_failed(path, error))?
        .len();
    if have < length {
        let what = format_args!("has {have} bytes, fewer than the {length} to resume at");
        return Err(bad_resume(path, what));
    }
    Ok(file)
}

/// Makes a new or renamed file's name as durable as its bytes.
fn sync_folder(path: &Path) {
    // Best effort: not every system can open a directory, and where it cannot
    // there is nothing else to do.
    if let Ok(folder) = File::open(folder(path)) {
        let _ = folder.sync_all();
    }
}
