//! A random BERT with one layer, and the ways in which its tensors are named and stored.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use segue_model::TensorSpec;

pub const H: usize = 4;
pub const F: usize = 6;
pub const WORDS: usize = 9;
pub const POSITIONS: usize = 5;

/// Name and shape of each tensor, then its numbers.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub fn config() -> String {
    format!(
        r#"{{"model_type": "bert", "hidden_size": {H}, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": {F}, "vocab_size": {WORDS},
            "max_position_embeddings": {POSITIONS}, "id2label": {{"0": "bad", "1": "good"}}}}"#
    )
}

pub fn distilled_config() -> String {
    format!(
        r#"{{"model_type": "distilbert", "dim": {H}, "n_layers": 1, "n_heads": 2,
            "hidden_dim": {F}, "vocab_size": {WORDS}, "max_position_embeddings": {POSITIONS}}}"#
    )
}

/// What a BERT has, by its names without a prefix.
pub fn specs() -> Vec<TensorSpec> {
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        all.push(TensorSpec {
            name,
            shape: shape.to_vec(),
        });
    };
    for (table, rows) in [("word", WORDS), ("position", POSITIONS), ("token_type", 2)] {
        add(format!("embeddings.{table}_embeddings.weight"), &[rows, H]);
    }
    let layer = "encoder.layer.0";
    let mut dense = vec![
        ("pooler.dense".to_owned(), H, H),
        ("classifier".to_owned(), 2, H),
        (format!("{layer}.intermediate.dense"), F, H),
        (format!("{layer}.output.dense"), H, F),
    ];
    for part in ["self.query", "self.key", "self.value", "output.dense"] {
        dense.push((format!("{layer}.attention.{part}"), H, H));
    }
    for (at, outputs, inputs) in dense {
        add(format!("{at}.weight"), &[outputs, inputs]);
        add(format!("{at}.bias"), &[outputs]);
    }
    for at in [
        "embeddings".to_owned(),
        format!("{layer}.attention.output"),
        format!("{layer}.output"),
    ] {
        add(format!("{at}.LayerNorm.weight"), &[H]);
        add(format!("{at}.LayerNorm.bias"), &[H]);
    }
    all
}

/// Numbers that f16 and bf16 hold exactly, different in each tensor.
pub fn tensors() -> Tensors {
    let fill = |(i, spec): (usize, TensorSpec)| {
        let count: usize = spec.shape.iter().product();
        let value = |n: usize| ((i * 31 + n * 7) % 64) as f32 / 8.0 - 4.0;
        (spec.name, (spec.shape, (0..count).map(value).collect()))
    };
    specs().into_iter().enumerate().map(fill).collect()
}

/// The same tensors under the names that `rename` gives them.
pub fn renamed(rename: impl Fn(&str) -> String) -> Tensors {
    let all = tensors().into_iter();
    all.map(|(name, tensor)| (rename(&name), tensor)).collect()
}

/// As a classifier of the library has them: all but the classifier behind `prefix`.
pub fn prefixed(prefix: &str, head: &str) -> Tensors {
    renamed(|name| {
        if name.starts_with("classifier") {
            format!("{head}{name}")
        } else {
            format!("{prefix}{name}")
        }
    })
}

/// As DistilBERT has them.
pub fn distilled() -> Tensors {
    let mut all = renamed(|name| {
        let name = match name {
            _ if name.starts_with("classifier") => return name.to_owned(),
            _ => name.replace("encoder.layer", "transformer.layer"),
        };
        let name = name
            .replace("attention.self.query", "attention.q_lin")
            .replace("attention.self.key", "attention.k_lin")
            .replace("attention.self.value", "attention.v_lin")
            .replace("attention.output.dense", "attention.out_lin")
            .replace("attention.output.LayerNorm", "sa_layer_norm")
            .replace("intermediate.dense", "ffn.lin1")
            .replace("0.output.dense", "0.ffn.lin2")
            .replace("output.LayerNorm", "output_layer_norm");
        match name.strip_prefix("pooler.dense") {
            Some(rest) => format!("pre_classifier{rest}"),
            None => format!("distilbert.{name}"),
        }
    });
    all.retain(|name, _| !name.contains("token_type"));
    all
}

/// The bytes of a safetensors file.
pub fn bytes(tensors: &Tensors, dtype: Dtype) -> Vec<u8> {
    let encode = |x: &f32| match dtype {
        Dtype::F16 => half::f16::from_f32(*x).to_le_bytes().to_vec(),
        Dtype::BF16 => half::bf16::from_f32(*x).to_le_bytes().to_vec(),
        _ => x.to_le_bytes().to_vec(),
    };
    let all: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(encode).collect()))
        .collect();
    let views = all.iter().map(|(name, shape, data)| {
        let view = TensorView::new(dtype, (*shape).clone(), data).unwrap();
        (*name, view)
    });
    safetensors::serialize(views, None).unwrap()
}

/// A model's folder with one file of weights.
pub fn folder(config: &str, tensors: &Tensors, dtype: Dtype) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", config.as_bytes());
    write(folder.path(), "model.safetensors", &bytes(tensors, dtype));
    folder
}

pub fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).unwrap();
}
