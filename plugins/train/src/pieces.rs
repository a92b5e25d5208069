//! The word pieces of a model's tokenizer, and the same tokenizer with some of them.

use std::collections::{BTreeMap, BTreeSet};

use segue_plugin::{Error, Result};
use serde_json::{Value, json};

use crate::output::Tokenizer;

/// A WordPiece vocabulary: the pieces, and which of them must stay whatever texts have.
#[derive(Debug, PartialEq)]
pub struct Pieces {
    /// By number; `None` for a number that none has.
    pub names: Vec<Option<String>>,
    /// Numbers of special tokens, of tokens that were added, and of single characters at the
    /// start of a word and within it: by these every word can still be spelt that could be.
    pub must_stay: BTreeSet<usize>,
}

fn bad(why: &str) -> Error {
    let message = format!("word pieces cannot be taken out: {why}");
    Error::new("bad-model", message).option("model")
}

fn file<'a>(files: &'a Tokenizer, name: &str) -> Option<&'a [u8]> {
    let found = files.iter().find(|(known, _)| *known == name);
    found.map(|(_, bytes)| bytes.as_slice())
}

fn object(bytes: &[u8]) -> Result<Value> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| bad(&e.to_string()))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(bad("a file of the tokenizer is not a JSON object"))
    }
}

impl Pieces {
    /// Reads those of the tokenizer whose files are `files`.
    ///
    /// # Errors
    /// `bad-model` for another kind of vocabulary, and for a damaged one
    pub fn read(files: &Tokenizer) -> Result<Self> {
        let (numbered, prefix, special) = match file(files, "tokenizer.json") {
            Some(bytes) => from_json(&object(bytes)?)?,
            None => from_lines(file(files, "vocab.txt").unwrap_or_default()),
        };
        let most = numbered.iter().map(|(_, at)| *at + 1).max().unwrap_or(0);
        let mut names = vec![None; most];
        let mut must_stay: BTreeSet<usize> = special.into_iter().filter(|at| *at < most).collect();
        for (name, at) in numbered {
            let within = name.strip_prefix(&prefix).unwrap_or(&name);
            if within.chars().nth(1).is_none() {
                must_stay.insert(at);
            }
            names[at] = Some(name);
        }
        Ok(Pieces { names, must_stay })
    }

    /// Which pieces stay, ascending, when texts had each as often as `counts` says: those that
    /// must, and of the others the commonest, up to `most` in all, that came at least
    /// `least` times.
    pub fn kept(&self, counts: &[u64], most: usize, least: u64) -> Vec<usize> {
        let count = |at: &usize| counts.get(*at).copied().unwrap_or_default();
        let others = (0..self.names.len()).filter(|at| self.names[*at].is_some());
        let mut others: Vec<usize> = others
            .filter(|at| !self.must_stay.contains(at) && count(at) >= least.max(1))
            .collect();
        others.sort_by_key(|at| (std::cmp::Reverse(count(at)), *at));
        others.truncate(most.saturating_sub(self.must_stay.len()));
        let mut kept: Vec<usize> = self.must_stay.iter().copied().chain(others).collect();
        kept.sort_unstable();
        kept
    }
}

/// Pieces with their numbers, what a piece within a word begins with, and the special ones.
type Found = (Vec<(String, usize)>, String, Vec<usize>);

/// More than any vocabulary has.
const PIECES_MAX: u64 = 1 << 24;

