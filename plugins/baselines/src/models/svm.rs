//! A linear support vector machine.

use std::ops::Range;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use segue_learn::scorer::{Scorer, check_count};
use segue_plugin::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::features::ratios::log_ratios;
use crate::features::rows::{Examples, Row, Rows};
use crate::models::dual::Dual;
use crate::models::{Epoch, Model};

/// How it learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SvmOptions {
    /// C: what an error costs, above 0.
    pub cost: f64,
    /// How even the dual's gradients are at the end.
    pub tolerance: f64,
    /// Whether features count by how much they tell of a class.
    pub naive_bayes: bool,
    /// Of the order in which examples are visited.
    pub seed: u64,
}

/// One linear function a class, or one in all for two classes.
///
/// # Source
/// Fan et al., LIBLINEAR, JMLR 2008; with `naive_bayes` Wang and Manning, Baselines and
/// bigrams, ACL 2012
#[derive(Debug)]
pub struct SvmModel {
    options: SvmOptions,
    classes: usize,
    width: usize,
    /// For each function one weight a feature, then its bias.
    functions: Vec<Vec<f32>>,
    state: Option<State>,
}

/// What learning needs beside the weights.
#[derive(Debug)]
struct State {
    random: ChaCha8Rng,
    duals: Vec<Dual>,
    /// For each function its factor for every feature, and its rows; none without
    /// `naive_bayes`.
    scaled: Vec<(Vec<f32>, Rows)>,
}

impl SvmModel {
    /// Knows nothing: every score is 0.
    pub fn new(options: SvmOptions, width: usize, classes: usize) -> Self {
        let functions = if classes == 2 { 1 } else { classes };
        SvmModel {
            options,
            classes,
            width,
            functions: vec![vec![0.0; width + 1]; functions],
            state: None,
        }
    }

    /// The class that function number `function` tells from the others.
    fn class(&self, function: usize) -> usize {
        if self.classes == 2 { 1 } else { function }
    }
}

impl Scorer for SvmModel {
    type Features = Rows;

    fn classes(&self) -> usize {
        self.classes
    }

    fn weight_count(&self) -> usize {
        self.functions.len() * (self.width + 1)
    }

    fn weights(&self) -> Result<Vec<f32>> {
        Ok(self.functions.concat())
    }

    fn set_weights(&mut self, weights: &[f32]) -> Result<()> {
        check_count(weights.len(), self.weight_count())?;
        let own = self.functions.iter_mut().flatten();
        own.zip(weights).for_each(|(weight, new)| *weight = *new);
        Ok(())
    }

    fn scores(&self, rows: &Rows, range: Range<usize>) -> Result<Vec<f32>> {
        let mut scores = Vec::with_capacity(range.len() * self.classes);
        for at in range {
            let margins = (self.functions.iter()).map(|weights| margin(rows.row(at), weights));
            match self.classes {
                2 => scores.extend(margins.flat_map(|margin| [-margin, margin])),
                _ => scores.extend(margins),
            }
        }
        Ok(scores)
    }

    /// The squared hinge losses of all functions: what learning makes smaller.
    fn loss(&self, scores: &[f32], class: usize) -> f64 {
        let hinge = |margin: f32| (1.0 - f64::from(margin)).max(0.0).powi(2);
        match self.classes {
            2 => hinge(scores[class]),
            _ => (scores.iter().enumerate())
                .map(|(at, score)| hinge(if at == class { *score } else { -score }))
                .sum(),
        }
    }
}

impl Model for SvmModel {
    fn begin(&mut self, train: &Examples) -> Result<()> {
        let scaled: Vec<(Vec<f32>, Rows)> = if self.options.naive_bayes {
            (0..self.functions.len())
                .map(|function| scaled(train, self.class(function) as u32))
                .collect()
        } else {
            Vec::new()
        };
        let rows = |function: usize| scaled.get(function).map_or(&train.rows, |(_, rows)| rows);
        let SvmOptions {
            cost, tolerance, ..
        } = self.options;
        let duals = (0..self.functions.len())
            .map(|function| Dual::new(rows(function), cost, tolerance))
            .collect();
        self.state = Some(State {
            random: ChaCha8Rng::seed_from_u64(self.options.seed),
            duals,
            scaled,
        });
        Ok(())
    }

    fn epoch(&mut self, train: &Examples) -> Result<Epoch> {
        let mut all = Epoch {
            loss: 0.0,
            converged: true,
        };
        let classes: Vec<u32> = (0..self.functions.len())
            .map(|function| self.class(function) as u32)
            .collect();
        let Some(state) = &mut self.state else {
            return Err(Error::new("not-started", "training has not begun"));
        };
        for (function, dual) in state.duals.iter_mut().enumerate() {
            let scaled = state.scaled.get(function);
            let sign = |at: usize| {
                if train.classes[at] == classes[function] {
                    1.0
                } else {
                    -1.0
                }
            };
            let rows = scaled.map_or(&train.rows, |(_, rows)| rows);
            let (loss, even) = dual.pass(rows, sign, &mut state.random);
            all.loss += loss;
            all.converged &= even;
            let weights = self.functions[function].iter_mut();
            (weights.zip(dual.weights())).for_each(|(weight, new)| *weight = *new as f32);
            // A scaled feature's weight times its scale is the feature's own weight.
            let factors = scaled.into_iter().flat_map(|(factors, _)| factors);
            let weights = self.functions[function].iter_mut();
            (weights.zip(factors)).for_each(|(weight, factor)| *weight *= factor);
        }
        Ok(all)
    }
}

/// How far `row` lies on a function's side; `weights` has the bias at its end.
fn margin(row: Row<'_>, weights: &[f32]) -> f32 {
    let bias = weights.last().copied().unwrap_or_default();
    let add = |sum: f64, (id, x): (usize, f32)| sum + f64::from(x) * f64::from(weights[id]);
    row.iter().fold(f64::from(bias), add) as f32
}

/// For each feature the logarithm of how much likelier it is in `class` than in the
/// others, and the rows with their weights times these.
///
/// # Source
/// Wang and Manning, Baselines and bigrams, ACL 2012, section 2.1
fn scaled(train: &Examples, class: u32) -> (Vec<f32>, Rows) {
    let factors = log_ratios(train, class, 1.0, f64::from);
    let mut rows = Rows::new(train.rows.width());
    for row in train.rows.iter() {
        let feature = |(id, x): (usize, f32)| (id as u32, x * factors[id]);
        rows.push(row.iter().map(feature));
    }
    (factors, rows)
}
