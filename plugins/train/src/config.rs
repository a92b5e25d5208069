//! `config.json` of a model that is trained.

use std::path::Path;

use segue_model::{Activation, Family, ModelConfig};
use segue_plugin::{Error, Result};
use serde_json::{Value, json};

use crate::labels::labels;
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

/// A model that training starts with.
#[derive(Clone, Debug)]
pub struct Config {
    /// What its file says.
    pub model: ModelConfig,
    /// The sizes of what is trained.
    pub shape: ModelShape,
}

impl Config {
    /// Reads `config.json` in `folder`, for a model with classes called `labels` or, where these
    /// are empty, as the file calls them.
    ///
    /// # Errors
    /// `model-missing`, `model-config`, `labels-differ`
    pub fn read(folder: &Path, given: &[String]) -> Result<(Self, Vec<String>)> {
        let model = ModelConfig::read(folder)?;
        let untrainable = |what: String| {
            let path = folder.join("config.json");
            let message = format!("`{}`: {what}", path.display());
            Error::new("model-config", message)
        };
        if model.family != Family::Bert {
            let family = model.family;
            return Err(untrainable(format!(
                "`model_type` is `{family}`, and only `bert` can be trained"
            )));
        }
        if model.hidden_act != Activation::Gelu {
            return Err(untrainable(
                "`hidden_act` is not `gelu`, and no other can be trained".into(),
            ));
        }
        let has = match model.says_classes() {
            // Its labels are those of another task.
            Some(false) => &[],
            _ => model.class_names(),
        };
        let labels = labels(given, has)?;
        let shape = ModelShape {
            layer: LayerShape {
                hidden: model.hidden_size,
                heads: model.num_attention_heads,
                inner: model.intermediate_size,
                eps: model.layer_norm_eps,
            },
            layers: model.num_hidden_layers,
            words: model.vocab_size,
            positions: model.max_position_embeddings,
            types: model.type_vocab_size,
            labels: labels.len(),
        };
        Ok((Config { model, shape }, labels))
    }

    /// The file of a model of the same family with sizes `shape` and classes called `labels`.
    pub fn text(&self, shape: &ModelShape, labels: &[String]) -> String {
        let mut json = self.model.json.clone();
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
            for name in ["_name_or_path", "dtype", "problem_type", "torch_dtype"] {
                json.remove(name);
            }
        }
        format!("{json:#}\n")
    }
}
