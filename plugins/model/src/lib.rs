//! Reads models as people have them: the one place that knows the files of a model's folder.
//!
//! [`ModelConfig`] is what `config.json` says of a model that can be run, and [`Outline`] of any;
//! [`find`] tells which weights a folder has, and [`Weights`] reads single tensors of them, under one
//! set of names for all families and formats.
//! No file is trusted: each is looked at before it is opened, and nothing is read without a bound.

mod config;
mod error;
mod fields;
pub mod files;
mod find;
mod header;
mod labels;
mod names;
mod outline;
mod safe;
mod sizes;
mod stored;
mod task;
mod times;
mod torch;
mod weights;

pub use config::{Family, ModelConfig, PoolerActivation};
pub use error::ModelError;
pub use find::{Found, find, folder_of};
pub use names::TensorSpec;
pub use outline::Outline;
pub use segue_kernels::{Activation, Quantized};
pub use sizes::LayerSizes;
pub use stored::Stored;
pub use times::{HalfTimes, LayerTimes};
pub use weights::Weights;
