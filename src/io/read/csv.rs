//! CSV and TSV.

mod reader;

use std::fs::File;

use super::batch::{Columns, Kind};
use super::columns::Layout;
use super::input::Input;
use super::no_records;
use super::notes::Notes;
use super::number::is_plain_number;
use super::records::{Cell, Checks, Fault, Row, utf8};
use super::source::{Opened, Record, Records};
use crate::diagnostic::Diagnostic;
use crate::io::ReadOptions;
use crate::io::error::file_error;

pub use reader::{CsvReader, Dialect, Odd, RawRecord};

/// Bytes from which the columns' types are told.
const SAMPLE_BYTES: u64 = 4 << 20;
/// A longer name is a sign that the file is no table.
const SHOWN_NAMES: usize = 80;

/// How a file with this delimiter is read under `options`.
pub fn dialect(delimiter: u8, options: &ReadOptions) -> Dialect {
    let delimiter = options.delimiter.unwrap_or(delimiter);
    Dialect {
        delimiter,
        quote: options.quote.unwrap_or(Some(b'"')),
        // TSV is written with quotes by some, and by others without.
        lenient: options.quote.is_none() && delimiter == b'\t',
    }
}

/// Opens a file whose first record names the columns.
pub fn open(file: File, delimiter: u8, options: &ReadOptions) -> Result<Opened, Diagnostic> {
    let dialect = dialect(delimiter, options);
    let mut reader = CsvReader::new(Input::new(file, options)?, dialect);
    let mut notes = Vec::new();
    let names = header(&mut reader, options, &mut notes)?;
    let layout = Layout::new(&names, options)
        .map_err(|error| other_delimiter(error, &names, dialect.delimiter))?;
    reader.expect(names.len());
    if reader.at_end()? {
        return Err(no_records(&options.path));
    }
    let numbers = numbers(&mut reader, &layout)?;
    let kind = |number: bool| if number { Kind::Number } else { Kind::Text };
    let others = layout.others.iter().zip(numbers);
    let others = others.map(|(other, number)| (other.name.clone(), kind(number)));
    let columns = Columns::new(layout.label.is_some(), others.collect());
    reader.rewind()?;
    header(&mut reader, options, &mut Vec::new())?;
    notes.extend(layout.notes.iter().cloned());
    let records = CsvRecords {
        reader,
        checks: Checks::new(options),
        record: RawRecord::default(),
        names,
        layout,
        encoding: options.encoding.map(|encoding| encoding.name()),
        notes: Notes::default(),
    };
    Ok(Opened {
        path: options.path.clone(),
        records: Box::new(records),
        columns,
        notes,
    })
}

