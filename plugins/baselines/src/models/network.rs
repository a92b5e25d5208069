//! A network as a model: batches, dropout, Adam, and its parameters as one vector.

use std::ops::Range;

use candle_core::{Device, Tensor, Var};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use segue_learn::loss::{cross_entropy, probabilities};
use segue_learn::scorer::{Scorer, check_count};
use segue_plugin::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::features::rows::{Examples, Rows};
use crate::models::adam::{Adam, AdamOptions};
use crate::models::{Epoch, Model};

/// What a network computes.
pub trait Architecture {
    /// How many classes it tells apart.
    fn classes(&self) -> usize;

    /// Its parameters, drawn anew.
    ///
    /// # Errors
    /// None on a CPU
    fn draw(&self, random: &mut ChaCha8Rng) -> candle_core::Result<Vec<Var>>;

    /// Logits of the rows number `texts`, texts x classes. In training, `random` draws
    /// what is dropped.
    ///
    /// # Errors
    /// When rows do not fit the parameters
    fn logits(
        &self,
        parameters: &[Var],
        rows: &Rows,
        texts: &[usize],
        random: Option<&mut ChaCha8Rng>,
    ) -> candle_core::Result<Tensor>;
}

/// How a network learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningOptions {
    /// How many examples make one step.
    pub batch: usize,
    /// How far a step goes.
    pub adam: AdamOptions,
    /// Of first parameters, order and dropout.
    pub seed: u64,
}

/// A network that can learn.
pub struct Network<A> {
    architecture: A,
    options: LearningOptions,
    parameters: Vec<Var>,
    adam: Adam,
    random: ChaCha8Rng,
    order: Vec<usize>,
}

/// A tensor operation that failed.
fn failed(error: candle_core::Error) -> Error {
    Error::new("failed-tensor", error.to_string())
}

impl<A: Architecture> Network<A> {
    /// With parameters drawn from the seed.
    ///
    /// # Errors
    /// `failed-tensor`
    pub fn new(architecture: A, options: LearningOptions) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        let parameters = architecture.draw(&mut random).map_err(failed)?;
        Ok(Network {
            adam: Adam::new(options.adam, &parameters),
            architecture,
            options,
            parameters,
            random,
            order: Vec::new(),
        })
    }

    /// One step of Adam; gives the loss before it.
    fn learn(&mut self, train: &Examples, texts: &[usize]) -> candle_core::Result<f64> {
        let random = Some(&mut self.random);
        let logits = (self.architecture).logits(&self.parameters, &train.rows, texts, random)?;
        let classes: Vec<u32> = texts.iter().map(|text| train.classes[*text]).collect();
        let loss = cross_entropy(&logits, &classes)?;
        self.adam.step(&self.parameters, &loss.backward()?)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}

impl<A: Architecture> Scorer for Network<A> {
    type Features = Rows;

    fn classes(&self) -> usize {
        self.architecture.classes()
    }

    fn weight_count(&self) -> usize {
        self.parameters.iter().map(|var| var.elem_count()).sum()
    }

    fn weights(&self) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(self.weight_count());
        for var in &self.parameters {
            let values = var.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
            all.extend(values.map_err(failed)?);
        }
        Ok(all)
    }

    fn set_weights(&mut self, weights: &[f32]) -> Result<()> {
        check_count(weights.len(), self.weight_count())?;
        let mut rest = weights;
        for var in &self.parameters {
            let (own, others) = rest.split_at(var.elem_count());
            let own = Tensor::from_slice(own, var.shape(), &Device::Cpu);
            own.and_then(|own| var.set(&own)).map_err(failed)?;
            rest = others;
        }
        Ok(())
    }

    fn scores(&self, rows: &Rows, range: Range<usize>) -> Result<Vec<f32>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<usize> = range.collect();
        let logits = (self.architecture).logits(&self.parameters, rows, &texts, None);
        logits.and_then(|l| probabilities(&l)).map_err(failed)
    }
}

impl<A: Architecture> Model for Network<A> {
    fn begin(&mut self, train: &Examples) -> Result<()> {
        self.random = ChaCha8Rng::seed_from_u64(self.options.seed);
        self.parameters = self.architecture.draw(&mut self.random).map_err(failed)?;
        self.adam = Adam::new(self.options.adam, &self.parameters);
        self.order = (0..train.rows.len()).collect();
        Ok(())
    }

    fn epoch(&mut self, train: &Examples) -> Result<Epoch> {
        self.order.shuffle(&mut self.random);
        let order = std::mem::take(&mut self.order);
        let mut loss = 0.0;
        for texts in order.chunks(self.options.batch) {
            loss += self.learn(train, texts).map_err(failed)? * texts.len() as f64;
        }
        self.order = order;
        Ok(Epoch {
            loss: loss / train.rows.len().max(1) as f64,
            converged: false,
        })
    }
}
