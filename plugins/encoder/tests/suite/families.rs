//! Models of other families and tasks.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use segue_encoder::{Layers, Options, Segment, check};
use serde_json::{Value, json};

use crate::tiny::{Tiny, run, tokens};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn write(folder: &Path, config: &Value, tensors: &Tensors) {
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let bytes: BTreeMap<&String, Vec<u8>> = tensors
        .iter()
        .map(|(name, (_, values))| (name, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = tensors.iter().map(|(name, (shape, _))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), &bytes[name]).unwrap();
        (name, view)
    });
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(folder.join("model.safetensors"), file).unwrap();
}

fn config(tiny: Tiny, more: Value) -> Value {
    let mut config: Value = serde_json::from_str(&tiny.config()).unwrap();
    let more = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(more);
    config
}

/// A BERT whose token types are zero, and the DistilBERT with the same numbers.
fn pair(tiny: Tiny) -> (tempfile::TempDir, tempfile::TempDir) {
    let (bert, distilled) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut tensors = tiny.tensors();
    for (name, (_, values)) in &mut tensors {
        if name.contains("token_type") {
            values.fill(0.0);
        }
    }
    write(bert.path(), &config(tiny, json!({})), &tensors);
    let names = [
        ("bert.pooler.dense", "pre_classifier"),
        ("bert.encoder.", "distilbert.transformer."),
        ("bert.", "distilbert."),
        ("attention.self.query", "attention.q_lin"),
        ("attention.self.key", "attention.k_lin"),
        ("attention.self.value", "attention.v_lin"),
        ("attention.output.dense", "attention.out_lin"),
        ("attention.output.LayerNorm", "sa_layer_norm"),
        ("intermediate.dense", "ffn.lin1"),
        ("output.dense", "ffn.lin2"),
        ("output.LayerNorm", "output_layer_norm"),
    ];
    let renamed = |name: String| {
        let whole = |name: String, (from, to): &(&str, &str)| match name.contains("distilbert.") {
            true if *from == "bert." => name,
            _ => name.replace(from, to),
        };
        names.iter().fold(name, whole)
    };
    let tensors = (tensors.into_iter())
        .filter(|(name, _)| !name.contains("token_type"))
        .map(|(name, tensor)| (renamed(name), tensor))
        .collect();
    let config = json!({
        "model_type": "distilbert", "dim": tiny.hidden, "n_layers": tiny.layers,
        "n_heads": tiny.heads, "hidden_dim": tiny.inner, "activation": "gelu",
        "vocab_size": crate::tiny::VOCABULARY, "max_position_embeddings": crate::tiny::POSITIONS,
    });
    write(distilled.path(), &config, &tensors);
    (bert, distilled)
}

#[test]
fn distilbert_gives_the_states_of_a_bert_without_token_types() {
    let tiny = Tiny {
        with_head: false,
        ..Tiny::default()
    };
    let (bert, distilled) = pair(tiny);
    let tokens = tokens(13, 4);
    assert_eq!(
        run(bert.path(), &[0, 3], &tokens),
        run(distilled.path(), &[0, 3], &tokens)
    );
    // Cut where it may, it says the same.
    let headed = pair(Tiny::default()).1;
    let whole = run(headed.path(), &[0, 3], &tokens);
    assert_eq!(whole, run(headed.path(), &[0, 1, 2, 3], &tokens));
}

#[test]
fn distilbert_pools_with_relu() {
    let tiny = Tiny::default();
    let (_, distilled) = pair(tiny);
    let tokens = tokens(9, 2);
    let options = Options {
        states: vec![3],
        ..Options::default()
    };
    let mut states = Segment::load_with(distilled.path(), Layers::all(3), &options).unwrap();
    let mut logits = Vec::new();
    states.run_tokens(&tokens, &mut logits).unwrap();
    let first = &states.state(0).unwrap()[..tiny.hidden];
    let tensors = tiny.tensors();
    let dense = |x: &[f32], at: &str| -> Vec<f32> {
        let (weight, bias) = (
            &tensors[&format!("{at}.weight")].1,
            &tensors[&format!("{at}.bias")].1,
        );
        let rows = weight.chunks_exact(x.len()).zip(bias);
        rows.map(|(row, bias)| {
            let sum: f64 = row.iter().zip(x).map(|(a, b)| f64::from(a * b)).sum();
            sum as f32 + bias
        })
        .collect()
    };
    let mut pooled = dense(first, "bert.pooler.dense");
    assert!(pooled.iter().any(|x| *x < 0.0));
    for x in &mut pooled {
        *x = x.max(0.0);
    }
    let want = dense(&pooled, "classifier");
    let off = crate::difference::max_difference(&logits, &want);
    assert!(off < 1e-4, "{logits:?}, not {want:?}");
}

