//! What parts of a model cost, for whoever chooses where to cut it.

use crate::layers::Layers;
use segue_model::ModelConfig;

/// The cost of one encoder layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerCost {
    /// Parameters in memory, in bytes (f32).
    pub parameter_bytes: u64,
    /// Floating-point operations a token, in a review of `tokens` tokens.
    pub flops_per_token: f64,
}

/// The cost of one encoder layer for reviews of `tokens` tokens.
pub fn layer_cost(config: &ModelConfig, tokens: usize) -> LayerCost {
    let (h, f) = (config.hidden_size as u64, config.intermediate_size as u64);
    let matrices = 4 * h * h + 2 * h * f;
    let vectors = 9 * h + f;
    LayerCost {
        parameter_bytes: 4 * (matrices + vectors),
        flops_per_token: 2.0 * matrices as f64 + 4.0 * (h * tokens as u64) as f64,
    }
}

/// Parameters of the embeddings in bytes, with a word table of `word_bytes`, the rest f32.
pub fn embedding_bytes(config: &ModelConfig, word_bytes: u64) -> u64 {
    let rows = config.max_position_embeddings + config.type_vocab_size + 2;
    word_bytes + 4 * rows as u64 * config.hidden_size as u64
}

/// Parameters of pooler and classifier in bytes (f32).
pub fn head_bytes(config: &ModelConfig) -> u64 {
    let rows = config.hidden_size + config.labels.len();
    4 * rows as u64 * (config.hidden_size as u64 + 1)
}

/// Floating-point operations of the encoder layers `layers` for one review of `tokens` tokens.
///
/// A multiply-add counts as two; norms, softmax, activation and head are left out.
pub fn flops(config: &ModelConfig, layers: Layers, tokens: usize) -> f64 {
    let count = layers.end.saturating_sub(layers.start) as f64;
    count * tokens as f64 * layer_cost(config, tokens).flops_per_token
}
