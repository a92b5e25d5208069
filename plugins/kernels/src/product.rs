//! Matrix products with constant weights: how these are packed, the one inner loop, and the dense
//! layer around it.

mod aligned;
#[cfg(feature = "tract")]
mod linear;
#[cfg(feature = "tract")]
mod panels;
mod tile;

use crate::Activation;

pub(crate) use aligned::Aligned;
#[cfg(feature = "tract")]
pub use linear::{Linear, LinearError};
pub(crate) use tile::{PANEL_MAX, Rows, Sink, panel_product};

/// What follows a matrix product, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The product is the result.
    Nothing,
    /// Each element goes through it.
    Apply(Activation),
}
