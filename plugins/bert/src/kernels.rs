//! The inner loops of an encoder layer. All `unsafe` of the crate is in this module: vector loads
//! in [`tile`], and tract's matrix kernels.

mod aligned;
mod attention;
mod linear;
mod norm;
mod panels;
mod tile;

pub(crate) use attention::{Attention, attention};
pub(crate) use linear::Linear;
pub(crate) use norm::{Norm, add_norm};
pub(crate) use segue_kernels::Isa;
use segue_kernels::{Kernel, Simd, gelu, math};

/// What follows a matrix product, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Nothing,
    Apply(segue_model::Activation),
}
