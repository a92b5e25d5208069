//! CSV and TSV.
//!
//! The parser is our own because the `csv` crate's gives the wrong line after
//! CRLF, reads a quote that is never closed as if it were, and has no limit to
//! the length of a record. On anything else they agree, and a test holds them
//! to it.

use std::fs::File;

use super::batch::{Columns, Kind};
use super::columns::Layout;
use super::input::Input;
use super::no_records;
use super::records::{Cell, Checks, Fault, Row, utf8};
use super::source::{Record, RecordSource, Records};
use crate::io::{IoError, ReadOptions, Source};

/// Opens a file whose first record names the columns.
pub fn open(file: File, delimiter: u8, options: &ReadOptions) -> Result<Box<dyn Source>, IoError> {
    let mut reader = CsvReader::new(Input::new(file, options)?, delimiter);
    let names = header(&mut reader, options)?;
    let layout = Layout::new(&names, options)?;
    if reader.at_end()? {
        return Err(no_records(&options.path));
    }
    let others = layout
        .others
        .iter()
        .map(|at| (names[*at].clone(), Kind::Text));
    let columns = Columns::new(layout.label.is_some(), others.collect());
    let records = CsvRecords {
        reader,
        checks: Checks::new(options),
        record: RawRecord::default(),
        names,
        layout,
    };
    Ok(Box::new(RecordSource::new(records, columns)))
}

fn header(reader: &mut CsvReader, options: &ReadOptions) -> Result<Vec<String>, IoError> {
    let mut record = RawRecord::default();
    if !reader.read(&mut record)? {
        return Err(no_records(&options.path));
    }
    let bad = |what: &str| IoError::file("bad-file", &options.path, what);
    if record.open_quote {
        return Err(bad("has a header with a quote that is never closed"));
    }
    let names = record
        .fields()
        .map(|name| Some(utf8("", name).ok()?.trim().to_owned()));
    names.collect::<Option<Vec<_>>>().ok_or_else(|| {
        bad("has a header that is not UTF-8").with_help(Some("save it as UTF-8".into()))
    })
}

/// The records behind the header.
struct CsvRecords {
    reader: CsvReader,
    checks: Checks,
    record: RawRecord,
    names: Vec<String>,
    layout: Layout,
}

impl Records for CsvRecords {
    fn next(&mut self) -> Result<Option<Record>, IoError> {
        if !self.reader.read(&mut self.record)? {
            return Ok(None);
        }
        Ok(Some(Record {
            line: Some(self.record.line),
            row: self.row(),
        }))
    }

    fn skip(&mut self, records: u64) -> Result<u64, IoError> {
        for passed in 0..records {
            if !self.reader.read(&mut self.record)? {
                return Ok(passed);
            }
        }
        Ok(records)
    }

    fn total(&self) -> Option<u64> {
        None
    }

    fn progress(&self) -> Option<f64> {
        Some(self.reader.input.progress())
    }
}

impl CsvRecords {
    fn row(&self) -> Result<Row, Fault> {
        self.check_shape()?;
        let text = self.field(self.layout.text)?;
        let others = self.layout.others.iter().map(|at| self.cell(*at));
        let others = others.collect::<Result<_, _>>()?;
        let label = self.layout.label.map(|at| self.cell(at)).transpose()?;
        Ok(Row {
            text: self.checks.text(Some(text))?,
            truth: label.map(|label| self.checks.truth(&label)).transpose()?,
            others,
        })
    }

    fn check_shape(&self) -> Result<(), Fault> {
        let (have, want) = (self.record.ends.len(), self.names.len());
        let reason = if self.record.open_quote {
            "a quote is never closed".into()
        } else if have != want {
            format!("the row has {have} fields, and the header {want}")
        } else {
            return Ok(());
        };
        Err(Fault::new("malformed", reason))
    }

    fn field(&self, at: usize) -> Result<&str, Fault> {
        let what = format!("`{}`", self.names[at]);
        utf8(&what, self.record.field(at))
    }

    /// CSV cannot tell an empty field from a missing one: both are null.
    fn cell(&self, at: usize) -> Result<Cell, Fault> {
        Ok(match self.field(at)? {
            "" => Cell::Null,
            text => Cell::Text(text.into()),
        })
    }
}

/// A record as its fields, quotes resolved.
#[derive(Default)]
pub struct RawRecord {
    bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    ends: Vec<usize>,
    /// The line where it starts, from 1.
    pub line: u64,
    /// The file ends inside a quoted field.
    pub open_quote: bool,
}

impl RawRecord {
    /// All its fields.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|at| self.field(at))
    }

    fn field(&self, at: usize) -> &[u8] {
        let start = match at {
            0 => 0,
            _ => self.ends[at - 1],
        };
        &self.bytes[start..self.ends[at]]
    }

    fn start(&mut self, line: u64) {
        self.bytes.clear();
        self.ends.clear();
        self.line = line;
        self.open_quote = false;
    }

    fn end_field(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

/// Where in a record the parser stands.
#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote in a quoted field: its end, or the first half of `""`.
    QuoteSeen,
}

/// Splits a file into records. Line ends are `\n`, `\r\n` and `\r`; empty lines
/// are no records.
pub struct CsvReader {
    input: Input,
    delimiter: u8,
}

impl CsvReader {
    pub fn new(input: Input, delimiter: u8) -> Self {
        Self { input, delimiter }
    }

    /// Reads the next record into `record`; false at the end of the file.
    ///
    /// # Errors
    /// `unreadable`, `record-too-large`
    pub fn read(&mut self, record: &mut RawRecord) -> Result<bool, IoError> {
        if self.at_end()? {
            return Ok(false);
        }
        record.start(self.input.line());
        let mut state = State::FieldStart;
        let mut bytes = 0;
        loop {
            let chunk = self.input.fill()?;
            if chunk.is_empty() {
                record.open_quote = state == State::Quoted;
                record.end_field();
                return Ok(true);
            }
            let (count, ended) = scan(chunk, self.delimiter, &mut state, record);
            self.input.consume(count);
            if ended {
                return Ok(true);
            }
            bytes += count;
            self.input.check_record(bytes, record.line)?;
        }
    }

    /// Passes over empty lines; true when nothing is left.
    fn at_end(&mut self) -> Result<bool, IoError> {
        loop {
            let chunk = self.input.fill()?;
            let empty = chunk
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'));
            match (chunk.len(), empty.count()) {
                (0, _) => return Ok(true),
                (_, 0) => return Ok(false),
                (_, count) => self.input.consume(count),
            }
        }
    }
}

/// Takes bytes of `chunk` into `record`; gives how many, and whether the record
/// ended with them.
fn scan(chunk: &[u8], delimiter: u8, state: &mut State, record: &mut RawRecord) -> (usize, bool) {
    for (at, byte) in chunk.iter().copied().enumerate() {
        match (*state, byte) {
            (State::FieldStart, b'"') => *state = State::Quoted,
            (State::Quoted, b'"') => *state = State::QuoteSeen,
            (State::Quoted, _) => record.bytes.push(byte),
            (State::QuoteSeen, b'"') => {
                record.bytes.push(byte);
                *state = State::Quoted;
            }
            (_, b'\r' | b'\n') => {
                record.end_field();
                return (at + 1, true);
            }
            (_, _) if byte == delimiter => {
                record.end_field();
                *state = State::FieldStart;
            }
            (_, _) => {
                record.bytes.push(byte);
                *state = State::Plain;
            }
        }
    }
    (chunk.len(), false)
}
