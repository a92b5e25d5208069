//! The options that say how to train.

use schemars::JsonSchema;
use segue_learn::schedule::WarmUp;
use segue_plugin::{Error, Result};
use serde::{Deserialize, Serialize};

/// How to train.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Schedule {
    /// The learning rate at its highest.
    pub learning_rate: f32,
    /// The part of all steps in which the rate rises from 0; then it falls back to 0.
    pub warm_up: f32,
    /// AdamW's weight decay of matrices.
    pub weight_decay: f32,
    /// Gradients longer than this are shortened to it.
    pub clip: f32,
    /// The part of values that dropout leaves out.
    pub dropout: f32,
    /// By what the rate is multiplied from each layer to the one below it, and to the embeddings: below 1, what lies deep changes less.
    pub layer_decay: f32,
    /// The seed of dropout and of what is drawn.
    pub seed: u64,
    /// Epochs without a better held-out accuracy after which no more is learnt.
    pub patience: u32,
    /// The least minutes between two states that a crash can go back to.
    pub checkpoint_minutes: f32,
    /// Threads for the sums; 0 takes all cores.
    pub threads: usize,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            learning_rate: 5e-5,
            warm_up: 0.1,
            weight_decay: 0.01,
            clip: 1.0,
            dropout: 0.1,
            layer_decay: 1.0,
            seed: 1,
            patience: 2,
            checkpoint_minutes: 3.0,
            threads: 0,
        }
    }
}

impl Schedule {
    /// # Errors
    /// `bad-option`
    pub fn check(&self) -> Result<()> {
        let part = |x: f32| (0.0..1.0).contains(&x);
        let positive = |x: f32| x > 0.0 && x.is_finite();
        for (good, option, rule) in [
            (positive(self.learning_rate), "learning-rate", "above 0"),
            (part(self.warm_up), "warm-up", "from 0 to below 1"),
            (part(self.dropout), "dropout", "from 0 to below 1"),
            (
                self.layer_decay > 0.0 && self.layer_decay <= 1.0,
                "layer-decay",
                "above 0 and at most 1",
            ),
            (self.weight_decay >= 0.0, "weight-decay", "0 or more"),
            (positive(self.clip), "clip", "above 0"),
            (
                self.checkpoint_minutes >= 0.0,
                "checkpoint-minutes",
                "0 or more",
            ),
        ] {
            if !good {
                return Err(
                    Error::new("bad-option", format!("`{option}` must be {rule}")).option(option),
                );
            }
        }
        Ok(())
    }

    /// The least milliseconds between two states that are saved.
    pub fn pause_ms(&self) -> u64 {
        (f64::from(self.checkpoint_minutes) * 60_000.0) as u64
    }

    /// Threads to use.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// The rate when `progress` of all steps is done.
    pub fn rate(&self, progress: f32) -> f32 {
        let warm_up = WarmUp {
            highest: self.learning_rate,
            part: self.warm_up,
        };
        warm_up.rate(progress)
    }
}
