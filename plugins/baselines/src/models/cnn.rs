//! A convolutional network over word vectors.

use candle_core::{Result, Tensor, Var};
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::features::rows::Rows;
use crate::models::network::Architecture;
use crate::models::tensors::{dropout, uniform, zeros};
use crate::models::windows::BestWindows;

/// Its shape.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CnnOptions {
    /// Numbers of a word's vector.
    pub embedding: usize,
    /// Filters of each width.
    pub filters: usize,
    /// Filters see from 1 to so many words at once.
    pub widest: usize,
    /// What part of the filters' values is dropped in training, 0 to below 1.
    pub dropout: f64,
}

/// Word vectors, filters of several widths with their largest value over the text, ReLU,
/// one logit a class. All is learned, the word vectors too.
///
/// # Source
/// Kim, Convolutional neural networks for sentence classification, arXiv:1408.5882
#[derive(Clone, Copy, Debug)]
pub struct Cnn {
    /// Its shape.
    pub options: CnnOptions,
    /// How many different tokens there are.
    pub width: usize,
    /// How many classes there are.
    pub classes: usize,
}

impl Architecture for Cnn {
    fn classes(&self) -> usize {
        self.classes
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> Result<Vec<Var>> {
        let CnnOptions {
            embedding,
            filters,
            widest,
            ..
        } = self.options;
        let mut all = vec![uniform(&[self.width, embedding], 0.25, random)?];
        for width in 1..=widest {
            let limit = (3.0 / (width * embedding) as f64).sqrt();
            all.push(uniform(&[width * filters, embedding], limit, random)?);
            all.push(zeros(&[filters])?);
        }
        let pooled = widest * filters;
        all.push(uniform(
            &[pooled, self.classes],
            (pooled as f64).sqrt().recip(),
            random,
        )?);
        all.push(zeros(&[self.classes])?);
        Ok(all)
    }

    fn logits(
        &self,
        parameters: &[Var],
        rows: &Rows,
        texts: &[usize],
        random: Option<&mut ChaCha8Rng>,
    ) -> Result<Tensor> {
        let [table, filters @ .., last, last_bias] = parameters else {
            return Err(candle_core::Error::msg("a network lacks parameters"));
        };
        let mut pooled = Vec::new();
        for (width, pair) in filters.chunks_exact(2).enumerate() {
            let best = BestWindows::new(rows, texts, width + 1);
            let best = table.apply_op2(&pair[0], best)?;
            pooled.push(best.broadcast_add(&pair[1])?.relu()?);
        }
        let mut pooled = Tensor::cat(&pooled, 1)?;
        if let Some(random) = random {
            pooled = dropout(&pooled, self.options.dropout, random)?;
        }
        pooled.matmul(last)?.broadcast_add(last_bias)
    }
}
