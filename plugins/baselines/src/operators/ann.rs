//! The operator `ann`.

use segue_plugin::Result;

use crate::features::FeatureOptions;
use crate::features::tfidf::{LONGEST, TfidfOptions};
use crate::models::adam::AdamOptions;
use crate::models::ann::AnnOptions;
use crate::models::network::LearningOptions;
use crate::models::recipe::{ModelOptions, Recipe};
use crate::models::training::Schedule;
use crate::operators::chosen::Chosen;
use crate::operators::operator::{Operator, Options};
use crate::operators::options::{Common, check, check_learning};
use crate::operators::trial::Trial;

/// Learns a multilayer perceptron on words and pairs of words, and judges with it.
///
/// Rows whose `role` is `train` are learned from, those with `test` are judged; those
/// with `validation` tell which epoch was the best.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct AnnOperator {
    /// What the others are asked too.
    #[serde(flatten)]
    pub common: Common,
    /// The most words in a row that make one feature, 1 to 3.
    pub ngrams: usize,
    /// In how many texts a feature must occur.
    pub least_texts: usize,
    /// How many features there are at most: those of the most texts.
    pub most_features: usize,
    /// Neurons of the hidden layer.
    pub hidden: usize,
    /// What part of them is dropped in training.
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
pub type AnnStage = Operator<AnnOperator>;

/// The operator that tries options of it.
pub type AnnTrial = Trial<AnnOperator>;

/// The operator that learns with the best of them.
pub type AnnChosen = Chosen<AnnOperator>;

impl Default for AnnOperator {
    fn default() -> Self {
        AnnOperator {
            common: Common::default(),
            ngrams: 2,
            least_texts: 2,
            most_features: 100_000,
            hidden: 64,
            dropout: 0.5,
            batch: 64,
            rate: 0.001,
            decay: 0.01,
            epochs: 15,
            patience: 3,
            seed: 0,
        }
    }
}

impl Options for AnnOperator {
    fn common(&self) -> &Common {
        &self.common
    }

    fn recipe(&self) -> Result<Recipe> {
        self.common.check()?;
        check((1..=LONGEST).contains(&self.ngrams), "ngrams", "1, 2 or 3")?;
        check(self.most_features > 0, "most-features", "over 0")?;
        check(self.hidden > 0, "hidden", "over 0")?;
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
            features: FeatureOptions::Tfidf(TfidfOptions {
                ngrams: self.ngrams,
                least_texts: self.least_texts,
                most_features: self.most_features,
            }),
            model: ModelOptions::Ann(
                AnnOptions {
                    hidden: self.hidden,
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
