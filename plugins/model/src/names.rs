//! One set of names for the tensors of all families: BERT's, as Hugging Face writes them, without
//! a prefix. Here they are found under what a file calls them.

use crate::config::{Family, ModelConfig};
use crate::error::ModelError;

/// A tensor by its name, such as `encoder.layer.0.output.dense.weight`, and its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// BERT's name for it.
    pub name: String,
    /// Row-major.
    pub shape: Vec<usize>,
}

/// What follows `transformer.layer.N.` in DistilBERT's names, for BERT's.
const DISTILLED: [(&str, &str); 8] = [
    ("attention.self.query.", "attention.q_lin."),
    ("attention.self.key.", "attention.k_lin."),
    ("attention.self.value.", "attention.v_lin."),
    ("attention.output.dense.", "attention.out_lin."),
    ("attention.output.LayerNorm.", "sa_layer_norm."),
    ("intermediate.dense.", "ffn.lin1."),
    ("output.dense.", "ffn.lin2."),
    ("output.LayerNorm.", "output_layer_norm."),
];

/// How one file names its tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naming {
    family: Family,
    /// Before `embeddings.`: `bert.`, `module.bert.` or nothing.
    encoder: String,
    /// Before `classifier.`.
    head: String,
}

impl Naming {
    /// Finds the prefixes among a file's `names`.
    ///
    /// # Errors
    /// `model-mismatch` when there is no encoder of the family, or more than one; `file` is
    /// named
    pub fn find<'a>(
        config: &ModelConfig,
        names: impl Iterator<Item = &'a str> + Clone,
        file: &str,
    ) -> Result<Self, ModelError> {
        let family = config.family;
        let mismatch = |what: String| ModelError::new("model-mismatch", format!("`{file}` {what}"));
        let found = prefixes(anchor(family), names.clone());
        let encoder = match found.as_slice() {
            [] => return Err(no_encoder(family, names, &mismatch)),
            [only] => (*only).to_owned(),
            [first, second, ..] => {
                return Err(mismatch(format!(
                    "has several encoders, such as `{first}{0}` and `{second}{0}`",
                    anchor(family)
                ))
                .help("save the encoder that is meant as a model of its own"));
            }
        };
        let above = ancestors(&encoder);
        let has = |prefix: &&String| {
            let wanted = format!("{prefix}classifier.weight");
            names.clone().any(|name| name == wanted)
        };
        let head = above.iter().find(has).cloned().unwrap_or_default();
        Ok(Self {
            family,
            encoder,
            head,
        })
    }

    /// What the file may call the tensor `name`, the likeliest first.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        let first = self.stored(name);
        let old = if name.ends_with("LayerNorm.weight") {
            first.strip_suffix("weight").map(|at| format!("{at}gamma"))
        } else {
            None
        };
        let old = old.or_else(|| {
            let at = first.strip_suffix("bias")?;
            name.ends_with("LayerNorm.bias")
                .then(|| format!("{at}beta"))
        });
        std::iter::once(first).chain(old).collect()
    }

    /// Whether the family does without the tensor `name`, as if it were zero.
    pub fn is_zero(&self, name: &str) -> bool {
        self.family == Family::DistilBert && name.starts_with("embeddings.token_type_embeddings.")
    }

    fn stored(&self, name: &str) -> String {
        let Self {
            family,
            encoder,
            head,
        } = self;
        if name.starts_with("classifier.") {
            return format!("{head}{name}");
        }
        if *family == Family::Bert {
            return format!("{encoder}{name}");
        }
        if let Some(rest) = name.strip_prefix("pooler.dense.") {
            return format!("{head}pre_classifier.{rest}");
        }
        let layer = name.strip_prefix("encoder.layer.");
        let Some((layer, rest)) = layer.and_then(|rest| rest.split_once('.')) else {
            return format!("{encoder}{name}");
        };
        let renamed = DISTILLED.iter().find_map(|(ours, theirs)| {
            let rest = rest.strip_prefix(ours)?;
            Some(format!("{theirs}{rest}"))
        });
        let rest = renamed.unwrap_or_else(|| rest.to_owned());
        format!("{encoder}transformer.layer.{layer}.{rest}")
    }
}

/// A tensor that every model of the family has, by which its prefix is found.
fn anchor(family: Family) -> &'static str {
    match family {
        Family::Bert => "encoder.layer.0.attention.self.query.weight",
        Family::DistilBert => "transformer.layer.0.attention.q_lin.weight",
    }
}

fn prefixes<'a>(anchor: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found: Vec<&str> = names
        .filter_map(|name| name.strip_suffix(anchor))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// `a.`, nothing and `a.b.` for `a.b.`: where the head of an encoder with that prefix may be.
fn ancestors(prefix: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = prefix.trim_end_matches('.');
    while let Some((above, _)) = rest.rsplit_once('.') {
        all.push(format!("{above}."));
        rest = above;
    }
    all.extend([String::new(), prefix.to_owned()]);
    all
}

fn no_encoder<'a>(
    family: Family,
    names: impl Iterator<Item = &'a str> + Clone,
    mismatch: &dyn Fn(String) -> ModelError,
) -> ModelError {
    let other = match family {
        Family::Bert => Family::DistilBert,
        Family::DistilBert => Family::Bert,
    };
    if !prefixes(anchor(other), names.clone()).is_empty() {
        return mismatch(format!(
            "has the tensors of a `{other}` model, but `config.json` says `{family}`"
        ))
        .help("take `config.json` and weights of one model");
    }
    let error = mismatch(format!("has no tensor `{family}.{}`", anchor(family)));
    let adapts = names.clone().any(|name| name.contains(".lora_"));
    let whole = match names.take(3).collect::<Vec<_>>().as_slice() {
        [] => "it has no tensors at all".to_owned(),
        first => format!("it has tensors such as `{}`", first.join("`, `")),
    };
    if adapts {
        error.help("it has an adapter: merge it (`merge_and_unload`) and save the model")
    } else {
        error.help(whole)
    }
}
