//! The operator `cnn`.

use segue_plugin::{ModelPath, OutputPath, Result};

use crate::adam::AdamOptions;
use crate::cnn::CnnOptions;
use crate::features::FeatureOptions;
use crate::network::LearningOptions;
use crate::operator::{Operator, Options};
use crate::options::{check, check_labels, two_labels};
use crate::recipe::{ModelOptions, Recipe};
use crate::tokens::TokenOptions;
use crate::training::Schedule;

/// Learns a convolutional network over word vectors, and judges with it.
///
/// Rows whose `role` is `train` are learned from, those with `test` are judged; those
/// with `validation` tell which epoch was the best.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CnnOperator {
    /// A folder with a trained model: it judges, and nothing is learned.
    pub model: Option<ModelPath>,
    /// The folder that the trained model is written to.
    pub output: Option<OutputPath>,
    /// What the classes 0, 1, ... are called.
    #[serde(default = "two_labels")]
    pub labels: Vec<String>,
    /// In how many texts a word must occur; the others are all one word.
    #[serde(default = "least_texts")]
    pub least_texts: usize,
    /// How many words there are at most: those of the most texts.
    #[serde(default = "most_words")]
    pub most_words: usize,
    /// How many words of a text are read, from its start.
    #[serde(default = "max_tokens")]
    pub max_tokens: usize,
    /// Numbers of a word's vector.
    #[serde(default = "embedding")]
    pub embedding: usize,
    /// Filters of each width.
    #[serde(default = "filters")]
    pub filters: usize,
    /// Filters see from 1 to so many words at once.
    #[serde(default = "widest")]
    pub widest: usize,
    /// What part of the filters' values is dropped in training.
    #[serde(default = "half")]
    pub dropout: f64,
    /// How many examples make one step.
    #[serde(default = "batch")]
    pub batch: usize,
    /// How far a step goes.
    #[serde(default = "rate")]
    pub rate: f64,
    /// What part of `rate` times itself a parameter loses in each step.
    #[serde(default)]
    pub decay: f64,
    /// The most passes over the examples.
    #[serde(default = "epochs")]
    pub epochs: usize,
    /// After so many epochs without a better one it stops.
    #[serde(default = "patience")]
    pub patience: usize,
    /// Of first parameters, order and dropout.
    #[serde(default)]
    pub seed: u64,
}

/// The operator.
pub type CnnStage = Operator<CnnOperator>;

fn least_texts() -> usize {
    3
}

fn most_words() -> usize {
    50_000
}

fn max_tokens() -> usize {
    1000
}

fn embedding() -> usize {
    100
}

fn filters() -> usize {
    100
}

fn widest() -> usize {
    4
}

fn half() -> f64 {
    0.5
}

fn batch() -> usize {
    50
}

fn rate() -> f64 {
    0.001
}

fn epochs() -> usize {
    10
}

fn patience() -> usize {
    2
}

impl Options for CnnOperator {
    fn model(&self) -> Option<&ModelPath> {
        self.model.as_ref()
    }

    fn output(&self) -> Option<&OutputPath> {
        self.output.as_ref()
    }

    fn recipe(&self) -> Result<Recipe> {
        check_labels(&self.labels)?;
        check(self.max_tokens > 0, "max-tokens", "over 0")?;
        check(self.embedding > 0, "embedding", "over 0")?;
        check(self.filters > 0, "filters", "over 0")?;
        check(self.widest > 0, "widest", "over 0")?;
        check(
            (0.0..1.0).contains(&self.dropout),
            "dropout",
            "from 0 to below 1",
        )?;
        let learning = LearningOptions {
            batch: self.batch,
            adam: AdamOptions {
                rate: self.rate,
                decay: self.decay,
            },
            seed: self.seed,
        };
        learning.check()?;
        check(self.epochs > 0, "epochs", "over 0")?;
        Ok(Recipe {
            labels: self.labels.clone(),
            features: FeatureOptions::Tokens(TokenOptions {
                least_texts: self.least_texts,
                most_words: self.most_words,
                max_tokens: self.max_tokens,
                min_tokens: self.widest,
            }),
            model: ModelOptions::Cnn(
                CnnOptions {
                    embedding: self.embedding,
                    filters: self.filters,
                    widest: self.widest,
                    dropout: self.dropout,
                },
                learning,
            ),
            schedule: Schedule {
                epochs: self.epochs,
                patience: Some(self.patience),
            },
        })
    }
}
