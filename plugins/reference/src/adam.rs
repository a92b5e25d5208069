//! Adam with decoupled weight decay, whose state is its own: candle's cannot be read.

use std::sync::{Mutex, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Var};
use serde::{Deserialize, Serialize};

use crate::tensors::{floats, floats_mut};

/// How far a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamOptions {
    /// Step size, above 0.
    pub rate: f64,
    /// What part of `rate` times itself a parameter loses in each step.
    pub decay: f64,
}

const BETA: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;

/// The optimiser of some parameters.
///
/// # Source
/// Loshchilov and Hutter, Decoupled weight decay regularization, arXiv:1711.05101
pub struct Adam {
    options: AdamOptions,
    steps: i32,
    /// For each parameter the running means of its gradient and of that squared.
    moments: Vec<Mutex<[Vec<f32>; 2]>>,
}

impl Adam {
    /// No step has been taken.
    pub fn new(options: AdamOptions, parameters: &[Var]) -> Self {
        let zeros = |var: &Var| [vec![0.0; var.elem_count()], vec![0.0; var.elem_count()]];
        Adam {
            options,
            steps: 0,
            moments: parameters
                .iter()
                .map(|var| Mutex::new(zeros(var)))
                .collect(),
        }
    }

    /// Moves `parameters`, the same as ever, against their gradients.
    ///
    /// # Errors
    /// When a gradient does not have its parameter's shape
    pub fn step(&mut self, parameters: &[Var], gradients: &GradStore) -> Result<()> {
        self.steps += 1;
        for (var, moments) in parameters.iter().zip(&self.moments) {
            if let Some(gradient) = gradients.get(var) {
                let part = Part {
                    options: self.options,
                    // Means that start at zero are too small at first.
                    whole: BETA.map(|beta| 1.0 - beta.powi(self.steps)),
                    moments,
                };
                var.inplace_op2(&gradient.contiguous()?, &part)?;
            }
        }
        Ok(())
    }
}

/// One step of one parameter, in one pass over its memory.
struct Part<'a> {
    options: AdamOptions,
    whole: [f32; 2],
    moments: &'a Mutex<[Vec<f32>; 2]>,
}

impl InplaceOp2 for Part<'_> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        of_gradient: &Layout,
    ) -> Result<()> {
        let (values, gradient) = (
            floats_mut(parameter, layout)?,
            floats(gradient, of_gradient)?,
        );
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let [means, squares] = &mut *moments;
        let rate = self.options.rate as f32 / self.whole[0];
        let kept = 1.0 - (self.options.rate * self.options.decay) as f32;
        let moments = means.iter_mut().zip(squares.iter_mut());
        for ((value, slope), (mean, square)) in values.iter_mut().zip(gradient).zip(moments) {
            *mean += (1.0 - BETA[0]) * (slope - *mean);
            *square += (1.0 - BETA[1]) * (slope * slope - *square);
            let spread = (*square / self.whole[1]).sqrt() + EPSILON;
            *value = *value * kept - rate * *mean / spread;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn two_steps_are_those_of_the_paper() {
        let var = Var::from_vec(vec![1.0_f32, -2.0], 2, &Device::Cpu).unwrap();
        let all = [var.clone()];
        let options = AdamOptions {
            rate: 0.1,
            decay: 0.5,
        };
        let mut adam = Adam::new(options, &all);
        // The gradient of the sum of squares is twice the value. By hand: the first step
        // is 1 * 0.95 - 0.1 = 0.85 and -2 * 0.95 + 0.1 = -1.8. For the second, of the
        // first value: mean (0.09 * 2 + 0.1 * 1.7) / 0.19, square likewise.
        for _ in 0..2 {
            let loss = var.sqr().unwrap().sum_all().unwrap();
            adam.step(&all, &loss.backward().unwrap()).unwrap();
        }
        let found: Vec<f32> = var.to_vec1().unwrap();
        let second = |first: f64, value: f64| {
            let (a, b) = (2.0 * first, 2.0 * value);
            let mean = (0.09 * a + 0.1 * b) / 0.19;
            let square: f64 = (0.000_999 * a * a + 0.001 * b * b) / 0.001_999;
            value * 0.95 - 0.1 * mean / square.sqrt()
        };
        for (found, expected) in found.iter().zip([second(1.0, 0.85), second(-2.0, -1.8)]) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{found} {expected}"
            );
        }
    }
}
