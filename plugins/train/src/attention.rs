//! Scaled dot-product attention of a batch of reviews of different lengths, and its gradient.
//!
//! `qkv` is (n, 3 A): queries, keys and values of all heads side by side, n tokens of all
//! reviews one after the other. Probabilities are not stored but computed again on the way back.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use segue_kernels::sum_of;
use segue_kernels::training::{
    Mask, Onto, View, add_scaled, masked, matmul, softmax, softmax_backward,
};

/// The scores that a layer's attention is to have: a teacher's.
///
/// They are kept as queries and keys, for a review of more than 2 A / heads tokens has more scores.
#[derive(Clone)]
pub struct Scores {
    /// Queries and keys side by side, (n, 2 A) with the teacher's A.
    pub queries_keys: Arc<Vec<f32>>,
    /// The teacher's A; it has as many heads as the layer.
    pub width: usize,
    /// How much the mean square of the differences counts in the loss.
    pub weight: f32,
}

/// How a batch is laid out, and its attention's shape.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    /// Where each review begins, and at the end the number of tokens.
    pub starts: &'a [usize],
    /// A: the length of all heads' queries.
    pub width: usize,
    /// A is a multiple of it.
    pub heads: usize,
    /// Leaves out probabilities.
    pub mask: Mask,
    /// What the scores are to be.
    pub taught: Option<&'a Scores>,
}

/// One review's part.
struct Review<'a> {
    number: usize,
    /// Its first token in the batch.
    first: usize,
    tokens: usize,
    qkv: &'a [f32],
}

