//! What training makes smaller.

use candle_core::{D, Device, Result, Tensor};

/// The mean cross entropy of `logits`, texts x classes, with the true `classes`.
///
/// # Errors
/// When a class is beyond the logits
pub fn cross_entropy(logits: &Tensor, classes: &[u32]) -> Result<Tensor> {
    let classes = Tensor::from_slice(classes, (classes.len(), 1), &Device::Cpu)?;
    let picked = logits.gather(&classes, 1)?.squeeze(1)?;
    (logits.log_sum_exp(1)? - picked)?.mean_all()
}

/// The mean over rows of the cross entropy of `logits` with `targets`, both texts x classes,
/// whose rows sum to 1, or to 0 where a row does not count.
///
/// # Errors
/// Shapes that differ
pub fn soft_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let counting = targets.sum_all()?.to_scalar::<f32>()?.max(1.0);
    let log = candle_nn::ops::log_softmax(logits, D::Minus1)?;
    (log * targets)?
        .sum_all()?
        .affine(-1.0 / f64::from(counting), 0.0)
}

/// The targets of texts of which some have a class, texts x `count`.
///
/// # Errors
/// None on a CPU
pub fn targets(classes: &[Option<usize>], count: usize) -> Result<Tensor> {
    let mut targets = vec![0.0f32; classes.len() * count];
    for (row, class) in classes.iter().enumerate() {
        if let Some(class) = class {
            targets[row * count + class] = 1.0;
        }
    }
    Tensor::from_vec(targets, (classes.len(), count), &Device::Cpu)
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

/// The cross entropy of one text's `logits` with its `class`.
pub fn of_logits(logits: &[f32], class: usize) -> f32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|x| (x - top).exp()).sum();
    sum.ln() + top - logits[class]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_agree() {
        let rows = [[0.5f32, -1.0, 2.0], [3.0, 0.0, 0.25]];
        let logits = Tensor::new(&rows, &Device::Cpu).unwrap();
        let plain = cross_entropy(&logits, &[2, 1]).unwrap();
        let some = [Some(2), None, Some(1)];
        let three = Tensor::new(&[rows[0], [9.0; 3], rows[1]], &Device::Cpu).unwrap();
        let soft = soft_cross_entropy(&three, &targets(&some, 3).unwrap()).unwrap();
        let each = (of_logits(&rows[0], 2) + of_logits(&rows[1], 1)) / 2.0;
        let shares = probabilities(&logits).unwrap();
        let logs = -(shares[2].ln() + shares[4].ln()) / 2.0;
        for other in [soft.to_scalar::<f32>().unwrap(), each, logs] {
            let plain = plain.to_scalar::<f32>().unwrap();
            assert!((plain - other).abs() < 1e-6, "{plain} {other}");
        }
    }
}
