//! The numbers of candle's tensors as slices.

use candle_core::{CpuStorage, Error, Layout, Result, Storage, Tensor};

/// The numbers of a tensor that lies in one piece.
///
/// # Errors
/// When it does not, or does not hold f32
pub fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = piece(layout)?;
    (storage.as_slice()?.get(start..end)).ok_or_else(|| Error::msg("a tensor is too short"))
}

/// As [`floats`], to be written.
///
/// # Errors
/// Those of [`floats`]
pub fn floats_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let (start, end) = piece(layout)?;
    match storage {
        CpuStorage::F32(all) => all.get_mut(start..end),
        _ => None,
    }
    .ok_or_else(|| Error::msg("a tensor is too short, or not of f32"))
}

fn piece(layout: &Layout) -> Result<(usize, usize)> {
    let piece = layout.contiguous_offsets();
    piece.ok_or_else(|| Error::msg("a tensor does not lie in one piece"))
}

/// Calls `with` with the numbers of `tensor`, uncopied.
///
/// # Errors
/// Those of [`floats`]
pub fn with_floats<T>(tensor: &Tensor, with: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(with(floats(storage, layout)?)),
        _ => Err(Error::msg("a tensor is not in memory")),
    }
}
