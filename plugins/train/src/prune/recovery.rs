//! What a pruned model learns so as to do as well as before.

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use segue_kernels::training::softmax;
use segue_learn::loss::soft_cross_entropy;
use segue_plugin::{Batch, Error, Result};
use serde::Deserialize;

use crate::batch::Examples;
use crate::model::Output;
use crate::trainer::{Goal, class_loss, internal};

/// Where a pruned model learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Recover {
    /// Nothing is learnt.
    #[default]
    None,
    /// The labels.
    Finetune,
    /// A teacher upstream, such as the unpruned model, and the labels.
    Distill,
}

/// How much each part of the loss counts while a pruned model learns from a teacher.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Counts {
    /// How much the difference of hidden states counts; above 0 the teacher gives `state-0` and one after each layer.
    pub state_weight: f32,
    /// How much the teacher's verdicts count.
    pub verdict_weight: f32,
    /// How much the true labels count.
    pub label_weight: f32,
    /// The teacher's logits are divided by it, and the student's.
    pub temperature: f32,
}

impl Default for Counts {
    fn default() -> Self {
        Counts {
            state_weight: 0.0,
            verdict_weight: 1.0,
            label_weight: 0.5,
            temperature: 1.0,
        }
    }
}

impl Counts {
    /// # Errors
    /// `bad-option`
    pub fn check(&self) -> Result<()> {
        for (value, option) in [
            (self.state_weight, "state-weight"),
            (self.verdict_weight, "verdict-weight"),
            (self.label_weight, "label-weight"),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                let message = format!("`{option}` must be 0 or more");
                return Err(Error::new("bad-option", message).option(option));
            }
        }
        if self.temperature > 0.0 && self.temperature.is_finite() {
            Ok(())
        } else {
            let message = "`temperature` must be above 0";
            Err(Error::new("bad-option", message).option("temperature"))
        }
    }
}

/// A batch to learn from.
pub struct Lesson<'a> {
    /// From where.
    pub recover: Recover,
    /// What counts how much.
    pub counts: &'a Counts,
    /// With what the teacher gives.
    pub batch: &'a Batch,
    /// The reviews.
    pub examples: &'a Examples,
    /// How many classes there are.
    pub labels: usize,
}

impl Lesson<'_> {
    /// The teacher's probabilities, (reviews, labels).
    fn verdicts(&self) -> Result<Tensor> {
        let mut verdicts: Vec<f32> = self.batch.fixed_f32("logits")?.1.to_vec();
        for logit in &mut verdicts {
            *logit /= self.counts.temperature;
        }
        softmax(&mut verdicts, self.labels);
        let shape = (verdicts.len() / self.labels, self.labels);
        Tensor::from_vec(verdicts, shape, &Device::Cpu).map_err(internal)
    }

    /// The mean square of what the states are off, weighted.
    fn states(&self, output: &Output) -> Result<Tensor> {
        let factor = f64::from(self.counts.state_weight) / output.states.len() as f64;
        let mut sum = Tensor::new(0f32, &Device::Cpu).map_err(internal)?;
        for (number, mine) in output.states.iter().enumerate() {
            let hidden = mine.dim(1).map_err(internal)?;
            let mut values = Vec::new();
            for review in self.batch.ragged_f32(&state(number), hidden)? {
                values.extend_from_slice(review);
            }
            let theirs = Tensor::from_vec(values, mine.shape(), &Device::Cpu).map_err(internal)?;
            let add = || &sum + (mine - theirs)?.sqr()?.mean_all()?.affine(factor, 0.0)?;
            sum = add().map_err(internal)?;
        }
        Ok(sum)
    }
}

/// The column of the state after so many layers.
pub fn state(number: usize) -> String {
    format!("state-{number}")
}

impl Goal for Lesson<'_> {
    fn loss(&self, output: &Output) -> Result<Tensor> {
        if self.recover != Recover::Distill {
            if self.examples.classes.contains(&None) {
                let message =
                    "a review to train with has no label, and `finetune` learns from labels";
                return Err(Error::new("missing-label", message));
            }
            return class_loss(output, self.examples, self.labels);
        }
        let known = class_loss(output, self.examples, self.labels)?;
        let verdicts = self.verdicts()?;
        let temperature = self.counts.temperature;
        let sum = || {
            let logits = output.logits.affine(1.0 / f64::from(temperature), 0.0)?;
            // Its gradient shrinks with the square of the temperature.
            let factor = f64::from(self.counts.verdict_weight * temperature * temperature);
            known.affine(f64::from(self.counts.label_weight), 0.0)?
                + soft_cross_entropy(&logits, &verdicts)?.affine(factor, 0.0)?
        };
        let sum = sum().map_err(internal)?;
        if self.counts.state_weight > 0.0 {
            (sum + self.states(output)?).map_err(internal)
        } else {
            Ok(sum)
        }
    }
}
