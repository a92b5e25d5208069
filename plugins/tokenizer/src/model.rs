//! A vocabulary, and the special tokens around a text.

use std::path::{Path, PathBuf};

use segue_plugin::{Error, Result};
use serde_json::Value;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::tokenizer::Tokenizer;

/// A text long enough to have tokens in any vocabulary.
const PROBE: &str = "a";

/// A loaded vocabulary.
pub struct Model {
    tokenizer: Tokenizer,
    before: Vec<u32>,
    after: Vec<u32>,
}

/// Where the vocabulary is.
pub enum Files {
    /// `tokenizer.json`
    Tokenizer(PathBuf),
    /// `vocab.txt`
    Vocabulary(PathBuf),
}

/// Finds the vocabulary in the folder `model`.
///
/// # Errors
/// `model-missing`
pub fn files(model: &Path) -> Result<Files> {
    let (whole, words) = (model.join("tokenizer.json"), model.join("vocab.txt"));
    if whole.is_file() {
        Ok(Files::Tokenizer(whole))
    } else if words.is_file() {
        Ok(Files::Vocabulary(words))
    } else {
        let message = format!(
            "`{}` has neither `tokenizer.json` nor `vocab.txt`",
            model.display()
        );
        Err(Error::new("model-missing", message).option("model"))
    }
}

/// How many positions the model has, if it says so.
pub fn positions(model: &Path) -> Option<usize> {
    let config = json(&model.join("config.json"))?;
    usize::try_from(config["max_position_embeddings"].as_u64()?).ok()
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

impl Model {
    /// Loads the vocabulary in the folder `model`. Truncation and padding that its
    /// file may ask for are switched off.
    ///
    /// # Errors
    /// `model-missing`, `bad-model`
    pub fn load(model: &Path) -> Result<Self> {
        let loaded = match files(model)? {
            Files::Tokenizer(path) => Tokenizer::from_file(&path).map_err(|e| bad(&path, e)),
            Files::Vocabulary(path) => from_words(&path, lower_case(model)),
        };
        let mut tokenizer = loaded?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| bad(model, e))?;
        let (before, after) = around(&tokenizer).map_err(|e| bad(model, e))?;
        Ok(Model {
            tokenizer,
            before,
            after,
        })
    }

    /// How many special tokens surround a text.
    pub fn special(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// A text's own tokens.
    ///
    /// # Errors
    /// `bad-text` when the vocabulary cannot spell it
    pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, false);
        let encoding = encoding.map_err(|e| Error::new("bad-text", e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// `ids` with the special tokens around them.
    pub fn wrap(&self, ids: &[u32]) -> Vec<u32> {
        [&self.before, ids, &self.after].concat()
    }
}

fn bad(path: &Path, error: impl std::fmt::Display) -> Error {
    let message = format!("cannot use the vocabulary in `{}`: {error}", path.display());
    Error::new("bad-model", message).option("model")
}

/// What stands before and after a text's own tokens.
fn around(tokenizer: &Tokenizer) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    let bare = tokenizer.encode_fast(PROBE, false)?;
    let whole = tokenizer.encode_fast(PROBE, true)?;
    let (bare, whole) = (bare.get_ids(), whole.get_ids());
    let at = (whole.windows(bare.len().max(1))).position(|window| window == bare);
    let at = at.ok_or("special tokens do not stand around the text")?;
    Ok((whole[..at].to_vec(), whole[at + bare.len()..].to_vec()))
}

fn lower_case(model: &Path) -> bool {
    let config = json(&model.join("tokenizer_config.json")).unwrap_or_default();
    config["do_lower_case"].as_bool().unwrap_or(true)
}

/// BERT's WordPiece from a file with one token a line.
fn from_words(path: &Path, lower_case: bool) -> Result<Tokenizer> {
    let words = WordPiece::from_file(&path.to_string_lossy())
        .unk_token("[UNK]".to_owned())
        .build()
        .map_err(|e| bad(path, e))?;
    let mut tokenizer = Tokenizer::new(words);
    let special = |token: &str| {
        let id = tokenizer.token_to_id(token);
        id.map(|id| (token.to_owned(), id))
            .ok_or_else(|| bad(path, format!("it lacks `{token}`")))
    };
    let around = BertProcessing::new(special("[SEP]")?, special("[CLS]")?);
    let normalizer = BertNormalizer::new(true, true, None, lower_case);
    tokenizer
        .with_normalizer(Some(normalizer))
        .map_err(|e| bad(path, e))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(around));
    Ok(tokenizer)
}
