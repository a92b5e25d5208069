//! What one trip round a loop evaluates, and what comes back.

use serde::{Deserialize, Serialize};

use crate::{Purpose, Quality, Random, Task};

/// Candidates to be scored: points of the unit box, every coordinate in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Counts from 0.
    pub number: u64,
    /// Coordinates of a candidate.
    pub dimensions: usize,
    /// Candidate by candidate: (candidates, dimensions).
    pub positions: Vec<f64>,
    /// What is asked of each candidate. Empty where all are to be [scored](Task::Score).
    pub tasks: Vec<Task>,
}

impl Generation {
    /// An empty one.
    pub fn new(number: u64, dimensions: usize) -> Self {
        Self {
            number,
            dimensions,
            positions: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// How many candidates there are.
    pub fn len(&self) -> usize {
        self.positions.len() / self.dimensions.max(1)
    }

    /// Whether there is nothing to score.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// One candidate's point.
    #[inline]
    pub fn position(&self, candidate: usize) -> &[f64] {
        row(&self.positions, self.dimensions, candidate)
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn position_mut(&mut self, candidate: usize) -> &mut [f64] {
        row_mut(&mut self.positions, self.dimensions, candidate)
    }

    /// What is asked of one candidate.
    pub fn task(&self, candidate: usize) -> Task {
        self.tasks.get(candidate).copied().unwrap_or(Task::FULL)
    }
}

/// What evaluators found, in the order of the candidates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// One a candidate.
    pub qualities: Vec<Quality>,
    /// Where [`Task::Adam`] led: the candidate's number and its new point, which is cut to the
    /// box. In order of number.
    pub improved: Vec<(usize, Vec<f64>)>,
}

impl Answers {
    /// Plain scores.
    pub fn scores(qualities: Vec<Quality>) -> Self {
        Self {
            qualities,
            improved: Vec::new(),
        }
    }
}

/// Row `number` of a matrix with `width` columns.
#[inline]
pub(crate) fn row(matrix: &[f64], width: usize, number: usize) -> &[f64] {
    &matrix[number * width..(number + 1) * width]
}

/// The same, to be changed.
#[inline]
pub(crate) fn row_mut(matrix: &mut [f64], width: usize, number: usize) -> &mut [f64] {
    &mut matrix[number * width..(number + 1) * width]
}

/// Where the first generation lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Start {
    /// Anywhere in the box.
    Uniform,
    /// Around a point, which is the first candidate itself.
    Around {
        /// A point of the unit box.
        at: Vec<f64>,
        /// How far from it the others lie in each coordinate, uniformly: the width of that range
        /// as a share of the box. What lies outside the box is cut. `None`: anywhere.
        spread: Option<f64>,
    },
}

/// What an algorithm knows of its problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// All random numbers come from it.
    pub seed: u64,
    /// Coordinates of the unit box.
    pub dimensions: usize,
    /// Where to start.
    pub start: Start,
}

impl Scope {
    /// Anywhere in the box.
    pub fn new(seed: u64, dimensions: usize) -> Self {
        Self {
            seed,
            dimensions,
            start: Start::Uniform,
        }
    }

    /// The stream of one candidate of one generation.
    pub(crate) fn random(&self, generation: u64, candidate: usize, purpose: Purpose) -> Random {
        Random::new(self.seed, generation, candidate as u64, purpose)
    }

    /// Where a candidate of generation 0 lies.
    pub(crate) fn place(&self, candidate: usize, position: &mut [f64]) {
        let mut random = self.random(0, candidate, Purpose::Start);
        match &self.start {
            Start::Around { at, .. } if candidate == 0 => position.copy_from_slice(at),
            Start::Uniform | Start::Around { spread: None, .. } => {
                position.fill_with(|| random.uniform());
            }
            Start::Around {
                at,
                spread: Some(spread),
            } => {
                for (value, at) in position.iter_mut().zip(at) {
                    *value = (at + spread * random.between(-0.5, 0.5)).clamp(0.0, 1.0);
                }
            }
        }
    }

    /// Generation 0.
    pub(crate) fn first(&self, candidates: usize) -> Generation {
        let mut first = Generation::new(0, self.dimensions);
        first.positions = vec![0.0; candidates * self.dimensions];
        for candidate in 0..candidates {
            self.place(candidate, first.position_mut(candidate));
        }
        first
    }
}
