//! A perceptron whose weights are searched.

use schemars::JsonSchema;
use segue_candidates::random::{Purpose, Random};
use segue_candidates::space::Weights;
use segue_learn::columns::Role;
use segue_learn::labels::sentiments;
use segue_plugin::Result;
use serde::Deserialize;

use super::fitness::Scoring;
use super::network::{Network, Shape};
use crate::features::FeatureOptions;
use crate::features::prepared::Prepared;
use crate::features::reduced::{Reduced, ReducedOptions, SMOOTHING};
use crate::features::tfidf::{LONGEST, TfidfOptions};
use crate::models::adam::AdamOptions;
use crate::models::ann::AnnOptions;
use crate::models::head::{Dense, Head, Judge, Score};
use crate::models::network::LearningOptions;
use crate::models::recipe::{ModelOptions, Recipe};
use crate::models::trained::Trained;
use crate::models::training::Schedule;
use crate::operators::gathered::Gathered;
use crate::operators::learning::prepare;
use crate::operators::options::{check, check_size};

/// What the weights of a candidate are, and what they work on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct AnnShape {
    /// What the classes 0 and 1 are called.
    pub labels: Vec<String>,
    /// The most words in a row that make one feature, 1 to 3.
    pub ngrams: usize,
    /// In how many texts a feature must occur.
    pub least_texts: usize,
    /// How many features there are at most: those of the most texts.
    pub most_features: usize,
    /// Whether features are scaled by how much they tell of a class.
    pub naive_bayes: bool,
    /// In how many texts of each class a feature counts as seen besides, so that what is rare
    /// tells less; above 0.
    pub smoothing: f64,
    /// To how many numbers the features of a text are reduced.
    pub inputs: usize,
    /// Neurons of the hidden layer; 0 for none.
    pub hidden: usize,
    /// How far a weight is from its start at most.
    pub radius: f64,
    /// Searches in a random subspace of so many dimensions; 0 searches every weight.
    pub subspace: usize,
    /// Of the reduction, the start and the subspace.
    pub seed: u64,
}

impl Default for AnnShape {
    fn default() -> Self {
        AnnShape {
            labels: sentiments(),
            ngrams: 2,
            least_texts: 5,
            most_features: 60_000,
            naive_bayes: true,
            smoothing: SMOOTHING,
            inputs: 512,
            hidden: 0,
            radius: 4.0,
            subspace: 0,
            seed: 0,
        }
    }
}

impl AnnShape {
    fn head(&self) -> Head {
        Head {
            inputs: self.inputs,
            hidden: self.hidden,
        }
    }

    /// Makes features of what was gathered.
    ///
    /// # Errors
    /// Those of [`prepare`]
    fn ready(&self, gathered: &Gathered) -> Result<(Prepared, Reduced)> {
        let recipe = self.recipe();
        let texts = gathered.texts(Role::Train);
        let prepared = prepare(&recipe.labels, &recipe.features, gathered, &texts)?;
        let options = ReducedOptions {
            dims: self.inputs,
            naive_bayes: self.naive_bayes,
            smoothing: self.smoothing,
            seed: self.seed,
        };
        let reduced = Reduced::learn(&prepared.train, options);
        Ok((prepared, reduced))
    }

    fn judge(&self, prepared: &Prepared, reduced: &Reduced) -> Judge {
        let texts = prepared.train.rows.iter().zip(&prepared.train.classes);
        let numbers = texts.map(|(row, class)| (reduced.of(row), *class));
        Judge::new(self.head(), Dense::new(self.inputs, numbers))
    }

    fn space(&self) -> Weights {
        let (start, radius) = (self.start(), self.radius);
        match self.subspace {
            0 => Weights::whole(start, radius),
            dimensions => Weights::subspace(start, radius, dimensions, self.seed, false),
        }
    }

    /// Nothing; but neurons that all are the same could not become different.
    fn start(&self) -> Vec<f32> {
        let mut start = vec![0.0; self.head().weights()];
        if self.hidden > 0 {
            let mut random = Random::new(self.seed, 0, 2, Purpose::Start);
            let first = 1.0 / (self.inputs as f64).sqrt();
            let end = self.hidden * (self.inputs + 1);
            for (at, weight) in start.iter_mut().enumerate() {
                let spread = if at < end { first } else { 1.0 };
                *weight = (spread * random.gaussian()) as f32;
            }
        }
        start
    }

