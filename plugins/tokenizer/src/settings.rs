//! What a model's small files say of its tokenizer, beside the vocabulary.

use std::path::Path;

use segue_model::Outline;
use segue_plugin::{Error, Result};
use serde_json::Value;

use crate::files::{bad, json, unreadable};

const CONFIG: &str = "tokenizer_config.json";

/// Families whose pooler takes the first token, which must be a special one.
const FAMILIES: [&str; 14] = [
    "albert",
    "bert",
    "camembert",
    "convbert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "mobilebert",
    "mpnet",
    "roberta",
    "squeezebert",
    "xlm-roberta",
];

/// Tokenizers that write a `vocab.txt`, but cut texts into words in another way than BERT.
const OTHER_WORDS: [&str; 6] = [
    "bertjapanese",
    "bertweet",
    "herbert",
    "phobert",
    "roformer",
    "transfoxl",
];

/// What `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json` and `config.json`
/// say. `None` where they do not say it.
#[derive(Debug, Default)]
pub struct Settings {
    /// Letters are made small.
    pub do_lower_case: Option<bool>,
    /// Accents are taken off letters; `Some(None)`: as letters are made small, or not.
    pub strip_accents: Option<Option<bool>>,
    /// Each Chinese character is a word.
    pub tokenize_chinese_chars: Option<bool>,
    /// Stands before a text.
    pub cls_token: Option<String>,
    /// Stands after a text.
    pub sep_token: Option<String>,
    /// Stands for what the vocabulary cannot spell.
    pub unk_token: Option<String>,
    /// Other tokens that are found in a text as they are.
    pub others: Vec<String>,
    /// Tokens that were added to the vocabulary, with their numbers.
    pub added: Vec<(String, u64)>,
    /// How many rows the table of embeddings has.
    pub vocab_size: Option<u64>,
    /// How many positions the model has.
    pub positions: Option<usize>,
    /// Whether the model's family needs a special token before a text.
    pub needs_first: bool,
    /// The tokenizer's class in Python.
    class: Option<String>,
}

impl Settings {
    /// Reads the files in the folder `model`, as far as they are there.
    ///
    /// # Errors
    /// `bad-model`
    pub fn read(model: &Path) -> Result<Self> {
        let outline = Outline::read(model).map_err(unreadable)?;
        let said = json(model, CONFIG)?.unwrap_or_default();
        let map = json(model, "special_tokens_map.json")?.unwrap_or_default();
        let added = json(model, "added_tokens.json")?.unwrap_or_default();
        let flag = |name: &str| match &said[name] {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            other => {
                let reason = format!("`{name}` is `{other}`, not `true` or `false`");
                Err(bad(&model.join(CONFIG), reason))
            }
        };
        let token = |name: &str| token(&said[name]).or_else(|| token(&map[name]));
        let family = outline.family.as_deref();
        Ok(Settings {
            do_lower_case: flag("do_lower_case")?,
            strip_accents: match said.get("strip_accents") {
                None => None,
                Some(_) => Some(flag("strip_accents")?),
            },
            tokenize_chinese_chars: flag("tokenize_chinese_chars")?,
            cls_token: token("cls_token"),
            sep_token: token("sep_token"),
            unk_token: token("unk_token"),
            others: ["pad_token", "mask_token"]
                .into_iter()
                .filter_map(token)
                .collect(),
            added: added_tokens(&said, &added),
            vocab_size: outline.vocab_size.map(|rows| rows as u64),
            positions: outline.positions,
            needs_first: family.is_some_and(|family| FAMILIES.contains(&family)),
            class: said["tokenizer_class"].as_str().map(str::to_owned),
        })
    }

    /// Refuses a `vocab.txt` whose tokenizer is not BERT's.
    ///
    /// # Errors
    /// `bad-model`
    pub fn check_words(&self, path: &Path) -> Result<()> {
        let class = self.class.as_deref().unwrap_or_default();
        let small = class.to_lowercase();
        if OTHER_WORDS.iter().any(|other| small.starts_with(other)) {
            Err(bad(
                path,
                format!("a `{class}` cuts texts in its own way; give the model a `tokenizer.json`"),
            ))
        } else {
            Ok(())
        }
    }

    /// Writes what is said of letters into each BERT normalizer in `normalizer`.
    pub fn follow(&self, normalizer: &mut Value) {
        if normalizer["type"] == "BertNormalizer" {
            if let Some(flag) = self.do_lower_case {
                normalizer["lowercase"] = flag.into();
            }
            if let Some(flag) = self.strip_accents {
                normalizer["strip_accents"] = flag.into();
            }
            if let Some(flag) = self.tokenize_chinese_chars {
                normalizer["handle_chinese_chars"] = flag.into();
            }
        }
        let parts = normalizer.get_mut("normalizers");
        for part in parts.and_then(Value::as_array_mut).into_iter().flatten() {
            self.follow(part);
        }
    }

    /// The error that the setting `name` is not what the tokenizer does.
    pub fn not_followed(path: &Path, name: &str, wanted: bool) -> Error {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let reason = format!(
            "`{CONFIG}` says `{name}: {wanted}`, which the normalizer of `{file}` does not do; \
             make the two agree"
        );
        bad(path, reason)
    }
}

/// A token as text, or as an object with more about it.
fn token(value: &Value) -> Option<String> {
    let text = value.as_str().or_else(|| value["content"].as_str());
    text.map(str::to_owned)
}

/// The tokens of `added_tokens_decoder` and of `added_tokens.json`, in the order of their numbers.
fn added_tokens(said: &Value, added: &Value) -> Vec<(String, u64)> {
    let decoder = said["added_tokens_decoder"].as_object();
    let decoder = decoder
        .into_iter()
        .flatten()
        .filter_map(|(id, value)| Some((token(value)?, id.parse().ok()?)));
    let added = added.as_object().into_iter().flatten();
    let added = added.filter_map(|(name, id)| Some((name.clone(), id.as_u64()?)));
    let mut all: Vec<(String, u64)> = decoder.chain(added).collect();
    all.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    all.dedup();
    all
}
