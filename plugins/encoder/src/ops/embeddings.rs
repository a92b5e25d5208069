//! Token ids to vectors.

use std::sync::Arc;

use segue_kernels::{Isa, Norm, add_norm};
use segue_model::Stored;
use tract_core::internal::*;

/// The three tables, each as the file stores it: a word table in f16 stays half as large.
#[derive(Debug)]
pub(crate) struct EmbeddingTables {
    /// (vocabulary, H)
    pub words: Stored,
    /// (positions, H)
    pub positions: Vec<f32>,
    /// (H): the row of token type 0, the only one a single text has.
    pub token_type: Vec<f32>,
    pub norm: Norm,
    pub isa: Isa,
}

/// Word + position + type vector of each token, then layer norm: u32 (n) -> f32 (n, H).
///
/// # Source
/// Devlin et al., arXiv:1810.04805, figure 2
#[derive(Clone, Debug)]
pub(crate) struct Embeddings(pub Arc<EmbeddingTables>);

impl EmbeddingTables {
    /// Rows for `tokens`, which were checked against the tables.
    fn gather(&self, tokens: &[u32]) -> Vec<f32> {
        let h = self.token_type.len();
        let mut rows = vec![0.0; tokens.len() * h];
        let targets = rows.chunks_exact_mut(h).zip(tokens);
        for ((row, token), position) in targets.zip(self.positions.chunks_exact(h)) {
            self.words.copy_row(*token as usize, row);
            for ((x, position), kind) in row.iter_mut().zip(position).zip(&self.token_type) {
                *x += *position + *kind;
            }
        }
        add_norm(self.isa, &self.norm, &mut rows, None);
        rows
    }
}

impl PartialEq for Embeddings {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Embeddings {}

impl Op for Embeddings {
    fn name(&self) -> StaticName {
        "BertEmbeddings".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Embeddings {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let plain = input.try_as_plain_ram()?;
        let tokens = plain.as_slice::<u32>()?;
        let h = self.0.token_type.len();
        let rows = self.0.words.len() / h;
        ensure!(tokens.iter().all(|t| (*t as usize) < rows), "unknown token");
        ensure!(
            tokens.len() <= self.0.positions.len() / h,
            "too many tokens"
        );
        let vectors = self.0.gather(tokens);
        Ok(tvec!(
            Tensor::from_shape(&[tokens.len(), h], &vectors)?.into()
        ))
    }
}

impl TypedOp for Embeddings {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let tokens = inputs[0].shape[0].clone();
        let shape = [tokens, self.0.token_type.len().to_dim()];
        Ok(tvec!(f32::fact(shape)))
    }
}
