use super::*;
use crate::config::ModelShape;
use crate::model::tests::{shape, vectors};
use crate::model::{Model, Tokens};
use crate::params::file;
use segue_plugin::arrow_array::cast::AsArray;
use segue_plugin::arrow_array::types::Float32Type;
use segue_plugin::arrow_array::{ArrayRef, Float32Array, StringArray, UInt32Array};
use segue_plugin::{fixed_f32_array, list_u32_array, ragged_f32_array};
use serde_json::{Value, json};

const ROWS: [&[u32]; 2] = [&[1, 5, 2], &[8, 0, 3, 3, 4]];

/// A teacher in `folder`, and what it says of [`ROWS`] with the states in the order `states`.
fn lesson(folder: &std::path::Path, states: [usize; 3]) -> Batch {
    let shape = shape();
    let shape = ModelShape {
        layers: vec![shape.layers[0]; 2],
        ..shape
    };
    let vectors = vectors(&shape);
    let config = json!({
        "hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 20,
        "num_hidden_layers": 2, "vocab_size": 9, "max_position_embeddings": 7,
        "layer_norm_eps": 1e-5,
    });
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write("config.json", config.to_string().as_bytes());
    write("vocab.txt", b"[PAD]");
    let weights = file(&shape, &vectors, false).unwrap();
    write("model.safetensors", &weights);
    let model = Model::new(shape, &vectors, 1).unwrap();
    let output = model
        .run(&Tokens::new(ROWS.into_iter()), None, &[])
        .unwrap();
    let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let logits = fixed_f32_array(flat(&output.logits), 2).unwrap();
    let truth = StringArray::from(vec![Some("negative"), None]);
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("tokens".into(), Arc::new(list_u32_array(ROWS.into_iter()))),
        ("truth".into(), Arc::new(truth)),
        ("role".into(), Arc::new(StringArray::from(vec!["train"; 2]))),
        ("epoch".into(), Arc::new(UInt32Array::from(vec![0; 2]))),
        (
            "progress".into(),
            Arc::new(Float32Array::from(vec![0.5; 2])),
        ),
        ("logits".into(), Arc::new(logits)),
    ];
    for (name, state) in states.into_iter().enumerate() {
        let state = ragged_f32_array(flat(&output.states[state]), 12, &[3, 5]).unwrap();
        columns.push((format!("state-{name}"), Arc::new(state)));
    }
    Batch::from_arrays(0, columns).unwrap()
}

fn stage(folder: &std::path::Path, more: Value) -> Distill {
    let mut options = json!({
        "teacher": folder, "output": folder.join("made"), "layers": "0,1", "hidden": 12,
        "inner": 20, "dropout": 0.0, "verdict-weight": 0.0, "label-weight": 0.0,
    });
    let more = more.as_object().unwrap().clone();
    options.as_object_mut().unwrap().extend(more);
    serde_json::from_value(options).unwrap()
}

/// The loss at the first step of a student that is the whole teacher.
fn loss(states: [usize; 3], more: Value) -> f32 {
    let folder = tempfile::tempdir().unwrap();
    let batch = lesson(folder.path(), states);
    let mut stage = stage(folder.path(), more);
    let context = Context {
        stage: "train".into(),
        device: "local".into(),
        ..Context::default()
    };
    stage.start(&context).unwrap();
    let mut host = Host::silent();
    stage.process_each(batch, &mut host).unwrap();
    let given = host.into_batches();
    let loss = given[0].column("loss").unwrap();
    loss.as_primitive::<Float32Type>().value(0)
}

#[test]
fn a_student_that_is_its_teacher_has_nothing_to_learn() {
    let all = json!({"attention-weight": 1.0});
    assert!(loss([0, 1, 2], all).abs() < 1e-9);
}

#[test]
fn states_of_other_layers_are_something_to_learn() {
    let states = json!({"attention-weight": 0.0});
    assert!(loss([0, 1, 2], states.clone()).abs() < 1e-9);
    for other in [[1, 0, 2], [0, 2, 1], [2, 1, 0]] {
        assert!(loss(other, states.clone()) > 0.01, "{other:?}");
    }
}

#[test]
fn scores_come_from_what_a_layer_takes() {
    let scores = json!({"attention-weight": 1.0, "state-weight": 0.0});
    assert!(loss([0, 1, 2], scores.clone()).abs() < 1e-9);
    // What the last layer gives is no part of any score.
    assert!(loss([0, 1, 0], scores.clone()).abs() < 1e-9);
    for other in [[1, 1, 2], [0, 0, 2]] {
        assert!(loss(other, scores.clone()) > 1e-4, "{other:?}");
    }
}

#[test]
fn verdicts_and_labels_count_by_their_weights() {
    let only = |verdict: f32, label: f32| {
        let weights = json!({"verdict-weight": verdict, "label-weight": label});
        loss([0, 1, 2], weights)
    };
    let (verdict, label) = (only(1.0, 0.0), only(0.0, 1.0));
    assert!(verdict > 0.1 && label > 0.1, "{verdict} {label}");
    assert!((only(2.0, 0.5) - 2.0 * verdict - 0.5 * label).abs() < 1e-5);
}

#[test]
fn without_attention_fewer_states_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    lesson(folder.path(), [0, 1, 2]);
    let states = |attention: f32| {
        let more = json!({"layers": "1", "attention-weight": attention});
        let columns = stage(folder.path(), more).columns_for(&[]).unwrap();
        let names = columns.reads.into_iter().map(|column| column.name);
        names
            .filter(|name| name.starts_with("state-"))
            .collect::<Vec<_>>()
    };
    assert_eq!(states(1.0), ["state-0", "state-1", "state-2"]);
    assert_eq!(states(0.0), ["state-0", "state-2"]);
}
