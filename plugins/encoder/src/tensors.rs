//! The tensors a range of layers needs: names and shapes.

use crate::layers::Layers;
use segue_model::{ModelConfig, TensorSpec};

/// Tells of one model's tensors.
pub(crate) struct Names<'a> {
    pub config: &'a ModelConfig,
    pub has_head: bool,
}

impl Names<'_> {
    /// All tensors of `layers`, in no particular order.
    pub fn of_range(&self, layers: Layers) -> Vec<TensorSpec> {
        let mut specs = Vec::new();
        if layers.has_embeddings() {
            specs.extend(self.embeddings());
        }
        for layer in layers.start..layers.end {
            specs.extend(self.layer(layer));
        }
        if self.has_head && layers.reaches_head(self.config.num_hidden_layers) {
            specs.extend(self.head());
        }
        specs
    }

    /// Word, position and type tables, then the norm's weight and bias.
    pub fn embeddings(&self) -> [TensorSpec; 5] {
        let (c, h) = (self.config, self.config.hidden_size);
        let at = |name: &str, shape: &[usize]| spec(&format!("embeddings.{name}"), shape);
        [
            at("word_embeddings.weight", &[c.vocab_size, h]),
            at(
                "position_embeddings.weight",
                &[c.max_position_embeddings, h],
            ),
            at("token_type_embeddings.weight", &[c.type_vocab_size, h]),
            at("LayerNorm.weight", &[h]),
            at("LayerNorm.bias", &[h]),
        ]
    }

    /// Layer `layer`: query, key, value, output, norm, up, down, norm; weight then bias of each.
    pub fn layer(&self, layer: usize) -> [TensorSpec; 16] {
        let (h, sizes) = (self.config.hidden_size, self.config.layers[layer]);
        let (a, f) = (sizes.attention(), sizes.inner);
        let at =
            |name: &str, shape: &[usize]| spec(&format!("encoder.layer.{layer}.{name}"), shape);
        [
            at("attention.self.query.weight", &[a, h]),
            at("attention.self.query.bias", &[a]),
            at("attention.self.key.weight", &[a, h]),
            at("attention.self.key.bias", &[a]),
            at("attention.self.value.weight", &[a, h]),
            at("attention.self.value.bias", &[a]),
            at("attention.output.dense.weight", &[h, a]),
            at("attention.output.dense.bias", &[h]),
            at("attention.output.LayerNorm.weight", &[h]),
            at("attention.output.LayerNorm.bias", &[h]),
            at("intermediate.dense.weight", &[f, h]),
            at("intermediate.dense.bias", &[f]),
            at("output.dense.weight", &[h, f]),
            at("output.dense.bias", &[h]),
            at("output.LayerNorm.weight", &[h]),
            at("output.LayerNorm.bias", &[h]),
        ]
    }

    /// Pooler, then classifier; weight then bias of each.
    pub fn head(&self) -> [TensorSpec; 4] {
        let (h, labels) = (self.config.hidden_size, self.config.labels.len());
        [
            spec("pooler.dense.weight", &[h, h]),
            spec("pooler.dense.bias", &[h]),
            spec("classifier.weight", &[labels, h]),
            spec("classifier.bias", &[labels]),
        ]
    }
}

fn spec(name: &str, shape: &[usize]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        shape: shape.into(),
    }
}
