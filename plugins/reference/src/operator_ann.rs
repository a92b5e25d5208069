//! The operator `ann`.

use segue_plugin::{ModelPath, OutputPath, Result};

use crate::adam::AdamOptions;
use crate::ann::AnnOptions;
use crate::features::FeatureOptions;
use crate::network::LearningOptions;
use crate::operator::{Operator, Options};
use crate::options::{check, check_labels, two_labels};
use crate::recipe::{ModelOptions, Recipe};
use crate::tfidf::{LONGEST, TfidfOptions};
use crate::training::Schedule;

/// Learns a multilayer perceptron on words and pairs of words, and judges with it.
///
/// Rows whose `role` is `train` are learned from, those with `test` are judged; those
/// with `validation` tell which epoch was the best.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AnnOperator {
    /// A folder with a trained model: it judges, and nothing is learned.
    pub model: Option<ModelPath>,
    /// The folder that the trained model is written to.
    pub output: Option<OutputPath>,
    /// What the classes 0, 1, ... are called.
    #[serde(default = "two_labels")]
    pub labels: Vec<String>,
    /// The most words in a row that make one feature, 1 to 3.
    #[serde(default = "two")]
    pub ngrams: usize,
    /// In how many texts a feature must occur.
    #[serde(default = "two")]
    pub least_texts: usize,
    /// How many features there are at most: those of the most texts.
    #[serde(default = "features")]
    pub most_features: usize,
    /// Neurons of the hidden layer.
    #[serde(default = "hidden")]
    pub hidden: usize,
    /// What part of them is dropped in training.
    #[serde(default = "half")]
    pub dropout: f64,
    /// How many examples make one step.
    #[serde(default = "batch")]
    pub batch: usize,
    /// How far a step goes.
    #[serde(default = "rate")]
    pub rate: f64,
    /// What part of `rate` times itself a parameter loses in each step.
    #[serde(default = "decay")]
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
pub type AnnStage = Operator<AnnOperator>;

fn two() -> usize {
    2
}

fn features() -> usize {
    100_000
}

fn hidden() -> usize {
    64
}

fn half() -> f64 {
    0.5
}

fn batch() -> usize {
    64
}

fn rate() -> f64 {
    0.001
}

fn decay() -> f64 {
    0.01
}

fn epochs() -> usize {
    15
}

fn patience() -> usize {
    3
}

impl Options for AnnOperator {
    fn model(&self) -> Option<&ModelPath> {
        self.model.as_ref()
    }

    fn output(&self) -> Option<&OutputPath> {
        self.output.as_ref()
    }

    fn recipe(&self) -> Result<Recipe> {
        check_labels(&self.labels)?;
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
        learning.check()?;
        check(self.epochs > 0, "epochs", "over 0")?;
        Ok(Recipe {
            labels: self.labels.clone(),
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
