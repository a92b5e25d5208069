//! What a search is for.

use serde::{Deserialize, Serialize};

use crate::Quality;
use crate::error::{Error, Result};

/// Which way is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Less.
    #[default]
    Minimize,
    /// More.
    Maximize,
}

/// One number that an evaluator gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// As it is called.
    pub name: String,
    /// Which way is better.
    pub direction: Direction,
    /// Its share of the fitness, above 0.
    pub weight: f64,
}

/// One objective or several; the fitness of several is their weighted sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goal(pub Vec<Objective>);

impl Goal {
    /// One objective, less of which is better.
    pub fn minimize() -> Self {
        Self(vec![Objective {
            name: "fitness".into(),
            direction: Direction::Minimize,
            weight: 1.0,
        }])
    }

    /// One objective, more of which is better.
    pub fn maximize() -> Self {
        let mut goal = Self::minimize();
        goal.0[0].direction = Direction::Maximize;
        goal
    }

    /// How many objectives there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn check(&self) -> Result<()> {
        let good = |objective: &Objective| objective.weight > 0.0 && objective.weight.is_finite();
        if !self.0.is_empty() && self.0.iter().all(good) {
            Ok(())
        } else {
            Err(Error::Goal)
        }
    }

    /// The objectives, each to be minimised.
    pub(crate) fn signed(&self, objectives: &[f64]) -> Vec<f64> {
        let sign = |objective: &Objective| match objective.direction {
            Direction::Minimize => 1.0,
            Direction::Maximize => -1.0,
        };
        self.0
            .iter()
            .zip(objectives)
            // 0.0 for -0.0.
            .map(|(objective, value)| sign(objective) * value + 0.0)
            .collect()
    }

    /// What an evaluator gave, with its names: `fitness=0.9,parameters=1200`.
    pub(crate) fn named(&self, objectives: &[f64]) -> String {
        let pairs = self.0.iter().zip(objectives);
        let pairs = pairs.map(|(objective, value)| format!("{}={value}", objective.name));
        pairs.collect::<Vec<_>>().join(",")
    }

    /// How good a candidate is.
    pub(crate) fn quality(&self, objectives: &[f64], violation: f64) -> Quality {
        let weighted = |(objective, value): (&Objective, f64)| objective.weight * value;
        let fitness = match objectives {
            [_] => self.signed(objectives)[0],
            _ => self
                .0
                .iter()
                .zip(self.signed(objectives))
                .map(weighted)
                .sum(),
        };
        Quality::new(fitness, violation)
    }

    /// A fitness as the user means it: one objective as it is given, the sum of several
    /// minimised.
    pub(crate) fn shown(&self, fitness: f64) -> f64 {
        match self.0.as_slice() {
            [
                Objective {
                    direction: Direction::Maximize,
                    ..
                },
            ] => -fitness,
            _ => fitness,
        }
    }

    /// The other way.
    pub(crate) fn minimized(&self, shown: f64) -> f64 {
        self.shown(shown)
    }
}
