//! The inner loops of [`super::conv`].

use std::ops::Range;

use segue_kernels::{Kernel, Simd};

use super::conv::{Group, LANES, Pooled};
use crate::features::rows::Rows;

/// A mean over a text differs less from text to text than the largest value does.
const MEANS: f32 = 10.0;

/// What a group of filters makes of every word.
pub struct Multiply<'a> {
    pub embedding: usize,
    /// (words, embedding)
    pub table: &'a [f32],
    /// Of the group.
    pub weights: &'a [f32],
    pub group: &'a Group,
    /// How long a word's row of products is.
    pub row: usize,
    /// (words, row)
    pub products: &'a mut [f32],
}

impl Kernel for Multiply<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let vectors = self.table.chunks_exact(self.embedding);
        let rows = self.products.chunks_exact_mut(self.row);
        let filters = self.weights.as_chunks::<LANES>().0;
        for (vector, products) in vectors.zip(rows) {
            let out = products[self.group.products.clone()].as_chunks_mut::<LANES>();
            for (out, own) in out.0.iter_mut().zip(filters.chunks_exact(self.embedding)) {
                let mut sum = [0.0_f32; LANES];
                for (x, own) in vector.iter().zip(own) {
                    for lane in 0..LANES {
                        sum[lane] += *x * own[lane];
                    }
                }
                *out = sum;
            }
        }
    }
}

/// What a group of filters makes of some texts.
pub struct Pool<'a> {
    /// Of the group.
    pub biases: &'a [f32],
    pub group: &'a Group,
    /// How long a word's row of products is.
    pub row: usize,
    /// (words, row)
    pub products: &'a [f32],
    pub rows: &'a Rows,
    pub range: Range<usize>,
    /// One for each text of the range.
    pub pooled: &'a mut [Pooled],
}

impl Kernel for Pool<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        for (number, text) in self.range.clone().enumerate() {
            self.pooled[number] = pool(&self, self.rows.row(text).ids);
        }
    }
}

#[inline(always)]
fn pool(of: &Pool<'_>, tokens: &[u32]) -> Pooled {
    let (mut top, mut sum) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let mut bias = [0.0; LANES];
    bias.copy_from_slice(of.biases);
    let windows = tokens.windows(of.group.width);
    let share = MEANS / windows.len().max(1) as f32;
    for window in windows {
        let mut value = bias;
        for (place, token) in window.iter().enumerate() {
            let at = *token as usize * of.row + of.group.products.start + place * LANES;
            for (value, product) in value.iter_mut().zip(&of.products[at..at + LANES]) {
                *value += product;
            }
        }
        for lane in 0..LANES {
            let positive = if value[lane] > 0.0 { value[lane] } else { 0.0 };
            top[lane] = if positive > top[lane] {
                positive
            } else {
                top[lane]
            };
            sum[lane] += positive;
        }
    }
    Pooled {
        top,
        mean: sum.map(|sum| sum * share),
    }
}
