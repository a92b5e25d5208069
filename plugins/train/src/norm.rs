//! Layer norm and dropout as one operation of candle; its own fused layer norm has no gradient.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use segue_kernels::training::{Mask, Stats, mask_and_add, norm, norm_backward};
use segue_learn::tensors::{floats, with_floats};

/// (n, H) and weight and bias (2 H) to (n, H).
pub struct MaskedNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Leaves out results.
    pub mask: Mask,
    /// What the gradient needs.
    pub stats: Mutex<Vec<Stats>>,
}

impl MaskedNorm {
    fn slot(&self) -> std::sync::MutexGuard<'_, Vec<Stats>> {
        // A thread that panicked left a whole value.
        self.stats
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl CustomOp2 for MaskedNorm {
    fn name(&self) -> &'static str {
        "masked-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        params: &CpuStorage,
        params_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, params) = (floats(x, x_layout)?, floats(params, params_layout)?);
        let mut out = vec![0.0; x.len()];
        norm(x, params, self.eps, &mut out, &mut self.slot());
        mask_and_add(&mut out, self.mask, None);
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        params: &Tensor,
        _out: &Tensor,
        dout: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut dx = dout.flatten_all()?.to_vec1::<f32>()?;
        if dx.len() != x.elem_count() {
            bail!("the gradient has another shape than the input");
        }
        mask_and_add(&mut dx, self.mask, None);
        let mut dparams = vec![0.0; params.elem_count()];
        let stats = self.slot();
        with_floats(x, |x| {
            with_floats(params, |params| {
                let weight = &params[..params.len() / 2];
                norm_backward(&mut dx, x, &stats, weight, &mut dparams);
            })
        })??;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        let dparams = Tensor::from_vec(dparams, params.shape(), params.device())?;
        Ok((Some(dx), Some(dparams)))
    }
}
