//! Texts as the words of a vocabulary, in their order.

use std::cmp::Reverse;
use std::collections::HashMap;

use segue_plugin::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::features::rows::Rows;
use crate::features::words::{Corpus, Lexicon};

/// Which words there are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenOptions {
    /// In how many texts a word must occur.
    pub least_texts: usize,
    /// How many words there are at most: those of the most texts.
    pub most_words: usize,
    /// How many words of a text are kept, from its start.
    pub max_tokens: usize,
    /// Shorter texts are filled up to so many tokens.
    pub min_tokens: usize,
}

/// The token that fills short texts up.
pub const FILLER: u32 = 0;

/// The token of every word that is not in the vocabulary.
pub const UNKNOWN: u32 = 1;

/// Words' tokens begin here.
pub const FIRST: u32 = 2;

/// A vocabulary.
#[derive(Clone, Debug)]
pub struct Tokens {
    options: TokenOptions,
    /// From a word's number to its token.
    tokens: HashMap<u32, u32>,
}

impl Tokens {
    /// Learns the vocabulary from the texts number `texts` of `corpus`.
    pub fn learn(options: &TokenOptions, corpus: &Corpus, texts: &[usize]) -> Self {
        let mut counts = vec![0_usize; corpus.lexicon.len()];
        let mut distinct = Vec::new();
        for text in texts {
            distinct.clear();
            distinct.extend_from_slice(corpus.text(*text));
            distinct.sort_unstable();
            distinct.dedup();
            distinct.iter().for_each(|word| counts[*word as usize] += 1);
        }
        let mut kept: Vec<(usize, u32)> = counts.into_iter().zip(0..).collect();
        kept.retain(|(count, _)| *count > 0 && *count >= options.least_texts);
        // Of equals the first in the alphabet: the order of texts changes nothing.
        let places = corpus.lexicon.places();
        kept.sort_unstable_by_key(|(count, word)| (Reverse(*count), places[*word as usize]));
        kept.truncate(options.most_words);
        Tokens {
            options: *options,
            tokens: kept.iter().map(|(_, word)| *word).zip(FIRST..).collect(),
        }
    }

    /// How many tokens there are, filler and unknown included.
    pub fn width(&self) -> usize {
        self.tokens.len() + FIRST as usize
    }

    /// Appends a text's tokens.
    pub fn push(&self, words: &[u32], rows: &mut Rows) {
        let token = |word: &u32| self.tokens.get(word).copied().unwrap_or(UNKNOWN);
        let kept = &words[..words.len().min(self.options.max_tokens)];
        let lacking = self.options.min_tokens.saturating_sub(kept.len());
        let fill = std::iter::repeat_n(FILLER, lacking);
        rows.push_tokens(kept.iter().map(token).chain(fill));
    }

    /// The vocabulary, in order of tokens; without filler and unknown.
    pub fn names(&self, lexicon: &Lexicon) -> Vec<String> {
        let mut names = vec![String::new(); self.tokens.len()];
        for (word, token) in &self.tokens {
            names[(token - FIRST) as usize] = lexicon.word(*word).to_owned();
        }
        names
    }

    /// As [`Tokens::names`] gave it; its words are numbered by the lexicon that comes
    /// with it.
    ///
    /// # Errors
    /// `bad-model` when a word comes twice
    pub fn from_names(options: &TokenOptions, names: &[&str]) -> Result<(Self, Lexicon)> {
        let mut lexicon = Lexicon::default();
        let numbers: Vec<u32> = names.iter().map(|name| lexicon.number(name)).collect();
        if lexicon.len() < names.len() {
            let message = "the vocabulary has a word twice";
            return Err(Error::new("bad-model", message).option("model"));
        }
        let tokens = numbers.into_iter().zip(FIRST..).collect();
        let options = *options;
        Ok((Tokens { options, tokens }, lexicon))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: TokenOptions = TokenOptions {
        least_texts: 1,
        most_words: 3,
        max_tokens: 4,
        min_tokens: 2,
    };

    #[test]
    fn words_of_most_texts_have_the_first_tokens() {
        let mut corpus = Corpus::default();
        for text in ["a dull dull film", "a film", "film of note"] {
            corpus.push(text);
        }
        let tokens = Tokens::learn(&OPTIONS, &corpus, &[0, 1, 2]);
        let names = tokens.names(&corpus.lexicon);
        assert_eq!(names, ["film", "a", "dull"]);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (again, lexicon) = Tokens::from_names(&OPTIONS, &names).unwrap();
        let texts = ["a film of a film", "", "dull"];
        let expected: [&[u32]; 3] = [&[3, 2, UNKNOWN, 3], &[FILLER, FILLER], &[4, FILLER]];
        for (text, expected) in texts.iter().zip(expected) {
            let mut rows = Rows::new(again.width());
            tokens.push(&corpus.lexicon.known(text), &mut rows);
            again.push(&lexicon.known(text), &mut rows);
            assert_eq!(rows.row(0).ids, expected, "{text}");
            assert_eq!(rows.row(1).ids, expected, "{text}");
        }
        assert!(Tokens::from_names(&OPTIONS, &["a", "a"]).is_err());
    }
}
