//! Small things about candle's tensors.

use candle_core::{CpuStorage, Device, Error, Layout, Result, Storage, Tensor, Var};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

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
/// Those of [`floats`], and those of `with`
pub fn with_floats<T>(tensor: &Tensor, with: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => with(floats(storage, layout)?),
        _ => Err(Error::msg("a tensor is not in memory")),
    }
}

/// Numbers drawn evenly between `-limit` and `limit`.
///
/// # Errors
/// None on a CPU
pub fn uniform(shape: &[usize], limit: f64, random: &mut ChaCha8Rng) -> Result<Var> {
    let limit = limit as f32;
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| (random.random::<f32>() * 2.0 - 1.0) * limit)
        .collect();
    Var::from_vec(values, shape, &Device::Cpu)
}

/// Numbers that are all 0.
///
/// # Errors
/// None on a CPU
pub fn zeros(shape: &[usize]) -> Result<Var> {
    Var::zeros(shape, candle_core::DType::F32, &Device::Cpu)
}

/// Sets each number to 0 with probability `part`, and scales the others up to make up for
/// it. candle's own draws from a generator that takes no seed.
///
/// # Errors
/// None on a CPU
pub fn dropout(tensor: &Tensor, part: f64, random: &mut ChaCha8Rng) -> Result<Tensor> {
    if part <= 0.0 {
        return Ok(tensor.clone());
    }
    let kept = (1.0 / (1.0 - part)) as f32;
    let values: Vec<f32> = (0..tensor.elem_count())
        .map(|_| {
            if random.random::<f32>() < part as f32 {
                0.0
            } else {
                kept
            }
        })
        .collect();
    tensor.mul(&Tensor::from_vec(values, tensor.shape(), &Device::Cpu)?)
}

/// Mean cross-entropy of `logits`, texts x classes, with the true `classes`.
///
/// # Errors
/// When a class is beyond the logits
pub fn cross_entropy(logits: &Tensor, classes: &[u32]) -> Result<Tensor> {
    let classes = Tensor::from_slice(classes, (classes.len(), 1), &Device::Cpu)?;
    let picked = logits.gather(&classes, 1)?.squeeze(1)?;
    (logits.log_sum_exp(1)? - picked)?.mean_all()
}

/// Probabilities, row-major, from logits, texts x classes.
///
/// # Errors
/// None on a CPU
pub fn probabilities(logits: &Tensor) -> Result<Vec<f32>> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?)?.exp()?;
    let shares = shifted.broadcast_div(&shifted.sum_keepdim(1)?)?;
    shares.flatten_all()?.to_vec1()
}
