//! Layer norm that remembers what its gradient needs, and the gradient.

use rayon::prelude::*;

use super::rows::{CHUNK, add_all};
use crate::math::sum_of;
use crate::{Isa, Kernel, Simd};

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
            *stats = crate::norm::stats::<S>(x, self.eps);
            let [mean, scale] = *stats;
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