fn from_json(json: &Value) -> Result<Found> {
    let model = &json["model"];
    let vocabulary = model["vocab"].as_object();
    let vocabulary = vocabulary.filter(|_| model["type"].as_str().is_none_or(|t| t == "WordPiece"));
    let vocabulary = vocabulary.ok_or_else(|| bad("the vocabulary is not one of WordPiece"))?;
    let number = |value: &Value| value.as_u64().filter(|at| *at < PIECES_MAX);
    let mut numbered = Vec::new();
    for (name, value) in vocabulary {
        let at = number(value).ok_or_else(|| bad(&format!("`{name}` has no number")))?;
        numbered.push((name.clone(), at as usize));
    }
    let mut special = Vec::new();
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        let (name, at) = (token["content"].as_str(), number(&token["id"]));
        let (Some(name), Some(at)) = (name, at) else {
            return Err(bad("an added token has no number"));
        };
        if !vocabulary.contains_key(name) {
            numbered.push((name.to_owned(), at as usize));
        }
        special.push(at as usize);
    }
    let unknown = model["unk_token"].as_str().unwrap_or("[UNK]");
    special.extend(
        vocabulary
            .get(unknown)
            .and_then(number)
            .map(|at| at as usize),
    );
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or("##");
    Ok((numbered, prefix.to_owned(), special))
}

fn from_lines(bytes: &[u8]) -> Found {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(|line| line.trim_end().to_owned());
    let numbered: Vec<(String, usize)> = lines.zip(0..).collect();
    let is_special = |name: &str| name.starts_with('[') && name.ends_with(']');
    let special = numbered
        .iter()
        .filter(|(name, _)| is_special(name) && !name.starts_with("[unused"));
    let special = special.map(|(_, at)| *at).collect();
    (numbered, "##".to_owned(), special)
}

/// The files of the tokenizer that has only the pieces `kept`, ascending, numbered from 0.
///
/// # Errors
/// `bad-model`
pub fn files_of(files: &Tokenizer, kept: &[usize]) -> Result<Tokenizer> {
    let new: BTreeMap<u64, usize> = kept.iter().map(|at| *at as u64).zip(0..).collect();
    let mut made = Vec::new();
    for (name, bytes) in files {
        let bytes = match *name {
            "tokenizer.json" => text(&renumbered(object(bytes)?, &new)?),
            "tokenizer_config.json" => {
                let mut json = object(bytes)?;
                if let Some(tokens) = json["added_tokens_decoder"].as_object_mut() {
                    *tokens = std::mem::take(tokens)
                        .into_iter()
                        .filter_map(|(at, token)| {
                            Some((new.get(&at.parse().ok()?)?.to_string(), token))
                        })
                        .collect();
                }
                text(&json)
            }
            "vocab.txt" => {
                let (numbered, ..) = from_lines(bytes);
                let lines = numbered
                    .iter()
                    .filter(|(_, at)| new.contains_key(&(*at as u64)));
                let lines = lines.map(|(name, _)| format!("{name}\n"));
                lines.collect::<String>().into_bytes()
            }
            _ => bytes.clone(),
        };
        made.push((*name, bytes));
    }
    Ok(made)
}

fn text(json: &Value) -> Vec<u8> {
    format!("{json:#}\n").into_bytes()
}

fn renumbered(mut json: Value, new: &BTreeMap<u64, usize>) -> Result<Value> {
    let at = |value: &Value| new.get(&value.as_u64()?).map(|at| json!(at));
    if let Some(vocabulary) = json["model"]["vocab"].as_object_mut() {
        *vocabulary = std::mem::take(vocabulary)
            .into_iter()
            .filter_map(|(name, value)| Some((name, at(&value)?)))
            .collect();
    }
    for token in json["added_tokens"].as_array_mut().into_iter().flatten() {
        token["id"] = at(&token["id"]).ok_or_else(|| bad("an added token is gone"))?;
    }
    if let Some(id) = json.pointer("/padding/pad_id").and_then(at) {
        json["padding"]["pad_id"] = id;
    }
    renumber_processor(&mut json["post_processor"], &at)?;
    Ok(json)
}

