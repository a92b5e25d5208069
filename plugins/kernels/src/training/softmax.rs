//! Probabilities of rows of scores, and their gradient.

use super::dropout::Mask;
use crate::softmax::weigh;
use crate::{Isa, Kernel, Simd};

/// Turns each row of `width` scores into probabilities, in place.
pub fn softmax(scores: &mut [f32], width: usize) {
    Isa::detect().run(Softmax { scores, width });
}

struct Softmax<'a> {
    scores: &'a mut [f32],
    width: usize,
}

impl Kernel for Softmax<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        for row in self.scores.chunks_exact_mut(self.width) {
            let scale = weigh::<S, f32>(row, 1.0, &mut []);
            for x in row {
                *x *= scale;
            }
        }
    }
}

/// The gradient of [`softmax`] followed by `mask`: into `dp`, given that of the masked
/// probabilities, goes that of the scores, times `factor`.
pub fn softmax_backward(p: &[f32], mask: Mask, factor: f32, dp: &mut [f32], width: usize) {
    Isa::detect().run(SoftmaxBackward {
        p,
        mask,
        factor,
        dp,
        width,
    });
}

struct SoftmaxBackward<'a> {
    p: &'a [f32],
    mask: Mask,
    factor: f32,
    dp: &'a mut [f32],
    width: usize,
}

impl Kernel for SoftmaxBackward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (mask, width) = (self.mask, self.width);
        let rows = self
            .p
            .chunks_exact(width)
            .zip(self.dp.chunks_exact_mut(width));
        for (r, (p, dp)) in rows.enumerate() {
            if !mask.is_none() {
                for (i, x) in dp.iter_mut().enumerate() {
                    *x *= mask.at((r * width + i) as u32);
                }
            }
            let mut sums = [0.0f32; 16];
            let (heads, tails) = (p.as_chunks::<16>(), dp.as_chunks::<16>());
            for (p, dp) in heads.0.iter().zip(tails.0) {
                for i in 0..16 {
                    sums[i] += p[i] * dp[i];
                }
            }
            for (sum, (p, dp)) in sums.iter_mut().zip(heads.1.iter().zip(tails.1)) {
                *sum += p * dp;
            }
            let dot: f32 = sums.iter().sum();
            for (dp, p) in dp.iter_mut().zip(p) {
                *dp = self.factor * p * (*dp - dot);
            }
        }
    }
}
