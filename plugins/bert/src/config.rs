//! `config.json`: the numbers that fix a model's shape.

use std::collections::BTreeMap;
use std::path::Path;

pub use segue_kernels::Activation;
use serde::Deserialize;

use crate::error::ModelError;

/// The shape of a BERT-family model, as its `config.json` states it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// H: the length of a token's vector.
    pub hidden_size: usize,
    /// L: how many encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads; H is a multiple of it.
    pub num_attention_heads: usize,
    /// F: the inner length of a feed-forward block.
    pub intermediate_size: usize,
    /// Rows of the word table.
    pub vocab_size: usize,
    /// Rows of the position table: the longest review, in tokens.
    pub max_position_embeddings: usize,
    /// Rows of the token type table.
    pub type_vocab_size: usize,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f32,
    /// The feed-forward activation.
    pub hidden_act: Activation,
    /// Class names in index order.
    pub labels: Vec<String>,
    /// `bert` for every model this crate runs.
    pub model_type: String,
}

/// The file as it is written; what is missing takes BERT's own defaults.
#[derive(Deserialize)]
struct RawConfig {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "default_type_vocab_size")]
    type_vocab_size: usize,
    #[serde(default = "default_layer_norm_eps")]
    layer_norm_eps: f64,
    #[serde(default = "default_hidden_act")]
    hidden_act: String,
    id2label: Option<BTreeMap<String, String>>,
    num_labels: Option<usize>,
    model_type: Option<String>,
    position_embedding_type: Option<String>,
}

fn default_type_vocab_size() -> usize {
    2
}

fn default_layer_norm_eps() -> f64 {
    1e-12
}

fn default_hidden_act() -> String {
    "gelu".into()
}

impl ModelConfig {
    /// Reads and checks `config.json` in `dir`; when `dir` is an `.onnx` file, the one beside it.
    ///
    /// # Errors
    /// `model-missing` when it cannot be read, `model-config` when it makes no sense.
    pub fn read(dir: &Path) -> Result<Self, ModelError> {
        let path = folder_of(dir).join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|e| {
            ModelError::new(
                "model-missing",
                format!("cannot read `{}`: {e}", path.display()),
            )
            .help("a model is a folder with `config.json` and `model.safetensors`")
        })?;
        Self::parse(&text)
            .map_err(|e| ModelError::new("model-config", format!("`{}`: {e}", path.display())))
    }

    /// What the classes are called; empty when the file does not say it, or says no more than
    /// `LABEL_0`, `LABEL_1`, ...
    pub fn class_names(&self) -> &[String] {
        let mut labels = self.labels.iter().enumerate();
        match labels.all(|(i, label)| *label == format!("LABEL_{i}")) {
            true => &[],
            false => &self.labels,
        }
    }

    /// Length of one head's vectors.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    fn parse(text: &str) -> Result<Self, String> {
        let raw: RawConfig = serde_json::from_str(text).map_err(|e| e.to_string())?;
        check_family(&raw)?;
        check_sizes(&raw)?;
        Ok(Self {
            labels: labels(&raw)?,
            hidden_act: activation(&raw.hidden_act)?,
            hidden_size: raw.hidden_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: raw.num_attention_heads,
            intermediate_size: raw.intermediate_size,
            vocab_size: raw.vocab_size,
            max_position_embeddings: raw.max_position_embeddings,
            type_vocab_size: raw.type_vocab_size,
            layer_norm_eps: raw.layer_norm_eps as f32,
            model_type: raw.model_type.unwrap_or_else(|| "bert".into()),
        })
    }
}

/// The model's folder: `path` itself, or the folder of an `.onnx` file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    let is_onnx = path.extension().is_some_and(|e| e == "onnx");
    match path.parent() {
        Some(parent) if is_onnx => parent,
        _ => path,
    }
}

