//! The operator `svm`.

use segue_plugin::{ModelPath, OutputPath, Result};

use crate::features::FeatureOptions;
use crate::operator::{Operator, Options};
use crate::options::{check, check_labels, two_labels};
use crate::recipe::{ModelOptions, Recipe};
use crate::svm::SvmOptions;
use crate::tfidf::{LONGEST, TfidfOptions};
use crate::training::Schedule;

/// Learns a linear support vector machine on words and pairs of words, and judges with it.
///
/// Rows whose `role` is `train` are learned from, those with `test` are judged; of those
/// with `validation` it shows how many are right.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SvmOperator {
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
    #[serde(default = "two_millions")]
    pub most_features: usize,
    /// Whether features are scaled by how much they tell of a class.
    #[serde(default = "yes")]
    pub naive_bayes: bool,
    /// C: what an error costs.
    #[serde(default = "five")]
    pub cost: f64,
    /// How even the dual's gradients are at the end.
    #[serde(default = "tenth")]
    pub tolerance: f64,
    /// The most passes over the examples.
    #[serde(default = "thousand")]
    pub epochs: usize,
    /// Of the order in which examples are visited.
    #[serde(default)]
    pub seed: u64,
}

/// The operator.
pub type SvmStage = Operator<SvmOperator>;

fn yes() -> bool {
    true
}

fn two() -> usize {
    2
}

fn two_millions() -> usize {
    2_000_000
}

fn thousand() -> usize {
    1000
}

fn five() -> f64 {
    5.0
}

fn tenth() -> f64 {
    0.1
}

impl Options for SvmOperator {
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
        check(self.cost > 0.0, "cost", "over 0")?;
        check(self.tolerance > 0.0, "tolerance", "over 0")?;
        check(self.epochs > 0, "epochs", "over 0")?;
        Ok(Recipe {
            labels: self.labels.clone(),
            features: FeatureOptions::Tfidf(TfidfOptions {
                ngrams: self.ngrams,
                least_texts: self.least_texts,
                most_features: self.most_features,
            }),
            model: ModelOptions::Svm(SvmOptions {
                cost: self.cost,
                tolerance: self.tolerance,
                naive_bayes: self.naive_bayes,
                seed: self.seed,
            }),
            schedule: Schedule {
                epochs: self.epochs,
                patience: None,
            },
        })
    }
}
