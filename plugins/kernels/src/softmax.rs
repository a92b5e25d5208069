//! Scores to weights.

use crate::Simd;
use crate::math::{exp, max_of, sum_of};

/// Turns a row of `scores` into `e^(scale (score - largest))`; gives one over their sum, the factor
/// that makes probabilities of them.
#[inline(always)]
pub(crate) fn weigh<S: Simd>(scores: &mut [f32], scale: f32) -> f32 {
    let top = max_of(scores);
    for score in scores.iter_mut() {
        *score = exp::<S>((*score - top) * scale);
    }
    1.0 / sum_of(scores, |x| x)
}
