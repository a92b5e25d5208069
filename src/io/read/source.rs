//! From records one by one to batches.

use std::path::PathBuf;

use arrow_schema::SchemaRef;

use super::batch::{BatchBuilder, Columns};
use super::records::{Fault, Row};
use crate::diagnostic::Diagnostic;
use crate::io::error::option_error;
use crate::io::{Reject, Source, SourceBatch};

/// One record of a file.
pub struct Record {
    /// The line where it starts, from 1, if the format has lines.
    pub line: Option<u64>,
    /// Its values, or why it cannot be used.
    pub row: Result<Row, Fault>,
}

/// What a format has to give.
pub trait Records: Send {
    /// The next record, good or bad; `None` at the end.
    fn next(&mut self) -> Result<Option<Record>, Diagnostic>;

    /// Passes over up to `records` records; gives how many there were.
    fn skip(&mut self, records: u64) -> Result<u64, Diagnostic>;

    /// See [`Source::total_records`].
    fn total(&self) -> Option<u64>;

    /// See [`Source::progress`].
    fn progress(&self) -> Option<f64>;

    /// What there is to say of the records since it was last asked.
    fn notes(&mut self) -> Vec<String>;
}

/// A file that was opened.
pub struct Opened {
    /// Set before each note of its records; empty where they name their files.
    pub path: PathBuf,
    pub records: Box<dyn Records>,
    pub columns: Columns,
    /// What there is to say of its columns.
    pub notes: Vec<String>,
}

/// A [`Source`] over the records of any format.
pub struct RecordSource {
    path: PathBuf,
    records: Box<dyn Records>,
    columns: Columns,
    notes: Vec<String>,
    position: u64,
    failed: Option<Diagnostic>,
}

impl RecordSource {
    pub fn new(opened: Opened) -> Self {
        Self {
            path: opened.path,
            records: opened.records,
            columns: opened.columns,
            notes: opened.notes,
            position: 0,
            failed: None,
        }
    }

    fn collect(&mut self, rows: usize) -> Result<Option<SourceBatch>, Diagnostic> {
        let mut builder = BatchBuilder::new(&self.columns);
        let mut rejects = Vec::new();
        while builder.rows() < rows {
            let Some(Record { line, row }) = self.records.next()? else {
                break;
            };
            match row {
                Ok(row) => builder.push(self.position, row)?,
                Err(fault) => rejects.push(reject(self.position, line, fault)),
            }
            self.position += 1;
        }
        let notes = self.new_notes();
        self.notes.extend(notes);
        if builder.rows() == 0 && rejects.is_empty() {
            return Ok(None);
        }
        Ok(Some(SourceBatch {
            batch: builder.finish()?,
            rejects,
            next_record: self.position,
        }))
    }

    fn new_notes(&mut self) -> Vec<String> {
        let notes = self.records.notes().into_iter();
        let path = self.path.display();
        if self.path.as_os_str().is_empty() {
            notes.collect()
        } else {
            notes.map(|note| format!("`{path}`, {note}")).collect()
        }
    }

    fn pass_over(&mut self, records: u64) -> Result<(), Diagnostic> {
        let passed = self.records.skip(records)?;
        self.position += passed;
        if passed < records {
            let have = self.position;
            let want = have.saturating_add(records - passed);
            let message = format!("the source has {have} records, fewer than the {want} to skip");
            return Err(option_error("bad-resume", "path", message));
        }
        Ok(())
    }

    /// Runs `step` unless an earlier one failed: the reader may then stand
    /// inside a record, and nothing read from there can be trusted.
    fn guarded<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, Diagnostic>,
    ) -> Result<T, Diagnostic> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        step(self).inspect_err(|error| self.failed = Some(error.clone()))
    }
}

impl Source for RecordSource {
    fn schema(&self) -> SchemaRef {
        self.columns.schema()
    }

    fn total_records(&self) -> Option<u64> {
        self.records.total()
    }

    fn progress(&self) -> Option<f64> {
        self.records.progress()
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn skip(&mut self, records: u64) -> Result<(), Diagnostic> {
        self.guarded(|source| source.pass_over(records))
    }

    fn next_batch(&mut self, rows: usize) -> Result<Option<SourceBatch>, Diagnostic> {
        self.guarded(|source| source.collect(rows.max(1)))
    }
}

fn reject(record: u64, line: Option<u64>, fault: Fault) -> Reject {
    Reject {
        record,
        line,
        code: fault.code.into(),
        reason: fault.reason,
    }
}
