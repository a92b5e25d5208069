//! What a search is told, and what it tells.

use serde::{Deserialize, Serialize};

use crate::algorithm::Method;
use crate::goal::Goal;
use crate::space::Space;
use crate::{Quality, Start, Task};

/// Everything that a search is told before it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Which algorithm.
    pub method: Method,
    /// What is searched.
    pub space: Space,
    /// What is good.
    pub goal: Goal,
    /// All random numbers come from it.
    pub seed: u64,
    /// Where to start.
    pub start: Start,
    /// When to end.
    pub stop: Stop,
    /// How many scores are remembered, so as not to be asked again. Looking them
    /// up costs about as much as an algorithm's own step; 0 where that counts.
    pub cache: usize,
}

impl Setup {
    /// One objective to be minimised, from anywhere, without an end.
    pub fn new(method: Method, space: Space, seed: u64) -> Self {
        let goal = Goal::minimize();
        let (start, stop) = (Start::Uniform, Stop::default());
        Self {
            method,
            space,
            goal,
            seed,
            start,
            stop,
            cache: 1 << 16,
        }
    }
}

/// When a search ends: at the first of these that holds after a generation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stop {
    /// After so many generations.
    pub generations: Option<u64>,
    /// After so many evaluations; the generation that reaches them is still told.
    pub evaluations: Option<u64>,
    /// When the best is at least as good as this.
    pub target: Option<f64>,
    /// After so many generations without a better one.
    pub patience: Option<u64>,
}

/// One candidate to be scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// Its number in the generation.
    pub number: usize,
    /// A point of the unit box, which the space decodes.
    pub position: &'a [f64],
    /// What is asked.
    pub task: Task,
}

/// What an evaluator says of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// One number an objective.
    pub objectives: Vec<f64>,
    /// By how much it breaks constraints: 0 where it breaks none.
    pub violation: f64,
    /// Where [`Task::Adam`] led, as a point of the unit box.
    pub improved: Option<Vec<f64>>,
}

impl Score {
    /// One objective, no constraint.
    pub fn of(fitness: f64) -> Self {
        Self {
            objectives: vec![fitness],
            violation: 0.0,
            improved: None,
        }
    }
}

/// The best candidate so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// When it was found.
    pub generation: u64,
    /// Its number there.
    pub candidate: usize,
    /// Where: a point of the unit box.
    pub position: Vec<f64>,
    /// How good, to be minimised.
    pub quality: Quality,
    /// As the evaluator gave them.
    pub objectives: Vec<f64>,
}
