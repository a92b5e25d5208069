//! JSON Lines.

mod value;

use std::collections::HashMap;
use std::fs::File;

use self::value::{Object, Type, Value};
use super::batch::Columns;
use super::columns::Layout;
use super::input::Input;
use super::no_records;
use super::records::{Cell, Checks, Fault, Row, utf8};
use super::source::{Record, RecordSource, Records};
use crate::io::{IoError, ReadOptions, Source};

/// Records that say which columns there are, and of what type.
const SAMPLE_RECORDS: usize = 100;

/// Opens a file with an object on each line.
pub fn open(file: File, options: &ReadOptions) -> Result<Box<dyn Source>, IoError> {
    let mut lines = Lines::new(Input::new(file, options)?);
    let sample = sample(&mut lines, options)?;
    lines.input.rewind()?;
    let layout = Layout::new(&sample.names, options)?;
    let types: Vec<_> = layout.others.iter().map(|at| sample.types[*at]).collect();
    let others = layout.others.iter().map(|at| sample.names[*at].clone());
    let kinds = types.iter().map(|kind| kind.column());
    let columns = Columns::new(layout.label.is_some(), others.zip(kinds).collect());
    let places = sample.names.iter().cloned().zip(0..).collect();
    let records = JsonRecords {
        lines,
        checks: Checks::new(options),
        names: sample.names,
        places,
        layout,
        types,
    };
    Ok(Box::new(RecordSource::new(records, columns)))
}

/// What the first records have, in the order met.
#[derive(Default)]
struct Sample {
    names: Vec<String>,
    types: Vec<Type>,
    places: HashMap<String, usize>,
}

impl Sample {
    fn add(&mut self, object: Object) {
        for (name, value) in object.0 {
            let place = *self.places.entry(name).or_insert_with_key(|name| {
                self.names.push(name.clone());
                self.types.push(Type::Unknown);
                self.names.len() - 1
            });
            self.types[place] = self.types[place].with(&value);
        }
    }
}

fn sample(lines: &mut Lines, options: &ReadOptions) -> Result<Sample, IoError> {
    let mut sample = Sample::default();
    let (mut records, mut objects) = (0, 0);
    while records < SAMPLE_RECORDS && lines.advance()? {
        records += 1;
        if let Ok(object) = parse(&lines.line) {
            objects += 1;
            sample.add(object);
        }
    }
    match (records, objects) {
        (0, _) => Err(no_records(&options.path)),
        (_, 0) => Err(IoError::file(
            "bad-file",
            &options.path,
            format_args!("has no JSON object in its first {records} lines"),
        )),
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
}

impl Records for JsonRecords {
    fn next(&mut self) -> Result<Option<Record>, IoError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        Ok(Some(Record {
            line: Some(self.lines.number),
            row: self.row(),
        }))
    }

    fn skip(&mut self, records: u64) -> Result<u64, IoError> {
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
}

impl JsonRecords {
    fn row(&self) -> Result<Row, Fault> {
        let mut values = self.values(parse(&self.lines.line)?);
        let mut take = |at: usize| std::mem::replace(&mut values[at], Value::Null);
        let others = self.layout.others.iter().zip(&self.types);
        let others = others
            .map(|(at, wanted)| {
                wanted
                    .cell(take(*at))
                    .map_err(|is| self.bad_value(*at, is, *wanted))
            })
            .collect::<Result<_, _>>()?;
        let label = self.layout.label.map(|at| self.label(take(at)));
        let text = self.text(take(self.layout.text))?;
        let truth = label.transpose()?;
        Ok(Row {
            text,
            truth,
            others,
        })
    }

    /// The object's values, by column; of a name that comes twice, the last.
    fn values(&self, object: Object) -> Vec<Value> {
        let mut values: Vec<_> = self.names.iter().map(|_| Value::Null).collect();
        for (name, value) in object.0 {
            if let Some(place) = self.places.get(&name) {
                values[*place] = value;
            }
        }
        values
    }

    fn text(&self, value: Value) -> Result<String, Fault> {
        let text = match &value {
            Value::Null => None,
            Value::Text(text) => Some(text.as_str()),
            other => return Err(self.bad_value(self.layout.text, other.type_name(), Type::Text)),
        };
        self.checks.text(text)
    }

    fn label(&self, value: Value) -> Result<String, Fault> {
        let label = match value {
            Value::Null => Cell::Null,
            Value::Bool(value) => Cell::Bool(value),
            Value::Int(value) => Cell::Int(value),
            Value::Float(value) => Cell::Float(value),
            Value::Text(value) => Cell::Text(value),
            Value::Nested(_) => {
                return Err(Fault::new(
                    "bad-label",
                    "the label is an object or an array",
                ));
            }
        };
        self.checks.truth(&label)
    }

    fn bad_value(&self, at: usize, is: &str, wanted: Type) -> Fault {
        let (name, wanted) = (&self.names[at], wanted.name());
        Fault::new(
            "bad-value",
            format!("`{name}` is {is}, and the column holds {wanted}"),
        )
    }
}

fn parse(line: &[u8]) -> Result<Object, Fault> {
    let line = utf8("the line", line.trim_ascii_end())?;
    serde_json::from_str(line).map_err(|error| {
        // A record is one line, so that its own "line 1" would mislead.
        let reason = error
            .to_string()
            .replace(" at line 1 column ", " at column ");
        Fault::new(
            "malformed",
            format!("the line is not a JSON object: {reason}"),
        )
    })
}

/// The lines of a file that are not blank.
struct Lines {
    input: Input,
    line: Vec<u8>,
    /// Number of `line` in the file, from 1.
    number: u64,
}

impl Lines {
    fn new(input: Input) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
        }
    }

    /// Goes to the next line; false at the end of the file.
    fn advance(&mut self) -> Result<bool, IoError> {
        loop {
            self.number = self.input.line();
            self.line.clear();
            let more = self.read_line()?;
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
            if !more {
                return Ok(false);
            }
        }
    }

    /// False when the file ends before the line does.
    fn read_line(&mut self) -> Result<bool, IoError> {
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
            self.input.check_record(self.line.len(), self.number)?;
        }
    }
}
