//! Every example in a manifest holds: examples are documentation that runs.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_schema::{Field, Schema};
use segue::plugins::{Library, Plugins};
use segue_plugin::{Column, Context, Example, OperatorManifest, Rows};
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::harness::{beside_this, compile_word_count};

/// Rows as a batch of the columns that the operator reads.
fn batch(columns: &[Column], rows: &[Value]) -> RecordBatch {
    let field = |c: &Column| Field::new(&c.name, c.column_type.to_arrow(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let reader = arrow_json::ReaderBuilder::new(schema.clone()).build(Cursor::new(lines));
    let batches: Vec<_> = reader.unwrap().map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

fn rows(batch: &RecordBatch) -> Vec<Map<String, Value>> {
    let mut writer = arrow_json::ArrayWriter::new(Vec::new());
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    serde_json::from_slice(&writer.into_inner()).unwrap()
}

/// The rows as the next stage would see them: what passes by the operator included.
fn outputs(library: Library, operator: &str, example: &Example) -> Vec<Map<String, Value>> {
    let columns = library.columns(operator, &example.options, &[]).unwrap();
    let context = Context {
        stage: operator.to_owned(),
        device: "local".to_owned(),
        ..Context::default()
    };
    let mut stage = library
        .create(operator, &example.options, &context)
        .unwrap();
    let mut given = stage
        .process(0, batch(&columns.reads, &example.input))
        .unwrap()
        .batches;
    given.extend(stage.flush(0).unwrap().batches);
    let mut all = Vec::new();
    for batch in &given {
        let origin = |i: usize| match columns.rows {
            Rows::Same => Some(i),
            Rows::Mapped => {
                let row = batch.column_by_name("row").unwrap();
                Some(row.as_primitive::<UInt32Type>().value(i) as usize)
            }
            Rows::New => None,
        };
        for (i, written) in rows(batch).into_iter().enumerate() {
            let passed = origin(i).and_then(|at| example.input[at].as_object());
            let mut row = passed.cloned().unwrap_or_default();
            row.extend(written);
            all.push(row);
        }
    }
    all
}

/// Whether two values are the same, floats to 1e-6.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() <= 1e-6
        }
        _ => left == right,
    }
}

fn check(library: Library, operator: &OperatorManifest) {
    for example in &operator.examples {
        let given = outputs(library, &operator.name, example);
        let told = || format!("`{}`: {example:?}\ngives {given:?}", operator.name);
        assert_eq!(given.len(), example.output.len(), "{}", told());
        for (given, wanted) in given.iter().zip(&example.output) {
            for (key, wanted) in wanted.as_object().unwrap() {
                let value = given.get(key).unwrap_or(&Value::Null);
                assert!(same(value, wanted), "{key}\n{}", told());
            }
        }
    }
}

#[test]
fn the_examples_of_every_operator_that_ships_hold() {
    let folder = TempDir::new().unwrap();
    let plugins = Plugins::new();
    let mut paths = vec![compile_word_count(folder.path())];
    for name in ["aggregator", "bert", "tokenizer"] {
        paths.push(beside_this(&format!("libsegue_{name}.so")));
    }
    let mut checked = BTreeSet::new();
    for path in paths {
        let library = plugins.library(&path).map_err(|e| e.message).unwrap();
        for operator in library.manifest().unwrap().operators {
            check(library, &operator);
            checked.extend((!operator.examples.is_empty()).then(|| operator.name.clone()));
        }
    }
    // The others need a model.
    let expected = BTreeSet::from(["aggregator".to_owned(), "word-count".to_owned()]);
    assert!(checked.is_superset(&expected), "{checked:?}");
}

#[test]
fn an_example_that_does_not_hold_is_noticed() {
    assert!(same(&0.5.into(), &0.500_000_5.into()));
    assert!(!same(&0.5.into(), &0.500_01.into()));
    assert!(!same(&vec![1, 2].into(), &vec![1].into()));
    assert!(!same(&"a".into(), &Value::Null));
}
