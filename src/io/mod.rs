//! Readers and writers: CSV, JSON Lines and Parquet, told by the file's ending.
//!
//! A reader gives batches of good records and, beside them, the records that
//! cannot be used and why. A writer can be taken back to an earlier position,
//! so that a run that crashed can go on.
//!
//! # Columns of a source, in this order
//! | column | type | what |
//! | --- | --- | --- |
//! | `review` | `UInt64` | the record's number in the file, from 0, rejected ones counted too |
//! | `text` | `Utf8` | the text column, whatever the file calls it |
//! | `truth` | `Utf8` | the gold label; only when the file has a label column |
//! | the rest | nullable | every other column of the file, under its own name |
//!
//! `role`, `epoch` and `progress` come last, see [`ReadOptions::role`] and [`EpochOptions`].
//!
//! A column of the file with a name that the graph has itself gets the prefix `file_`: `review`,
//! `text` and `truth` that are neither the text nor the label, and what a stage writes
//! ([`ReadOptions::taken`]). A column passes as it is or as text, whatever its type: decimals
//! with all their digits, dates as ISO 8601, lists and structs as JSON. Numbers of a CSV file stay
//! as they are written ([`number_field`]). What is left out is said in [`Source::notes`].
//!
//! ```no_run
//! use segue::io::{self, ReadOptions, WriteOptions};
//!
//! # fn main() -> Result<(), segue::diagnostic::Diagnostic> {
//! let mut source = io::open(&ReadOptions::new("reviews.csv"))?;
//! let verdicts = WriteOptions { path: "verdicts.jsonl".into() };
//! let mut sink = io::create(&verdicts, source.schema(), None)?;
//! while let Some(read) = source.next_batch(32)? {
//!     sink.write(&read.batch)?;
//! }
//! sink.finish()?;
//! sink.sweep();
//! # Ok(())
//! # }
//! ```

mod error;
mod format;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, SchemaRef};
use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use read::json_number;
pub use read::{Role, files, fits};

/// What to read and how, already resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadOptions {
    /// The file, absolute or relative to the working directory.
    pub path: PathBuf,
    /// Name of the text column.
    pub text: String,
    /// Name of the column with the gold label. `None` takes `label` if the file
    /// has it; an empty name says that the file has none.
    pub label: Option<String>,
    /// Names of the labels 0, 1, ...
    pub labels: Vec<String>,
    /// For each of `labels` what the file says for it; empty for their names and numbers.
    pub label_values: Vec<Vec<String>>,
    /// What stands between two fields of a CSV file; `None` for what the ending says.
    pub delimiter: Option<u8>,
    /// What stands around a field of a CSV file, `Some(None)` for nothing; `None` for `"`, which
    /// in TSV may be text too.
    pub quote: Option<Option<u8>>,
    /// How a text file is encoded; `None` for UTF-8, or what its byte order mark says.
    pub encoding: Option<&'static Encoding>,
    /// Names that stages of the graph write.
    pub taken: Vec<String>,
    /// Names of columns that are wanted, though they are the text's or the label's own.
    pub asked: Vec<String>,
    /// Turns each `<br />`, `<br/>` and `<br>` of the text into one space.
    pub strip_markup: bool,
    /// The longest text accepted, after markup is stripped.
    pub max_bytes: usize,
    /// What the records are for; adds the column `role`.
    pub role: Option<Role>,
    /// Several passes over the file, which then is held in memory.
    pub epochs: Option<EpochOptions>,
}

/// Several passes over a file.
///
/// Adds the columns `role` (`train` or `validation`), `epoch: u32` from 0, and `progress:
/// f32`, the part of all epochs that is done with the row's batch: 1 in the last.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochOptions {
    /// How often every record is given; at least 1.
    pub epochs: u32,
    /// The seed of the order; `None` keeps that of the file.
    pub shuffle: Option<u64>,
    /// The part that is held out for validation, from 0 to below 1.
    pub hold_out: f64,
    /// A column; the records that have the same there are held out together or not at all.
    pub hold_out_by: Option<String>,
    /// Another file, of records without a label: for training too, none of them held out. Of
    /// equal texts only the first is taken.
    pub unlabelled: Option<PathBuf>,
    /// A file whose texts are left out of `unlabelled`.
    pub exclude: Option<PathBuf>,
}

