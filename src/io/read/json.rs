//! JSON Lines.

mod value;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;

use self::value::{Type, Value, object, unescaped};
use super::batch::Columns;
use super::columns::Layout;
use super::input::Input;
use super::no_records;
use super::notes::Notes;
use super::records::{Cell, Checks, Fault, Row, utf8};
use super::source::{Opened, Record, Records};
use crate::diagnostic::Diagnostic;
use crate::io::ReadOptions;
use crate::io::error::file_error;

/// Bytes, and at least as many records, that say which columns there are, and of what type.
const SAMPLE_BYTES: u64 = 32 << 20;
const SAMPLE_RECORDS: usize = 100;
/// More names than any table has: then they are data.
const COLUMNS_MAX: usize = 1024;

/// Opens a file with an object on each line.
pub fn open(file: File, options: &ReadOptions) -> Result<Opened, Diagnostic> {
    let mut lines = Lines::new(Input::new(file, options)?);
    let sample = sample(&mut lines, options)?;
    lines.input.rewind()?;
    let layout = Layout::new(&sample.names, options)?;
    let types: Vec<_> = layout
        .others
        .iter()
        .map(|other| sample.types[other.at])
        .collect();
    let others = layout.others.iter().map(|other| other.name.clone());
    let kinds = types.iter().map(|kind| kind.column());
    let columns = Columns::new(layout.label.is_some(), others.zip(kinds).collect());
    let mut notes = layout.notes.clone();
    if sample.names.len() == COLUMNS_MAX {
        let path = options.path.display();
        notes.push(format!(
            "`{path}`: names after the first {COLUMNS_MAX} are left out"
        ));
    }
    let records = JsonRecords {
        lines,
        checks: Checks::new(options),
        names: sample.names,
        places: sample.places,
        layout,
        types,
        notes: Notes::default(),
    };
    Ok(Opened {
        path: options.path.clone(),
        records: Box::new(records),
        columns,
        notes,
    })
}

/// What the first records have, in the order met.
#[derive(Default)]
struct Sample {
    names: Vec<String>,
    types: Vec<Type>,
    places: HashMap<String, usize>,
}

impl Sample {
    fn add(&mut self, name: &str, value: &Value) {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None if self.names.len() == COLUMNS_MAX => return,
            None => {
                self.names.push(name.to_owned());
                self.types.push(Type::Unknown);
                self.places.insert(name.to_owned(), self.names.len() - 1);
                self.names.len() - 1
            }
        };
        self.types[place] = self.types[place].with(value);
    }
}

fn sample(lines: &mut Lines, options: &ReadOptions) -> Result<Sample, Diagnostic> {
    let mut sample = Sample::default();
    let (mut records, mut objects) = (0, 0);
    let mut first = None;
    while (records < SAMPLE_RECORDS || objects > 0 && lines.input.consumed() < SAMPLE_BYTES)
        && lines.advance()?
    {
        records += 1;
        first = first.or_else(|| lines.line.trim_ascii_start().first().copied());
        if let Ok(object) = parse(&lines.line) {
            objects += 1;
            object
                .iter()
                .for_each(|(name, value, _)| sample.add(name, value));
        }
    }
    match (records, objects) {
        (0, _) => Err(no_records(&options.path)),
        (_, 0) => {
            let what = format_args!("has no JSON object in its first {records} lines");
            let help = match first {
                Some(b'[') => Some(
                    "it looks like one array: write an object on each line, as `jq -c '.[]'` does",
                ),
                Some(b'{') => Some(
                    "it looks like objects over several lines: write each on one, as `jq -c .` does",
                ),
                _ => None,
            };
            let error = file_error("bad-file", &options.path, what);
            Err(error.help_some(help.map(str::to_owned)))
        }
        _ => Ok(sample),
    }
}

/// The records of a file.
struct JsonRecords {
    lines: Lines,
    checks: Checks,
    names: Vec<String>,
    places: HashMap<String, usize>,
    layout: Layout,
    /// Types of the columns that pass through.
    types: Vec<Type>,
    notes: Notes,
}

impl Records for JsonRecords {
    fn next(&mut self) -> Result<Option<Record>, Diagnostic> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        // Lent out, so that the record's values can point into it.
        let line = std::mem::take(&mut self.lines.line);
        let row = self.row(&line);
        self.lines.line = line;
        Ok(Some(Record {
            line: Some(self.lines.number),
            row,
        }))
    }

    fn skip(&mut self, records: u64) -> Result<u64, Diagnostic> {
        for passed in 0..records {
            if !self.lines.advance()? {
                return Ok(passed);
            }
        }
        Ok(records)
    }

    fn total(&self) -> Option<u64> {
        None
    }

    fn progress(&self) -> Option<f64> {
        Some(self.lines.input.progress())
    }

    fn notes(&mut self) -> Vec<String> {
        self.notes.take()
    }
}

