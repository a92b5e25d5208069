//! Functions of registers, and reductions of rows.

use crate::Simd;

/// `e^x` for x <= 88, to 2 units in the last place; 0 below -87.
///
/// Splits x into n ln 2 + r with |r| <= ln 2 / 2, sums the series of e^r, and adds n to the
/// exponent bits. Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
#[inline(always)]
pub(crate) fn exp<S: Simd>(x: S::V) -> S::V {
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first short enough that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let lowest = S::splat(-87.0);
    let clamped = S::max(lowest, x);
    let round = S::splat(ROUND);
    let shifted = S::fma(clamped, S::splat(std::f32::consts::LOG2_E), round);
    let n = S::sub(shifted, round);
    let r = S::fma(n, S::splat(-LN2_HIGH), clamped);
    let r = S::fma(n, S::splat(-LN2_LOW), r);
    let mut sum = S::splat(1.0 / 5040.0);
    for term in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = S::fma(sum, r, S::splat(term));
    }
    S::zero_below(x, lowest, S::mul(sum, S::power_of_two(shifted)))
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
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    sums[0]
}

/// How numbers are joined to running ones. A trait and not a closure, because only a method can be
/// made to inline everywhere, and what is not inlined is compiled without the instruction set.
pub(crate) trait Join<S: Simd> {
    /// The running numbers with `x` joined to them; `#[inline(always)]`.
    fn join(&self, running: S::V, x: S::V) -> S::V;
}

/// Their sum.
pub(crate) struct Plus;

impl<S: Simd> Join<S> for Plus {
    #[inline(always)]
    fn join(&self, running: S::V, x: S::V) -> S::V {
        S::add(running, x)
    }
}

/// The larger.
pub(crate) struct Larger;

impl<S: Simd> Join<S> for Larger {
    #[inline(always)]
    fn join(&self, running: S::V, x: S::V) -> S::V {
        S::max(running, x)
    }
}

/// 16 numbers in registers, of which each instruction set has as many as that takes, up to four.
pub(crate) struct Sixteen<S: Simd>([S::V; 4]);

impl<S: Simd> Sixteen<S> {
    /// 16 times `x`.
    #[inline(always)]
    pub fn splat(x: f32) -> Self {
        Self([S::splat(x); 4])
    }

    /// Joins 16 numbers to these.
    #[inline(always)]
    pub fn join(&mut self, chunk: &[f32; 16], how: &impl Join<S>) {
        for i in 0..16 / S::LANES {
            self.0[i] = how.join(self.0[i], S::read(&chunk[i * S::LANES..]));
        }
    }

    /// Adds `x` to the register that begins with number `at`.
    #[inline(always)]
    pub fn add(&mut self, at: usize, x: S::V) {
        let sum = &mut self.0[at / S::LANES];
        *sum = S::add(*sum, x);
    }

    /// One register, by joining each half to the other.
    #[inline(always)]
    fn halved(mut self, how: &impl Join<S>) -> S::V {
        let mut count = 16 / S::LANES;
        while count > 1 {
            count /= 2;
            for i in 0..count {
                self.0[i] = how.join(self.0[i], self.0[i + count]);
            }
        }
        self.0[0]
    }

    /// The sum of all, in the order of [`sum_of`].
    #[inline(always)]
    pub fn sum(self) -> f32 {
        S::sum(self.halved(&Plus))
    }

    /// The largest, if none is NaN.
    #[inline(always)]
    pub fn largest(self) -> f32 {
        S::largest(self.halved(&Larger))
    }
}

/// Joins all of `values` to 16 running numbers `first`; the last values are filled up with `pad`.
#[inline(always)]
pub(crate) fn reduce<S: Simd>(
    values: &[f32],
    pad: f32,
    first: f32,
    how: &impl Join<S>,
) -> Sixteen<S> {
    let mut running = Sixteen::splat(first);
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        running.join(chunk, how);
    }
    if !rest.is_empty() {
        let mut last = [pad; 16];
        last[..rest.len()].copy_from_slice(rest);
        running.join(&last, how);
    }
    running
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::One;
    use crate::{Isa, Kernel};

    struct Exp<'a>(&'a mut Vec<f32>);

    impl Kernel for Exp<'_> {
        #[inline(always)]
        fn run<S: Simd>(self) {
            for x in self.0.chunks_exact_mut(16) {
                let mut alone = [0.0; 16];
                for (alone, x) in alone.iter_mut().zip(x.iter()) {
                    *alone = exp::<One<S>>(*x);
                }
                for x in x.chunks_exact_mut(S::LANES) {
                    S::store(exp::<S>(S::read(x)), x);
                }
                assert_eq!(alone, *x, "a register's lanes are as single numbers");
            }
        }
    }

    #[test]
    fn exp_is_close() {
        for isa in Isa::all() {
            let xs: Vec<f32> = (-8687..=800).map(|i| i as f32 / 100.0).collect();
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
        struct Reduce<'a>(&'a [f32]);
        impl Kernel for Reduce<'_> {
            #[inline(always)]
            fn run<S: Simd>(self) {
                let sum = reduce::<S>(self.0, 0.0, 0.0, &Plus).sum();
                assert_eq!(sum, sum_of(self.0, |x| x));
                let lowest = f32::NEG_INFINITY;
                let top = reduce::<S>(self.0, lowest, lowest, &Larger).largest();
                assert_eq!(top, self.0.iter().copied().fold(lowest, f32::max));
            }
        }
        for length in [0, 1, 15, 16, 37, 312] {
            let xs: Vec<f32> = (0..length)
                .map(|i| (i * 7 % 37) as f32 / 3.0 - 5.0)
                .collect();
            for isa in Isa::all() {
                isa.run(Reduce(&xs));
            }
        }
    }
}
