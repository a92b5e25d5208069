//! The operators `ann-fitness` and `cnn-fitness`.

use schemars::JsonSchema;
use segue_candidates::Measure;
use segue_candidates::rows::{self, Asked};
use segue_candidates::space::Weights;
use segue_plugin::{Batch, Column, Columns, Host, Port, Result, Stage};
use serde::Deserialize;

use super::ann::AnnShape;
use super::cnn::CnnShape;
use super::gathering::{Gathering, reads};
use super::network::{Network, Shape};
use crate::models::head::Score;
use crate::operators::options::check;

/// Scores candidates that are the weights of a network, for a search.
///
/// Each replica makes features once, of the texts that its port `rows` brings. A candidate's
/// fitness is measured on those with the role `train`, since its weights are what is trained;
/// those held out are for choosing options, by a judge with `judge = "validation"`, and those to
/// be judged are nothing to it.
///
/// # Columns
/// reads candidates, and at `rows` `review` u64, `text` utf8, `truth` utf8 and maybe `role` utf8
/// # Errors
/// `bad-position` when candidates do not have as many coordinates as the network has weights
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, bound = "S: Shape")]
pub struct Fitness<S: Shape> {
    /// The network.
    #[serde(flatten)]
    pub shape: S,
    /// What is measured.
    #[serde(flatten)]
    pub scoring: Scoring,
    #[serde(skip)]
    state: Gathering<Scorer>,
}

/// The operator `ann-fitness`: words and pairs of words, scaled by how much they tell of a class
/// and reduced to a few numbers, and a perceptron over these.
pub type AnnFitness = Fitness<AnnShape>;

/// The operator `cnn-fitness`: vectors of words from the texts they share, filters over some
/// words, their largest values and means over the text, and a linear layer.
pub type CnnFitness = Fitness<CnnShape>;

/// What a score is made of.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Scoring {
    /// What is measured.
    pub measure: Measure,
    /// What the mean square of the weights costs.
    pub decay: f64,
}

impl Scoring {
    /// Refuses options that cannot be.
    ///
    /// # Errors
    /// `bad-option`
    pub fn check(self) -> Result<()> {
        check(self.decay >= 0.0, "decay", "at least 0")
    }

    /// Of a network with these weights.
    pub fn fitness(self, score: Score, weights: &[f32]) -> f64 {
        let loss = score.loss + self.decay * mean_square(weights);
        self.measure.of(loss, score.accuracy)
    }
}

/// All that scoring takes.
struct Scorer {
    network: Box<dyn Network>,
    space: Weights,
}

impl<S: Shape> Stage for Fitness<S> {
    const PORTS: &'static [Port] = &[Port::new("candidates"), Port::whole("rows")];

    fn columns(&self) -> Columns {
        reads(rows::evaluates("candidates"), &[])
    }

    fn columns_for(&self, input: &[Column]) -> Result<Columns> {
        self.shape.check()?;
        self.scoring.check()?;
        Ok(reads(rows::evaluates("candidates"), input))
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        if batch.port() == 1 {
            return self.state.add(&batch, self.shape.labels());
        }
        let mut asked = rows::asked(&batch)?;
        if asked.is_empty() {
            return Ok(());
        }
        let shape = &self.shape;
        let scoring = self.scoring;
        let scorer = self.state.made(|gathered| {
            host.progress("making features");
            let (network, space) = shape.network(&gathered)?;
            Ok(Scorer { network, space })
        })?;
        for asked in &mut asked {
            shape.check_position(asked.place.len())?;
            scorer.walk(asked, scoring.decay)?;
        }
        let fitness = scorer.fitness(&asked, scoring);
        if let Some(answer) = rows::answer(batch.time(), &asked, fitness)? {
            host.emit(answer);
        }
        Ok(())
    }
}

impl Scorer {
    /// Takes Adam's steps, where they are asked for.
    fn walk(&self, asked: &mut Asked, decay: f64) -> Result<()> {
        if asked.steps == 0 {
            return Ok(());
        }
        let mut failed = None;
        let slope = |weights: &[f32], slope: &mut [f64]| {
            if let Err(error) = self.network.gradient(weights, slope) {
                failed = Some(error);
            }
            let share = 2.0 * decay / weights.len() as f64;
            for (slope, weight) in slope.iter_mut().zip(weights) {
                *slope += share * f64::from(*weight);
            }
        };
        let Asked { steps, rate, .. } = *asked;
        self.space.descend(&mut asked.place, steps, rate, slope);
        failed.map_or(Ok(()), Err)
    }

    fn fitness(&mut self, asked: &[Asked], scoring: Scoring) -> Vec<f64> {
        let candidates: Vec<Vec<f32>> = (asked.iter())
            .map(|asked| self.space.decode(&asked.place))
            .collect();
        let results = self.network.judge(&candidates).into_iter().zip(&candidates);
        results
            .map(|(score, weights)| scoring.fitness(score, weights))
            .collect()
    }
}

fn mean_square(weights: &[f32]) -> f64 {
    let sum: f64 = weights.iter().map(|x| f64::from(*x).powi(2)).sum();
    sum / weights.len() as f64
}
