//! Functions of one number, written so that a loop over them becomes vector code.

use crate::Simd;

/// `e^x` for x <= 88, to 2 units in the last place; 0 below -87.
///
/// Splits x into n ln 2 + r with |r| <= ln 2 / 2, sums the series of e^r, and adds n to the
/// exponent bits. Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
#[inline(always)]
pub fn exp<S: Simd>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first short enough that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x < -87.0 { -87.0 } else { x };
    let shifted = S::fma1(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = S::fma1(n, -LN2_LOW, S::fma1(n, -LN2_HIGH, clamped));
    let mut sum = 1.0 / 5040.0;
    for term in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = S::fma1(sum, r, term);
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { sum * power }
}

/// Sum over `values` of `f`, in 16 running sums so that it runs in vector registers.
#[inline(always)]
pub fn sum_of(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += f(*x);
    }
    fold(sums, |a, b| a + b)
}

/// The largest of `values`, none of which is NaN; -∞ of none.
#[inline(always)]
pub fn max_of(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let (chunks, rest) = values.as_chunks::<16>();
    let mut tops = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (top, x) in tops.iter_mut().zip(chunk) {
            *top = larger(*top, *x);
        }
    }
    for (top, x) in tops.iter_mut().zip(rest) {
        *top = larger(*top, *x);
    }
    fold(tops, larger)
}

/// Joins 16 values in a tree.
#[inline(always)]
fn fold(mut values: [f32; 16], join: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            values[i] = join(values[i], values[i + half]);
        }
    }
    values[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, Kernel};

    struct Exp<'a>(&'a mut Vec<f32>);

    impl Kernel for Exp<'_> {
        #[inline(always)]
        fn run<S: Simd>(self) {
            self.0.iter_mut().for_each(|x| *x = exp::<S>(*x));
        }
    }

    #[test]
    fn exp_is_close() {
        for isa in Isa::all() {
            let xs: Vec<f32> = (-8690..=800).map(|i| i as f32 / 100.0).collect();
            let mut ys = xs.clone();
            isa.run(Exp(&mut ys));
            for (x, y) in xs.iter().zip(&ys) {
                let want = f64::from(*x).exp();
                let off = ((f64::from(*y) - want) / want).abs();
                assert!(off < 3e-7, "{isa:?} exp({x}) = {y}, not {want}");
            }
        }
    }

    #[test]
    fn reductions() {
        let xs: Vec<f32> = (0..37).map(|i| (i * 7 % 37) as f32).collect();
        assert_eq!(sum_of(&xs, |x| x), 666.0);
        assert_eq!(max_of(&xs), 36.0);
        assert_eq!(max_of(&[]), f32::NEG_INFINITY);
    }
}
