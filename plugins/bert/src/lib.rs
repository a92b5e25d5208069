//! The `bert` operator: runs a range of the encoder layers of a BERT-family model through tract.
//!
//! [`ModelConfig`] says what a model is, [`Layers`] which part of it to run, and [`Segment`] runs
//! that part, one review at a time. [`layer_cost`] tells what a layer costs, for choosing cuts.

mod config;
mod cost;
mod error;
mod kernels;
mod layers;
mod native;
mod onnx;
mod ops;
mod segment;
mod stage;
mod tensors;
mod weights;

pub use config::{Activation, ModelConfig};
pub use cost::{LayerCost, embedding_bytes, flops, head_bytes, layer_cost};
pub use error::ModelError;
pub use layers::Layers;
pub use segment::{Checked, Segment, check};
pub use stage::Bert;

segue_plugin::export!("bert" => Bert);
