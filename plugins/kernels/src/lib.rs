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
//! | `product` | matrix products in f32, bf16 and int8: how weights are packed, a tile for each instruction set, and the layer around it |
//! | `attention` | all heads of one text |
//! | [`training`] | what gradients need: products of any strides, and the way back of each loop |
//!
//! An instruction set is a file in `simd` or `product/tile`, a line in `isa` and one in
//! `product/dispatch` for each format it multiplies. Features: `tract` for dense layers in f32, which
//! tract's kernels compute on other processors than x86-64, and `training`.

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
pub use isa::{ISA_VARIABLE, Isa, Kernel};
pub use math::sum_of;
pub use norm::{Norm, add_norm};
pub use product::{After, Linear, LinearError, Precision, Quantized, Scratch};
pub use simd::Simd;
