//! Loops over rows: layer norm, GELU, dropout, sums; forward and backward.
//!
//! Every loop is cut into chunks of a fixed number of rows, whatever the number of threads, so
//! that sums over rows are always added in the same order.

use rayon::prelude::*;
use segue_kernels::math::{exp, sum_of};
use segue_kernels::{Isa, Kernel, Simd};

use crate::dropout::Mask;

/// Rows that one thread works on at a time.
const CHUNK: usize = 128;

/// Mean and reciprocal standard deviation of a row.
pub type Stats = [f32; 2];

/// `out = (x - mean) / deviation * weight + bias`, row by row; `params` is weight, then bias.
///
/// # Source
/// Ba, Kiros and Hinton, arXiv:1607.06450
pub fn norm(x: &[f32], params: &[f32], eps: f32, out: &mut [f32], stats: &mut Vec<Stats>) {
    let width = params.len() / 2;
    stats.resize(x.len() / width, [0.0; 2]);
    let chunks = (out.par_chunks_mut(CHUNK * width))
        .zip(x.par_chunks(CHUNK * width))
        .zip(stats.par_chunks_mut(CHUNK));
    chunks.for_each(|((out, x), stats)| {
        Isa::detect().run(Norm {
            x,
            params,
            eps,
            out,
            stats,
        });
    });
}

struct Norm<'a> {
    x: &'a [f32],
    params: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
    stats: &'a mut [Stats],
}

impl Kernel for Norm<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let width = self.params.len() / 2;
        let (weight, bias) = self.params.split_at(width);
        let rows = self.x.chunks_exact(width);
        for ((x, out), stats) in rows.zip(self.out.chunks_exact_mut(width)).zip(self.stats) {
            let mean = sum_of(x, |v| v) / width as f32;
            let variance = sum_of(x, |v| (v - mean) * (v - mean)) / width as f32;
            let scale = 1.0 / (variance + self.eps).sqrt();
            *stats = [mean, scale];
            for i in 0..width {
                out[i] = (x[i] - mean) * scale * weight[i] + bias[i];
            }
        }
    }
}

/// The gradients of [`norm`]: into `dy` that of x, and into `dparams`, added, that of weight and
/// bias.
pub fn norm_backward(
    dy: &mut [f32],
    x: &[f32],
    stats: &[Stats],
    weight: &[f32],
    dparams: &mut [f32],
) {
    let width = weight.len();
    let chunks = (dy.par_chunks_mut(CHUNK * width))
        .zip(x.par_chunks(CHUNK * width))
        .zip(stats.par_chunks(CHUNK));
    let partial: Vec<Vec<f32>> = chunks
        .map(|((dy, x), stats)| {
            let mut sums = vec![0.0; 2 * width];
            Isa::detect().run(NormBackward {
                dy,
                x,
                stats,
                weight,
                sums: &mut sums,
            });
            sums
        })
        .collect();
    add_all(dparams, &partial);
}

struct NormBackward<'a> {
    dy: &'a mut [f32],
    x: &'a [f32],
    stats: &'a [Stats],
    weight: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for NormBackward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let width = self.weight.len();
        let (dweight, dbias) = self.sums.split_at_mut(width);
        let mut normed = vec![0.0; width];
        let rows = self
            .dy
            .chunks_exact_mut(width)
            .zip(self.x.chunks_exact(width));
        for ((dy, x), [mean, scale]) in rows.zip(self.stats) {
            for i in 0..width {
                normed[i] = (x[i] - mean) * scale;
                dbias[i] += dy[i];
                dweight[i] += dy[i] * normed[i];
                dy[i] *= self.weight[i];
            }
            let mean_dy = sum_of(dy, |v| v) / width as f32;
            let mut product = [0.0f32; 16];
            for i in 0..width {
                product[i % 16] += dy[i] * normed[i];
            }
            let mean_product = product.iter().sum::<f32>() / width as f32;
            for i in 0..width {
                dy[i] = scale * (dy[i] - mean_dy - normed[i] * mean_product);
            }
        }
    }
}

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

fn add_all(sums: &mut [f32], partial: &[Vec<f32>]) {
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

/// Values in a chunk of a loop that knows no rows.
const VALUES: usize = 32 * 1024;

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
///
/// # Source
/// erfc: Hastings, as formula 7.1.26 of Abramowitz and Stegun.
#[inline(always)]
fn normal<S: Simd>(x: f32) -> (f32, f32) {
    const P: f32 = 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2;
    const ROOT: f32 = 0.398_942_3; // 1 / √(2π)
    let t = 1.0 / S::fma1(x.abs(), P, 1.0);
    let mut sum = 1.061_405_4_f32;
    for term in [-1.453_152, 1.421_413_7, -0.284_496_72, 0.254_829_6] {
        sum = S::fma1(sum, t, term);
    }
    let power = exp::<S>(-0.5 * x * x);
    let beyond = 0.5 * sum * t * power;
    let below = if x > 0.0 { 1.0 - beyond } else { beyond };
    (below, ROOT * power)
}

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
            let top = segue_kernels::math::max_of(row);
            for x in row.iter_mut() {
                *x = exp::<S>(*x - top);
            }
            let scale = 1.0 / sum_of(row, |x| x);
            for x in row {
                *x *= scale;
            }
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
