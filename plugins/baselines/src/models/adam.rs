//! AdamW over candle's parameters.

use std::sync::{Mutex, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Var};
use segue_learn::adamw::{AdamW, Form, Moments, Step};
use segue_learn::tensors::{floats, floats_mut};
use serde::{Deserialize, Serialize};

/// How far a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamOptions {
    /// Step size, above 0.
    pub rate: f64,
    /// What part of `rate` times itself a parameter loses in each step.
    pub decay: f64,
}

/// The optimiser of some parameters.
pub struct Adam {
    options: AdamOptions,
    steps: u64,
    /// One a parameter.
    moments: Vec<Mutex<Moments>>,
}

impl Adam {
    /// No step has been taken.
    pub fn new(options: AdamOptions, parameters: &[Var]) -> Self {
        let zeros = |var: &Var| Mutex::new(Moments::zeros(var.elem_count()));
        Adam {
            options,
            steps: 0,
            moments: parameters.iter().map(zeros).collect(),
        }
    }

    /// Moves `parameters`, the same as ever, against their gradients.
    ///
    /// # Errors
    /// When a gradient does not have its parameter's shape
    pub fn step(&mut self, parameters: &[Var], gradients: &GradStore) -> Result<()> {
        self.steps += 1;
        let AdamOptions { rate, decay } = self.options;
        let step = Step {
            rate: rate as f32,
            kept: 1.0 - (rate * decay) as f32,
            number: self.steps,
        };
        for (var, moments) in parameters.iter().zip(&self.moments) {
            if let Some(gradient) = gradients.get(var) {
                var.inplace_op2(&gradient.contiguous()?, &Part { step, moments })?;
            }
        }
        Ok(())
    }
}

/// One step of one parameter, in one pass over its memory.
struct Part<'a> {
    step: Step,
    moments: &'a Mutex<Moments>,
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
        let values = floats_mut(parameter, layout)?;
        let gradient = floats(gradient, of_gradient)?;
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let Moments { first, second } = &mut *moments;
        AdamW::new(Form::Move).step(values, (gradient, 1.0), (first, second), self.step);
        Ok(())
    }
}
