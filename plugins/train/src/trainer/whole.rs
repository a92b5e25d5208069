//! Training on reviews that are all there, by whoever says which come when.

use segue_learn::loss::probabilities;
use segue_learn::scorer::verdict;
use segue_plugin::Result;

use super::{Goal, Trainer, finite, internal};
use crate::batch::Examples;
use crate::gathered::Look;
use crate::model::Tokens;

impl Trainer {
    /// The parameters as they are.
    ///
    /// # Errors
    /// `diverged` when one is not finite
    pub fn vectors(&self) -> Result<&[Vec<f32>]> {
        if finite(&self.vectors) {
            Ok(&self.vectors)
        } else {
            Err(self.diverged("a weight is"))
        }
    }

    /// One step, of which nothing is written down; gives the mean loss of late.
    ///
    /// # Errors
    /// `diverged`; those of `goal`
    pub fn learn(&mut self, examples: &Examples, goal: &impl Goal) -> Result<f32> {
        self.train(examples, goal)?;
        self.log.clear();
        Ok(self.recent_loss)
    }

    /// Accuracy and mean loss on reviews with these classes.
    ///
    /// # Errors
    /// `diverged` when a verdict is not finite
    pub fn measure(&mut self, looks: impl Iterator<Item = Look>) -> Result<(f64, f64)> {
        for (tokens, classes) in looks {
            self.validate(&tokens, &classes)?;
        }
        let tally = std::mem::take(&mut self.state.tally);
        let reviews = tally.reviews.max(1) as f64;
        Ok((tally.correct as f64 / reviews, tally.loss / reviews))
    }

    /// The class of each review, and its probability.
    ///
    /// # Errors
    /// `diverged` when a verdict is not finite
    pub fn judge(&self, tokens: &Tokens) -> Result<Vec<(usize, f32)>> {
        let output = self.model.run(tokens, None, &[]).map_err(internal)?;
        let shares = probabilities(&output.logits).map_err(internal)?;
        if shares.iter().all(|share| share.is_finite()) {
            Ok(shares.chunks(self.shape().labels).map(verdict).collect())
        } else {
            Err(self.diverged("a verdict is"))
        }
    }
}