impl JsonRecords {
    fn row(&mut self, line: &[u8]) -> Result<Row, Fault> {
        if let Some(fault) = self.lines.fault.take() {
            return Err(fault);
        }
        let object = parse(line)?;
        let values = self.values(&object);
        let mut others = Vec::with_capacity(self.types.len());
        for (other, wanted) in self.layout.others.iter().zip(&self.types) {
            let (value, raw) = values[other.at];
            others.push(wanted.cell(value, raw).unwrap_or_else(|is| {
                let (name, wanted, line) = (&self.names[other.at], wanted.name(), self.lines.number);
                self.notes.once(("type", other.at), || {
                    format!("line {line}: `{name}` is {is}, and the column holds {wanted}; here and below, what is not is left out")
                });
                Cell::Null
            }));
        }
        let text = self.text(values[self.layout.text].0)?;
        let label = self.layout.label.map(|at| values[at]);
        let label = label
            .map(|(value, raw)| self.label(value, raw))
            .transpose()?;
        Ok(Row {
            text,
            truth: label.flatten(),
            others,
        })
    }

    /// The object's values with their texts, by column; of a name that comes twice, the last.
    fn values<'a>(
        &mut self,
        object: &[(Cow<'a, str>, Value<'a>, &'a str)],
    ) -> Vec<(Value<'a>, &'a str)> {
        let mut values = vec![(Value::Null, "null"); self.names.len()];
        for (name, value, raw) in object {
            match self.places.get(name.as_ref()) {
                Some(place) => values[*place] = (*value, raw),
                None => {
                    let line = self.lines.number;
                    self.notes.once(("late", 0), || {
                        format!("line {line}: `{name}` is left out, and so is any other name that the first records do not have")
                    });
                }
            }
        }
        values
    }

    fn text(&self, value: Value) -> Result<String, Fault> {
        let at = self.layout.text;
        let text = match value {
            Value::Null => None,
            Value::Text(text) => {
                let wrong = || {
                    Fault::new(
                        "malformed",
                        format!("`{}` has an escape that is none", self.names[at]),
                    )
                };
                Some(unescaped(text).ok_or_else(wrong)?)
            }
            other => {
                let (name, is) = (&self.names[at], other.type_name());
                let reason = format!("`{name}` is {is}, and a text is a string");
                return Err(Fault::new("bad-value", reason));
            }
        };
        self.checks.text(text.as_deref())
    }

    fn label(&self, value: Value, raw: &str) -> Result<Option<String>, Fault> {
        match value {
            Value::Null | Value::NotFinite(_) => self.checks.truth(&Cell::Null),
            Value::Bool(value) => self.checks.truth(&Cell::Bool(value)),
            Value::Text(text) => self.checks.named(unescaped(text).as_deref().unwrap_or(raw)),
            _ => self.checks.named(raw),
        }
    }
}

/// A field: its name, its value, and how that is written.
type Entry<'a> = (Cow<'a, str>, Value<'a>, &'a str);

fn parse(line: &[u8]) -> Result<Vec<Entry<'_>>, Fault> {
    let line = utf8("the line", line.trim_ascii_end())?;
    let mut entries = Vec::new();
    match object(line, |name, value, raw| entries.push((name, value, raw))) {
        Some(()) => Ok(entries),
        None => Err(malformed(line)),
    }
}

/// What serde says of a line that is not an object.
fn malformed(line: &str) -> Fault {
    let why = match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line) {
        Ok(_) => "its arrays and objects lie too deep in each other".to_owned(),
        // A record is one line, so that its own "line 1" would mislead.
        Err(error) => error
            .to_string()
            .replace(" at line 1 column ", " at column "),
    };
    Fault::new("malformed", format!("the line is not a JSON object: {why}"))
}

/// The lines of a file that are not blank.
struct Lines {
    input: Input,
    line: Vec<u8>,
    /// Number of `line` in the file, from 1.
    number: u64,
    /// Why it is no record.
    fault: Option<Fault>,
}

impl Lines {
    fn new(input: Input) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
            fault: None,
        }
    }

    /// Goes to the next line; false at the end of the file.
    fn advance(&mut self) -> Result<bool, Diagnostic> {
        loop {
            self.number = self.input.line();
            self.line.clear();
            self.fault = None;
            let more = self.read_line()?;
            if self.fault.is_some() || !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
            if !more {
                return Ok(false);
            }
        }
    }

    /// False when the file ends before the line does.
    fn read_line(&mut self) -> Result<bool, Diagnostic> {
        loop {
            let chunk = self.input.fill()?;
            if chunk.is_empty() {
                return Ok(false);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(chunk.len(), |end| end + 1);
            self.line.extend_from_slice(&chunk[..count]);
            self.input.consume(count);
            if end.is_some() {
                return Ok(true);
            }
            if self.line.len() > self.input.record_bytes_max {
                let limit = self.input.record_bytes_max;
                self.line.clear();
                let reason = format!("the line is longer than {limit} bytes");
                self.fault = Some(Fault::new("record-too-large", reason));
                self.input.pass_line()?;
                return Ok(true);
            }
        }
    }
}
