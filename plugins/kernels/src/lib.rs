//! Every inner loop of inference and training, in a version for each instruction set.
//!
//! A crate is compiled for any x86-64 (or another architecture), and the machine is asked once
//! what it can do. A loop is written once, over [`Simd`], and compiled for each set: [`Isa::run`]
//! inlines it into a function that may use the set's instructions.
//!
//! | module | what it has |
//! | --- | --- |
//! | `simd` | the trait of a register, and one file an instruction set |
//! | `isa` | which sets this machine has, and how a loop is compiled for each |
//! | `math`, [`activation`], `norm`, `softmax` | loops over rows |
//! | `product` | matrix products: how weights are packed, the tile, and the layer around it |
//! | `attention` | all heads of one text |
//! | [`training`] | what gradients need: products of any strides, and the way back of each loop |
//!
//! An instruction set is a file in `simd` and a line in `isa`. Features: `tract` for dense layers
//! of inference, which tract's kernels compute on other processors than x86-64, and `training`.

pub mod activation;
mod attention;
mod isa;
mod math;
mod norm;
mod product;
mod simd;
mod softmax;
#[cfg(feature = "training")]
pub mod training;

pub use activation::Activation;
pub use attention::{Attention, Projected, attention};
pub use isa::{Isa, Kernel};
pub use math::sum_of;
pub use norm::{Norm, add_norm};
pub use product::After;
#[cfg(feature = "tract")]
pub use product::{Linear, LinearError};
pub use simd::Simd;
