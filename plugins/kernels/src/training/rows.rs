//! Loops over rows and their chunks: sums, copies, dropout.
//!
//! Every loop is cut into chunks of a fixed number of rows, whatever the number of threads, so
//! that sums over rows are always added in the same order.

use rayon::prelude::*;

use super::dropout::Mask;
use crate::{Isa, Kernel, Simd};

/// Rows that one thread works on at a time.
pub(super) const CHUNK: usize = 128;

/// Values in a chunk of a loop that knows no rows.
pub(super) const VALUES: usize = 32 * 1024;

/// Adds the columns' sums of `x` to `sums`.
pub fn column_sums(x: &[f32], sums: &mut [f32]) {
    let width = sums.len();
    let partial: Vec<Vec<f32>> = (x.par_chunks(CHUNK * width))
        .map(|chunk| {
            let mut sums = vec![0.0; width];
            for row in chunk.chunks_exact(width) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
            sums
        })
        .collect();
    add_all(sums, &partial);
}

/// Adds each of `partial` to `sums`, in their order.
pub(super) fn add_all(sums: &mut [f32], partial: &[Vec<f32>]) {
    for part in partial {
        for (sum, value) in sums.iter_mut().zip(part) {
            *sum += value;
        }
    }
}

/// Fills rows with copies of `row`.
pub fn fill(out: &mut [f32], row: &[f32]) {
    let width = row.len();
    out.par_chunks_mut(CHUNK * width).for_each(|chunk| {
        chunk
            .chunks_exact_mut(width)
            .for_each(|out| out.copy_from_slice(row));
    });
}

/// `x[i] *= mask[i]`, then `x[i] += residual[i]` where there is one.
pub fn mask_and_add(x: &mut [f32], mask: Mask, residual: Option<&[f32]>) {
    x.par_chunks_mut(VALUES).enumerate().for_each(|(i, x)| {
        let first = i * VALUES;
        let residual = residual.map(|all| &all[first..first + x.len()]);
        Isa::detect().run(MaskAndAdd {
            x,
            mask,
            residual,
            // Activations of one batch are fewer than 2^32.
            first: first as u32,
        });
    });
}

struct MaskAndAdd<'a> {
    x: &'a mut [f32],
    mask: Mask,
    residual: Option<&'a [f32]>,
    first: u32,
}

impl Kernel for MaskAndAdd<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let mask = self.mask;
        if !mask.is_none() {
            for (i, x) in self.x.iter_mut().enumerate() {
                *x *= mask.at(self.first.wrapping_add(i as u32));
            }
        }
        for (x, y) in self.x.iter_mut().zip(self.residual.unwrap_or_default()) {
            *x += y;
        }
    }
}

/// `out[i] = x[i] * mask[i]`, without threads.
pub fn masked(x: &[f32], mask: Mask, out: &mut [f32]) {
    Isa::detect().run(Masked { x, mask, out });
}

struct Masked<'a> {
    x: &'a [f32],
    mask: Mask,
    out: &'a mut [f32],
}

impl Kernel for Masked<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let mask = self.mask;
        for (i, (out, x)) in self.out.iter_mut().zip(self.x).enumerate() {
            *out = x * mask.at(i as u32);
        }
    }
}

/// `out += factor * x`, without threads.
pub fn add_scaled(out: &mut [f32], x: &[f32], factor: f32) {
    Isa::detect().run(AddScaled { out, x, factor });
}

struct AddScaled<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    factor: f32,
}

impl Kernel for AddScaled<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = S::fma1(*x, self.factor, *out);
        }
    }
}
