//! What parts of a model cost, for whoever chooses where to cut it.

use crate::layers::Layers;
use segue_kernels::Precision;
use segue_model::ModelConfig;

/// The cost of one encoder layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerCost {
    /// Parameters in memory, in bytes.
    pub parameter_bytes: u64,
    /// Floating-point operations a token, in a review of `tokens` tokens.
    pub flops_per_token: f64,
}

/// The cost of encoder layer `layer` for reviews of `tokens` tokens, with weights of `precision`.
///
/// # Panics
/// When the model has no such layer
pub fn layer_cost(
    config: &ModelConfig,
    layer: usize,
    precision: Precision,
    tokens: usize,
) -> LayerCost {
    let sizes = config.layers[layer];
    let (h, a, f) = (
        config.hidden_size as u64,
        sizes.attention() as u64,
        sizes.inner as u64,
    );
    let matrices = 4 * h * a + 2 * h * f;
    let (rows, vectors) = (3 * a + 2 * h + f, 3 * a + 6 * h + f);
    let stored = match precision {
        Precision::F32 => 4 * matrices,
        Precision::Bf16 => 2 * matrices,
        // A scale a row, and what a sum begins with.
        Precision::Int8 => matrices + 8 * rows,
    };
    LayerCost {
        parameter_bytes: stored + 4 * vectors,
        flops_per_token: 2.0 * matrices as f64 + 4.0 * (a * tokens as u64) as f64,
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

/// Floating-point operations of the encoder layers `layers` for one review of `tokens` tokens;
/// `gives_logits` where a head follows, which of the last layer needs one row alone.
///
/// A multiply-add counts as two; norms, softmax, activation and head are left out.
///
/// # Panics
/// When the model does not have them all
pub fn flops(config: &ModelConfig, layers: Layers, gives_logits: bool, tokens: usize) -> f64 {
    let of = |layer| layer_cost(config, layer, Precision::F32, tokens).flops_per_token;
    let has_last =
        gives_logits && layers.start < layers.end && layers.reaches_head(config.num_hidden_layers);
    let whole = layers.start..layers.end - usize::from(has_last);
    let whole = tokens as f64 * whole.map(of).sum::<f64>();
    if !has_last {
        return whole;
    }
    let last = layers.end - 1;
    let keys_and_values = 4.0 * (config.hidden_size * config.layers[last].attention()) as f64;
    whole + of(last) + tokens.saturating_sub(1) as f64 * keys_and_values
}