impl ReadOptions {
    /// The defaults for `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            text: "text".into(),
            label: None,
            labels: vec!["negative".into(), "positive".into()],
            label_values: Vec::new(),
            delimiter: None,
            quote: None,
            encoding: None,
            taken: Vec::new(),
            asked: Vec::new(),
            strip_markup: false,
            max_bytes: 256 * 1024,
            role: None,
            epochs: None,
        }
    }
}

/// Where to write.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteOptions {
    /// The file; its ending says the format.
    pub path: PathBuf,
}

/// A record that cannot be used.
///
/// # Codes
/// | code | what |
/// | --- | --- |
/// | `malformed` | a CSV row with the wrong number of fields, or the first line of one with an open quote; a line that is not a JSON object |
/// | `invalid-utf8` | the text or the label is not UTF-8, or not of the encoding that was named |
/// | `no-text` | the text is missing, empty or white space |
/// | `too-long` | the text is over `max_bytes` |
/// | `bad-label` | the label is missing or out of range, where the record has a part in training |
/// | `bad-value` | the text of a JSON record is not a string |
/// | `record-too-large` | it is longer than 16 × `max_bytes` (and 16 MiB) |
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Reject {
    /// Number of the record in the file, from 0, good and bad.
    pub record: u64,
    /// The line where it starts, from 1; `None` for Parquet.
    pub line: Option<u64>,
    /// What kind of fault, stable.
    pub code: String,
    /// What is wrong, and which limit it breaks.
    pub reason: String,
}

/// Some records of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceBatch {
    /// The good records.
    pub batch: RecordBatch,
    /// The bad ones met on the way, in the order of the file.
    pub rejects: Vec<Reject>,
    /// Records consumed so far, good and bad: what to `skip` to go on from here.
    pub next_record: u64,
}

/// A file being read. Where a batch ends depends on the position alone: after
/// `skip(n)` come the same batches as when reading on from record `n`.
pub trait Source: Send {
    /// The columns of every batch.
    fn schema(&self) -> SchemaRef;

    /// Records in the file, good and bad, when that is known without reading it.
    fn total_records(&self) -> Option<u64>;

    /// How much of the file is consumed, 0 to 1.
    fn progress(&self) -> Option<f64>;

    /// What a user should know of the file, and of what was met in it so far, such as
    /// columns that are left out: lower case, no full stop, names in backticks.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Passes over the next `records` records, good and bad.
    ///
    /// # Errors
    /// `bad-resume` when the file has fewer, and those of [`Source::next_batch`].
    fn skip(&mut self, records: u64) -> Result<(), Diagnostic>;

    /// The next `rows` good records (at least one), fewer only where the file
    /// ends, with the rejects before the last of them. Rejects after the last
    /// good record come in a batch of zero rows; then `None`.
    ///
    /// # Errors
    /// `unreadable` when reading fails, `bad-file` for Parquet that does not
    /// decode, `batch-too-large` when the strings of one
    /// batch pass 2 GiB. An error comes again at every later call.
    fn next_batch(&mut self, rows: usize) -> Result<Option<SourceBatch>, Diagnostic>;
}

/// A file being written.
///
/// CSV and JSON Lines grow in place. Parquet, which cannot be appended to,
/// collects in `<path>.spool` until `finish`, and keeps that until `sweep`.
pub trait Sink: Send {
    /// Appends the rows of `batch`.
    ///
    /// # Errors
    /// `schema-mismatch` when its columns are not those of the sink,
    /// `write-failed` when the disk says no.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Diagnostic>;

