//! Runs a range of the encoder layers of a BERT-family model through tract.
//!
//! [`ModelConfig`] says what a model is, [`Layers`] which part of it to run, and [`Segment`] runs
//! that part, one review at a time. [`layer_cost`] tells what a layer costs, for choosing cuts.

mod cost;
mod layers;
mod native;
mod onnx;
mod ops;
mod segment;
mod tensors;

pub use cost::{LayerCost, embedding_bytes, flops, head_bytes, layer_cost};
pub use layers::Layers;
pub use segment::{Checked, Options, Segment, check, check_with};
pub use segue_kernels::{Isa, Precision};
pub use segue_model::{Activation, ModelConfig, ModelError};
