//! An operator's examples: documentation that runs.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_schema::{ArrowError, Field, Schema};
use segue_plugin::ffi::Origin;
use segue_plugin::{Column, Context, Example, Next, OperatorManifest, Rows, Type};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::library::Library;
use crate::diagnostic::Diagnostic;

/// An example that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Which, counted from 1.
    pub number: usize,
    /// Why, with what came out.
    pub reason: String,
}

type Row = Map<String, Value>;

/// Those of `operator`'s examples that do not hold.
pub fn broken(library: Library, operator: &OperatorManifest) -> Vec<Broken> {
    let numbered = operator.examples.iter().enumerate();
    let broken = numbered.filter_map(|(i, example)| {
        let outcome = check(library, operator, example);
        let number = i + 1;
        outcome.err().map(|reason| Broken { number, reason })
    });
    broken.collect()
}

fn check(library: Library, operator: &OperatorManifest, example: &Example) -> Result<(), String> {
    let given = outputs(library, operator, example);
    let given = given.map_err(|error| format!("{} ({})", error.message, error.code))?;
    let all = Value::from(given.iter().cloned().map(Value::from).collect::<Vec<_>>());
    let (has, wanted) = (given.len(), example.output.len());
    if has != wanted {
        return Err(format!("it gives {has} rows, not {wanted}: {all}"));
    }
    for (i, (given, wanted)) in given.iter().zip(&example.output).enumerate() {
        for (name, wanted) in wanted.as_object().into_iter().flatten() {
            let value = given.get(name).unwrap_or(&Value::Null);
            if !same(value, wanted) {
                let row = i + 1;
                return Err(format!("`{name}` of row {row} is {value}, not {wanted}"));
            }
        }
    }
    Ok(())
}

/// The rows as the next stage would see them: what passes by the operator included.
fn outputs(
    library: Library,
    operator: &OperatorManifest,
    example: &Example,
) -> Result<Vec<Row>, Diagnostic> {
    let name = &operator.name;
    let options = options(operator, example);
    let columns = library.columns(name, &options, &[])?;
    let context = Context {
        stage: name.clone(),
        device: crate::graph::LOCAL.to_owned(),
        ..Context::default()
    };
    let stage = library.create(name, &options, &context)?;
    let mut stage = stage.relating(columns.rows);
    let mut given = Given::default();
    for (port, name, whole, input) in inputs(operator, example)? {
        let reads = columns.reads.iter().filter(|column| column.port == name);
        let reads: Vec<Column> = reads.cloned().collect();
        let origin = Origin {
            time: 0,
            port,
            reserved: 0,
        };
        let answer = stage.process(&origin, batch(&reads, input)?, whole)?;
        given.add(answer.batches, input);
    }
    given.add(stage.flush(0)?.batches, &[]);
    // Without state there is no end of its own.
    let mut next = if columns.stateful {
        Next::More
    } else {
        Next::Done
    };
    while next == Next::More {
        let (rest, after) = stage.finish()?;
        given.add(rest.batches, &[]);
        next = after;
    }
    let mut all = Vec::new();
    for (batch, input) in &given.0 {
        as_declared(&columns.writes, batch)?;
        let row = batch.column_by_name("row");
        let row = row.and_then(|row| row.as_primitive_opt::<UInt32Type>());
        let origin = |i: usize| match columns.rows {
            Rows::Same => Some(i),
            Rows::Mapped => row.map(|row| row.value(i) as usize),
            Rows::New => None,
        };
        for (i, written) in rows(batch)?.into_iter().enumerate() {
            let passed = origin(i).and_then(|at| input.get(at)?.as_object());
            let mut row = passed.cloned().unwrap_or_default();
            row.extend(written);
            all.push(row);
        }
    }
    Ok(all)
}

/// What came out, each batch with the rows that it was given for.
#[derive(Default)]
struct Given<'a>(Vec<(RecordBatch, &'a [Value])>);

impl<'a> Given<'a> {
    fn add(&mut self, batches: Vec<RecordBatch>, input: &'a [Value]) {
        let batches = batches.into_iter();
        self.0.extend(batches.map(|batch| (batch, input)));
    }
}

/// The number of a port, its name, whether it is a side input, and its rows.
type Input<'a> = (u32, &'a str, bool, &'a [Value]);

