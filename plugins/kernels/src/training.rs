//! What gradients need: products of any strides, dropout, and the way back of each loop.
//!
//! Norm, softmax and GELU share their sums with those of inference, but not their last step, which
//! here is rounded as the gradients take it to be.

mod dropout;
mod gelu;
mod matmul;
mod norm;
mod rows;
mod softmax;

pub use dropout::Mask;
pub use gelu::{gelu, gelu_backward};
pub use matmul::{Onto, View, matmul};
pub use norm::{Stats, norm, norm_backward};
pub use rows::{add_scaled, column_sums, fill, mask_and_add, masked};
pub use softmax::{softmax, softmax_backward};
