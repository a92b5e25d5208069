//! What evaluators and judges of searched networks have in common.

use schemars::JsonSchema;
use segue_candidates::space::Weights;
use segue_learn::columns::Role;
use segue_plugin::{Error, Result};
use serde::de::DeserializeOwned;

use super::fitness::Scoring;
use crate::models::head::Score;
use crate::models::trained::Trained;
use crate::operators::gathered::Gathered;

/// A network whose weights are searched: the options that say what they are, and what they work
/// on.
pub trait Shape: Clone + Default + DeserializeOwned + JsonSchema + 'static {
    /// What the classes 0 and 1 are called.
    fn labels(&self) -> &[String];

    /// Refuses options that cannot be.
    ///
    /// # Errors
    /// `bad-option`
    fn check(&self) -> Result<()>;

    /// How many coordinates a candidate has.
    fn dimensions(&self) -> usize;

    /// Makes features of what was gathered, once.
    ///
    /// # Errors
    /// Those of [`crate::operators::learning::prepare`]
    fn network(&self, gathered: &Gathered) -> Result<(Box<dyn Network>, Weights)>;

    /// The network at `position` as a model of its own, which takes the words of `gathered`; and
    /// how it does on what candidates are scored on, with `scoring`.
    ///
    /// # Errors
    /// Those of [`Shape::network`] and of the model
    fn trained(
        &self,
        position: &[f64],
        scoring: Scoring,
        gathered: &mut Gathered,
    ) -> Result<(Trained, f64)>;

    /// That a position has as many coordinates as it must.
    ///
    /// # Errors
    /// `bad-position`
    fn check_position(&self, got: usize) -> Result<()> {
        let want = self.dimensions();
        if got == want {
            return Ok(());
        }
        let message = format!(
            "a candidate has {got} coordinates, but the network has {want}: \
             the search needs `with.dimensions = {want}`"
        );
        Err(Error::new("bad-position", message))
    }
}

/// Scores candidates on the texts to train with.
pub trait Network: Send {
    /// How each of these weights does.
    fn judge(&mut self, candidates: &[Vec<f32>]) -> Vec<Score>;

    /// The slope of the loss, where there is one.
    ///
    /// # Errors
    /// `no-gradient`
    fn gradient(&self, weights: &[f32], slope: &mut [f64]) -> Result<()>;
}

/// Texts with this role of what was gathered; an error where there is none.
///
/// # Errors
/// `no-rows`
pub fn some_texts(gathered: &Gathered, role: Role) -> Result<Vec<usize>> {
    let texts = gathered.texts(role);
    if texts.is_empty() {
        let message = format!("no row has the role `{}`", role.name());
        return Err(Error::new("no-rows", message));
    }
    Ok(texts)
}