    /// The same network over the features themselves, as the operator `ann` has it.
    fn recipe(&self) -> Recipe {
        Recipe {
            labels: self.labels.clone(),
            features: FeatureOptions::Tfidf(TfidfOptions {
                ngrams: self.ngrams,
                least_texts: self.least_texts,
                most_features: self.most_features,
            }),
            model: ModelOptions::Ann(
                AnnOptions {
                    // A linear layer is two neurons, one for each side of 0.
                    hidden: if self.hidden == 0 { 2 } else { self.hidden },
                    dropout: 0.0,
                },
                LearningOptions {
                    batch: 64,
                    adam: AdamOptions {
                        rate: 0.001,
                        decay: 0.0,
                    },
                    seed: self.seed,
                },
            ),
            schedule: Schedule {
                epochs: 1,
                patience: None,
            },
        }
    }
}

impl Shape for AnnShape {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn check(&self) -> Result<()> {
        check(self.labels.len() == 2, "labels", "two names")?;
        check((1..=LONGEST).contains(&self.ngrams), "ngrams", "1, 2 or 3")?;
        check(self.most_features > 0, "most-features", "over 0")?;
        check(self.smoothing > 0.0, "smoothing", "over 0")?;
        check_size(self.inputs, 1, "inputs")?;
        check_size(self.hidden, 0, "hidden")?;
        check(self.radius > 0.0, "radius", "over 0")
    }

    fn dimensions(&self) -> usize {
        match self.subspace {
            0 => self.head().weights(),
            dimensions => dimensions,
        }
    }

    fn network(&self, gathered: &Gathered) -> Result<(Box<dyn Network>, Weights)> {
        let (prepared, reduced) = self.ready(gathered)?;
        Ok((Box::new(self.judge(&prepared, &reduced)), self.space()))
    }

    fn trained(
        &self,
        position: &[f64],
        scoring: Scoring,
        gathered: &mut Gathered,
    ) -> Result<(Trained, f64)> {
        self.check_position(position.len())?;
        let (prepared, reduced) = self.ready(gathered)?;
        let weights = self.space().decode(position);
        let score = self
            .judge(&prepared, &reduced)
            .judge(std::slice::from_ref(&weights))[0];
        let fitness = scoring.fitness(score, &weights);
        let recipe = self.recipe();
        let mut model = recipe.model(prepared.features.width())?;
        model.set_weights(&unfolded(self.head(), &reduced, &weights))?;
        let trained = Trained {
            recipe,
            lexicon: std::mem::take(&mut gathered.corpus.lexicon),
            features: prepared.features,
            model,
        };
        Ok((trained, fitness))
    }
}

impl Network for Judge {
    fn judge(&mut self, candidates: &[Vec<f32>]) -> Vec<Score> {
        Judge::judge(self, candidates)
    }

    fn gradient(&self, weights: &[f32], slope: &mut [f64]) -> Result<()> {
        Judge::gradient(self, weights, slope);
        Ok(())
    }
}

/// Weights of [`crate::models::ann`]: (features, hidden), (hidden), (hidden, 2), (2).
fn unfolded(head: Head, reduced: &Reduced, weights: &[f32]) -> Vec<f32> {
    let unit = |unit: usize| {
        let own = head.unit(weights, unit);
        let (own, bias) = own.split_at(head.inputs);
        let (features, more) = reduced.unfold(own);
        (features, bias[0] + more)
    };
    let (units, last, bias) = match head.last(weights) {
        [] => {
            let (features, bias) = unit(0);
            let turned = (features.iter().map(|x| -x).collect(), -bias);
            (vec![(features, bias), turned], vec![1.0, -1.0], 0.0)
        }
        [last @ .., bias] => ((0..head.hidden).map(unit).collect(), last.to_vec(), *bias),
    };
    let width = units
        .first()
        .map_or(0, |(features, _): &(Vec<f32>, f32)| features.len());
    let mut all = Vec::with_capacity((width + 3) * units.len() + 2);
    for feature in 0..width {
        all.extend(units.iter().map(|(features, _)| features[feature]));
    }
    all.extend(units.iter().map(|(_, bias)| bias));
    // Half of the logit for the second class, and against the first.
    all.extend(last.iter().flat_map(|weight| [-0.5 * weight, 0.5 * weight]));
    all.extend([-0.5 * bias, 0.5 * bias]);
    all
}
