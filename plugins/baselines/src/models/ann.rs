//! A multilayer perceptron.

use candle_core::{Result, Tensor, Var};
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::features::rows::Rows;
use crate::models::network::Architecture;
use crate::models::sparse::SparseRows;
use crate::models::tensors::{dropout, uniform, zeros};

/// Its shape.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnOptions {
    /// Neurons of the hidden layer.
    pub hidden: usize,
    /// What part of them is dropped in training, 0 to below 1.
    pub dropout: f64,
}

/// Weighted features, one hidden layer with ReLU, one logit a class.
#[derive(Clone, Copy, Debug)]
pub struct Ann {
    /// Its shape.
    pub options: AnnOptions,
    /// How many features there are.
    pub width: usize,
    /// How many classes there are.
    pub classes: usize,
}

impl Architecture for Ann {
    fn classes(&self) -> usize {
        self.classes
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> Result<Vec<Var>> {
        let AnnOptions { hidden, .. } = self.options;
        // A row has length 1, however many features there are: with these limits a
        // neuron's input has the spread 1 / sqrt(3) whatever the width.
        Ok(vec![
            uniform(&[self.width, hidden], 1.0, random)?,
            zeros(&[hidden])?,
            uniform(
                &[hidden, self.classes],
                (hidden as f64).sqrt().recip(),
                random,
            )?,
            zeros(&[self.classes])?,
        ])
    }

    fn logits(
        &self,
        parameters: &[Var],
        rows: &Rows,
        texts: &[usize],
        random: Option<&mut ChaCha8Rng>,
    ) -> Result<Tensor> {
        let [first, first_bias, second, second_bias] = parameters else {
            return Err(candle_core::Error::msg("a perceptron has four parameters"));
        };
        let hidden = first.apply_op1(SparseRows::new(rows, texts))?;
        let mut hidden = hidden.broadcast_add(first_bias)?.relu()?;
        if let Some(random) = random {
            hidden = dropout(&hidden, self.options.dropout, random)?;
        }
        hidden.matmul(second)?.broadcast_add(second_bias)
    }
}