fn check_family(raw: &RawConfig) -> Result<(), String> {
    match raw.model_type.as_deref() {
        None | Some("bert") => {}
        Some(other) => {
            return Err(format!(
                "`model_type` is `{other}`, and only `bert` can be run"
            ));
        }
    }
    match raw.position_embedding_type.as_deref() {
        None | Some("absolute") => Ok(()),
        Some(other) => Err(format!(
            "`position_embedding_type` is `{other}`, and only `absolute` can be run"
        )),
    }
}

/// No size may be zero, or so large that products of three of them overflow.
fn check_sizes(raw: &RawConfig) -> Result<(), String> {
    let sizes = [
        ("hidden_size", raw.hidden_size),
        ("num_hidden_layers", raw.num_hidden_layers),
        ("num_attention_heads", raw.num_attention_heads),
        ("intermediate_size", raw.intermediate_size),
        ("vocab_size", raw.vocab_size),
        ("max_position_embeddings", raw.max_position_embeddings),
        ("type_vocab_size", raw.type_vocab_size),
    ];
    for (name, size) in sizes {
        if size == 0 || size > 1 << 24 {
            return Err(format!("`{name}` is {size}, outside 1..=16777216"));
        }
    }
    if !raw.hidden_size.is_multiple_of(raw.num_attention_heads) {
        return Err(format!(
            "`hidden_size` {} is no multiple of `num_attention_heads` {}",
            raw.hidden_size, raw.num_attention_heads
        ));
    }
    if !(raw.layer_norm_eps > 0.0 && raw.layer_norm_eps < 1.0) {
        return Err(format!(
            "`layer_norm_eps` is {}, outside 0..1",
            raw.layer_norm_eps
        ));
    }
    Ok(())
}

fn activation(name: &str) -> Result<Activation, String> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(format!(
            "`hidden_act` is `{other}`, and only `gelu`, `gelu_new` and `relu` can be run"
        )),
    }
}

/// Labels by index: from `id2label`, else `LABEL_0..` for `num_labels` (default 2).
fn labels(raw: &RawConfig) -> Result<Vec<String>, String> {
    let Some(named) = raw.id2label.as_ref().filter(|m| !m.is_empty()) else {
        let count = raw.num_labels.unwrap_or(2).clamp(1, 1 << 16);
        return Ok((0..count).map(|i| format!("LABEL_{i}")).collect());
    };
    (0..named.len())
        .map(|i| match named.get(&i.to_string()) {
            Some(label) => Ok(label.clone()),
            None => Err(format!(
                "`id2label` has {} names and none for {i}",
                named.len()
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(extra: &str) -> Result<ModelConfig, String> {
        ModelConfig::parse(&format!(
            r#"{{"hidden_size": 24, "num_hidden_layers": 3, "intermediate_size": 40,
                "vocab_size": 9, "max_position_embeddings": 7, {extra}}}"#
        ))
    }

    #[test]
    fn defaults_and_labels() {
        let config = check(
            r#""num_attention_heads": 4, "id2label": {"1": "good", "0": "bad"}, "hidden_act": "relu""#,
        )
        .unwrap();
        assert_eq!(config.labels, ["bad", "good"]);
        assert_eq!(config.head_size(), 6);
        assert_eq!(config.hidden_act, Activation::Relu);
        assert_eq!(config.layer_norm_eps, 1e-12);
    }

    #[test]
    fn refuses_nonsense() {
        for (extra, part) in [
            (r#""num_attention_heads": 5"#, "no multiple"),
            (r#""num_attention_heads": 0"#, "is 0"),
            (
                r#""num_attention_heads": 4, "model_type": "roberta""#,
                "roberta",
            ),
            (
                r#""num_attention_heads": 4, "hidden_act": "silu""#,
                "hidden_act",
            ),
            (
                r#""num_attention_heads": 4, "id2label": {"1": "x"}"#,
                "none for 0",
            ),
        ] {
            let message = check(extra).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
