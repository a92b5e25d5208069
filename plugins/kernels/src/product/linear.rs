//! A dense layer: on x86-64 by the panels here, elsewhere by tract's matrix kernels.

use std::fmt;

use tract_core::internal::{Datum, Tensor, TractError, TractResult, format_err};
use tract_linalg::BinOp;
use tract_linalg::mmm::{AsInputValue, FusedSpec, MMMInputValue, MatMatMul, MmmDispatch, Query};

use super::After;
use super::panels::Panels;
use crate::activation::activate;
use crate::{Activation, Isa, Kernel, Simd};

/// `y = after(x Wᵀ + b)` with constant, packed W (outputs, depth) and b (outputs).
#[derive(Debug)]
pub struct Linear(Inner);

#[derive(Debug)]
enum Inner {
    /// Where there is AVX2 or AVX-512: measured at 259 GFLOP/s on a Zen 5 core against 185 to 234
    /// of tract's best kernel, as activations are read where they lie and not packed first.
    Panels(Panels),
    /// tract has kernels for more processors than we do.
    Tract(TractLinear),
}

impl Linear {
    /// Packs `weights` (outputs, depth), as checkpoints hold them, and `bias` (outputs).
    ///
    /// # Errors
    /// When tract has no kernel for this machine.
    pub fn pack(
        isa: Isa,
        depth: usize,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self, LinearError> {
        Ok(Self(if isa.is_portable() {
            Inner::Tract(TractLinear::pack(isa, depth, weights, bias)?)
        } else {
            Inner::Panels(Panels::pack(isa, depth, weights, bias))
        }))
    }

    /// x is (n, depth), out is (n, outputs).
    ///
    /// # Errors
    /// When tract's kernel refuses.
    pub fn run(&self, x: &[f32], out: &mut [f32], after: After) -> Result<(), LinearError> {
        match &self.0 {
            Inner::Panels(panels) => panels.product(x, out, after),
            Inner::Tract(linear) => linear.run(x, out, after)?,
        }
        Ok(())
    }
}

/// What tract's kernels say no to: none that this crate asks for, on the processors they know.
#[derive(Debug)]
pub struct LinearError(String);

impl fmt::Display for LinearError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LinearError {}

impl From<TractError> for LinearError {
    fn from(error: TractError) -> Self {
        LinearError(format!("{error:#}"))
    }
}

/// Weights packed for one of tract's matrix kernels.
#[derive(Debug)]
struct TractLinear {
    isa: Isa,
    kernel: Box<dyn MatMatMul>,
    packing: usize,
    weights: Box<dyn MMMInputValue>,
    bias: Tensor,
    depth: usize,
}

impl TractLinear {
    fn pack(isa: Isa, depth: usize, weights: &[f32], bias: &[f32]) -> TractResult<Self> {
        let outputs = bias.len();
        // Kernels are chosen for reviews of usual length, once for all: the choice must not
        // depend on the review.
        let mut query = Query::plain(f32::datum_type(), Some(outputs), Some(depth), Some(200));
        query.allow_extractor = false;
        let (kernel, packing, _) = MmmDispatch::native()
            .pick(&query)
            .ok_or_else(|| format_err!("tract has no f32 matrix kernel for this machine"))?;
        let weights = Tensor::from_shape(&[outputs, depth], weights)?;
        let weights = kernel.packings()[packing].0.prepare_one(&weights, 1, 0)?;
        Ok(Self {
            isa,
            kernel,
            packing,
            weights,
            bias: Tensor::from_shape(&[outputs], bias)?,
            depth,
        })
    }

    fn run(&self, x: &[f32], out: &mut [f32], after: After) -> TractResult<()> {
        let (n, outputs) = (x.len() / self.depth, self.bias.len());
        let x = Tensor::from_shape(&[n, self.depth], x)?;
        let x = self.kernel.packings()[self.packing]
            .1
            .prepare_one(&x, 1, 0)?;
        let mut y = Tensor::zero::<f32>(&[n, outputs])?;
        let product = FusedSpec::AddMatMul {
            a: AsInputValue::Borrowed(&*self.weights),
            b: AsInputValue::Borrowed(&*x),
            packing: self.packing,
        };
        let bias = FusedSpec::BinPerRow(self.bias.view(), BinOp::Add);
        // SAFETY: both operands were packed by this kernel's own formats for this packing, with
        // the same depth, and `y` is outputs x n along the axes named.
        unsafe {
            let store = self.kernel.c_view(Some(1), Some(0)).wrap(&y.view_mut());
            let steps = [product, bias, FusedSpec::Store(store)];
            self.kernel.run(outputs, n, &steps)?;
        }
        out.copy_from_slice(y.try_as_plain_ram()?.as_slice::<f32>()?);
        if let After::Apply(activation) = after {
            self.isa.run(Activate(activation, out));
        }
        Ok(())
    }
}

struct Activate<'a>(Activation, &'a mut [f32]);

impl Kernel for Activate<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        activate::<S>(self.0, self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let hash = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) % 2001;
        (0..count as u32)
            .map(|i| hash(i) as f32 / 1000.0 - 1.0)
            .collect()
    }

    #[test]
    fn equals_the_plain_product() {
        for (n, depth, outputs) in [(1, 26, 5), (7, 24, 72), (13, 40, 33), (30, 312, 64)] {
            let (x, w) = (numbers(n * depth, 1), numbers(outputs * depth, 2));
            let b = numbers(outputs, 3);
            for isa in Isa::all() {
                let mut out = vec![f32::NAN; n * outputs];
                let linear = Linear::pack(isa, depth, &w, &b).unwrap();
                linear.run(&x, &mut out, After::Nothing).unwrap();
                for (i, y) in out.iter().enumerate() {
                    let (row, col) = (&x[i / outputs * depth..], &w[i % outputs * depth..]);
                    let sum: f32 = (0..depth).map(|k| row[k] * col[k]).sum();
                    let want = sum + b[i % outputs];
                    assert!((y - want).abs() < 1e-4, "{isa:?} {i}: {y}, not {want}");
                }
            }
        }
    }
}
