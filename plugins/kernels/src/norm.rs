//! Residual sum and layer norm.

use crate::math::sum_of;
use crate::{Isa, Kernel, Simd};

/// Weight and bias of a layer norm, (H) each.
#[derive(Debug)]
pub struct Norm {
    /// (H)
    pub weight: Vec<f32>,
    /// (H)
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub eps: f32,
}

/// `rows[i] = norm(rows[i] + residual[i])` for rows of length H; no residual means zero.
///
/// # Source
/// Ba, Kiros and Hinton, arXiv:1607.06450; the variance is taken over H, not H - 1.
pub fn add_norm(isa: Isa, norm: &Norm, rows: &mut [f32], residual: Option<&[f32]>) {
    isa.run(AddNorm {
        norm,
        rows,
        residual,
    });
}

/// The mean of a row, and one over its standard deviation.
#[inline(always)]
pub(crate) fn stats(row: &[f32], eps: f32) -> [f32; 2] {
    let count = row.len() as f32;
    let mean = sum_of(row, |x| x) / count;
    let variance = sum_of(row, |x| (x - mean) * (x - mean)) / count;
    [mean, 1.0 / (variance + eps).sqrt()]
}

struct AddNorm<'a> {
    norm: &'a Norm,
    rows: &'a mut [f32],
    residual: Option<&'a [f32]>,
}

impl Kernel for AddNorm<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let h = self.norm.weight.len();
        if let Some(residual) = self.residual {
            for (x, y) in self.rows.iter_mut().zip(residual) {
                *x += *y;
            }
        }
        for row in self.rows.chunks_exact_mut(h) {
            norm_row::<S>(self.norm, row);
        }
    }
}

#[inline(always)]
fn norm_row<S: Simd>(norm: &Norm, row: &mut [f32]) {
    let [mean, scale] = stats(row, norm.eps);
    for ((x, weight), bias) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
        *x = S::fma1((*x - mean) * scale, *weight, *bias);
    }
}
