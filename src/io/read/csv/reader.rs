//! From bytes to records.
//!
//! The parser is our own because the `csv` crate's gives the wrong line after
//! CRLF, reads a quote that is never closed as if it were, and has no limit to
//! the length of a record. On anything else they agree, and a test holds them
//! to it.

use super::super::input::Input;
use super::super::records::Fault;
use crate::diagnostic::Diagnostic;

/// How fields are set apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dialect {
    /// What stands between two fields.
    pub delimiter: u8,
    /// What stands around a field that holds a delimiter or a line end; `None` where quotes are
    /// text like any other.
    pub quote: Option<u8>,
    /// A quote that makes no sense as one is text: for files that may or may not use quotes.
    pub lenient: bool,
}

/// A record as its fields, quotes resolved.
#[derive(Default)]
pub struct RawRecord {
    bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    ends: Vec<usize>,
    /// The line where it starts, from 1.
    pub line: u64,
    /// The last line it takes.
    pub last_line: u64,
    /// The file ends inside a quoted field.
    pub open_quote: bool,
    /// Why it is no record at all.
    pub fault: Option<Fault>,
    /// What is odd about it, though it is taken as it stands.
    pub odd: Option<Odd>,
}

/// What is odd about a record that is taken as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Odd {
    /// A quote at the start of a field was taken as text.
    QuoteIsText,
    /// A quoted field spans lines of which each could be a record.
    LinesLikeRecords,
    /// A quoted field spans lines, where that is unusual.
    SpansLines,
}

impl RawRecord {
    /// All its fields.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|at| self.field(at))
    }

    /// How many fields it has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Its field number `at`.
    pub fn field(&self, at: usize) -> &[u8] {
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
        self.last_line = line;
        self.open_quote = false;
        self.fault = None;
        self.odd = None;
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

/// What the parser knows of the record it is in.
struct Scan {
    state: State,
    /// Bytes of the window that were looked at.
    at: usize,
    /// Whether something stands between a closing quote and the field's end.
    unclean: bool,
    /// Line ends inside quotes.
    inner_lines: u64,
}

impl Scan {
    fn new() -> Self {
        Scan {
            state: State::FieldStart,
            at: 0,
            unclean: false,
            inner_lines: 0,
        }
    }
}

/// How a look at a record ended.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// At its end.
    Whole,
    /// Inside quotes: at the end of the file, or where none can be closed any more.
    Open,
    /// Past the limit.
    TooLong,
}

/// Splits a file into records. Line ends are `\n`, `\r\n` and `\r`; empty lines
/// are no records.
pub struct CsvReader {
    /// Where the bytes come from.
    pub input: Input,
    dialect: Dialect,
    /// How many fields a record has, once that is known. From then on a quoted field that takes
    /// lines which it should not costs the first of them alone.
    fields: Option<usize>,
    /// Up to here (as [`Input::consumed`] counts) a quote that was opened was looked for its
    /// end, in vain. A quote that is opened before does not find one either.
    open_until: u64,
}

impl CsvReader {
    /// A reader of `input`.
    pub fn new(input: Input, dialect: Dialect) -> Self {
        Self {
            input,
            dialect,
            fields: None,
            open_until: 0,
        }
    }

    /// From now on a record has `fields` fields.
    pub fn expect(&mut self, fields: usize) {
        self.fields = Some(fields);
    }

    /// Back to the first record.
    ///
    /// # Errors
    /// `unreadable`
    pub fn rewind(&mut self) -> Result<(), Diagnostic> {
        self.open_until = 0;
        self.input.rewind()
    }

    /// Reads the next record into `record`; false at the end of the file.
    ///
    /// # Errors
    /// `unreadable`
    pub fn read(&mut self, record: &mut RawRecord) -> Result<bool, Diagnostic> {
        if self.at_end()? {
            return Ok(false);
        }
        record.start(self.input.line());
        let mut scan = Scan::new();
        let end = self.look(&mut scan, record)?;
        record.last_line = record.line + scan.inner_lines;
        let Some(fields) = self.fields else {
            if end == End::TooLong {
                self.too_long(record)?;
                return Ok(true);
            }
            record.open_quote = end == End::Open;
            self.input.consume(scan.at);
            return Ok(true);
        };
        self.settle(end, &scan, fields, record)?;
        Ok(true)
    }

    /// Looks at the bytes of one record, and takes none of them.
    fn look(&mut self, scan: &mut Scan, record: &mut RawRecord) -> Result<End, Diagnostic> {
        let one_line = self.input.consumed() < self.open_until;
        loop {
            if advance(self.input.window(), self.dialect, one_line, scan, record) {
                let open = scan.state == State::Quoted;
                return Ok(if open { End::Open } else { End::Whole });
            }
            if scan.at > self.input.record_bytes_max {
                return Ok(End::TooLong);
            }
            if !self.input.more()? {
                record.end_field();
                let open = scan.state == State::Quoted;
                return Ok(if open { End::Open } else { End::Whole });
            }
        }
    }

