//! Training to the end: how many epochs, and which of them was the best.

use segue_learn::schedule::Best;
use segue_learn::scorer::{Quality, measure};
use segue_plugin::Result;
use serde::{Deserialize, Serialize};

use crate::features::rows::Examples;
use crate::models::{Epoch, Model};

/// When training ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// After so many passes over the examples, if not before.
    pub epochs: usize,
    /// After so many epochs in a row without a better one on what is held out; the best
    /// epoch's parameters are kept. `None`: those of the last epoch are.
    pub patience: Option<usize>,
}

/// A training under way.
pub struct Training {
    schedule: Schedule,
    done: usize,
    /// Accuracy and score.
    best: Best<(f64, f64)>,
    /// The weights of the best.
    kept: Option<Vec<f32>>,
}

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Counted from 1.
    pub epoch: usize,
    /// What it gave on the examples.
    pub given: Epoch,
    /// What it gave on those held out, if there are any.
    pub held_out: Option<Quality>,
    /// Whether this was the last.
    pub last: bool,
}

impl Training {
    /// Makes `model` ready to learn from `train`.
    ///
    /// # Errors
    /// Those of [`Model::begin`]
    pub fn begin(model: &mut dyn Model, train: &Examples, schedule: Schedule) -> Result<Self> {
        model.begin(train)?;
        Ok(Training {
            schedule,
            done: 0,
            best: Best::default(),
            kept: None,
        })
    }

    /// One epoch. After the last the model has the parameters to keep.
    ///
    /// # Errors
    /// Those of [`Model::epoch`]
    pub fn step(
        &mut self,
        model: &mut dyn Model,
        train: &Examples,
        held_out: &Examples,
    ) -> Result<Step> {
        let given = model.epoch(train)?;
        self.done += 1;
        let quality = if held_out.rows.is_empty() {
            None
        } else {
            Some(measure(model, held_out)?)
        };
        let waited = match (self.schedule.patience, quality) {
            (Some(patience), Some(quality)) => {
                self.see(model, quality)?;
                self.best.has_waited(patience)
            }
            _ => false,
        };
        let last = waited || given.converged || self.done >= self.schedule.epochs;
        if let Some(weights) = self.kept.take_if(|_| last) {
            model.set_weights(&weights)?;
        }
        Ok(Step {
            epoch: self.done,
            given,
            held_out: quality,
            last,
        })
    }

    /// Keeps what is best.
    fn see(&mut self, model: &dyn Model, quality: Quality) -> Result<()> {
        if self.best.see((quality.accuracy, quality.score)) {
            self.kept = Some(model.weights()?);
        }
        Ok(())
    }
}

/// Trains `model` to the end; `progress` sees each epoch. Gives the quality on
/// `held_out` of what was kept, if anything is held out.
///
/// # Errors
/// Those of the model
pub fn fit(
    model: &mut dyn Model,
    train: &Examples,
    held_out: &Examples,
    schedule: Schedule,
    mut progress: impl FnMut(&Step),
) -> Result<Option<Quality>> {
    let mut training = Training::begin(model, train, schedule)?;
    loop {
        let step = training.step(model, train, held_out)?;
        progress(&step);
        if step.last {
            let empty = held_out.rows.is_empty();
            return (!empty).then(|| measure(model, held_out)).transpose();
        }
    }
}
