//! The step before the model: from words to numbered features.

pub mod linear;
pub mod prepared;
pub mod ratios;
pub mod reduced;
pub mod rows;
pub mod tfidf;
pub mod tokens;
pub mod vectors;
pub mod words;

use segue_plugin::Result;
use serde::{Deserialize, Serialize};

use crate::features::rows::Rows;
use crate::features::tfidf::{Tfidf, TfidfOptions};
use crate::features::tokens::{TokenOptions, Tokens};
use crate::features::words::{Corpus, Lexicon};

/// What the features of a text are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureOptions {
    /// Weighted words and runs of words, in no order.
    Tfidf(TfidfOptions),
    /// Words, in their order.
    Tokens(TokenOptions),
}

/// Features as learned from texts.
#[derive(Clone, Debug)]
pub enum Features {
    /// Weighted words and runs of words, in no order.
    Tfidf(Tfidf),
    /// Words, in their order.
    Tokens(Tokens),
}

impl Features {
    /// Learns from the texts number `texts` of `corpus`.
    pub fn learn(options: &FeatureOptions, corpus: &Corpus, texts: &[usize]) -> Self {
        match options {
            FeatureOptions::Tfidf(options) => Features::Tfidf(Tfidf::learn(options, corpus, texts)),
            FeatureOptions::Tokens(options) => {
                Features::Tokens(Tokens::learn(options, corpus, texts))
            }
        }
    }

    /// As [`Features::names`] and [`Features::weights`] gave it, with a lexicon of its own.
    ///
    /// # Errors
    /// `bad-model` when names and weights do not fit together
    pub fn from_names(
        options: &FeatureOptions,
        names: &[&str],
        weights: Vec<f32>,
    ) -> Result<(Self, Lexicon)> {
        match options {
            FeatureOptions::Tfidf(options) => {
                let (tfidf, lexicon) = Tfidf::from_names(options.ngrams, names, weights)?;
                Ok((Features::Tfidf(tfidf), lexicon))
            }
            FeatureOptions::Tokens(options) => {
                let (tokens, lexicon) = Tokens::from_names(options, names)?;
                Ok((Features::Tokens(tokens), lexicon))
            }
        }
    }

    /// How many features there are.
    pub fn width(&self) -> usize {
        match self {
            Features::Tfidf(tfidf) => tfidf.width(),
            Features::Tokens(tokens) => tokens.width(),
        }
    }

    /// Appends a text's features to `rows`; `words` are its words' numbers.
    pub fn push(&self, words: &[u32], rows: &mut Rows) {
        match self {
            Features::Tfidf(tfidf) => tfidf.push(words, rows),
            Features::Tokens(tokens) => tokens.push(words, rows),
        }
    }

    /// The features of the texts number `texts` of `corpus`.
    pub fn rows(&self, corpus: &Corpus, texts: &[usize]) -> Rows {
        let mut rows = Rows::new(self.width());
        for text in texts {
            self.push(corpus.text(*text), &mut rows);
        }
        rows
    }

    /// What the features are called, in order of their numbers; without line breaks.
    pub fn names(&self, lexicon: &Lexicon) -> Vec<String> {
        match self {
            Features::Tfidf(tfidf) => tfidf.names(lexicon),
            Features::Tokens(tokens) => tokens.names(lexicon),
        }
    }

    /// What they weigh, where they have weights.
    pub fn weights(&self) -> &[f32] {
        match self {
            Features::Tfidf(tfidf) => tfidf.idf(),
            Features::Tokens(_) => &[],
        }
    }
}
