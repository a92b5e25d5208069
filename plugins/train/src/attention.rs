//! Scaled dot-product attention of a batch of reviews of different lengths, and its gradient.
//!
//! `qkv` is (n, 3 H): queries, keys and values of all heads side by side, n tokens of all
//! reviews one after the other. Probabilities are not stored but computed again on the way back.

use std::ops::Range;

use rayon::prelude::*;

use crate::dropout::Mask;
use crate::matmul::{Onto, View, matmul};
use crate::rows::{masked, softmax, softmax_backward};

/// How a batch is laid out, and its attention's shape.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    /// Where each review begins, and at the end the number of tokens.
    pub starts: &'a [usize],
    /// H
    pub hidden: usize,
    /// H is a multiple of it.
    pub heads: usize,
    /// Leaves out probabilities.
    pub mask: Mask,
}

/// One review's part.
struct Review<'a> {
    number: usize,
    tokens: usize,
    qkv: &'a [f32],
}

impl Attention<'_> {
    /// `out` (n, H) = softmax(Q Kᵀ / √D) V for each review and head.
    ///
    /// # Source
    /// Vaswani et al., arXiv:1706.03762, section 3.2
    pub fn forward(self, qkv: &[f32], out: &mut [f32]) {
        let parts = self.split(out, self.hidden);
        parts.into_par_iter().enumerate().for_each(|(i, out)| {
            let review = self.review(i, qkv);
            let square = review.tokens * review.tokens;
            let (mut p, mut kept) = (vec![0.0; square], vec![0.0; square]);
            for head in 0..self.heads {
                let mask = self.probabilities(&review, head, &mut p);
                let p = self.kept(&p, mask, &mut kept);
                let columns = self.columns(head);
                let p = View::new(p, review.tokens, review.tokens);
                let value = self.view(&review, 2, head);
                let to = &mut out[columns.start..];
                matmul(to, self.hidden, Onto::Nothing, 1.0, (p, value), 1);
            }
        });
    }

    /// Into `dqkv` (n, 3 H) the gradient, given that of the output, `dout` (n, H).
    pub fn backward(self, qkv: &[f32], dout: &[f32], dqkv: &mut [f32]) {
        let parts = self.split(dqkv, 3 * self.hidden);
        parts.into_par_iter().enumerate().for_each(|(i, dqkv)| {
            let review = self.review(i, qkv);
            let dout = &dout[self.starts[i] * self.hidden..self.starts[i + 1] * self.hidden];
            let square = review.tokens * review.tokens;
            let mut scratch = [vec![0.0; square], vec![0.0; square], vec![0.0; square]];
            for head in 0..self.heads {
                self.head_backward(&review, head, dout, dqkv, &mut scratch);
            }
        });
    }

    fn head_backward(
        self,
        review: &Review<'_>,
        head: usize,
        dout: &[f32],
        dqkv: &mut [f32],
        [p, kept, dp]: &mut [Vec<f32>; 3],
    ) {
        let (n, h, columns) = (review.tokens, self.hidden, self.columns(head));
        let [query, key, value] = [0, 1, 2].map(|part| self.view(review, part, head));
        let dout = View::strided(&dout[columns.start..], n, columns.len(), h);
        let mask = self.probabilities(review, head, p);
        let used = View::new(self.kept(p, mask, kept), n, n);
        let at = |part: usize| part * h + columns.start;
        let dvalue = &mut dqkv[at(2)..];
        matmul(dvalue, 3 * h, Onto::Nothing, 1.0, (used.t(), dout), 1);
        matmul(dp, n, Onto::Nothing, 1.0, (dout, value.t()), 1);
        softmax_backward(p, mask, self.scale(), dp, n);
        let ds = View::new(dp, n, n);
        let dquery = &mut dqkv[at(0)..];
        matmul(dquery, 3 * h, Onto::Nothing, 1.0, (ds, key), 1);
        let dkey = &mut dqkv[at(1)..];
        matmul(dkey, 3 * h, Onto::Nothing, 1.0, (ds.t(), query), 1);
    }

    /// Each query's probabilities over the keys, nothing left out; and the mask that will.
    fn probabilities(self, review: &Review<'_>, head: usize, p: &mut [f32]) -> Mask {
        let (query, key) = (self.view(review, 0, head), self.view(review, 1, head));
        let n = review.tokens;
        matmul(p, n, Onto::Nothing, self.scale(), (query, key.t()), 1);
        softmax(p, n);
        match self.mask.is_none() {
            true => self.mask,
            false => self
                .mask
                .derived((review.number * self.heads + head) as u64),
        }
    }

    fn kept<'a>(self, p: &'a [f32], mask: Mask, kept: &'a mut [f32]) -> &'a [f32] {
        if mask.is_none() {
            return p;
        }
        masked(p, mask, kept);
        kept
    }

    fn scale(self) -> f32 {
        1.0 / ((self.hidden / self.heads) as f32).sqrt()
    }

    fn columns(self, head: usize) -> Range<usize> {
        let size = self.hidden / self.heads;
        head * size..(head + 1) * size
    }

    fn view<'a>(self, review: &Review<'a>, part: usize, head: usize) -> View<'a> {
        let columns = self.columns(head);
        let from = part * self.hidden + columns.start;
        View::strided(
            &review.qkv[from..],
            review.tokens,
            columns.len(),
            3 * self.hidden,
        )
    }

    fn review<'a>(self, number: usize, qkv: &'a [f32]) -> Review<'a> {
        let (from, to) = (self.starts[number], self.starts[number + 1]);
        Review {
            number,
            tokens: to - from,
            qkv: &qkv[from * 3 * self.hidden..to * 3 * self.hidden],
        }
    }

    /// Cuts `all` into the reviews' rows.
    fn split(self, mut all: &mut [f32], width: usize) -> Vec<&mut [f32]> {
        (self.starts.windows(2))
            .map(|ends| {
                let (first, rest) =
                    std::mem::take(&mut all).split_at_mut((ends[1] - ends[0]) * width);
                all = rest;
                first
            })
            .collect()
    }
}
