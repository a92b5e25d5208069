//! The operator as the host sees it: columns, units, batches.

#[path = "../../encoder/tests/suite/tiny.rs"]
mod tiny;

use std::path::Path;

use segue_bert::Bert;
use segue_plugin::arrow_array::RecordBatch;
use segue_plugin::{Batch, Context, ModelPath, Stage, list_u32_array};

use tiny::{Tiny, run, tokens};

fn stage(dir: &Path, layers: &str) -> Bert {
    let options = serde_json::json!({"model": ModelPath(dir.into()), "layers": layers});
    serde_json::from_value(options).unwrap()
}

fn started(dir: &Path, layers: &str) -> Bert {
    let mut stage = stage(dir, layers);
    let context = Context {
        stage: "encoder".into(),
        device: "local".into(),
        ..Context::default()
    };
    stage.start(&context).unwrap();
    stage
}

fn batch(rows: &[Vec<u32>]) -> Batch {
    let empty = RecordBatch::new_empty(segue_plugin::arrow_schema::Schema::empty().into());
    let column = list_u32_array(rows.iter().map(Vec::as_slice));
    Batch::new(7, empty).with_column("tokens", column).unwrap()
}

#[test]
fn columns_follow_the_range() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    for (layers, reads, writes) in [
        ("..", "tokens: list u32", "logits: fixed f32[2]"),
        ("..1", "tokens: list u32", "hidden: ragged f32[78]"),
        ("1..2", "hidden: ragged f32[78]", "hidden: ragged f32[78]"),
        ("1..", "hidden: ragged f32[78]", "logits: fixed f32[2]"),
    ] {
        let columns = stage(dir.path(), layers).columns_for(&[]).unwrap();
        let told = |c: &segue_plugin::Column| format!("{}: {}", c.name, c.column_type);
        assert_eq!(told(&columns.reads[0]), reads, "{layers}");
        assert_eq!(told(&columns.writes[0]), writes, "{layers}");
    }
    let error = stage(dir.path(), "2..9").columns_for(&[]).unwrap_err();
    assert_eq!(error.code, "bad-layers");
    assert_eq!(error.option.as_deref(), Some("layers"));
    let error = stage(&dir.path().join("none"), "..")
        .columns_for(&[])
        .unwrap_err();
    assert_eq!(error.code, "model-missing");
    assert_eq!(error.option.as_deref(), Some("model"));
}

#[test]
fn units_are_layers() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    let units = stage(dir.path(), "..").units().unwrap().unwrap();
    assert_eq!(units.option, "layers");
    let names: Vec<&str> = units.units.iter().map(|u| u.name.as_str()).collect();
    assert_eq!(names, ["layer 0", "layer 1", "layer 2"]);
    assert!(units.units[0].bytes > units.units[1].bytes);
    assert!(units.units[1].cost > 0.0);
    assert_eq!(stage(dir.path(), "1..").units().unwrap(), None);
}

#[test]
fn batches_of_two_segments_equal_reviews_alone() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    let rows: Vec<Vec<u32>> = [5, 40, 1].map(|n| tokens(n, n as u64)).into();
    let (mut lower, mut upper) = (started(dir.path(), "..2"), started(dir.path(), "2.."));
    let out = upper.process(lower.process(batch(&rows)).unwrap()).unwrap();
    assert_eq!(out.time(), 7);
    let (labels, logits) = out.fixed_f32("logits").unwrap();
    assert_eq!(labels, 2);
    for (row, logits) in rows.iter().zip(logits.chunks(2)) {
        assert_eq!(logits, run(dir.path(), &[0, 3], row));
    }
    let error = lower.process(batch(&[vec![1], vec![9999]])).unwrap_err();
    assert_eq!(error.code, "bad-token");
    assert!(error.message.starts_with("row 1: "), "{error}");
    let none = lower.process(batch(&[])).unwrap();
    assert_eq!(upper.process(none).unwrap().rows(), 0);
}
