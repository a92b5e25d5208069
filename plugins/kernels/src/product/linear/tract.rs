//! A dense layer in f32 by tract's matrix kernels.

use tract_core::internal::{Datum, Tensor, TractResult, format_err};
use tract_linalg::BinOp;
use tract_linalg::mmm::{AsInputValue, FusedSpec, MMMInputValue, MatMatMul, MmmDispatch, Query};

use crate::activation::activate;
use crate::product::After;
use crate::{Activation, Isa, Kernel, Simd};

/// Weights packed for one of tract's matrix kernels.
#[derive(Debug)]
pub(super) struct TractLinear {
    isa: Isa,
    kernel: Box<dyn MatMatMul>,
    packing: usize,
    weights: Box<dyn MMMInputValue>,
    bias: Tensor,
    depth: usize,
}

impl TractLinear {
    pub fn pack(isa: Isa, depth: usize, weights: &[f32], bias: &[f32]) -> TractResult<Self> {
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

    pub fn run(&self, x: &[f32], out: &mut [f32], after: After) -> TractResult<()> {
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
