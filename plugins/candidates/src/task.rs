//! What a search asks of an evaluator.

use serde::{Deserialize, Serialize};

/// What a search asks of an evaluator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Task {
    /// Its fitness and violation, at this share of the full effort (epochs, rows), in (0, 1].
    Score {
        /// 1 where nothing is saved.
        effort: f64,
    },
    /// That many of Adam's steps from here first; the answer is where they led, and the fitness
    /// there. The evaluator has the gradient, and starts with fresh moments each time, so it
    /// keeps no state.
    Adam {
        /// 0 is a plain score.
        steps: u32,
        /// Of a weight, not of a coordinate of the box.
        rate: f64,
    },
}

impl Task {
    /// A score at full effort.
    pub const FULL: Self = Task::Score { effort: 1.0 };
}
