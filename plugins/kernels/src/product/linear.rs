//! A dense layer: by the tiles here, or in f32 on other processors than x86-64 by tract's matrix
//! kernels.

#[cfg(feature = "tract")]
mod tract;

use std::fmt;

#[cfg(feature = "tract")]
use tract_core::internal::TractError;

use super::{After, Bf16, FloatDense, Int8Dense, Precision, Quantized, Scratch};
use crate::Isa;
#[cfg(feature = "tract")]
use tract::TractLinear;

/// The deepest product of bytes of which no sum can overflow; weights from a file may be -128.
const INT8_DEPTH_MAX: usize = i32::MAX as usize / (127 * 128);

/// `y = after(x Wᵀ + b)` with constant, packed W (outputs, depth) and b (outputs).
#[derive(Debug)]
pub struct Linear(Inner);

#[derive(Debug)]
enum Inner {
    /// Where there is AVX2 or AVX-512: measured at 259 GFLOP/s on a Zen 5 core against 185 to 234
    /// of tract's best kernel, as activations are read where they lie and not packed first.
    F32(FloatDense<f32>),
    Bf16(FloatDense<Bf16>),
    Int8(Int8Dense),
    /// tract has kernels for more processors than we do.
    #[cfg(feature = "tract")]
    Tract(TractLinear),
}

impl Linear {
    /// Packs `weights` (outputs, depth), as checkpoints hold them, and `bias` (outputs), rounded
    /// as `precision` asks.
    ///
    /// # Errors
    /// When tract has no kernel for this machine, or a product of bytes would be too deep
    pub fn pack(
        isa: Isa,
        precision: Precision,
        depth: usize,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self, LinearError> {
        Ok(Self(match precision {
            #[cfg(feature = "tract")]
            Precision::F32 if isa.is_portable() => {
                Inner::Tract(TractLinear::pack(isa, depth, weights, bias)?)
            }
            Precision::F32 => Inner::F32(FloatDense::<f32>::pack(isa, depth, weights, bias)),
            Precision::Bf16 => Inner::Bf16(FloatDense::<Bf16>::pack(isa, depth, weights, bias)),
            Precision::Int8 => {
                let weights = Quantized::of(weights, depth);
                return Self::pack_int8(isa, depth, &weights, bias);
            }
        }))
    }

    /// Packs weights that are bytes already.
    ///
    /// # Errors
    /// When the product would be too deep for sums of 32 bits
    pub fn pack_int8(
        isa: Isa,
        depth: usize,
        weights: &Quantized,
        bias: &[f32],
    ) -> Result<Self, LinearError> {
        if depth > INT8_DEPTH_MAX {
            let message = format!("a product of bytes over {depth} inputs can overflow");
            return Err(LinearError(message));
        }
        Ok(Self(Inner::Int8(Int8Dense::pack(
            isa, depth, weights, bias,
        ))))
    }

    /// x is (n, depth), out is (n, outputs).
    ///
    /// # Errors
    /// When tract's kernel refuses.
    pub fn run(
        &self,
        x: &[f32],
        out: &mut [f32],
        after: After,
        scratch: &mut Scratch,
    ) -> Result<(), LinearError> {
        match &self.0 {
            Inner::F32(dense) => dense.run(x, out, after),
            Inner::Bf16(dense) => dense.run(x, out, after, scratch),
            Inner::Int8(dense) => dense.run(x, out, after, scratch),
            #[cfg(feature = "tract")]
            Inner::Tract(linear) => linear.run(x, out, after)?,
        }
        Ok(())
    }
}

/// What a product cannot do: nothing that is asked of tract's kernels, on the processors they
/// know, and no model's size in int8.
#[derive(Debug)]
pub struct LinearError(String);

impl fmt::Display for LinearError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LinearError {}

#[cfg(feature = "tract")]
impl From<TractError> for LinearError {
    fn from(error: TractError) -> Self {
        LinearError(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests;