/// Special tokens around a text: a template's, BERT's own, or those of each of a sequence.
fn renumber_processor(processor: &mut Value, at: &dyn Fn(&Value) -> Option<Value>) -> Result<()> {
    let gone = || bad("a special token is gone");
    for token in processor
        .get_mut("special_tokens")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(|all| all.values_mut())
    {
        for id in token["ids"].as_array_mut().into_iter().flatten() {
            *id = at(id).ok_or_else(gone)?;
        }
    }
    for name in ["sep", "cls"] {
        if let Some(id) = processor.get_mut(name).and_then(|pair| pair.get_mut(1)) {
            *id = at(id).ok_or_else(gone)?;
        }
    }
    let parts = processor
        .get_mut("processors")
        .and_then(Value::as_array_mut);
    parts
        .into_iter()
        .flatten()
        .try_for_each(|part| renumber_processor(part, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Tokenizer {
        let json = json!({
            "added_tokens": [{"id": 0, "content": "[PAD]"}, {"id": 3, "content": "[CLS]"}],
            "post_processor": {"type": "TemplateProcessing", "special_tokens":
                {"[CLS]": {"id": "[CLS]", "ids": [3], "tokens": ["[CLS]"]}}},
            "padding": {"pad_id": 0},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "vocab": {"[PAD]": 0, "[unused0]": 1, "[UNK]": 2, "[CLS]": 3, "a": 4, "##é": 5,
                    "good": 6, "##ly": 7, "bad": 8, "rare": 9}},
        });
        let config = json!({"added_tokens_decoder": {"3": {"content": "[CLS]"}}});
        vec![
            ("tokenizer.json", json.to_string().into_bytes()),
            ("tokenizer_config.json", config.to_string().into_bytes()),
        ]
    }

    #[test]
    fn the_commonest_stay_and_so_do_characters() {
        let pieces = Pieces::read(&files()).unwrap();
        assert_eq!(pieces.must_stay, BTreeSet::from([0, 2, 3, 4, 5]));
        let counts = [0, 0, 5, 9, 0, 0, 7, 7, 8, 1];
        assert_eq!(pieces.kept(&counts, 7, 1), [0, 2, 3, 4, 5, 6, 8]);
        assert_eq!(pieces.kept(&counts, 100, 2), [0, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(pieces.kept(&[], 100, 0), [0, 2, 3, 4, 5]);
    }

    #[test]
    fn numbers_follow_in_every_file() {
        let made = files_of(&files(), &[0, 2, 3, 4, 5, 8]).unwrap();
        let json: Value = serde_json::from_slice(&made[0].1).unwrap();
        assert_eq!(
            json["model"]["vocab"],
            json!({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "a": 3, "##é": 4, "bad": 5})
        );
        assert_eq!(json["added_tokens"][1]["id"], 2);
        let special = &json["post_processor"]["special_tokens"]["[CLS]"];
        assert_eq!(
            (&special["ids"], &special["id"]),
            (&json!([2]), &json!("[CLS]"))
        );
        let config: Value = serde_json::from_slice(&made[1].1).unwrap();
        assert_eq!(
            config["added_tokens_decoder"],
            json!({"2": {"content": "[CLS]"}})
        );
        assert!(files_of(&files(), &[0, 2]).is_err());
    }

    #[test]
    fn lines_are_numbers_too() {
        let files: Tokenizer = vec![(
            "vocab.txt",
            b"[PAD]\n[unused1]\n[UNK]\ni\ngood\nbad".to_vec(),
        )];
        let pieces = Pieces::read(&files).unwrap();
        assert_eq!(pieces.must_stay, BTreeSet::from([0, 2, 3]));
        let made = files_of(&files, &pieces.kept(&[0, 0, 0, 0, 0, 3], 10, 1)).unwrap();
        assert_eq!(made[0].1, b"[PAD]\n[UNK]\ni\nbad\n");
        let other = vec![(
            "tokenizer.json",
            br#"{"model": {"type": "BPE", "vocab": {}}}"#.to_vec(),
        )];
        assert_eq!(Pieces::read(&other).unwrap_err().code, "bad-model");
    }
}
