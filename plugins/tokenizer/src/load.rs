//! From a vocabulary's file to a tokenizer that does what the model's other files say.

use std::collections::HashMap;
use std::path::Path;

use segue_plugin::Result;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokenizers::AddedToken;
use tokenizers::models::ModelWrapper;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::{BertNormalizer, NormalizerWrapper};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::tokenizer::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    Tokenizer,
};

use crate::bounds::Bounds;
use crate::files::{Files, bad};
use crate::settings::Settings;

/// From a `tokenizer.json`.
///
/// # Errors
/// `bad-model`
pub fn from_json(files: &Files, settings: &Settings) -> Result<Tokenizer> {
    let path = files.path();
    let mut file: Value = serde_json::from_str(&files.text()?).map_err(|e| bad(path, e))?;
    if !file["model"].is_object() {
        return Err(bad(path, "it has no `model`"));
    }
    settings.follow(&mut file["normalizer"]);
    for section in ["truncation", "padding", "decoder"] {
        // The graph says what is cut; nothing is padded, and nothing is made text again.
        file[section] = Value::Null;
    }
    if !file["model"]["dropout"].is_null() {
        // It would give the same text other tokens each time.
        file["model"]["dropout"] = Value::Null;
    }
    let normalizer: Option<NormalizerWrapper> = section(path, &file, "normalizer")?;
    section::<Option<PreTokenizerWrapper>>(path, &file, "pre_tokenizer")?;
    section::<Option<PostProcessorWrapper>>(path, &file, "post_processor")?;
    check_templates(path, &file["post_processor"])?;
    check_added(path, &file["added_tokens"], normalizer.as_ref())?;
    let added = file["added_tokens"].clone();
    let tokenizer: Tokenizer = serde_json::from_value(file)
        .map_err(|e| bad(path, format!("its `model` is damaged: {e}")))?;
    let added = added.as_array().into_iter().flatten();
    let added = added.filter_map(|token| Some((token["content"].as_str()?, token["id"].as_u64()?)));
    check_unknown(path, &tokenizer)?;
    check_ids(path, &tokenizer, added)?;
    Ok(tokenizer)
}

/// That each special token of a template is one that it explains: the reader does not look,
/// and the first text would panic.
fn check_templates(path: &Path, processor: &Value) -> Result<()> {
    let parts = processor["processors"].as_array().into_iter().flatten();
    for part in parts.chain([processor]) {
        let pieces = ["single", "pair"].map(|name| part[name].as_array());
        let ids = pieces.into_iter().flatten().flatten();
        let ids = ids.filter_map(|piece| piece["SpecialToken"]["id"].as_str());
        let known = &part["special_tokens"];
        if let Some(id) = ids.into_iter().find(|id| known.get(id).is_none()) {
            let reason = format!("its `post_processor` adds `{id}`, and does not say what that is");
            return Err(bad(path, reason));
        }
    }
    Ok(())
}

/// From a `vocab.txt`: BERT's WordPiece, with one token a line.
///
/// # Errors
/// `bad-model`
pub fn from_words(files: &Files, settings: &Settings) -> Result<Tokenizer> {
    let path = files.path();
    settings.check_words(path)?;
    let text = files.text()?;
    let lines = text.lines().map(|line| line.trim_end().to_owned());
    // A line's number is the token's; of a token that stands there twice, the last.
    let words: HashMap<String, u32> = lines.zip(0..).collect();
    let name = |said: &Option<String>, usual: &str| said.clone().unwrap_or(usual.to_owned());
    let unknown = name(&settings.unk_token, "[UNK]");
    let cls = name(&settings.cls_token, "[CLS]");
    let sep = name(&settings.sep_token, "[SEP]");
    let model = json!({
        "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": words,
    });
    // Its reader wants text, and not a value.
    let model: WordPiece = serde_json::from_str(&model.to_string()).map_err(|e| bad(path, e))?;
    let mut tokenizer = Tokenizer::new(model);
    let id = |token: &str| {
        let id = tokenizer.token_to_id(token);
        id.map(|id| (token.to_owned(), id))
            .ok_or_else(|| bad(path, format!("it lacks `{token}`")))
    };
    let around = BertProcessing::new(id(&sep)?, id(&cls)?);
    check_unknown(path, &tokenizer)?;
    let lowercase = settings.do_lower_case.unwrap_or(true);
    let normalizer = BertNormalizer::new(
        true,
        settings.tokenize_chinese_chars.unwrap_or(true),
        settings.strip_accents.flatten(),
        lowercase,
    );
    tokenizer
        .with_normalizer(Some(normalizer))
        .map_err(|e| bad(path, e))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(around));
    let usual = ["[PAD]", "[MASK]"].map(str::to_owned);
    let special = [unknown, cls, sep].into_iter().chain(usual);
    let special: Vec<AddedToken> = (special.chain(settings.others.iter().cloned()))
        .filter(|token| tokenizer.token_to_id(token).is_some())
        .map(|token| AddedToken::from(token, true))
        .collect();
    let added = settings.added.iter().map(|(token, _)| token.clone());
    let added = added.map(|token| AddedToken::from(token, false).normalized(false));
    tokenizer
        .add_special_tokens(special)
        .and_then(|_| tokenizer.add_tokens(added))
        .map_err(|e| bad(path, e))?;
    let ids = settings
        .added
        .iter()
        .map(|(token, id)| (token.as_str(), *id));
    check_ids(path, &tokenizer, ids)?;
    Ok(tokenizer)
}