fn header(
    reader: &mut CsvReader,
    options: &ReadOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<String>, Diagnostic> {
    let mut record = RawRecord::default();
    if !reader.read(&mut record)? {
        return Err(no_records(&options.path));
    }
    let bad = |what: &str| file_error("bad-file", &options.path, what);
    if let Some(fault) = &record.fault {
        return Err(bad(&format!(
            "has a header that cannot be read: {}",
            fault.reason
        )));
    }
    if record.open_quote {
        let help = "where quotes are text, say `with.quote = \"\"`".to_owned();
        return Err(bad("has a header with a quote that is never closed").help(help));
    }
    let names = record
        .fields()
        .map(|name| Some(utf8("", name).ok()?.trim().to_owned()));
    let names = names.collect::<Option<Vec<_>>>().ok_or_else(|| {
        let help =
            "say what it is, such as `with.encoding = \"windows-1252\"`, or save it as UTF-8";
        bad("has a header that is not UTF-8").help(help)
    })?;
    Ok(distinct(names, options, notes))
}

/// Names for columns that have none, or one that came before.
fn distinct(names: Vec<String>, options: &ReadOptions, notes: &mut Vec<String>) -> Vec<String> {
    let path = options.path.display();
    let mut given: Vec<String> = Vec::new();
    let serves = |name: &str| name == options.text || options.label.as_deref() == Some(name);
    for (at, name) in names.iter().enumerate() {
        let place = at + 1;
        let base = if name.is_empty() {
            format!("column_{place}")
        } else if given.contains(name) && !serves(name) {
            format!("{name}_{place}")
        } else {
            // One that serves and comes twice is refused where it is looked for.
            given.push(name.clone());
            continue;
        };
        let mut new = base;
        while given.contains(&new) || names.contains(&new) {
            new.push('_');
        }
        let was = match name.as_str() {
            "" => "has no name".to_owned(),
            name => format!("has the name `{}` of an earlier one", shorten(name)),
        };
        notes.push(format!(
            "`{path}`: column {place} {was}; it is called `{}`",
            shorten(&new)
        ));
        given.push(new);
    }
    given
}

fn shorten(name: &str) -> String {
    match name.char_indices().nth(SHOWN_NAMES) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

/// The same error, with what looks like the right delimiter.
fn other_delimiter(error: Diagnostic, names: &[String], delimiter: u8) -> Diagnostic {
    let [only] = names else { return error };
    if error.code != "missing-column" {
        return error;
    }
    let others = [(b',', ","), (b';', ";"), (b'\t', "\\t"), (b'|', "|")];
    let count = |byte: u8| only.bytes().filter(|b| *b == byte).count();
    let others = others.iter().filter(|(byte, _)| *byte != delimiter);
    let likely = others
        .filter(|(byte, _)| count(*byte) > 0)
        .max_by_key(|(byte, _)| count(*byte));
    let help = likely.map(|(_, name)| {
        format!(
            "is `{name}` what stands between its fields? Then say `with.delimiter = \"{name}\"`"
        )
    });
    error.help_some(help)
}

/// Which of the columns that pass through hold plain numbers and nothing else, as far as the
/// first records tell.
fn numbers(reader: &mut CsvReader, layout: &Layout) -> Result<Vec<bool>, Diagnostic> {
    let mut seen = vec![(false, true); layout.others.len()];
    let mut record = RawRecord::default();
    while reader.input.consumed() < SAMPLE_BYTES && reader.read(&mut record)? {
        for (other, (some, all)) in layout.others.iter().zip(&mut seen) {
            if record.fault.is_some() || other.at >= record.len() {
                continue;
            }
            let field = record.field(other.at);
            if !field.is_empty() && *all {
                (*some, *all) = (true, std::str::from_utf8(field).is_ok_and(is_plain_number));
            }
        }
    }
    Ok(seen.iter().map(|(some, all)| *some && *all).collect())
}

/// The records behind the header.
struct CsvRecords {
    reader: CsvReader,
    checks: Checks,
    record: RawRecord,
    names: Vec<String>,
    layout: Layout,
    /// That of the file, where it is not UTF-8.
    encoding: Option<&'static str>,
    notes: Notes,
}

impl Records for CsvRecords {
    fn next(&mut self) -> Result<Option<Record>, Diagnostic> {
        if !self.reader.read(&mut self.record)? {
            return Ok(None);
        }
        if let Some(odd) = self.record.odd {
            self.note_odd(odd);
        }
        Ok(Some(Record {
            line: Some(self.record.line),
            row: self.row(),
        }))
    }

    fn skip(&mut self, records: u64) -> Result<u64, Diagnostic> {
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

    fn notes(&mut self) -> Vec<String> {
        self.notes.take()
    }
}

impl CsvRecords {
    fn row(&mut self) -> Result<Row, Fault> {
        self.check_shape()?;
        let text = self.checks.text(Some(self.field(self.layout.text)?))?;
        let label = self.layout.label.map(|at| self.field(at)).transpose()?;
        let truth = match label {
            None => None,
            Some("") => self.checks.truth(&Cell::Null)?,
            Some(label) => self.checks.named(label)?,
        };
        let mut others = Vec::with_capacity(self.layout.others.len());
        for other in 0..self.layout.others.len() {
            others.push(self.cell(self.layout.others[other].at));
        }
        Ok(Row {
            text,
            truth,
            others,
        })
    }

    fn check_shape(&mut self) -> Result<(), Fault> {
        if let Some(fault) = self.record.fault.take() {
            return Err(fault);
        }
        let (have, want) = (self.record.len(), self.names.len());
        if have == want {
            return Ok(());
        }
        let reason = format!("the row has {have} fields, and the header {want}");
        Err(Fault::new("malformed", reason))
    }

    fn field(&self, at: usize) -> Result<&str, Fault> {
        let bytes = self.record.field(at);
        std::str::from_utf8(bytes).map_err(|_| {
            let what = format!("`{}`", self.names[at]);
            match self.encoding {
                None => utf8(&what, bytes)
                    .err()
                    .unwrap_or_else(|| Fault::new("invalid-utf8", what)),
                Some(name) => Fault::new("invalid-utf8", format!("{what} is not {name}")),
            }
        })
    }

    /// CSV cannot tell an empty field from a missing one: both are null.
    fn cell(&mut self, at: usize) -> Cell {
        let bytes = self.record.field(at);
        if bytes.is_empty() {
            return Cell::Null;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Cell::Text(text.into()),
            Err(_) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let (name, line) = (&self.names[at], self.record.line);
                self.notes.once(("not-utf8", at), || {
                    format!("line {line}: `{name}` is not UTF-8; here and below, what is not is replaced by U+FFFD")
                });
                Cell::Text(text)
            }
        }
    }

    fn note_odd(&mut self, odd: Odd) {
        let (line, last) = (self.record.line, self.record.last_line);
        self.notes.once(("odd", odd as usize), || match odd {
            Odd::QuoteIsText => format!("line {line}: a quote at the start of a field is taken as text, and so it is below; `with.quote = \"\"` says that all are"),
            Odd::LinesLikeRecords => format!("lines {line} to {last} are one record by their quotes, but each looks like one; if they are, say `with.quote = \"\"`"),
            Odd::SpansLines => format!("lines {line} to {last} are one record by their quotes, and there may be more such; if quotes are text, say `with.quote = \"\"`"),
        });
    }
}
