//! Matrix products: the formats of their numbers, how constant weights are packed, a tile for each
//! instruction set, and the dense layer around it.

mod aligned;
mod dense;
mod dispatch;
mod format;
mod linear;
mod panels;
mod quantize;
mod tile;

use crate::Activation;

pub(crate) use aligned::Aligned;
pub(crate) use dense::{FloatDense, Int8Dense};
pub(crate) use format::{Bf16, Float, Format, TileKernel};
pub use linear::{Linear, LinearError};
pub(crate) use panels::Panels;
pub use quantize::Quantized;
#[cfg(target_arch = "x86_64")]
pub(crate) use tile::amx_is_permitted;
pub(crate) use tile::{Rows, Sink, Sums, Tile, WIDTH_MAX, by_panel};

/// What follows a matrix product, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The product is the result.
    Nothing,
    /// Each element goes through it.
    Apply(Activation),
}

/// In which numbers matrix products are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32.
    #[default]
    F32,
    /// Both sides rounded to bf16, summed in f32.
    Bf16,
    /// Weights as bytes with a scale a row, activations as bytes with a scale a token, summed in
    /// whole numbers; attention as with [`Self::Bf16`].
    Int8,
}

/// Activations in the format of a product; kept from product to product.
#[derive(Debug, Default)]
pub struct Scratch {
    half: Aligned<Bf16>,
    bytes: Aligned<i8>,
    /// One a row of `bytes`.
    scales: Vec<f32>,
}
