//! Tensors that are drawn.

use candle_core::{Device, Result, Tensor, Var};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

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
