//! The models, behind one interface.
//!
//! A [`Model`] is a [`Scorer`] that can also learn. Making features is a step of its own
//! ([`crate::features`]), so that they are made once however many models are tried on them.

pub mod adam;
pub mod ann;
pub mod cnn;
pub mod conv;
mod conv_kernel;
pub mod dual;
pub mod head;
mod head_kernel;
pub mod network;
pub mod recipe;
pub mod sparse;
pub mod svm;
pub mod tensors;
pub mod trained;
pub mod training;
pub mod windows;

use segue_learn::scorer::Scorer;
use segue_plugin::Result;

use crate::features::rows::{Examples, Rows};

/// A classifier that learns by its own rule, gradients or not.
///
/// It is trained by [`Model::begin`] and then [`Model::epoch`] again and again;
/// [`training::fit`] does so to the end, and [`training::Training`] step by step. A search that
/// needs no gradients uses what [`Scorer`] has, and nothing else.
pub trait Model: Scorer<Features = Rows> {
    /// Forgets all that it has learned, and gets ready to learn from `train`. What comes
    /// after depends on the options, with their seed, and on `train` alone.
    ///
    /// # Errors
    /// `failed-tensor`
    fn begin(&mut self, train: &Examples) -> Result<()>;

    /// Learns from each of `train` once: the same that [`Model::begin`] was given.
    ///
    /// # Errors
    /// `failed-tensor`
    fn epoch(&mut self, train: &Examples) -> Result<Epoch>;
}

/// What came of one pass over the examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Mean loss of an example.
    pub loss: f64,
    /// Whether another pass would change nothing.
    pub converged: bool,
}
