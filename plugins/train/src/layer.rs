//! An encoder layer as one operation of candle: forward, and the gradient written out.
//!
//! As one operation, and not dozens, because then nothing is stored that the gradient does not
//! need, and the loops between the matrix products run on all cores.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use segue_kernels::training::{
    Mask, Onto, Stats, View, column_sums, fill, gelu, gelu_backward, mask_and_add, matmul, norm,
    norm_backward,
};
use segue_learn::tensors::{floats, with_floats};

use crate::attention::{Attention, Scores};
use crate::pool::Pool;

/// The sizes of an encoder layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerShape {
    /// H
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// D: the length of a head's queries.
    pub head_size: usize,
    /// F
    pub inner: usize,
    /// Added to the variance in a layer norm.
    pub eps: f32,
}

/// A matrix and its bias within a layer's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// (outputs, inputs)
    pub weight: Range<usize>,
    /// (outputs)
    pub bias: Range<usize>,
}

/// Where everything lies in a layer's flat vector of parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerParts {
    /// Queries, keys and values: (3 A, H).
    pub qkv: Dense,
    /// (H, A)
    pub output: Dense,
    /// Weight and bias, (2 H).
    pub output_norm: Range<usize>,
    /// (F, H)
    pub up: Dense,
    /// (H, F)
    pub down: Dense,
    /// Weight and bias, (2 H).
    pub down_norm: Range<usize>,
}

impl LayerShape {
    /// A: the length of all heads' queries.
    pub fn attention(self) -> usize {
        self.heads * self.head_size
    }

    /// Where the parameters lie.
    pub fn parts(self) -> LayerParts {
        let (h, a, f) = (self.hidden, self.attention(), self.inner);
        let mut at = 0;
        let mut next = |length: usize| {
            at += length;
            at - length..at
        };
        let mut dense = |outputs: usize, inputs: usize| Dense {
            weight: next(outputs * inputs),
            bias: next(outputs),
        };
        let (qkv, output) = (dense(3 * a, h), dense(h, a));
        let output_norm = next(2 * h);
        let mut dense = |outputs: usize, inputs: usize| Dense {
            weight: next(outputs * inputs),
            bias: next(outputs),
        };
        let (up, down) = (dense(f, h), dense(h, f));
        LayerParts {
            qkv,
            output,
            output_norm,
            up,
            down,
            down_norm: next(2 * h),
        }
    }
}

/// One encoder layer over one batch: (n, H) and the flat parameters to (n, H).
///
/// # Source
/// Devlin et al., arXiv:1810.04805; layer norm after each residual sum
pub struct EncoderLayer {
    /// Its sizes.
    pub shape: LayerShape,
    /// Where each review begins, and at the end the number of tokens.
    pub starts: Arc<Vec<usize>>,
    /// Leaves out attention probabilities, and outputs of both halves.
    pub mask: Mask,
    /// What the attention's scores are to be.
    pub taught: Option<Scores>,
    /// Where [`EncoderLayer::taught`]'s part of the loss goes; its gradient is part of the
    /// layer's own.
    pub cost: Arc<Mutex<f32>>,
    /// Whether the gradient will be asked for.
    pub training: bool,
    /// Where buffers come from.
    pub pool: Arc<Pool>,
    /// Threads for the matrix products.
    pub threads: usize,
    /// What the gradient needs.
    pub saved: Mutex<Option<Saved>>,
}

/// What the way back needs of the way there.
pub struct Saved {
    qkv: Vec<f32>,
    /// What the attention gives, (n, A).
    pub context: Vec<f32>,
    /// What the first norm takes, (n, H).
    pub middle: Vec<f32>,
    middle_stats: Vec<Stats>,
    normed: Vec<f32>,
    inner: Vec<f32>,
    /// What the last matrix takes, (n, F).
    pub activated: Vec<f32>,
    /// What the second norm takes, (n, H).
    pub end: Vec<f32>,
    end_stats: Vec<Stats>,
}

