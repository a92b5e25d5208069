//! Scores to weights.

use crate::Simd;
use crate::math::{Larger, Sixteen, exp, reduce};
use crate::product::Float;

/// Turns a row of `scores` into `e^(scale (score - largest))`; gives one over their sum, the factor
/// that makes probabilities of them.
///
/// Where `to` is empty the scores are replaced; else it takes the result, and is as long as the
/// scores with up to 15 zeros behind them.
#[inline(always)]
pub(crate) fn weigh<S: Simd, F: Float>(scores: &mut [f32], scale: f32, to: &mut [F]) -> f32 {
    let lowest = f32::NEG_INFINITY;
    let top = reduce::<S>(scores, lowest, lowest, &Larger).largest();
    let mut sums = Sixteen::<S>::splat(0.0);
    let (chunks, rest) = scores.as_chunks_mut::<16>();
    let stride = if to.is_empty() { 0 } else { 16 };
    let mut at = 0;
    for chunk in chunks {
        weigh_16::<S, F>(chunk, top, scale, &mut to[at..], &mut sums);
        at += stride;
    }
    if !rest.is_empty() {
        let mut last = [lowest; 16];
        last[..rest.len()].copy_from_slice(rest);
        weigh_16::<S, F>(&mut last, top, scale, &mut to[at..], &mut sums);
        rest.copy_from_slice(&last[..rest.len()]);
    }
    1.0 / sums.sum()
}

#[inline(always)]
fn weigh_16<S: Simd, F: Float>(
    scores: &mut [f32; 16],
    top: f32,
    scale: f32,
    to: &mut [F],
    sums: &mut Sixteen<S>,
) {
    for i in (0..16).step_by(S::LANES) {
        let x = S::sub(S::read(&scores[i..]), S::splat(top));
        let weight = exp::<S>(S::mul(x, S::splat(scale)));
        sums.add(i, weight);
        if to.is_empty() {
            S::store(weight, &mut scores[i..]);
        } else {
            F::store::<S>(weight, &mut to[i..]);
        }
    }
}
