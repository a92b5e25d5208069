//! A convolutional network whose weights are searched.

use std::sync::Arc;

use schemars::JsonSchema;
use segue_candidates::random::{Purpose, Random};
use segue_candidates::space::Weights;
use segue_learn::columns::Role;
use segue_learn::labels::sentiments;
use segue_plugin::{Error, Result};
use serde::Deserialize;

use super::fitness::Scoring;
use super::network::{Network, Shape};
use crate::features::reduced::{ReducedOptions, SMOOTHING};
use crate::features::rows::Examples;
use crate::features::tfidf::TfidfOptions;
use crate::features::tokens::TokenOptions;
use crate::features::vectors::vectors;
use crate::features::{FeatureOptions, Features};
use crate::models::Model;
use crate::models::conv::{Conv, ConvOptions, Judge, LANES};
use crate::models::head::Score;
use crate::models::recipe::{ModelOptions, Recipe};
use crate::models::trained::Trained;
use crate::models::training::Schedule;
use crate::operators::gathered::Gathered;
use crate::operators::learning::prepare;
use crate::operators::options::{check, check_size};

/// What the weights of a candidate are, and what they work on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct CnnShape {
    /// What the classes 0 and 1 are called.
    pub labels: Vec<String>,
    /// In how many texts a word must occur.
    pub least_texts: usize,
    /// How many words there are at most: those of the most texts.
    pub most_words: usize,
    /// How many words of a text are kept, from its start.
    pub max_tokens: usize,
    /// Numbers of a word's vector.
    pub embedding: usize,
    /// Whether word vectors are scaled by how much a word tells of a class.
    pub naive_bayes: bool,
    /// In how many texts of each class a word counts as seen besides; above 0.
    pub smoothing: f64,
    /// Filters of each width; a multiple of 8.
    pub filters: usize,
    /// Filters see from 1 to so many words at once.
    pub widest: usize,
    /// How many texts a candidate is scored on; 0 for all that are to train with.
    pub texts: usize,
    /// How far a weight is from its start at most.
    pub radius: f64,
    /// Of word vectors and of the start.
    pub seed: u64,
}

impl Default for CnnShape {
    fn default() -> Self {
        CnnShape {
            labels: sentiments(),
            least_texts: 5,
            most_words: 10_000,
            max_tokens: 300,
            embedding: 16,
            naive_bayes: true,
            smoothing: SMOOTHING,
            filters: 8,
            widest: 3,
            texts: 0,
            radius: 1.0,
            seed: 0,
        }
    }
}

impl CnnShape {
    fn options(&self) -> ConvOptions {
        ConvOptions {
            embedding: self.embedding,
            eights: self.filters / LANES,
            widest: self.widest,
        }
    }

    /// Filters are drawn, and what is made of them is nothing yet.
    fn start(&self) -> Vec<f32> {
        let options = self.options();
        let mut start = vec![0.0; options.weights()];
        let mut random = Random::new(self.seed, 0, 2, Purpose::Start);
        let spread = 1.0 / (self.embedding as f64).sqrt();
        for weight in &mut start[..options.convolution()] {
            *weight = (spread * random.gaussian()) as f32;
        }
        start
    }

    fn space(&self) -> Weights {
        Weights::whole(self.start(), self.radius)
    }

    /// Scores candidates on the first texts.
    fn judge(&self, conv: Conv, train: Arc<Examples>) -> Judge {
        let texts = match self.texts {
            0 => train,
            texts => Arc::new(first(&train, texts)),
        };
        Judge::new(conv, texts)
    }

    fn recipe(&self) -> Recipe {
        Recipe {
            labels: self.labels.clone(),
            features: FeatureOptions::Tokens(TokenOptions {
                least_texts: self.least_texts,
                most_words: self.most_words,
                max_tokens: self.max_tokens,
                min_tokens: self.widest,
            }),
            model: ModelOptions::Conv(self.options()),
            schedule: Schedule {
                epochs: 1,
                patience: None,
            },
        }
    }

    /// Texts as tokens, and a network with the vectors of words.
    fn ready(&self, gathered: &Gathered) -> Result<(Features, Arc<Examples>, Conv)> {
        let recipe = self.recipe();
        let texts = gathered.texts(Role::Train);
        let prepared = prepare(&recipe.labels, &recipe.features, gathered, &texts)?;
        let weighted = FeatureOptions::Tfidf(TfidfOptions {
            ngrams: 1,
            least_texts: self.least_texts,
            most_features: self.most_words,
        });
        let words = prepare(&recipe.labels, &weighted, gathered, &texts)?;
        let options = ReducedOptions {
            dims: self.embedding,
            naive_bayes: self.naive_bayes,
            smoothing: self.smoothing,
            seed: self.seed,
        };
        let table = vectors(&words, &prepared.train.rows, options);
        let mut conv = Conv::new(self.options(), prepared.features.width());
        conv.set_table(table);
        Ok((prepared.features, prepared.train, conv))
    }
}

impl Shape for CnnShape {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn check(&self) -> Result<()> {
        check(self.labels.len() == 2, "labels", "two names")?;
        check(self.most_words > 0, "most-words", "over 0")?;
        check_size(self.widest, 1, "widest")?;
        check(
            self.max_tokens >= self.widest,
            "max-tokens",
            "at least `widest`",
        )?;
        check(self.smoothing > 0.0, "smoothing", "over 0")?;
        check_size(self.embedding, 1, "embedding")?;
        check_size(self.filters, 1, "filters")?;
        let eights = self.filters > 0 && self.filters.is_multiple_of(LANES);
        check(eights, "filters", "8, 16, 24, ...")?;
        check(self.radius > 0.0, "radius", "over 0")
    }

    fn dimensions(&self) -> usize {
        self.options().weights()
    }

    fn network(&self, gathered: &Gathered) -> Result<(Box<dyn Network>, Weights)> {
        let (_, train, conv) = self.ready(gathered)?;
        Ok((Box::new(self.judge(conv, train)), self.space()))
    }

    fn trained(
        &self,
        position: &[f64],
        scoring: Scoring,
        gathered: &mut Gathered,
    ) -> Result<(Trained, f64)> {
        self.check_position(position.len())?;
        let (features, train, mut conv) = self.ready(gathered)?;
        let weights = self.space().decode(position);
        let score = self.judge(conv.clone(), train).judge(&weights);
        conv.set_searched(&weights);
        let model: Box<dyn Model> = Box::new(conv);
        let trained = Trained {
            recipe: self.recipe(),
            lexicon: std::mem::take(&mut gathered.corpus.lexicon),
            features,
            model,
        };
        Ok((trained, scoring.fitness(score, &weights)))
    }
}

/// The first of these.
fn first(all: &Examples, texts: usize) -> Examples {
    let mut some = Examples {
        rows: crate::features::rows::Rows::new(all.rows.width()),
        ..Examples::default()
    };
    for (row, class) in all.rows.iter().zip(&all.classes).take(texts) {
        some.rows.push_tokens(row.ids.iter().copied());
        some.classes.push(*class);
    }
    some
}

impl Network for Judge {
    fn judge(&mut self, candidates: &[Vec<f32>]) -> Vec<Score> {
        let candidates = candidates.iter();
        candidates
            .map(|weights| Judge::judge(self, weights))
            .collect()
    }

    fn gradient(&self, _weights: &[f32], _slope: &mut [f64]) -> Result<()> {
        let message = "`cnn-fitness` has no gradient, which `pso-adam` needs";
        Err(Error::new("no-gradient", message))
    }
}