impl EncoderLayer {
    fn attention(&self) -> Attention<'_> {
        Attention {
            starts: &self.starts,
            width: self.shape.attention(),
            heads: self.shape.heads,
            mask: if self.mask.is_none() {
                self.mask
            } else {
                self.mask.derived(1)
            },
            taught: self.taught.as_ref(),
        }
    }

    /// The mask of the first or second half's output.
    fn half(&self, number: u64) -> Mask {
        if self.mask.is_none() {
            self.mask
        } else {
            self.mask.derived(1 + number)
        }
    }

    /// `x Wᵀ + b` in a buffer of the pool.
    fn dense(&self, x: &[f32], w: &[f32], part: &Dense) -> Vec<f32> {
        let (outputs, inputs) = (part.bias.len(), part.weight.len() / part.bias.len());
        let rows = x.len() / inputs;
        let mut out = self.pool.take(rows * outputs);
        fill(&mut out, &w[part.bias.clone()]);
        let x = View::new(x, rows, inputs);
        let weight = View::new(&w[part.weight.clone()], outputs, inputs);
        matmul(
            &mut out,
            outputs,
            Onto::Sum,
            1.0,
            (x, weight.t()),
            self.threads,
        );
        out
    }

    /// What the layer of parameters `w` makes of `x`.
    pub fn forward(&self, x: &[f32], w: &[f32]) -> (Vec<f32>, Saved) {
        let parts = self.shape.parts();
        let eps = self.shape.eps;
        let qkv = self.dense(x, w, &parts.qkv);
        let tokens = x.len() / self.shape.hidden;
        let mut context = self.pool.take(tokens * self.shape.attention());
        let cost = self.attention().forward(&qkv, &mut context);
        *locked(&self.cost) += cost;
        let mut middle = self.dense(&context, w, &parts.output);
        mask_and_add(&mut middle, self.half(1), Some(x));
        let (mut normed, mut middle_stats) = (self.pool.take(x.len()), Vec::new());
        let params = &w[parts.output_norm.clone()];
        norm(&middle, params, eps, &mut normed, &mut middle_stats);
        let inner = self.dense(&normed, w, &parts.up);
        let mut activated = self.pool.take(inner.len());
        gelu(&inner, &mut activated);
        let mut end = self.dense(&activated, w, &parts.down);
        mask_and_add(&mut end, self.half(2), Some(&normed));
        let (mut out, mut end_stats) = (vec![0.0; x.len()], Vec::new());
        norm(&end, &w[parts.down_norm], eps, &mut out, &mut end_stats);
        let saved = Saved {
            qkv,
            context,
            middle,
            middle_stats,
            normed,
            inner,
            activated,
            end,
            end_stats,
        };
        (out, saved)
    }

    /// Into `dw` the gradient of a dense layer's parameters, and into `dx` that of its input.
    fn dense_backward(
        &self,
        (x, dy): (&[f32], &[f32]),
        (w, dw): (&[f32], &mut [f32]),
        part: &Dense,
        (dx, onto): (&mut [f32], Onto),
    ) {
        let (outputs, inputs) = (part.bias.len(), part.weight.len() / part.bias.len());
        let rows = x.len() / inputs;
        column_sums(dy, &mut dw[part.bias.clone()]);
        let dy = View::new(dy, rows, outputs);
        let x = View::new(x, rows, inputs);
        let to = &mut dw[part.weight.clone()];
        matmul(to, inputs, Onto::Sum, 1.0, (dy.t(), x), self.threads);
        let weight = View::new(&w[part.weight.clone()], outputs, inputs);
        matmul(dx, inputs, onto, 1.0, (dy, weight), self.threads);
    }

    /// The gradients of x and of the parameters, given that of the output.
    fn backward(&self, x: &[f32], w: &[f32], saved: &Saved, dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let parts = self.shape.parts();
        let h = self.shape.hidden;
        let mut dw = vec![0.0; w.len()];
        let copy = |of: &[f32]| {
            let mut copy = self.pool.take(of.len());
            copy.copy_from_slice(of);
            copy
        };
        let mut dnormed = copy(dy);
        let range = parts.down_norm.clone();
        norm_backward(
            &mut dnormed,
            &saved.end,
            &saved.end_stats,
            &w[range.start..range.start + h],
            &mut dw[range],
        );
        let mut masked = copy(&dnormed);
        mask_and_add(&mut masked, self.half(2), None);
        let mut dinner = self.pool.take(saved.inner.len());
        self.dense_backward(
            (&saved.activated, &masked),
            (w, &mut dw),
            &parts.down,
            (&mut dinner, Onto::Nothing),
        );
        gelu_backward(&saved.inner, &mut dinner);
        self.dense_backward(
            (&saved.normed, &dinner),
            (w, &mut dw),
            &parts.up,
            (&mut dnormed, Onto::Sum),
        );
        self.pool.give(dinner);
        let range = parts.output_norm.clone();
        norm_backward(
            &mut dnormed,
            &saved.middle,
            &saved.middle_stats,
            &w[range.start..range.start + h],
            &mut dw[range],
        );
        masked.copy_from_slice(&dnormed);
        mask_and_add(&mut masked, self.half(1), None);
        let mut dcontext = self.pool.take(saved.context.len());
        self.dense_backward(
            (&saved.context, &masked),
            (w, &mut dw),
            &parts.output,
            (&mut dcontext, Onto::Nothing),
        );
        let mut dqkv = self.pool.take(saved.qkv.len());
        self.attention().backward(&saved.qkv, &dcontext, &mut dqkv);
        let mut dx = dnormed.clone();
        self.dense_backward((x, &dqkv), (w, &mut dw), &parts.qkv, (&mut dx, Onto::Sum));
        for buffer in [dnormed, masked, dcontext, dqkv] {
            self.pool.give(buffer);
        }
        (dx, dw)
    }

    /// Gives the memory of `saved` back to the pool.
    pub fn recycle(&self, saved: Saved) {
        let Saved {
            qkv,
            context,
            middle,
            normed,
            inner,
            activated,
            end,
            ..
        } = saved;
        for buffer in [qkv, context, middle, normed, inner, activated, end] {
            self.pool.give(buffer);
        }
    }
}

/// What `mutex` holds; a thread that panicked left a whole value.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl CustomOp2 for EncoderLayer {
    fn name(&self) -> &'static str {
        "encoder-layer"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (floats(x, x_layout)?, floats(w, w_layout)?);
        let (out, saved) = self.forward(x, w);
        if self.training {
            *locked(&self.saved) = Some(saved)
        } else {
            self.recycle(saved)
        }
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _out: &Tensor,
        dout: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(saved) = locked(&self.saved).take() else {
            bail!("the gradient of a layer can be asked for once, after training it");
        };
        let dout = dout.contiguous()?;
        let gradients = with_floats(x, |x| {
            with_floats(w, |w| {
                with_floats(&dout, |dy| self.backward(x, w, &saved, dy))
            })
        })???;
        self.recycle(saved);
        let (dx, dw) = gradients;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        let dw = Tensor::from_vec(dw, w.shape(), w.device())?;
        Ok((Some(dx), Some(dw)))
    }
}
