//! The operator `cnn`.

use segue_plugin::Result;

use crate::features::FeatureOptions;
use crate::features::tokens::TokenOptions;
use crate::models::adam::AdamOptions;
use crate::models::cnn::CnnOptions;
use crate::models::network::LearningOptions;
use crate::models::recipe::{ModelOptions, Recipe};
use crate::models::training::Schedule;
use crate::operators::chosen::Chosen;
use crate::operators::operator::{Operator, Options};
use crate::operators::options::{Common, check, check_learning};
use crate::operators::trial::Trial;

/// Learns a convolutional network over word vectors, and judges with it.
///
/// Rows whose `role` is `train` are learned from, those with `test` are judged; those
/// with `validation` tell which epoch was the best.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct CnnOperator {
    /// What the others are asked too.
    #[serde(flatten)]
    pub common: Common,
    /// In how many texts a word must occur; the others are all one word.
    pub least_texts: usize,
    /// How many words there are at most: those of the most texts.
    pub most_words: usize,
    /// How many words of a text are read, from its start.
    pub max_tokens: usize,
    /// Numbers of a word's vector.
    pub embedding: usize,
    /// Filters of each width.
    pub filters: usize,
    /// Filters see from 1 to so many words at once.
    pub widest: usize,
    /// What part of the filters' values is dropped in training.
    pub dropout: f64,
    /// How many examples make one step.
    pub batch: usize,
    /// How far a step goes.
    pub rate: f64,
    /// What part of `rate` times itself a parameter loses in each step.
    pub decay: f64,
    /// The most passes over the examples.
    pub epochs: usize,
    /// After so many epochs without a better one it stops.
    pub patience: usize,
    /// Of first parameters, order and dropout.
    pub seed: u64,
}

/// The operator.
pub type CnnStage = Operator<CnnOperator>;

/// The operator that tries options of it.
pub type CnnTrial = Trial<CnnOperator>;

/// The operator that learns with the best of them.
pub type CnnChosen = Chosen<CnnOperator>;

impl Default for CnnOperator {
    fn default() -> Self {
        CnnOperator {
            common: Common::default(),
            least_texts: 3,
            most_words: 50_000,
            max_tokens: 1000,
            embedding: 100,
            filters: 100,
            widest: 4,
            dropout: 0.5,
            batch: 50,
            rate: 0.001,
            decay: 0.0,
            epochs: 10,
            patience: 2,
            seed: 0,
        }
    }
}

impl Options for CnnOperator {
    fn common(&self) -> &Common {
        &self.common
    }

    fn recipe(&self) -> Result<Recipe> {
        self.common.check()?;
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
        check_learning(&learning)?;
        check(self.epochs > 0, "epochs", "over 0")?;
        Ok(Recipe {
            labels: self.common.labels.clone(),
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
