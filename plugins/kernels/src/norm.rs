//! Residual sum and layer norm.

use crate::math::{Join, Plus, reduce};
use crate::simd::One;
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
pub(crate) fn stats<S: Simd>(row: &[f32], eps: f32) -> [f32; 2] {
    let count = row.len() as f32;
    let mean = reduce::<S>(row, 0.0, 0.0, &Plus).sum() / count;
    let squares = reduce::<S>(row, mean, 0.0, &Squares(mean));
    let variance = squares.sum() / count;
    [mean, 1.0 / (variance + eps).sqrt()]
}

/// The sum of the squares of what is beside the mean.
struct Squares(f32);

impl<S: Simd> Join<S> for Squares {
    #[inline(always)]
    fn join(&self, running: S::V, x: S::V) -> S::V {
        let off = S::sub(x, S::splat(self.0));
        S::add(running, S::mul(off, off))
    }
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
        let rows = self.rows.chunks_exact_mut(h).enumerate();
        for (r, row) in rows {
            if let Some(residual) = self.residual {
                add::<S>(row, &residual[r * h..][..h]);
            }
            norm_row::<S>(self.norm, row);
        }
    }
}

/// `row += other`
#[inline(always)]
fn add<S: Simd>(row: &mut [f32], other: &[f32]) {
    let whole = row.len() / S::LANES * S::LANES;
    for i in (0..whole).step_by(S::LANES) {
        let sum = S::add(S::read(&row[i..]), S::read(&other[i..]));
        S::store(sum, &mut row[i..]);
    }
    for (x, y) in row[whole..].iter_mut().zip(&other[whole..]) {
        *x += *y;
    }
}

#[inline(always)]
fn norm_row<S: Simd>(norm: &Norm, row: &mut [f32]) {
    let stats = stats::<S>(row, norm.eps);
    let whole = row.len() / S::LANES * S::LANES;
    for i in (0..whole).step_by(S::LANES) {
        scale::<S>(stats, &norm.weight[i..], &norm.bias[i..], &mut row[i..]);
    }
    for i in whole..row.len() {
        scale::<One<S>>(stats, &norm.weight[i..], &norm.bias[i..], &mut row[i..]);
    }
}

/// The first numbers of a row, as many as lanes.
#[inline(always)]
fn scale<S: Simd>([mean, scale]: [f32; 2], weight: &[f32], bias: &[f32], row: &mut [f32]) {
    let x = S::mul(S::sub(S::read(row), S::splat(mean)), S::splat(scale));
    S::store(S::fma(x, S::read(weight), S::read(bias)), row);
}
