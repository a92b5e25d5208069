//! One head of one text, in the steps that attention takes.

use std::marker::PhantomData;

use super::{Projected, Shape};
use crate::Simd;
use crate::product::{Float, Rows, Sink, Sums, Tile, WIDTH_MAX, by_panel};
use crate::softmax::weigh;

/// Rows of the largest tile.
const ROWS_MAX: usize = 32;

/// One head of one text, in the format of its products.
pub(super) struct Head<'a, F> {
    /// What `projected` describes.
    pub data: &'a [F],
    pub projected: Projected<'a>,
    /// H
    pub hidden: usize,
    /// The head's first column within H.
    pub column: usize,
    /// D: its columns.
    pub size: usize,
    /// Keys.
    pub n: usize,
    pub shape: Shape,
}

impl<F: Float> Head<'_, F> {
    /// This head's part of a token's key.
    #[inline(always)]
    fn key(&self, token: usize) -> &[F] {
        let at = self.projected.keys_at + token * self.projected.key_stride + self.column;
        &self.data[at..at + self.size]
    }

    /// This head's part of a token's value.
    #[inline(always)]
    fn value(&self, token: usize) -> &[F] {
        let values_at = self.projected.keys_at + self.hidden;
        let at = values_at + token * self.projected.key_stride + self.column;
        &self.data[at..at + self.size]
    }

    /// Lays out the keys in panels whose columns are keys.
    #[inline(always)]
    pub fn pack_keys<T: Tile<F>>(&self, keys: &mut [F]) {
        let (width, group) = (T::WIDTH, T::GROUP);
        let panels = keys.chunks_exact_mut(self.shape.size * width);
        for (panel, from) in panels.zip((0..self.n).step_by(width)) {
            let count = width.min(self.n - from);
            if count < width {
                panel.fill(F::default());
            }
            for i in 0..count {
                let key = self.key(from + i);
                let groups = panel.chunks_exact_mut(width * group);
                for (g, to) in groups.enumerate() {
                    // Loops of known length: copies of a few numbers would be calls.
                    let to = &mut to[i * group..][..group];
                    for (k, to) in to.iter_mut().enumerate() {
                        *to = key.get(g * group + k).copied().unwrap_or_default();
                    }
                }
            }
        }
    }

    /// Lays out the values in panels whose columns are dimensions.
    #[inline(always)]
    pub fn pack_values<T: Tile<F>>(&self, values: &mut [F]) {
        let (width, group, depth) = (T::WIDTH, T::GROUP, self.shape.depth);
        let panels = values.chunks_exact_mut(depth * width);
        for (panel, from) in panels.zip((0..self.size).step_by(width)) {
            let count = width.min(self.size - from);
            let groups = panel.chunks_exact_mut(width * group);
            for (to, token) in groups.zip((0..depth).step_by(group)) {
                if count < width || token + group > self.n {
                    to.fill(F::default());
                }
                if T::GROUP == 2 && token + 2 <= self.n {
                    let first = &self.value(token)[from..from + count];
                    let second = &self.value(token + 1)[from..from + count];
                    let pairs = to.as_chunks_mut::<2>().0.iter_mut();
                    for (to, (a, b)) in pairs.zip(first.iter().zip(second)) {
                        *to = [*a, *b];
                    }
                    continue;
                }
                for which in 0..group.min(self.n.saturating_sub(token)) {
                    let value = &self.value(token + which)[from..from + count];
                    for (to, value) in to[which..].iter_mut().step_by(group).zip(value) {
                        *to = *value;
                    }
                }
            }
        }
    }

    /// Products of the queries `first..end` with every key.
    #[inline(always)]
    pub fn score<T: Tile<F>>(
        &self,
        (first, end): (usize, usize),
        keys: &[F],
        scores: &mut [f32],
        sums: &mut Sums<F>,
    ) {
        let Shape { size, columns, .. } = self.shape;
        let queries = Rows {
            data: &self.data[first * self.projected.query_stride + self.column..],
            stride: self.projected.query_stride,
            depth: size,
        };
        let mut sink = Scores {
            scores,
            stride: columns,
        };
        let zeros = [0.0; WIDTH_MAX];
        let panels = keys.chunks_exact(size * T::WIDTH);
        for (panel, column) in panels.zip((0..self.n).step_by(T::WIDTH)) {
            let start = &zeros[..T::WIDTH];
            by_panel::<F, T>(
                queries,
                (0, end - first),
                panel,
                start,
                sums,
                column,
                &mut sink,
            );
        }
    }

    /// Turns the scores of `count` queries into weights, all but for the factor that it gives for
    /// each: one over their sum.
    #[inline(always)]
    pub fn weigh<S: Simd>(
        &self,
        count: usize,
        scores: &mut [f32],
        weights: &mut [F],
    ) -> [f32; ROWS_MAX] {
        let Shape { columns, depth, .. } = self.shape;
        let whole = self.n.next_multiple_of(16);
        let factor = 1.0 / (self.size as f32).sqrt();
        let mut scale = [0.0; ROWS_MAX];
        let rows = scores.chunks_exact_mut(columns);
        let rows = rows.zip(weights.chunks_exact_mut(columns));
        for (scale, (scores, weights)) in scale[..count].iter_mut().zip(rows) {
            // What is no key weighs nothing.
            scores[self.n..whole].fill(f32::NEG_INFINITY);
            *scale = weigh::<S, F>(&mut scores[..whole], factor, weights);
            if depth > whole {
                weights[whole..depth].fill(F::default());
            }
        }
        scale
    }

    /// Sums of values by weight, into this head's columns of the rows of `out`; heads must come in
    /// their order, as the columns of later ones may be written over.
    #[inline(always)]
    pub fn mix<S: Simd, T: Tile<F>>(
        &self,
        count: usize,
        weights: &[F],
        values: &[F],
        scale: &[f32; ROWS_MAX],
        sums: &mut Sums<F>,
        out: &mut [f32],
    ) {
        let Shape { depth, columns, .. } = self.shape;
        let rows = Rows {
            data: weights,
            stride: columns,
            depth,
        };
        let mut sink = Mixed::<S> {
            out,
            hidden: self.hidden,
            column: self.column,
            size: self.size,
            scale,
            simd: PhantomData,
        };
        let zeros = [0.0; WIDTH_MAX];
        let panels = values.chunks_exact(depth * T::WIDTH);
        for (panel, column) in panels.zip((0..self.size).step_by(T::WIDTH)) {
            let start = &zeros[..T::WIDTH];
            by_panel::<F, T>(rows, (0, count), panel, start, sums, column, &mut sink);
        }
    }
}

