//! A network's first layer on sparse rows: only the weights of a text's features are read.

use candle_core::{CpuStorage, CustomOp1, Device, Error, Layout, Result, Shape, Tensor};
use segue_learn::tensors::{floats, with_floats};

use crate::features::rows::Rows;

/// Rows times a matrix, which is features x hidden; out is texts x hidden.
pub struct SparseRows {
    rows: Rows,
}

impl SparseRows {
    /// The rows number `texts` of `rows`.
    pub fn new(rows: &Rows, texts: &[usize]) -> Self {
        let mut own = Rows::new(rows.width());
        for text in texts {
            own.push(rows.row(*text).iter().map(|(id, x)| (id as u32, x)));
        }
        SparseRows { rows: own }
    }

    /// How wide the matrix is.
    fn hidden(&self, dims: &[usize]) -> Result<usize> {
        match dims {
            [width, hidden] if *width == self.rows.width() && *hidden > 0 => Ok(*hidden),
            _ => Err(Error::msg(format!(
                "{} features, but weights of {dims:?}",
                self.rows.width()
            ))),
        }
    }
}

/// Adds `factor` times `values` to `sum`.
pub fn add_scaled(sum: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

impl CustomOp1 for SparseRows {
    fn name(&self) -> &'static str {
        "sparse-rows"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let hidden = self.hidden(layout.dims())?;
        let weights = floats(storage, layout)?;
        let mut out = vec![0.0; self.rows.len() * hidden];
        for (row, out) in self.rows.iter().zip(out.chunks_exact_mut(hidden)) {
            for (id, x) in row.iter() {
                add_scaled(out, x, &weights[id * hidden..(id + 1) * hidden]);
            }
        }
        Ok((CpuStorage::F32(out), (self.rows.len(), hidden).into()))
    }

    fn bwd(&self, weights: &Tensor, _out: &Tensor, slope: &Tensor) -> Result<Option<Tensor>> {
        let hidden = self.hidden(weights.dims())?;
        let mut gradient = vec![0.0; weights.elem_count()];
        with_floats(&slope.contiguous()?, |slope| {
            for (row, slope) in self.rows.iter().zip(slope.chunks_exact(hidden)) {
                for (id, x) in row.iter() {
                    add_scaled(&mut gradient[id * hidden..(id + 1) * hidden], x, slope);
                }
            }
        })?;
        Tensor::from_vec(gradient, weights.shape(), &Device::Cpu).map(Some)
    }
}