    /// Where the file ends with all that was written: what to hand to [`create`] as
    /// `resume_at` once a [`Sink::sync`] has come after it.
    fn position(&self) -> Position;

    /// Puts all that was written safely on disk.
    ///
    /// # Errors
    /// `write-failed`; `output-lost` when the file was removed or changed meanwhile.
    fn sync(&mut self) -> Result<(), Diagnostic>;

    /// Completes the file, and gives where it ends. Calling it again changes nothing.
    ///
    /// # Errors
    /// Those of [`Sink::sync`]; `bad-resume` when the spool of a Parquet file is not one
    /// of this sink.
    fn finish(&mut self) -> Result<Position, Diagnostic>;

    /// Removes what it needs to complete the file: to be called behind `finish`, when it is
    /// noted that the file is complete. Nothing else is to be called then.
    fn sweep(&mut self) {}
}

/// A place in a file that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes up to it.
    pub bytes: u64,
    /// The CRC-32 of these.
    pub crc32: u32,
}

/// A column of numbers as a file writes them: text, which JSON Lines get without quotes.
pub fn number_field(name: &str) -> Field {
    let metadata = [(NUMBER.to_owned(), String::new())];
    let metadata: std::collections::HashMap<String, String> = metadata.into();
    Field::new(name, DataType::Utf8, true).with_metadata(metadata)
}

/// Whether `field` is one that [`number_field`] makes.
pub fn is_number_field(field: &Field) -> bool {
    field.metadata().contains_key(NUMBER)
}

const NUMBER: &str = "segue.number";

/// Opens a file and finds its columns.
///
/// # Errors
/// With option `path`: `unknown-format`, `missing-file`, `is-directory`,
/// `unreadable`, `empty-file`, `no-records`, `bad-file`, `duplicate-column`.
/// With option `text` or `label`: `missing-column`, and `unsupported-column`
/// when a Parquet column is of a type that cannot serve.
pub fn open(options: &ReadOptions) -> Result<Box<dyn Source>, Diagnostic> {
    read::open(options)
}

/// Starts a file, or goes on with one at a position that [`Sink::sync`] gave;
/// what lies behind the position is cut off. `None` starts afresh. The file is locked
/// against other runs until the sink goes.
///
/// # Errors
/// Those of [`check_write_path`]; `unsupported-column` when the format cannot
/// hold a column; `bad-resume` when the file up to the position is not what was
/// written; `in-use` when another run writes it; `in-the-way` when a file that is no
/// part of this one has the name of its spool; `write-failed`.
pub fn create(
    options: &WriteOptions,
    schema: SchemaRef,
    resume_at: Option<Position>,
) -> Result<Box<dyn Sink>, Diagnostic> {
    write::create(&options.path, schema, resume_at)
}

/// Checks that the complete file at `path` is the one that [`Sink::finish`] gave `end` of.
///
/// # Errors
/// `output-lost` when it is gone, cut off or changed
pub fn verify(path: &Path, end: Position) -> Result<(), Diagnostic> {
    write::verify(path, end)
}

/// Removes what a crash left beside the file at `path`, of which it is noted that it is
/// complete.
pub fn sweep(path: &Path) {
    write::sweep(path);
}

/// The columns of `batch` with numbers that a file at `path` cannot hold, since they are not
/// finite, and how many: they become empty fields of CSV and `null` in JSON Lines.
pub fn not_finite(path: &Path, batch: &RecordBatch) -> Vec<(String, u64)> {
    write::not_finite(path, batch)
}

/// The files that a sink keeps beside that at `path` until it is complete.
pub fn side_files(path: &Path) -> Vec<PathBuf> {
    write::side_files(path)
}

pub(crate) use write::{is_at, sync_folder};

/// Checks that `create` could write to `path`, and touches nothing.
///
/// # Errors
/// With option `path`: `unknown-format`, `missing-directory`, `is-directory`,
/// `unwritable`.
pub fn check_write_path(path: &Path) -> Result<(), Diagnostic> {
    write::check_path(path)
}