/// Scores of one block of queries.
struct Scores<'a> {
    scores: &'a mut [f32],
    stride: usize,
}

impl Sink<f32> for Scores<'_> {
    #[inline(always)]
    fn put(&mut self, row: usize, column: usize, sums: &[f32]) {
        self.scores[row * self.stride + column..][..sums.len()].copy_from_slice(sums);
    }
}

/// One head's columns of the output rows of one block of queries.
struct Mixed<'a, S> {
    out: &'a mut [f32],
    hidden: usize,
    /// The head's first one.
    column: usize,
    size: usize,
    scale: &'a [f32; ROWS_MAX],
    simd: PhantomData<S>,
}

impl<S: Simd> Sink<f32> for Mixed<'_, S> {
    #[inline(always)]
    fn put(&mut self, row: usize, column: usize, sums: &[f32]) {
        let scale = S::splat(self.scale[row]);
        let wide = sums.len().min(self.size - column);
        let at = self.column + column;
        let row = &mut self.out[row * self.hidden..][..self.hidden];
        if at + sums.len() <= self.hidden {
            // What lies behind this head's columns is written by those after it.
            for i in (0..sums.len()).step_by(S::LANES) {
                S::store(S::mul(S::read(&sums[i..]), scale), &mut row[at + i..]);
            }
            return;
        }
        let mut scaled = [0.0; WIDTH_MAX];
        for i in (0..sums.len()).step_by(S::LANES) {
            S::store(S::mul(S::read(&sums[i..]), scale), &mut scaled[i..]);
        }
        row[at..at + wide].copy_from_slice(&scaled[..wide]);
    }
}
