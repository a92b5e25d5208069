//! One head of one text, in the steps that attention takes.

use super::Projected;
use crate::Simd;
use crate::product::{PANEL_MAX, Rows, Sink, panel_product};
use crate::softmax::weigh;

/// One head of one text.
pub(super) struct Head<'a> {
    pub projected: Projected<'a>,
    /// H
    pub hidden: usize,
    /// The head's first column within H.
    pub column: usize,
    /// D: its columns.
    pub size: usize,
    /// Keys.
    pub n: usize,
}

impl Head<'_> {
    /// This head's part of a token's key.
    #[inline(always)]
    fn key(&self, token: usize) -> &[f32] {
        let at = token * self.projected.key_stride + self.column;
        &self.projected.keys[at..at + self.size]
    }

    /// This head's part of a token's value.
    #[inline(always)]
    fn value(&self, token: usize) -> &[f32] {
        let at = token * self.projected.key_stride + self.hidden + self.column;
        &self.projected.keys[at..at + self.size]
    }

    /// Lays out the keys so that a panel's W keys lie side by side in each dimension.
    #[inline(always)]
    pub fn pack_keys(&self, keys: &mut [f32], width: usize) {
        let panel_length = self.size * width;
        for (p, panel) in keys.chunks_exact_mut(panel_length).enumerate() {
            let from = p * width;
            if from >= self.n {
                break;
            }
            let count = width.min(self.n - from);
            if count < width {
                panel.fill(0.0);
            }
            for i in 0..count {
                for (d, key) in self.key(from + i).iter().enumerate() {
                    panel[d * width + i] = *key;
                }
            }
        }
    }

    /// Lays out the values by W dimensions, filled up with zeros.
    #[inline(always)]
    pub fn pack_values(&self, values: &mut [f32], width: usize) {
        for (p, from) in (0..self.size).step_by(width).enumerate() {
            let panel = &mut values[p * self.n * width..][..self.n * width];
            let count = width.min(self.size - from);
            for (token, to) in panel.chunks_exact_mut(width).enumerate() {
                to[..count].copy_from_slice(&self.value(token)[from..from + count]);
                to[count..].fill(0.0);
            }
        }
    }

    /// Products of `count` queries with every key: (count, n rounded up to W).
    #[inline(always)]
    pub fn score<S: Simd>(&self, first: usize, count: usize, keys: &[f32], scores: &mut [f32]) {
        let width = 2 * S::LANES;
        let padded = self.n.next_multiple_of(width);
        let queries = Rows {
            data: &self.projected.queries[self.column..],
            stride: self.projected.query_stride,
            depth: self.size,
        };
        let panels = keys[..padded * self.size].chunks_exact(self.size * width);
        for (p, panel) in panels.enumerate() {
            let zeros = [0.0; PANEL_MAX];
            let mut sink = Scores {
                scores: &mut scores[p * width..],
                padded,
                first,
            };
            panel_product::<S>(queries, first, count, panel, &zeros, &mut sink);
        }
    }

    /// Turns scores into weights, all but for the factor it returns: one over their sum.
    #[inline(always)]
    pub fn softmax<S: Simd>(&self, scores: &mut [f32]) -> f32 {
        weigh::<S>(scores, 1.0 / (self.size as f32).sqrt())
    }

    /// Sums of values by weight, into this head's columns of `out`.
    #[inline(always)]
    pub fn mix<S: Simd>(
        &self,
        first: usize,
        count: usize,
        weights: &[f32],
        values: &[f32],
        scale: &[f32; 16],
        out: &mut [f32],
    ) {
        let width = 2 * S::LANES;
        let rows = Rows {
            data: weights,
            stride: self.n.next_multiple_of(width),
            depth: self.n,
        };
        for (p, from) in (0..self.size).step_by(width).enumerate() {
            let panel = &values[p * self.n * width..][..self.n * width];
            let wide = width.min(self.size - from);
            let zeros = [0.0; PANEL_MAX];
            let mut sink = Mixed {
                out: &mut out[first * self.hidden + self.column + from..],
                hidden: self.hidden,
                wide,
                scale,
            };
            panel_product::<S>(rows, 0, count, panel, &zeros, &mut sink);
        }
    }
}

/// Scores of queries from `first` on, for the keys of one panel.
struct Scores<'a> {
    scores: &'a mut [f32],
    padded: usize,
    first: usize,
}

impl Sink for Scores<'_> {
    #[inline(always)]
    fn put(&mut self, row: usize, values: &mut [f32]) {
        let at = (row - self.first) * self.padded;
        self.scores[at..at + values.len()].copy_from_slice(values);
    }
}

/// `wide` columns of the output rows of one block of queries.
struct Mixed<'a> {
    out: &'a mut [f32],
    hidden: usize,
    wide: usize,
    scale: &'a [f32; 16],
}

impl Sink for Mixed<'_> {
    #[inline(always)]
    fn put(&mut self, row: usize, values: &mut [f32]) {
        let at = row * self.hidden;
        for (to, value) in self.out[at..at + self.wide].iter_mut().zip(values) {
            *to = *value * self.scale[row];
        }
    }
}
