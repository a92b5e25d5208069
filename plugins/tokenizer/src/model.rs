//! A vocabulary, and the special tokens around a text.

use std::collections::HashMap;
use std::path::Path;

use segue_plugin::{Error, Result};
use tokenizers::tokenizer::Tokenizer;

use crate::bounds::{Bounds, TEXT_MAX};
use crate::files::{Files, bad};
use crate::load;
use crate::settings::Settings;

/// A text long enough to have tokens in any vocabulary.
const PROBE: &str = "a";

/// What no vocabulary but one of bytes has: it must have a token for the unknown.
const RARE: &str = "\u{13000} \u{a66e} \u{2e0e}";

/// What a review is like: a normalizer must not make a book of it.
const SAMPLE: &str = "The quick brown fox jumps over the lazy dog, 1234567890 times. ";

/// A loaded vocabulary.
pub struct Model {
    tokenizer: Tokenizer,
    bounds: Bounds,
    before: Vec<u32>,
    after: Vec<u32>,
}

impl Model {
    /// Loads the vocabulary in the folder `model`, as its small files say. Truncation and padding
    /// that its file may ask for are switched off.
    ///
    /// # Errors
    /// `model-missing`; `bad-model` when the files are damaged, contradict each other, or cannot
    /// tokenize every text
    pub fn load(model: &Path, settings: &Settings) -> Result<Self> {
        let files = Files::find(model)?;
        let path = files.path();
        let tokenizer = match &files {
            Files::Tokenizer(_) => load::from_json(&files, settings)?,
            Files::Vocabulary(_) => load::from_words(&files, settings)?,
        };
        let bounds = Bounds::new(tokenizer.get_normalizer()).map_err(|e| bad(path, e))?;
        if !bounds.hold(&SAMPLE.repeat(16)) {
            let reason = "its normalizer makes megabytes of a text of a thousand letters";
            return Err(bad(path, reason));
        }
        check_spelling(&tokenizer).map_err(|e| bad(path, e))?;
        check_numbers(&tokenizer, settings).map_err(|e| bad(path, e))?;
        load::check_letters(path, &tokenizer, settings)?;
        let (before, after) = around(&tokenizer, settings).map_err(|e| bad(path, e))?;
        Ok(Model {
            tokenizer,
            bounds,
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
    /// `text-too-long`; `bad-text` when the vocabulary cannot spell it
    pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
        if !self.bounds.hold(text) {
            let most = TEXT_MAX >> 20;
            let message = if text.len() > TEXT_MAX {
                format!("the text has more than {most} MiB")
            } else {
                format!("the model's normalizer makes more than {most} MiB of the text")
            };
            return Err(Error::new("text-too-long", message));
        }
        let encoding = self.tokenizer.encode_fast(text, false);
        let encoding = encoding.map_err(|e| Error::new("bad-text", e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// `ids` with the special tokens around them.
    pub fn wrap(&self, ids: &[u32]) -> Vec<u32> {
        [&self.before, ids, &self.after].concat()
    }
}

/// Every text must have tokens, whatever is in it.
fn check_spelling(tokenizer: &Tokenizer) -> std::result::Result<(), String> {
    match tokenizer.encode_fast(RARE, false) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "it has no token for what it does not know, so that texts could not be tokenized: {error}"
        )),
    }
}

/// Every token must have its row in the model's table.
fn check_numbers(tokenizer: &Tokenizer, settings: &Settings) -> std::result::Result<(), String> {
    let words: HashMap<String, u32> = tokenizer.get_vocab(true);
    let largest = words.iter().max_by_key(|(word, id)| (**id, *word));
    let Some((rows, (word, id))) = settings.vocab_size.zip(largest) else {
        return match largest {
            Some(_) => Ok(()),
            None => Err("its vocabulary is empty".to_owned()),
        };
    };
    if u64::from(*id) >= rows {
        return Err(format!(
            "its token `{word}` is number {id}, but `vocab_size` in `config.json` is {rows}: the \
             vocabulary is of another model, or a token was added without a row for it"
        ));
    }
    Ok(())
}

type Around = (Vec<u32>, Vec<u32>);

/// What stands before and after a text's own tokens.
fn around(tokenizer: &Tokenizer, settings: &Settings) -> std::result::Result<Around, String> {
    let encode = |special| tokenizer.encode(PROBE, special).map_err(|e| e.to_string());
    let (bare, whole) = (encode(false)?, encode(true)?);
    for (id, token) in whole.get_ids().iter().zip(whole.get_tokens()) {
        let known = tokenizer.token_to_id(token);
        if known != Some(*id) {
            let known = known.map_or("not in the vocabulary".to_owned(), |id| id.to_string());
            return Err(format!(
                "its post-processor takes `{token}` for number {id}, which is {known}"
            ));
        }
    }
    let (bare, whole) = (bare.get_ids(), whole.get_ids());
    let at = (whole.windows(bare.len().max(1))).position(|window| window == bare);
    let at = at.ok_or("special tokens do not stand around the text")?;
    let (before, after) = (whole[..at].to_vec(), whole[at + bare.len()..].to_vec());
    let needed = settings.needs_first || load::is_word_piece(tokenizer);
    if !before.is_empty() || !needed {
        return Ok((before, after));
    }
    // The model's pooler takes the first token: without this it would judge the first word.
    let pairs = [("[CLS]", "[SEP]"), ("<s>", "</s>")];
    let named = settings
        .cls_token
        .as_deref()
        .zip(settings.sep_token.as_deref());
    let id = |token: &str| tokenizer.token_to_id(token);
    let found = (named.into_iter().chain(pairs)).find_map(|(cls, sep)| id(cls).zip(id(sep)));
    match found.filter(|_| after.is_empty()) {
        Some((cls, sep)) => Ok((vec![cls], vec![sep])),
        None => Err(
            "it puts no token such as `[CLS]` in front of a text, whose place the model judges by"
                .to_owned(),
        ),
    }
}
