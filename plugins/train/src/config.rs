//! `config.json` of a model that is trained.

use std::path::Path;

use segue_plugin::{Error, Result};
use serde_json::{Value, json};

use crate::layer::LayerShape;

/// A model's sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelShape {
    /// Of each encoder layer.
    pub layer: LayerShape,
    /// How many there are.
    pub layers: usize,
    /// Rows of the word table.
    pub words: usize,
    /// Rows of the position table: the longest review, in tokens.
    pub positions: usize,
    /// Rows of the token type table.
    pub types: usize,
    /// Classes.
    pub labels: usize,
}

/// The file as it is, and the sizes it states.
#[derive(Clone, Debug)]
pub struct Config {
    json: Value,
    /// What it says.
    pub shape: ModelShape,
}

impl Config {
    /// Reads `config.json` in `folder`, for a model with `labels` classes.
    ///
    /// # Errors
    /// `model-missing`, `model-config`
    pub fn read(folder: &Path, labels: usize) -> Result<Self> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Error::new(
                "model-missing",
                format!("cannot read `{}`: {e}", path.display()),
            )
        })?;
        let bad = |why: String| Error::new("model-config", format!("`{}`: {why}", path.display()));
        let json: Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        let number = |name: &str, otherwise: Option<u64>| {
            let found = json[name].as_u64().or(otherwise);
            let found = found.ok_or_else(|| bad(format!("`{name}` is no number")))?;
            usize::try_from(found).map_err(|e| bad(e.to_string()))
        };
        let act = json["hidden_act"].as_str().unwrap_or("gelu");
        if act != "gelu" {
            return Err(bad(format!(
                "`hidden_act` is `{act}`, and only `gelu` can be trained"
            )));
        }
        let kind = json["model_type"].as_str().unwrap_or("bert");
        if kind != "bert" {
            return Err(bad(format!(
                "`model_type` is `{kind}`, and only `bert` can be trained"
            )));
        }
        let shape = ModelShape {
            layer: LayerShape {
                hidden: number("hidden_size", None)?,
                heads: number("num_attention_heads", None)?,
                inner: number("intermediate_size", None)?,
                eps: json["layer_norm_eps"].as_f64().unwrap_or(1e-12) as f32,
            },
            layers: number("num_hidden_layers", None)?,
            words: number("vocab_size", None)?,
            positions: number("max_position_embeddings", None)?,
            types: number("type_vocab_size", Some(2))?,
            labels,
        };
        let LayerShape { hidden, heads, .. } = shape.layer;
        if heads == 0 || hidden == 0 || hidden % heads != 0 {
            return Err(bad(format!(
                "a hidden size of {hidden} cannot have {heads} heads"
            )));
        }
        Ok(Config { json, shape })
    }

    /// The file of a model of the same family with sizes `shape` and classes called `labels`.
    pub fn text(&self, shape: &ModelShape, labels: &[String]) -> String {
        let mut json = self.json.clone();
        let names: serde_json::Map<String, Value> = (labels.iter().enumerate())
            .map(|(i, name)| (i.to_string(), json!(name)))
            .collect();
        let numbers: serde_json::Map<String, Value> = (labels.iter().enumerate())
            .map(|(i, name)| (name.clone(), json!(i)))
            .collect();
        let changed = json!({
            "architectures": ["BertForSequenceClassification"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": shape.layer.hidden,
            "num_attention_heads": shape.layer.heads,
            "intermediate_size": shape.layer.inner,
            "num_hidden_layers": shape.layers,
            "num_labels": shape.labels,
            "id2label": names,
            "label2id": numbers,
        });
        if let (Some(json), Some(changed)) = (json.as_object_mut(), changed.as_object()) {
            json.extend(changed.clone());
            // What the base was stored as says nothing of this model.
            for name in ["_name_or_path", "dtype", "torch_dtype"] {
                json.remove(name);
            }
        }
        format!("{json:#}\n")
    }
}
