//! Pooler and classifier.

use std::sync::Arc;

use segue_kernels::{After, Linear, Scratch};
use segue_model::PoolerActivation;
use tract_core::internal::*;

/// Both dense layers, packed, in f32 whatever the others are: they take one row alone.
#[derive(Debug)]
pub(crate) struct HeadWeights {
    pub hidden: usize,
    pub labels: usize,
    /// H -> H
    pub pooler: Linear,
    pub activation: PoolerActivation,
    /// H -> labels
    pub classifier: Linear,
}

/// `classifier(activation(pooler(first token)))`: f32 (n, H) -> f32 (labels).
///
/// # Source
/// Devlin et al., arXiv:1810.04805, section 4.1
#[derive(Clone, Debug)]
pub(crate) struct Head(pub Arc<HeadWeights>);

impl HeadWeights {
    fn run(&self, hidden: &[f32]) -> TractResult<Vec<f32>> {
        let first = hidden.get(..self.hidden).context("no token to pool")?;
        let mut pooled = vec![0.0; self.hidden];
        let mut scratch = Scratch::default();
        (self.pooler).run(first, &mut pooled, After::Nothing, &mut scratch)?;
        for x in &mut pooled {
            *x = match self.activation {
                // Either would make a number of one that is not finite.
                _ if !x.is_finite() => f32::NAN,
                PoolerActivation::Tanh => x.tanh(),
                PoolerActivation::Relu => x.max(0.0),
            };
        }
        let mut logits = vec![0.0; self.labels];
        (self.classifier).run(&pooled, &mut logits, After::Nothing, &mut scratch)?;
        Ok(logits)
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Head {}

impl Op for Head {
    fn name(&self) -> StaticName {
        "BertHead".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Head {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let plain = input.try_as_plain_ram()?;
        let logits = self.0.run(plain.as_slice::<f32>()?)?;
        Ok(tvec!(Tensor::from_shape(&[self.0.labels], &logits)?.into()))
    }
}

impl TypedOp for Head {
    as_op!();

    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact([self.0.labels])))
    }
}
