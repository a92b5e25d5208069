//! GELU as x times a probability, of which the gradient is easily had.

use rayon::prelude::*;

use super::rows::VALUES;
use crate::activation::erfc;
use crate::simd::One;
use crate::{Isa, Kernel, Simd};

/// `out = gelu(x)`, the exact one.
pub fn gelu(x: &[f32], out: &mut [f32]) {
    let chunks = out.par_chunks_mut(VALUES).zip(x.par_chunks(VALUES));
    chunks.for_each(|(out, x)| Isa::detect().run(Gelu { x, out }));
}

struct Gelu<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Gelu<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        for (x, out) in self.x.iter().zip(self.out) {
            *out = x * normal::<S>(*x).0;
        }
    }
}

/// Multiplies `dy` by the derivative of [`gelu`] at x.
pub fn gelu_backward(x: &[f32], dy: &mut [f32]) {
    let chunks = dy.par_chunks_mut(VALUES).zip(x.par_chunks(VALUES));
    chunks.for_each(|(dy, x)| Isa::detect().run(GeluBackward { x, dy }));
}

struct GeluBackward<'a> {
    x: &'a [f32],
    dy: &'a mut [f32],
}

impl Kernel for GeluBackward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        for (x, dy) in self.x.iter().zip(self.dy) {
            let (below, density) = normal::<S>(*x);
            *dy *= below + x * density;
        }
    }
}

/// The standard normal distribution at x: the probability below it, to 2e-7, and the density.
#[inline(always)]
fn normal<S: Simd>(x: f32) -> (f32, f32) {
    const ROOT: f32 = 0.398_942_3; // 1 / √(2π)
    let [sum, t, power] = erfc::<One<S>>(x);
    let beyond = 0.5 * sum * t * power;
    let below = if x > 0.0 { 1.0 - beyond } else { beyond };
    (below, ROOT * power)
}
