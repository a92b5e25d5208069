//! `config.json` of a model that is trained.

use std::path::Path;

use segue_model::{Activation, Family, LayerSizes, ModelConfig};
use segue_plugin::{Error, Result};
use serde_json::{Value, json};

use crate::labels::labels;
use crate::layer::LayerShape;

/// A model's sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelShape {
    /// H
    pub hidden: usize,
    /// Of each encoder layer.
    pub layers: Vec<LayerShape>,
    /// Rows of the word table.
    pub words: usize,
    /// Rows of the position table: the longest review, in tokens.
    pub positions: usize,
    /// Rows of the token type table.
    pub types: usize,
    /// Classes.
    pub labels: usize,
    /// Added to the variance in a layer norm.
    pub eps: f32,
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
        let layer = |sizes: &LayerSizes| LayerShape {
            hidden: model.hidden_size,
            heads: sizes.heads,
            head_size: sizes.head_size,
            inner: sizes.inner,
            eps: model.layer_norm_eps,
        };
        let shape = ModelShape {
            hidden: model.hidden_size,
            layers: model.layers.iter().map(layer).collect(),
            words: model.vocab_size,
            positions: model.max_position_embeddings,
            types: model.type_vocab_size,
            labels: labels.len(),
            eps: model.layer_norm_eps,
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
            "hidden_size": shape.hidden,
            "vocab_size": shape.words,
            "num_hidden_layers": shape.layers.len(),
            "num_labels": shape.labels,
            "id2label": names,
            "label2id": numbers,
        });
        if let (Some(json), Some(changed)) = (json.as_object_mut(), changed.as_object()) {
            json.extend(changed.clone());
            say_sizes(json, shape);
            // What the base was stored as says nothing of this model.
            for name in ["_name_or_path", "dtype", "problem_type", "torch_dtype"] {
                json.remove(name);
            }
        }
        format!("{json:#}\n")
    }
}

/// Says in `json` what the layers have. A layer with fewer heads than others lacks its last, as
/// `pruned_heads` has it: a file of weights has only those that are left, in their order.
fn say_sizes(json: &mut serde_json::Map<String, Value>, shape: &ModelShape) {
    let most = |of: fn(&LayerShape) -> usize| shape.layers.iter().map(of).max().unwrap_or(1);
    let (size, inner) = (most(|layer| layer.head_size), most(|layer| layer.inner));
    let whole = shape.hidden / size;
    let fits = whole * size == shape.hidden && whole >= most(|layer| layer.heads);
    let heads = if fits {
        whole
    } else {
        most(|layer| layer.heads)
    };
    json.insert("num_attention_heads".into(), json!(heads));
    json.insert("intermediate_size".into(), json!(inner));
    let layers = shape.layers.iter().enumerate();
    let pruned: serde_json::Map<String, Value> = layers
        .filter(|(_, layer)| layer.heads < heads)
        .map(|(at, layer)| (at.to_string(), (layer.heads..heads).collect()))
        .collect();
    let inners: Vec<usize> = shape.layers.iter().map(|layer| layer.inner).collect();
    let differ = inners.iter().any(|one| *one != inner);
    for (name, value, is_needed) in [
        ("head_dim", json!(size), !fits),
        ("intermediate_sizes", json!(inners), differ),
        ("pruned_heads", json!(pruned), !pruned.is_empty()),
    ] {
        if is_needed {
            json.insert(name.into(), value)
        } else {
            json.remove(name)
        };
    }
}
