//! The feed-forward activations.

use crate::Simd;
use crate::math::exp;
use crate::simd::One;

/// The function between the two matrices of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x/2 (1 + erf(x/√2))`
    Gelu,
    /// The approximation of GELU by tanh.
    GeluTanh,
    /// `max(x, 0)`
    Relu,
}

/// Applies `activation` to each of `values`.
#[inline(always)]
pub fn activate<S: Simd>(activation: Activation, values: &mut [f32]) {
    let whole = values.len() / S::LANES * S::LANES;
    let (values, rest) = values.split_at_mut(whole);
    for x in values.chunks_exact_mut(S::LANES) {
        S::store(activated::<S>(activation, S::read(x)), x);
    }
    for x in rest {
        *x = activated::<One<S>>(activation, *x);
    }
}

/// The activation of each lane.
#[inline(always)]
pub(crate) fn activated<S: Simd>(activation: Activation, x: S::V) -> S::V {
    match activation {
        Activation::Gelu => gelu::<S>(x),
        Activation::GeluTanh => gelu_tanh::<S>(x),
        Activation::Relu => relu::<S>(x),
    }
}

/// `max(x, 0)`; what is not finite stays so, though the larger of it and 0 may be 0.
#[inline(always)]
fn relu<S: Simd>(x: S::V) -> S::V {
    let zero = S::splat(0.0);
    S::fma(x, zero, S::max(x, zero))
}

/// `x/2 (1 + erf(x/√2))`, to 2e-7 |x|.
///
/// Written as `max(x, 0) - |x|/2 erfc(|x|/√2)`, which cancels nowhere.
#[inline(always)]
fn gelu<S: Simd>(x: S::V) -> S::V {
    let [sum, t, power] = erfc::<S>(x);
    let erfc = S::mul(S::mul(sum, t), power);
    let positive = S::max(x, S::splat(0.0));
    S::fma(S::mul(S::splat(-0.5), S::abs(x)), erfc, positive)
}

/// `erfc(|x|/√2)` as three factors: a polynomial in the second, that, and `e^(-x²/2)`.
///
/// # Source
/// Hastings, as formula 7.1.26 of Abramowitz and Stegun.
#[inline(always)]
pub(crate) fn erfc<S: Simd>(x: S::V) -> [S::V; 3] {
    const P: f32 = 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2;
    let one = S::splat(1.0);
    let t = S::div(one, S::fma(S::abs(x), S::splat(P), one));
    let mut sum = S::splat(1.061_405_4);
    for term in [-1.453_152, 1.421_413_7, -0.284_496_72, 0.254_829_6] {
        sum = S::fma(sum, t, S::splat(term));
    }
    let square = S::mul(S::mul(S::splat(-0.5), x), x);
    [sum, t, exp::<S>(square)]
}

/// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`, as x times a logistic function.
///
/// # Source
/// Hendrycks and Gimpel, arXiv:1606.08415.
#[inline(always)]
fn gelu_tanh<S: Simd>(x: S::V) -> S::V {
    const SCALE: f32 = 1.595_769; // 2 √(2/π)
    let zero = S::splat(0.0);
    let square = S::mul(S::mul(S::splat(0.044_715), x), x);
    let inner = S::mul(S::splat(SCALE), S::fma(square, x, x));
    let negative = S::sub(zero, inner);
    let small = exp::<S>(S::sub(zero, S::abs(inner)));
    let up = S::div(x, S::add(S::splat(1.0), small));
    // One of both is 0.
    let above = S::zero_below(inner, zero, up);
    let below = S::zero_below(negative, zero, S::mul(small, up));
    S::add(above, below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, Kernel};

    struct Activate<'a>(Activation, &'a mut Vec<f32>);

    impl Kernel for Activate<'_> {
        #[inline(always)]
        fn run<S: Simd>(self) {
            activate::<S>(self.0, self.1);
        }
    }

    /// erf by its power series, good to 1e-13 for |x| < 5.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..150 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    fn check(activation: Activation, exact: impl Fn(f64) -> f64) {
        for isa in Isa::all() {
            let xs: Vec<f32> = (-4000..=4000).map(|i| i as f32 / 800.0).collect();
            let mut ys = xs.clone();
            isa.run(Activate(activation, &mut ys));
            for (x, y) in xs.iter().zip(&ys) {
                let want = exact(f64::from(*x));
                let off = (f64::from(*y) - want).abs();
                assert!(off < 6e-7, "{isa:?} {activation:?}({x}) = {y}, not {want}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_never_becomes_a_number() {
        for isa in Isa::all() {
            for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
                let bad = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
                // More than any register has, and some that fill none.
                let mut ys = bad.repeat(9);
                ys.truncate(35);
                isa.run(Activate(activation, &mut ys));
                let finite = ys.iter().position(|y| y.is_finite());
                assert_eq!(finite, None, "{isa} {activation:?}: {ys:?}");
            }
        }
    }

    #[test]
    fn activations_are_exact() {
        check(Activation::Gelu, |x| {
            0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
        });
        check(Activation::GeluTanh, |x| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        });
        check(Activation::Relu, |x| x.max(0.0));
    }
}