impl Attention<'_> {
    /// `out` (n, A) = softmax(Q Kᵀ / √D) V for each review and head; gives what the scores
    /// themselves cost, 0 where no others are taught.
    ///
    /// # Source
    /// Vaswani et al., arXiv:1706.03762, section 3.2; the cost: Jiao et al., arXiv:1909.10351,
    /// equation 7
    pub fn forward(self, qkv: &[f32], out: &mut [f32]) -> f32 {
        let parts = self.split(out, self.width);
        let costs = parts.into_par_iter().enumerate().map(|(i, out)| {
            let review = self.review(i, qkv);
            let square = review.tokens * review.tokens;
            let (mut p, mut kept) = (vec![0.0; square], vec![0.0; square]);
            let mut squares = 0.0;
            for head in 0..self.heads {
                self.scores(&review, head, &mut p);
                if let Some(taught) = self.taught {
                    self.missing(taught, &review, head, &p, &mut kept);
                    squares += f64::from(sum_of(&kept, |x| x * x));
                }
                let mask = self.probabilities(&review, head, &mut p);
                let p = self.kept(&p, mask, &mut kept);
                let columns = self.columns(head);
                let p = View::new(p, review.tokens, review.tokens);
                let value = self.view(&review, 2, head);
                let to = &mut out[columns.start..];
                matmul(to, self.width, Onto::Nothing, 1.0, (p, value), 1);
            }
            squares
        });
        // Added up in the order of the reviews, whatever the threads do.
        let costs: Vec<f64> = costs.collect();
        match self.taught {
            Some(taught) => taught.weight * (costs.iter().sum::<f64>() / self.pairs()) as f32,
            None => 0.0,
        }
    }

    /// Into `dqkv` (n, 3 A) the gradient, given that of the output, `dout` (n, A); that of what
    /// [`Attention::forward`] gives is part of it.
    pub fn backward(self, qkv: &[f32], dout: &[f32], dqkv: &mut [f32]) {
        let parts = self.split(dqkv, 3 * self.width);
        parts.into_par_iter().enumerate().for_each(|(i, dqkv)| {
            let review = self.review(i, qkv);
            let dout = &dout[self.starts[i] * self.width..self.starts[i + 1] * self.width];
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
        let (n, a, columns) = (review.tokens, self.width, self.columns(head));
        let [query, key, value] = [0, 1, 2].map(|part| self.view(review, part, head));
        let dout = View::strided(&dout[columns.start..], n, columns.len(), a);
        self.scores(review, head, p);
        let missing = self.taught.map(|taught| {
            let mut missing = vec![0.0; n * n];
            self.missing(taught, review, head, p, &mut missing);
            // The scale, for `dp` becomes the gradient of Q Kᵀ.
            let factor = 2.0 * taught.weight * self.scale() / self.pairs() as f32;
            (missing, factor)
        });
        let mask = self.probabilities(review, head, p);
        let used = View::new(self.kept(p, mask, kept), n, n);
        let at = |part: usize| part * a + columns.start;
        let dvalue = &mut dqkv[at(2)..];
        matmul(dvalue, 3 * a, Onto::Nothing, 1.0, (used.t(), dout), 1);
        matmul(dp, n, Onto::Nothing, 1.0, (dout, value.t()), 1);
        softmax_backward(p, mask, self.scale(), dp, n);
        if let Some((missing, factor)) = missing {
            add_scaled(dp, &missing, factor);
        }
        let ds = View::new(dp, n, n);
        let dquery = &mut dqkv[at(0)..];
        matmul(dquery, 3 * a, Onto::Nothing, 1.0, (ds, key), 1);
        let dkey = &mut dqkv[at(1)..];
        matmul(dkey, 3 * a, Onto::Nothing, 1.0, (ds.t(), query), 1);
    }

    /// Q Kᵀ / √D, (n, n).
    fn scores(self, review: &Review<'_>, head: usize, out: &mut [f32]) {
        let (query, key) = (self.view(review, 0, head), self.view(review, 1, head));
        let n = review.tokens;
        matmul(out, n, Onto::Nothing, self.scale(), (query, key.t()), 1);
    }

    /// `out` = `scores` minus those that are taught.
    fn missing(
        self,
        taught: &Scores,
        review: &Review<'_>,
        head: usize,
        scores: &[f32],
        out: &mut [f32],
    ) {
        let (n, size, stride) = (review.tokens, taught.width / self.heads, 2 * taught.width);
        let rows = &taught.queries_keys[review.first * stride..(review.first + n) * stride];
        let part = |from: usize| View::strided(&rows[from + head * size..], n, size, stride);
        let (query, key) = (part(0), part(taught.width));
        out.copy_from_slice(scores);
        let factor = -1.0 / (size as f32).sqrt();
        matmul(out, n, Onto::Sum, factor, (query, key.t()), 1);
    }

    /// Scores in the batch: those of each review's pairs of tokens, for each head.
    fn pairs(self) -> f64 {
        let lengths = self
            .starts
            .windows(2)
            .map(|ends| (ends[1] - ends[0]) as f64);
        lengths.map(|n| n * n).sum::<f64>() * self.heads as f64
    }

    /// Each query's probabilities over the keys from the scores, nothing left out; and the mask
    /// that will.
    fn probabilities(self, review: &Review<'_>, head: usize, p: &mut [f32]) -> Mask {
        softmax(p, review.tokens);
        if self.mask.is_none() {
            self.mask
        } else {
            self.mask
                .derived((review.number * self.heads + head) as u64)
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
        1.0 / ((self.width / self.heads) as f32).sqrt()
    }

    fn columns(self, head: usize) -> Range<usize> {
        let size = self.width / self.heads;
        head * size..(head + 1) * size
    }

    fn view<'a>(self, review: &Review<'a>, part: usize, head: usize) -> View<'a> {
        let columns = self.columns(head);
        let from = part * self.width + columns.start;
        View::strided(
            &review.qkv[from..],
            review.tokens,
            columns.len(),
            3 * self.width,
        )
    }

    fn review<'a>(self, number: usize, qkv: &'a [f32]) -> Review<'a> {
        let (from, to) = (self.starts[number], self.starts[number + 1]);
        Review {
            number,
            first: from,
            tokens: to - from,
            qkv: &qkv[from * 3 * self.width..to * 3 * self.width],
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