    /// Takes the record, or the first line of what cannot be one.
    fn settle(
        &mut self,
        end: End,
        scan: &Scan,
        fields: usize,
        record: &mut RawRecord,
    ) -> Result<(), Diagnostic> {
        if end != End::Whole {
            self.open_until = self.open_until.max(self.input.consumed() + scan.at as u64);
        }
        let bytes = &self.input.window()[..scan.at];
        let several = scan.inner_lines > 0;
        let alike = several && lines_alike(bytes, self.dialect.delimiter, fields);
        let misfit = several && (scan.unclean || record.len() != fields);
        let swallows = alike && (self.dialect.lenient || doubtful(scan.inner_lines + 1, fields));
        if end == End::Whole && !misfit && !swallows {
            if self.dialect.lenient && scan.unclean {
                return self.first_line_as_text(record);
            }
            if alike {
                record.odd = Some(Odd::LinesLikeRecords);
            } else if several && self.dialect.lenient {
                record.odd = Some(Odd::SpansLines);
            }
            self.input.consume(scan.at);
            return Ok(());
        }
        if end == End::TooLong && !bytes.contains(&b'\n') {
            return self.too_long(record);
        }
        if self.dialect.lenient {
            return self.first_line_as_text(record);
        }
        record.fault = Some(Fault::new("malformed", swallowed(end, bytes)));
        let (length, _) = first_line(bytes);
        self.input.consume(length);
        Ok(())
    }

    fn first_line_as_text(&mut self, record: &mut RawRecord) -> Result<(), Diagnostic> {
        let (length, content) = first_line(self.input.window());
        record.start(self.input.line());
        for field in self.input.window()[..content].split(|b| *b == self.dialect.delimiter) {
            record.bytes.extend_from_slice(field);
            record.ends.push(record.bytes.len());
        }
        record.odd = Some(Odd::QuoteIsText);
        self.input.consume(length);
        Ok(())
    }

    fn too_long(&mut self, record: &mut RawRecord) -> Result<(), Diagnostic> {
        let limit = self.input.record_bytes_max;
        self.input.pass_line()?;
        record.start(record.line);
        let reason = format!("the record is longer than {limit} bytes");
        record.fault = Some(Fault::new("record-too-large", reason));
        Ok(())
    }

    /// Passes over empty lines; true when nothing is left.
    pub fn at_end(&mut self) -> Result<bool, Diagnostic> {
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

fn swallowed(end: End, bytes: &[u8]) -> String {
    let last = usize::from(!bytes.ends_with(b"\n"));
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + last;
    let more = "; the lines after the first are read on their own";
    match (end, lines) {
        (End::Open, 0 | 1) => "a quote is never closed".to_owned(),
        (End::Open | End::TooLong, _) => {
            format!("a quote is never closed: it would take {lines} lines{more}")
        }
        (End::Whole, _) => {
            format!("a quote seems to be left open: its field would take {lines} lines{more}")
        }
    }
}

/// The length of the first line with its end, and without.
fn first_line(bytes: &[u8]) -> (usize, usize) {
    let Some(end) = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')) else {
        return (bytes.len(), bytes.len());
    };
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => (end + 2, end),
        _ => (end + 1, end),
    }
}

/// Whether each line of `bytes`, had it no quotes, would be a record of `fields` fields.
fn lines_alike(bytes: &[u8], delimiter: u8, fields: usize) -> bool {
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    let count = |line: &[u8]| 1 + line.iter().filter(|byte| **byte == delimiter).count();
    fields > 1
        && lines
            .filter(|line| !line.is_empty())
            .all(|line| count(line) == fields)
}

/// Whether so many lines that all look like records are more likely to be records. A comma or
/// two stand in many a sentence, so a few lines say little where a record has few fields.
fn doubtful(lines: u64, fields: usize) -> bool {
    lines.saturating_mul(fields as u64 - 1) >= 8
}

/// Takes bytes of `window` into `record` from `scan.at` on; whether the record ended, or, with
/// `one_line`, met a line end inside quotes.
fn advance(
    window: &[u8],
    dialect: Dialect,
    one_line: bool,
    scan: &mut Scan,
    record: &mut RawRecord,
) -> bool {
    let is_quote = |byte: u8| Some(byte) == dialect.quote;
    let mut state = scan.state;
    for (at, byte) in window.iter().copied().enumerate().skip(scan.at) {
        match (state, byte) {
            (State::FieldStart, _) if is_quote(byte) => state = State::Quoted,
            (State::Quoted, _) if is_quote(byte) => state = State::QuoteSeen,
            (State::Quoted, b'\n') => {
                record.bytes.push(byte);
                scan.inner_lines += 1;
                if one_line {
                    (scan.state, scan.at) = (state, at + 1);
                    return true;
                }
            }
            (State::Quoted, _) => record.bytes.push(byte),
            (State::QuoteSeen, _) if is_quote(byte) => {
                record.bytes.push(byte);
                state = State::Quoted;
            }
            (_, b'\r' | b'\n') => {
                record.end_field();
                (scan.state, scan.at) = (state, at + 1);
                return true;
            }
            (_, _) if byte == dialect.delimiter => {
                record.end_field();
                state = State::FieldStart;
            }
            (_, _) => {
                scan.unclean |= state == State::QuoteSeen;
                record.bytes.push(byte);
                state = State::Plain;
            }
        }
    }
    (scan.state, scan.at) = (state, window.len());
    false
}
