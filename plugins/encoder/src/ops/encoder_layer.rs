//! One encoder layer as one operator.
//!
//! A layer of small operators spends half its time outside the matrix products: fresh memory for
//! every intermediate, transposes around attention, passes over data that has left the cache.
//! As one operator it has its intermediates in buffers that it keeps.

use std::sync::{Arc, Mutex, PoisonError};

use tract_core::internal::*;

use segue_kernels::{After, Attention, Isa, Linear, Norm, add_norm, attention};
use segue_model::Activation;

/// A layer's parameters, packed.
#[derive(Debug)]
pub(crate) struct LayerWeights {
    pub isa: Isa,
    pub heads: usize,
    pub activation: Activation,
    /// H -> 3 H: query, key and value side by side.
    pub qkv: Linear,
    /// H -> H
    pub output: Linear,
    pub output_norm: Norm,
    /// H -> F
    pub up: Linear,
    /// F -> H
    pub down: Linear,
    pub down_norm: Norm,
    /// F
    pub inner: usize,
}

/// Intermediates of one layer, shared by all layers of a segment, so that they stay in the cache.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// (n, 3 H), then (n, F)
    wide: Vec<f32>,
    /// (n, H)
    mixed: Vec<f32>,
    /// (n, H)
    middle: Vec<f32>,
    attention: Attention,
}

/// Self-attention and feed-forward, each with residual and layer norm: f32 (n, H) -> (n, H).
///
/// # Source
/// Devlin et al., arXiv:1810.04805, section 3; Vaswani et al., arXiv:1706.03762, section 3.1
#[derive(Clone, Debug)]
pub(crate) struct EncoderLayer {
    pub weights: Arc<LayerWeights>,
    /// Locked for the time of one layer; only one thread runs a segment, so nobody waits.
    pub workspace: Arc<Mutex<Workspace>>,
}

impl LayerWeights {
    /// Replaces `x` (n, H) by the layer's output.
    fn run(&self, x: &mut [f32], space: &mut Workspace) -> TractResult<()> {
        let h = self.output_norm.weight.len();
        let n = x.len() / h;
        let Workspace {
            wide,
            mixed,
            middle,
            attention: scratch,
        } = space;
        let qkv = first(wide, n * 3 * h);
        self.qkv.run(x, qkv, After::Nothing)?;
        let mixed = first(mixed, n * h);
        attention(self.isa, self.heads, h, qkv, mixed, scratch);
        let middle = first(middle, n * h);
        self.output.run(mixed, middle, After::Nothing)?;
        add_norm(self.isa, &self.output_norm, middle, Some(x));
        let inner = first(wide, n * self.inner);
        self.up.run(middle, inner, After::Apply(self.activation))?;
        self.down.run(inner, x, After::Nothing)?;
        add_norm(self.isa, &self.down_norm, x, Some(middle));
        Ok(())
    }
}

/// The first `length` values of `buffer`, which grows when it must.
fn first(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    &mut buffer[..length]
}

impl PartialEq for EncoderLayer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.weights, &other.weights)
    }
}

impl Eq for EncoderLayer {}

impl Op for EncoderLayer {
    fn name(&self) -> StaticName {
        "BertEncoderLayer".into()
    }

    op_as_typed_op!();
}

impl EvalOp for EncoderLayer {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        // Takes the input's own memory when nobody else holds it, which is the usual case.
        let mut x = args_1!(inputs).into_tensor();
        // A panic leaves no more than wrong numbers in buffers that are written before read.
        let mut space = self
            .workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut plain = x.try_as_plain_ram_mut()?;
        self.weights.run(plain.as_slice_mut::<f32>()?, &mut space)?;
        Ok(tvec!(x.into()))
    }
}

impl TypedOp for EncoderLayer {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }
}