/// The rows of `example` in the order in which they are given.
///
/// # Errors
/// `unknown-port`
fn inputs<'a>(
    operator: &'a OperatorManifest,
    example: &'a Example,
) -> Result<Vec<Input<'a>>, Diagnostic> {
    if example.inputs.is_empty() {
        let first = operator.ports.first();
        let (name, whole) = first.map_or(("", false), |port| (port.name.as_str(), port.whole));
        return Ok(vec![(0, name, whole, example.input.as_slice())]);
    }
    let known = |name: &String| operator.ports.iter().any(|port| port.name == *name);
    if let Some(odd) = example.inputs.keys().find(|name| !known(name)) {
        let message = format!("it has no input port `{odd}`");
        return Err(Diagnostic::new("unknown-port", message));
    }
    let ports = (0..).zip(&operator.ports);
    let mut all: Vec<Input<'a>> = ports
        .filter_map(|(number, port)| {
            let rows = example.inputs.get(&port.name)?;
            Some((number, port.name.as_str(), port.whole, rows.as_slice()))
        })
        .collect();
    all.sort_by_key(|(number, _, whole, _)| (!whole, *number));
    Ok(all)
}

/// That `batch` has the columns that are `declared`, with these types.
fn as_declared(declared: &[Column], batch: &RecordBatch) -> Result<(), Diagnostic> {
    let wrong = |message| Err(Diagnostic::new("bad-columns", message));
    for Column {
        name, column_type, ..
    } in declared
    {
        let given = batch.column_by_name(name).map(|column| column.data_type());
        match given.map(|given| (given, Type::from_arrow(given))) {
            None => {
                return wrong(format!(
                    "it does not give `{name}`, which it says it writes"
                ));
            }
            Some((_, Some(given))) if given == *column_type => {}
            Some((given, known)) => {
                let given = known.map_or(given.to_string(), |known| known.to_string());
                return wrong(format!(
                    "it gives `{name}: {given}`, and says that it writes `{column_type}`"
                ));
            }
        }
    }
    Ok(())
}

/// The example's options, with the others at their defaults, as a graph would give them.
fn options(operator: &OperatorManifest, example: &Example) -> Value {
    let defaults = operator.options.iter().filter(|one| !one.default.is_null());
    let mut all: Row = defaults
        .map(|one| (one.name.clone(), one.default.clone()))
        .collect();
    all.extend(example.options.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}

/// Rows as a batch of the columns that the operator reads.
fn batch(columns: &[Column], rows: &[Value]) -> Result<RecordBatch, Diagnostic> {
    let field = |c: &Column| Field::new(&c.name, c.column_type.to_arrow(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let reader = arrow_json::ReaderBuilder::new(Arc::clone(&schema)).build(Cursor::new(lines));
    let reader = reader.map_err(of_arrow)?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(of_arrow)?;
    arrow_select::concat::concat_batches(&schema, &batches).map_err(of_arrow)
}

fn of_arrow(error: ArrowError) -> Diagnostic {
    Diagnostic::new("arrow", error.to_string())
}

fn rows(batch: &RecordBatch) -> Result<Vec<Row>, Diagnostic> {
    let mut writer = arrow_json::ArrayWriter::new(Vec::new());
    writer.write(batch).map_err(of_arrow)?;
    writer.finish().map_err(of_arrow)?;
    let rows = serde_json::from_slice(&writer.into_inner());
    rows.map_err(|e| Diagnostic::new("json", e.to_string()))
}

/// Whether two values are the same, floats to 1e-6.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let pair = a.as_f64().zip(b.as_f64());
            pair.is_some_and(|(a, b)| (a - b).abs() <= 1e-6)
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_that_are_declared() {
        let words: arrow_array::ArrayRef = Arc::new(arrow_array::UInt32Array::from(vec![3]));
        let batch = RecordBatch::try_from_iter([("words", words)]).unwrap();
        let declared = |name: &str, of: &str| [Column::new(name, Type::from(of))];
        as_declared(&declared("words", "u32"), &batch).unwrap();
        let wrong = |name, of| {
            as_declared(&declared(name, of), &batch)
                .unwrap_err()
                .message
        };
        assert_eq!(
            wrong("words", "u64"),
            "it gives `words: u32`, and says that it writes `u64`"
        );
        assert_eq!(
            wrong("letters", "u32"),
            "it does not give `letters`, which it says it writes"
        );
    }

    #[test]
    fn floats_are_the_same_to_a_millionth() {
        assert!(same(&0.5.into(), &0.500_000_5.into()));
        assert!(!same(&0.5.into(), &0.500_01.into()));
        assert!(!same(&vec![1, 2].into(), &vec![1].into()));
        assert!(!same(&"a".into(), &Value::Null));
    }
}