#[test]
fn a_model_for_another_task_is_refused_where_its_head_is_reached() {
    let tiny = Tiny::default();
    for (more, part) in [
        (
            json!({"architectures": ["BertForTokenClassification"]}),
            "each token",
        ),
        (
            json!({"problem_type": "multi_label_classification"}),
            "several labels",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &config(tiny, more), &tiny.tensors());
        for error in [
            check(dir.path(), Layers::all(3)).unwrap_err(),
            check(dir.path(), Layers { start: 1, end: 3 }).unwrap_err(),
            Segment::load(dir.path(), Layers::all(3)).unwrap_err(),
        ] {
            assert_eq!(error.code, "model-task");
            assert!(error.message.contains(part), "{error}");
        }
        check(dir.path(), Layers { start: 0, end: 2 }).unwrap();
    }
    // It says that it judges, and has nothing to judge with.
    let dir = tempfile::tempdir().unwrap();
    let headless = Tiny {
        with_head: false,
        ..tiny
    };
    let says = config(
        tiny,
        json!({"architectures": ["BertForSequenceClassification"]}),
    );
    write(dir.path(), &says, &headless.tensors());
    let error = check(dir.path(), Layers::all(3)).unwrap_err();
    assert_eq!(error.code, "model-mismatch");
    assert!(error.message.contains("pooler"), "{error}");
}

/// What a model says of token 7 and of others, after `change` made one of its tensors worse.
fn damaged(name: &str, change: impl Fn(&mut Vec<f32>)) -> (String, bool) {
    let tiny = Tiny::default();
    let dir = tempfile::tempdir().unwrap();
    let mut tensors = tiny.tensors();
    change(&mut tensors.get_mut(name).unwrap().1);
    write(dir.path(), &config(tiny, json!({})), &tensors);
    let mut segment = Segment::load(dir.path(), Layers::all(3)).unwrap();
    let mut out = Vec::new();
    let error = segment.run_tokens(&[1, 7, 2], &mut out).unwrap_err();
    assert_eq!(error.code, "not-finite");
    assert!(out.is_empty());
    let path = dir.path().display().to_string();
    assert!(error.message.contains(&path), "{error}");
    let others = segment.run_tokens(&[1, 6, 2], &mut out).is_ok();
    assert!(out.iter().all(|x| x.is_finite()));
    (error.help.unwrap(), others)
}

#[test]
fn numbers_that_are_not_finite_are_never_given() {
    let h = Tiny::default().hidden;
    let words = "bert.embeddings.word_embeddings.weight";
    // One row: reviews without its word are judged.
    let (help, others) = damaged(words, |row| row[7 * h + 3] = f32::NAN);
    assert!(
        help.contains("`embeddings.word_embeddings.weight`") && others,
        "{help}"
    );
    let (help, others) = damaged("classifier.bias", |bias| bias[1] = f32::INFINITY);
    assert!(help.contains("`classifier.bias`") && !others, "{help}");
    let value = "bert.encoder.layer.1.attention.self.value.bias";
    let (help, others) = damaged(value, |bias| bias[0] = f32::NEG_INFINITY);
    assert!(
        help.contains("layer.1.attention.self.value") && !others,
        "{help}"
    );
    // Each number is finite, and their sums are not.
    let (help, _) = damaged("classifier.weight", |row| row.fill(3e38));
    assert!(help.contains("too large"), "{help}");
}
