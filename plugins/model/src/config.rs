//! `config.json`: the numbers that fix a model's shape.

use std::fmt;
use std::path::Path;

use segue_kernels::Activation;
use serde_json::Value;

use crate::error::ModelError;
use crate::fields::{Fields, short};
use crate::files;
use crate::find::folder_of;
use crate::labels::{generic, labels};
use crate::sizes::{LayerSizes, layer_sizes};

/// Far more than any `config.json` has.
pub(crate) const CONFIG_BYTES_MAX: u64 = 8 << 20;
const LAYERS_MAX: usize = 1024;
const HIDDEN_MAX: usize = 1 << 16;
pub(crate) const INNER_MAX: usize = 1 << 20;
const WORDS_MAX: usize = 1 << 24;
const POSITIONS_MAX: usize = 1 << 20;
const TYPES_MAX: usize = 1 << 12;

/// A family of models: how its files name things, and how its head works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Devlin et al., arXiv:1810.04805.
    Bert,
    /// Sanh et al., arXiv:1910.01108: BERT without token types.
    DistilBert,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Bert => "bert",
            Family::DistilBert => "distilbert",
        })
    }
}

/// What the head does between its two dense layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolerActivation {
    /// BERT's.
    Tanh,
    /// DistilBERT's.
    Relu,
}

/// The shape of a BERT-family model, as its `config.json` states it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Which family it is of.
    pub family: Family,
    /// H: the length of a token's vector.
    pub hidden_size: usize,
    /// L: how many encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads of a layer of which none were taken out.
    pub num_attention_heads: usize,
    /// F: the inner length of a feed-forward block, where no other is stated for its layer.
    pub intermediate_size: usize,
    /// What each encoder layer has, L of them.
    pub layers: Vec<LayerSizes>,
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
    /// The classes of the library that the weights are of: `BertForSequenceClassification`.
    pub architectures: Vec<String>,
    /// What the logits are, where it is stated: `single_label_classification`.
    pub problem_type: Option<String>,
    /// The whole file.
    pub json: Value,
}

impl ModelConfig {
    /// Reads and checks `config.json` in `dir`; for an `.onnx` file, the one beside it or in the
    /// folder above.
    ///
    /// # Errors
    /// `model-missing` when it cannot be read, `model-config` when it makes no sense.
    pub fn read(dir: &Path) -> Result<Self, ModelError> {
        let path = folder_of(dir).join("config.json");
        let text = files::read_text(&path, CONFIG_BYTES_MAX).map_err(|e| match e.help {
            Some(_) => e,
            None => e.help("a model is a folder with `config.json`, its weights and its tokenizer"),
        })?;
        Self::parse(&text)
            .map_err(|e| ModelError::new("model-config", format!("`{}`: {e}", path.display())))
    }

    /// Reads and checks the text of a `config.json`.
    ///
    /// # Errors
    /// What makes no sense in it
    pub fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let Value::Object(object) = &json else {
            return Err("it is not a JSON object".into());
        };
        let fields = Fields(object);
        let family = family(&fields)?;
        check_encoder(&fields)?;
        let names = FieldNames::of(family);
        let (hidden, heads) = (
            fields.size(names.hidden, HIDDEN_MAX)?,
            fields.size(names.heads, HIDDEN_MAX)?,
        );
        let head_size = match fields.get("head_dim") {
            Some(_) => fields.size("head_dim", HIDDEN_MAX)?,
            None if hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                return Err(format!(
                    "`{}` {hidden} is not a multiple of `{}` {heads}",
                    names.hidden, names.heads
                ));
            }
        };
        let whole = LayerSizes {
            heads,
            head_size,
            inner: fields.size(names.inner, INNER_MAX)?,
        };
        let layers = layer_sizes(&fields, fields.size(names.layers, LAYERS_MAX)?, whole)?;
        let types = match family {
            Family::Bert => fields.size_or("type_vocab_size", TYPES_MAX, 2)?,
            Family::DistilBert => 1,
        };
        Ok(Self {
            family,
            hidden_size: hidden,
            num_attention_heads: heads,
            num_hidden_layers: layers.len(),
            intermediate_size: whole.inner,
            layers,
            vocab_size: fields.size("vocab_size", WORDS_MAX)?,
            max_position_embeddings: fields.size("max_position_embeddings", POSITIONS_MAX)?,
            type_vocab_size: types,
            layer_norm_eps: eps(&fields)?,
            hidden_act: activation(names.activation, &fields)?,
            labels: labels(&fields)?,
            architectures: architectures(&fields),
            problem_type: fields.text("problem_type")?.map(str::to_owned),
            json,
        })
    }

    /// What the classes are called; empty when the file does not say it, or says no more than
    /// `LABEL_0`, `LABEL_1`, ...
    pub fn class_names(&self) -> &[String] {
        let mut labels = self.labels.iter().enumerate();
        if labels.all(|(i, label)| *label == generic(i)) {
            &[]
        } else {
            &self.labels
        }
    }

    /// What the head does between its two dense layers.
    pub fn pooler_activation(&self) -> PoolerActivation {
        match self.family {
            Family::Bert => PoolerActivation::Tanh,
            Family::DistilBert => PoolerActivation::Relu,
        }
    }
}

