//! One encoder layer as one operator.
//!
//! A layer of small operators spends half its time outside the matrix products: fresh memory for
//! every intermediate, transposes around attention, passes over data that has left the cache.
//! As one operator it has its intermediates in buffers that it keeps.

use std::sync::{Arc, Mutex, PoisonError};

use tract_core::internal::*;

use segue_kernels::{
    After, Attention, Isa, Linear, Norm, Precision, Projected, Scratch, add_norm, attention,
};
use segue_model::{Activation, LayerSizes};

/// A layer's parameters, packed.
#[derive(Debug)]
pub(crate) struct LayerWeights {
    pub isa: Isa,
    pub precision: Precision,
    pub sizes: LayerSizes,
    pub activation: Activation,
    pub projections: Projections,
    /// A -> H
    pub output: Linear,
    pub output_norm: Norm,
    /// H -> F
    pub up: Linear,
    /// F -> H
    pub down: Linear,
    pub down_norm: Norm,
}

/// How queries, keys and values are made, and with that which rows a layer gives.
#[derive(Debug)]
pub(crate) enum Projections {
    /// H -> 3 A: query, key and value of every token side by side.
    Every(Linear),
    /// The layer gives the first token's row alone, as the head reads no other: its query,
    /// H -> A, and key and value of every token, H -> 2 A.
    First {
        /// H -> A
        query: Linear,
        /// H -> 2 A
        key_value: Linear,
    },
}

impl Projections {
    /// How many rows a layer gives of `n`.
    fn rows(&self, n: usize) -> usize {
        match self {
            Self::Every(_) => n,
            Self::First { .. } => n.min(1),
        }
    }
}

/// Intermediates of one layer, shared by all layers of a segment, so that they stay in the cache.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// (n, 3 A), then (n, F)
    wide: Vec<f32>,
    /// (n, A)
    mixed: Vec<f32>,
    /// (n, H)
    middle: Vec<f32>,
    attention: Attention,
    products: Scratch,
}

/// Self-attention and feed-forward, each with residual and layer norm: f32 (n, H) -> (n, H), or
/// (1, H) with [`Projections::First`], to the same bits as the first row of all.
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
    /// Replaces the first rows of `x` (n, H) by the layer's output, which it gives.
    fn run<'a>(&self, x: &'a mut [f32], space: &mut Workspace) -> TractResult<&'a mut [f32]> {
        let (h, a) = (self.output_norm.weight.len(), self.sizes.attention());
        let rows = self.projections.rows(x.len() / h);
        let Workspace {
            wide,
            mixed,
            middle,
            attention: heads,
            products,
        } = space;
        let mixed = first(mixed, rows * a);
        let projected = self.project(x, wide, products)?;
        let shape = (self.sizes.heads, a);
        attention(self.isa, self.precision, shape, projected, mixed, heads);
        let x = &mut x[..rows * h];
        let middle = first(middle, rows * h);
        self.output.run(mixed, middle, After::Nothing, products)?;
        add_norm(self.isa, &self.output_norm, middle, Some(x));
        let inner = first(wide, rows * self.sizes.inner);
        let activation = After::Apply(self.activation);
        self.up.run(middle, inner, activation, products)?;
        self.down.run(inner, x, After::Nothing, products)?;
        add_norm(self.isa, &self.down_norm, x, Some(middle));
        Ok(x)
    }

    /// Queries, keys and values of `x` (n, H).
    fn project<'a>(
        &self,
        x: &[f32],
        wide: &'a mut Vec<f32>,
        products: &mut Scratch,
    ) -> TractResult<Projected<'a>> {
        let (h, a) = (self.output_norm.weight.len(), self.sizes.attention());
        let n = x.len() / h;
        match &self.projections {
            Projections::Every(qkv) => {
                let wide = first(wide, n * 3 * a);
                qkv.run(x, wide, After::Nothing, products)?;
                Ok(Projected::rows(wide, a))
            }
            Projections::First { query, key_value } => {
                let wide = first(wide, a + n * 2 * a);
                let (one, keys) = wide.split_at_mut(a);
                query.run(&x[..h], one, After::Nothing, products)?;
                key_value.run(x, keys, After::Nothing, products)?;
                Ok(Projected::one_query(wide, a))
            }
        }
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
        let length = x.len();
        let mut plain = x.try_as_plain_ram_mut()?;
        let out = self.weights.run(plain.as_slice_mut::<f32>()?, &mut space)?;
        if out.len() == length {
            return Ok(tvec!(x.into()));
        }
        let h = self.weights.output_norm.weight.len();
        Ok(tvec!(Tensor::from_shape(&[out.len() / h, h], out)?.into()))
    }
}

impl TypedOp for EncoderLayer {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        match self.weights.projections {
            Projections::Every(_) => Ok(tvec!(inputs[0].without_value())),
            Projections::First { .. } => {
                Ok(tvec!(f32::fact([1.to_dim(), inputs[0].shape[1].clone()])))
            }
        }
    }
}
