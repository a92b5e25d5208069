//! The operator `svm`.

use segue_plugin::Result;

use crate::features::FeatureOptions;
use crate::features::tfidf::{LONGEST, TfidfOptions};
use crate::models::recipe::{ModelOptions, Recipe};
use crate::models::svm::SvmOptions;
use crate::models::training::Schedule;
use crate::operators::chosen::Chosen;
use crate::operators::operator::{Operator, Options};
use crate::operators::options::{Common, check};
use crate::operators::trial::Trial;

/// Learns a linear support vector machine on words and pairs of words, and judges with it.
///
/// Rows whose `role` is `train` are learned from, those with `test` are judged; of those
/// with `validation` it shows how many are right.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct SvmOperator {
    /// What the others are asked too.
    #[serde(flatten)]
    pub common: Common,
    /// The most words in a row that make one feature, 1 to 3.
    pub ngrams: usize,
    /// In how many texts a feature must occur.
    pub least_texts: usize,
    /// How many features there are at most: those of the most texts.
    pub most_features: usize,
    /// Whether features are scaled by how much they tell of a class.
    pub naive_bayes: bool,
    /// C: what an error costs.
    pub cost: f64,
    /// How even the dual's gradients are at the end.
    pub tolerance: f64,
    /// The most passes over the examples.
    pub epochs: usize,
    /// Of the order in which examples are visited.
    pub seed: u64,
}

/// The operator.
pub type SvmStage = Operator<SvmOperator>;

/// The operator that tries options of it.
pub type SvmTrial = Trial<SvmOperator>;

/// The operator that learns with the best of them.
pub type SvmChosen = Chosen<SvmOperator>;

impl Default for SvmOperator {
    fn default() -> Self {
        SvmOperator {
            common: Common::default(),
            ngrams: 2,
            least_texts: 2,
            most_features: 2_000_000,
            naive_bayes: true,
            cost: 5.0,
            tolerance: 0.1,
            epochs: 1000,
            seed: 0,
        }
    }
}

impl Options for SvmOperator {
    fn common(&self) -> &Common {
        &self.common
    }

    fn recipe(&self) -> Result<Recipe> {
        self.common.check()?;
        check((1..=LONGEST).contains(&self.ngrams), "ngrams", "1, 2 or 3")?;
        check(self.most_features > 0, "most-features", "over 0")?;
        check(self.cost > 0.0, "cost", "over 0")?;
        check(self.tolerance > 0.0, "tolerance", "over 0")?;
        check(self.epochs > 0, "epochs", "over 0")?;
        Ok(Recipe {
            labels: self.common.labels.clone(),
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