/// How a family's file calls what both have.
struct FieldNames {
    hidden: &'static str,
    heads: &'static str,
    layers: &'static str,
    inner: &'static str,
    activation: &'static str,
}

impl FieldNames {
    fn of(family: Family) -> Self {
        match family {
            Family::Bert => Self {
                hidden: "hidden_size",
                heads: "num_attention_heads",
                layers: "num_hidden_layers",
                inner: "intermediate_size",
                activation: "hidden_act",
            },
            Family::DistilBert => Self {
                hidden: "dim",
                heads: "n_heads",
                layers: "n_layers",
                inner: "hidden_dim",
                activation: "activation",
            },
        }
    }
}

/// By `model_type`, else by the class that the weights are of; BERT where neither is stated.
fn family(fields: &Fields<'_>) -> Result<Family, String> {
    let stated = fields.text("model_type")?;
    let architectures = architectures(fields);
    let (field, name) = match (stated, architectures.first()) {
        (Some(name), _) => ("model_type", name),
        (None, Some(name)) => ("architectures", name.as_str()),
        (None, None) => return Ok(Family::Bert),
    };
    let is = |family: &str, class: &str| match field {
        "model_type" => name == family,
        _ => name.starts_with(class),
    };
    if is("bert", "Bert") {
        Ok(Family::Bert)
    } else if is("distilbert", "DistilBert") {
        Ok(Family::DistilBert)
    } else {
        Err(format!(
            "`{field}` is `{name}`, and only models of the families `bert` and `distilbert` can be run"
        ))
    }
}

/// What makes a model of the family another one than an encoder with absolute positions.
fn check_encoder(fields: &Fields<'_>) -> Result<(), String> {
    match fields.text("position_embedding_type")? {
        None | Some("absolute") => {}
        Some(other) => {
            return Err(format!(
                "`position_embedding_type` is `{other}`, and only `absolute` can be run"
            ));
        }
    }
    if fields.is_set("is_decoder") {
        return Err("`is_decoder` is set, and only encoders can be run".into());
    }
    if fields.is_set("quantization_config") {
        return Err("its weights are quantised (`quantization_config`), and only f32, f16 and bf16 can be run".into());
    }
    Ok(())
}

fn architectures(fields: &Fields<'_>) -> Vec<String> {
    let all = fields.get("architectures").and_then(Value::as_array);
    let names = all
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned));
    names.collect()
}

fn eps(fields: &Fields<'_>) -> Result<f32, String> {
    let Some(value) = fields.get("layer_norm_eps") else {
        return Ok(1e-12);
    };
    let eps = value.as_f64().filter(|eps| *eps > 0.0 && *eps < 1.0);
    eps.map(|eps| eps as f32)
        .filter(|eps| *eps > 0.0)
        .ok_or_else(|| format!("`layer_norm_eps` is {}, outside 0..1", short(value)))
}

fn activation(name: &str, fields: &Fields<'_>) -> Result<Activation, String> {
    match fields.text(name)?.unwrap_or("gelu") {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(format!(
            "`{name}` is `{other}`, and only `gelu`, `gelu_new` and `relu` can be run"
        )),
    }
}