/// A part of the file, so that an error names it.
fn section<T: DeserializeOwned>(path: &Path, file: &Value, name: &str) -> Result<T> {
    let part = &file[name];
    serde_json::from_value(part.clone()).map_err(|error| {
        let kind = part["type"].as_str();
        let kind = kind
            .map(|kind| format!(", a `{kind}`,"))
            .unwrap_or_default();
        bad(
            path,
            format!("its `{name}`{kind} is not one that is known: {error}"),
        )
    })
}

/// Tokens that are normalized are so as the file is loaded.
fn check_added(path: &Path, added: &Value, normalizer: Option<&NormalizerWrapper>) -> Result<()> {
    let bounds = Bounds::new(normalizer).map_err(|e| bad(path, e))?;
    let added = added.as_array().into_iter().flatten();
    let normalized = added.filter(|token| token["normalized"].as_bool().unwrap_or(true));
    let contents: Vec<&str> = normalized
        .filter_map(|token| token["content"].as_str())
        .collect();
    if bounds.hold(&contents.join(" ")) {
        Ok(())
    } else {
        Err(bad(
            path,
            "its normalizer makes megabytes of its own added tokens",
        ))
    }
}

/// Each added token must have the number that the file says.
fn check_ids<'a>(
    path: &Path,
    tokenizer: &Tokenizer,
    added: impl Iterator<Item = (&'a str, u64)>,
) -> Result<()> {
    for (token, id) in added {
        let has = tokenizer.token_to_id(token).map(u64::from);
        if has.is_some_and(|has| has != id) {
            let has = has.unwrap_or_default();
            let reason =
                format!("its added token `{token}` is said to be number {id}, but is {has}");
            return Err(bad(path, reason));
        }
    }
    Ok(())
}

/// What stands for the unknown must be a token itself.
fn check_unknown(path: &Path, tokenizer: &Tokenizer) -> Result<()> {
    let model = tokenizer.get_model();
    let unknown = match model {
        ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
        ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
        ModelWrapper::BPE(model) => model.get_unk_token().clone(),
        ModelWrapper::Unigram(_) => None,
    };
    let in_model = |token: &String| tokenizer.get_vocab(false).contains_key(token);
    match unknown.filter(|token| !in_model(token)) {
        None => Ok(()),
        Some(token) => {
            let reason = format!(
                "its vocabulary lacks `{token}`, which stands for all that it does not know"
            );
            Err(bad(path, reason))
        }
    }
}

/// Whether words are cut as BERT cuts them.
pub fn is_word_piece(tokenizer: &Tokenizer) -> bool {
    matches!(tokenizer.get_model(), ModelWrapper::WordPiece(_))
}

/// Holds the tokenizer to what `tokenizer_config.json` says of letters: its normalizer may be one
/// that cannot be told to do so.
///
/// # Errors
/// `bad-model`
pub fn check_letters(path: &Path, tokenizer: &Tokenizer, settings: &Settings) -> Result<()> {
    let normalized = |text: &str| -> Result<NormalizedString> {
        let mut text = NormalizedString::from(text);
        if let Some(normalizer) = tokenizer.get_normalizer() {
            normalizer.normalize(&mut text).map_err(|e| bad(path, e))?;
        }
        Ok(text)
    };
    let small = normalized("Q")?.get().contains('q');
    let bare = normalized("\u{e9}")?.get().contains('e');
    let mut words = PreTokenizedString::from(normalized("\u{4e2d}\u{56fd}")?);
    if let Some(cut) = tokenizer.get_pre_tokenizer() {
        cut.pre_tokenize(&mut words).map_err(|e| bad(path, e))?;
    }
    let words = words.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    for (name, wanted, does) in [
        ("do_lower_case", settings.do_lower_case, small),
        ("strip_accents", settings.strip_accents.flatten(), bare),
        (
            "tokenize_chinese_chars",
            settings.tokenize_chinese_chars,
            words.len() > 1,
        ),
    ] {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != does) {
            return Err(Settings::not_followed(path, name, wanted));
        }
    }
    Ok(())
}
