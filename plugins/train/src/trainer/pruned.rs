//! What a trainer is told of a model that loses weights while it learns.

use segue_learn::schedule::Best;
use segue_plugin::Result;

use super::{HeldOut, Trainer, internal};

impl Trainer {
    /// The parameters as they are, finite or not.
    pub fn current(&self) -> &[Vec<f32>] {
        &self.vectors
    }

    /// Reviews that are looked at after every epoch.
    pub fn hold_out(&mut self, held_out: HeldOut) {
        self.held_out = held_out;
    }

    /// Sets to zero, for good, what is `gone` of each vector. It is no part of the state.
    ///
    /// # Errors
    /// None that vectors of the same lengths could cause
    pub fn keep_zero(&mut self, gone: Vec<Vec<bool>>) -> Result<()> {
        self.gone = gone;
        self.zero();
        self.model.set(&self.vectors).map_err(internal)
    }

    /// Begins anew to look for the best: what was seen before was another model.
    pub fn forget_best(&mut self) {
        (self.best, self.state.best) = (Vec::new(), Best::default());
    }

    pub(super) fn zero(&mut self) {
        for (vector, gone) in self.vectors.iter_mut().zip(&self.gone) {
            let places = vector.iter_mut().zip(gone);
            places
                .filter(|(_, gone)| **gone)
                .for_each(|(x, _)| *x = 0.0);
        }
    }

    /// Writes down that something was done to the model.
    pub fn note_event(&mut self, event: &str) {
        self.note(event, None, None, None);
    }
}
