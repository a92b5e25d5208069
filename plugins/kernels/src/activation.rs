//! The feed-forward activations.

use crate::Simd;
use crate::math::exp;

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
    match activation {
        Activation::Gelu => each(values, gelu::<S>),
        Activation::GeluTanh => each(values, gelu_tanh::<S>),
        Activation::Relu => each(values, |x| if x > 0.0 { x } else { 0.0 }),
    }
}

#[inline(always)]
fn each(values: &mut [f32], f: impl Fn(f32) -> f32) {
    for x in values {
        *x = f(*x);
    }
}

/// `x/2 (1 + erf(x/√2))`, to 2e-7 |x|.
///
/// Written as `max(x, 0) - |x|/2 erfc(|x|/√2)`, which cancels nowhere.
#[inline(always)]
fn gelu<S: Simd>(x: f32) -> f32 {
    let [sum, t, power] = erfc::<S>(x);
    let erfc = sum * t * power;
    let positive = if x > 0.0 { x } else { 0.0 };
    S::fma1(-0.5 * x.abs(), erfc, positive)
}

/// `erfc(|x|/√2)` as three factors: a polynomial in the second, that, and `e^(-x²/2)`.
///
/// # Source
/// Hastings, as formula 7.1.26 of Abramowitz and Stegun.
#[inline(always)]
pub(crate) fn erfc<S: Simd>(x: f32) -> [f32; 3] {
    const P: f32 = 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / S::fma1(x.abs(), P, 1.0);
    let mut sum = 1.061_405_4_f32;
    for term in [-1.453_152, 1.421_413_7, -0.284_496_72, 0.254_829_6] {
        sum = S::fma1(sum, t, term);
    }
    [sum, t, exp::<S>(-0.5 * x * x)]
}

/// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`, as x times a logistic function.
///
/// # Source
/// Hendrycks and Gimpel, arXiv:1606.08415.
#[inline(always)]
fn gelu_tanh<S: Simd>(x: f32) -> f32 {
    const SCALE: f32 = 1.595_769; // 2 √(2/π)
    let inner = SCALE * S::fma1(0.044_715 * x * x, x, x);
    let size = inner.abs();
    let small = exp::<S>(-size);
    let up = x / (1.0 + small);
    if inner > 0.0 { up } else { small * up }
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
            let xs: Vec<f32> = (-4000..4000).map(|i| i as f32 / 800.0).collect();
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
