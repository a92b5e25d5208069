//! The operators a segment's tract model is made of.

mod embeddings;
mod encoder_layer;
mod head;

pub(crate) use embeddings::{EmbeddingTables, Embeddings};
pub(crate) use encoder_layer::{EncoderLayer, LayerWeights, Projections, Workspace};
pub(crate) use head::{Head, HeadWeights};
