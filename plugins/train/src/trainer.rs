//! Training in a stream: each batch is a step, held-out batches are looked at, and between any two
//! batches the state can be given as bytes and taken back.

use std::time::{Duration, Instant};

use candle_core::Tensor;
use segue_kernels::training::Mask;
use segue_learn::adamw::{AdamW, Form, Moments, Step, norm};
use segue_learn::loss::{of_logits, soft_cross_entropy, targets};
use segue_learn::schedule::Best;
use segue_learn::store::{exact, make_folder, no_state, pack_state, unpack_state};
use segue_plugin::{Error, Host, Result};
use serde::{Deserialize, Serialize};

use crate::attention::Scores;
use crate::batch::{Examples, Use};
use crate::config::ModelShape;
use crate::held_out::HeldOut;
use crate::log::{self, Entry};
use crate::model::{Model, Output, Tokens};
use crate::params::{LAYERS, Part, length, parts};
use crate::schedule::Schedule;

/// Sums over held-out reviews.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    reviews: u64,
    correct: u64,
    #[serde(with = "exact")]
    loss: f64,
}

/// All of the state that is not a vector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// Whether any review came.
    began: bool,
    step: u64,
    epoch: u32,
    tally: Tally,
    /// The best held-out accuracy, and the epochs since.
    best: Best<f32>,
}

/// What a step makes smaller.
pub trait Goal {
    /// The scores each layer's attention is to have, if any.
    ///
    /// # Errors
    /// A batch that lacks them
    fn scores(&self) -> Result<Vec<Scores>> {
        Ok(Vec::new())
    }

    /// The loss, but for the attention's scores.
    ///
    /// # Errors
    /// A batch that lacks what it needs
    fn loss(&self, output: &Output) -> Result<Tensor>;
}

/// A training run.
pub struct Trainer {
    schedule: Schedule,
    parts: Vec<Vec<Part>>,
    model: Model,
    vectors: Vec<Vec<f32>>,
    moments: Vec<Moments>,
    best: Vec<Vec<f32>>,
    held_out: HeldOut,
    /// Which numbers of each vector stay zero; empty where none has to.
    gone: Vec<Vec<bool>>,
    state: State,
    /// What is written down and not yet given.
    log: Vec<Entry>,
    started: (Instant, f32),
    recent_loss: f32,
}

impl Trainer {
    /// Starts with `vectors`, for a model that is to be written to `folder`.
    ///
    /// # Errors
    /// `write-failed`, and those of [`Trainer::new`]
    pub fn start(
        schedule: Schedule,
        shape: ModelShape,
        vectors: Vec<Vec<f32>>,
        folder: &std::path::Path,
    ) -> Result<Self> {
        schedule.check()?;
        make_folder(folder)?;
        Self::new(schedule, shape, vectors)
    }

    /// Starts with `vectors`.
    ///
    /// # Errors
    /// `bad-option`, `not-finite`
    pub fn new(schedule: Schedule, shape: ModelShape, vectors: Vec<Vec<f32>>) -> Result<Self> {
        schedule.check()?;
        if !finite(&vectors) {
            let message = "the model to begin with has numbers that are not finite";
            return Err(Error::new("not-finite", message));
        }
        let threads = schedule.threads();
        Ok(Trainer {
            parts: parts(&shape),
            model: Model::new(shape, &vectors, threads).map_err(internal)?,
            schedule,
            moments: vectors.iter().map(|v| Moments::zeros(v.len())).collect(),
            vectors,
            best: Vec::new(),
            held_out: HeldOut::default(),
            gone: Vec::new(),
            state: State::default(),
            log: Vec::new(),
            started: (Instant::now(), -1.0),
            recent_loss: 0.0,
        })
    }

    /// The model's sizes.
    pub fn shape(&self) -> &ModelShape {
        &self.model.shape
    }

    /// Takes one batch.
    ///
    /// # Errors
    /// `diverged` when the loss, the gradient or a verdict is not finite
    pub fn take(
        &mut self,
        time: u64,
        examples: &Examples,
        goal: &impl Goal,
        host: &mut Host<'_>,
    ) -> Result<()> {
        if let Some(epoch) = examples.epoch.filter(|epoch| *epoch > self.state.epoch) {
            self.end_epoch()?;
            self.state.epoch = epoch;
        }
        match (examples.used_for, examples.epoch) {
            (Use::Train, _) => self.train(examples, goal)?,
            (Use::Validate, Some(_)) => self.validate(&examples.tokens, &examples.classes)?,
            (Use::Validate, None) => self.held_out.add(examples),
        }
        self.state.began = true;
        self.give(time, host)?;
        self.show(examples.progress, host);
        Ok(())
    }

    /// The rest of the log, and the vectors to keep: the best on the held-out reviews, or the
    /// last where none are held out.
    ///
    /// # Errors
    /// `no-reviews`; `diverged` when a weight or a verdict is not finite
    pub fn finish(&mut self, host: &mut Host<'_>) -> Result<&[Vec<f32>]> {
        if !self.state.began {
            return Err(Error::new("no-reviews", "no review came to train with"));
        }
        self.end_epoch()?;
        self.note("end", None, None, self.state.best.quality());
        self.give(0, host)?;
        let made = if self.best.is_empty() {
            &self.vectors
        } else {
            &self.best
        };
        if finite(made) {
            Ok(made)
        } else {
            Err(self.diverged("a weight is"))
        }
    }

    fn train(&mut self, examples: &Examples, goal: &impl Goal) -> Result<()> {
        if self.has_stopped() {
            return Ok(());
        }
        self.state.step += 1;
        let mask = Mask::new(self.schedule.dropout, self.schedule.seed).derived(self.state.step);
        let output = self
            .model
            .run(&examples.tokens, Some(mask), &goal.scores()?)
            .map_err(internal)?;
        let loss = goal.loss(&output)?;
        let value = loss.to_scalar::<f32>().map_err(internal)? + output.attention;
        if !value.is_finite() {
            return Err(self.diverged("the loss is"));
        }
        let gradients = self.model.gradients(&loss).map_err(internal)?;
        let length = norm(&gradients) as f32;
        if !length.is_finite() {
            return Err(self.diverged("the gradient is"));
        }
        let scale = (self.schedule.clip / length.max(1e-12)).min(1.0);
        let rate = self.schedule.rate(examples.progress);
        self.step(&gradients, scale, rate);
        self.zero();
        self.model.set(&self.vectors).map_err(internal)?;
        let weight = if self.recent_loss == 0.0 { 1.0 } else { 0.05 };
        self.recent_loss += weight * (value - self.recent_loss);
        self.note("step", Some(value), Some(rate), None);
        Ok(())
    }

    /// Moves the weights against `gradients` times `scale`.
    fn step(&mut self, gradients: &[Vec<f32>], scale: f32, rate: f32) {
        for (i, gradient) in gradients.iter().enumerate() {
            let rate = rate * self.schedule.layer_decay.powi(self.depth(i));
            let decayed = 1.0 - rate * self.schedule.weight_decay;
            let (vector, moments) = (&mut self.vectors[i], &mut self.moments[i]);
            for part in &self.parts[i] {
                let step = Step {
                    rate,
                    kept: if part.decays() { decayed } else { 1.0 },
                    number: self.state.step,
                };
                let range = part.range.clone();
                let averages = (
                    &mut moments.first[range.clone()],
                    &mut moments.second[range.clone()],
                );
                let gradient = (&gradient[range.clone()], scale);
                AdamW::new(Form::Sum).step(&mut vector[range], gradient, averages, step);
            }
        }
    }

    /// How far vector number `i` lies below the pooler: 0 for the head, 1 for the last layer.
    fn depth(&self, i: usize) -> i32 {
        let head = LAYERS + self.shape().layers.len();
        head.saturating_sub(i.max(LAYERS - 1)) as i32
    }

    /// Whether no more is learnt.
    fn has_stopped(&self) -> bool {
        (self.state.best).has_waited(self.schedule.patience as usize)
    }

    /// That `what` not finite.
    fn diverged(&self, what: &str) -> Error {
        let step = self.state.step;
        let message = format!("{what} not finite at step {step}; lower `learning-rate`");
        Error::new("diverged", message)
    }

    /// Adds what the model makes of reviews to the tally.
    fn validate(&mut self, tokens: &Tokens, classes: &[Option<usize>]) -> Result<()> {
        let output = self.model.run(tokens, None, &[]).map_err(internal)?;
        let logits = output.logits.to_vec2::<f32>().map_err(internal)?;
        for (row, class) in logits.iter().zip(classes) {
            let Some(class) = class else { continue };
            if !row.iter().all(|logit| logit.is_finite()) {
                return Err(self.diverged("a verdict on a held-out review is"));
            }
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let tally = &mut self.state.tally;
            tally.reviews += 1;
            tally.correct += u64::from(row[*class] == top);
            tally.loss += f64::from(of_logits(row, *class));
        }
        Ok(())
    }

    /// Looks at the reviews that are held out of every epoch, and writes down what these and
    /// those of this epoch showed.
    fn end_epoch(&mut self) -> Result<()> {
        if !self.has_stopped() {
            let held_out = std::mem::take(&mut self.held_out);
            let looked = held_out
                .batches()
                .try_for_each(|(tokens, classes)| self.validate(&tokens, classes));
            self.held_out = held_out;
            looked?;
        }
        let tally = std::mem::take(&mut self.state.tally);
        if tally.reviews == 0 {
            return Ok(());
        }
        let accuracy = tally.correct as f32 / tally.reviews as f32;
        let loss = (tally.loss / tally.reviews as f64) as f32;
        if self.state.best.see(accuracy) {
            self.best.clone_from(&self.vectors);
        }
        self.note("validation", Some(loss), None, Some(accuracy));
        Ok(())
    }

    fn note(&mut self, event: &str, loss: Option<f32>, rate: Option<f32>, accuracy: Option<f32>) {
        self.log.push(Entry {
            event: event.to_owned(),
            epoch: self.state.epoch,
            step: self.state.step,
            loss,
            rate,
            accuracy,
        });
    }

    /// Gives what was written down.
    fn give(&mut self, time: u64, host: &mut Host<'_>) -> Result<()> {
        if !self.log.is_empty() {
            host.emit(log::batch(time, &self.log)?);
            self.log.clear();
        }
        Ok(())
    }

    fn show(&mut self, progress: f32, host: &Host<'_>) {
        if self.started.1 < 0.0 {
            self.started = (Instant::now(), progress);
        }
        let (since, before) = self.started;
        let done = progress - before;
        let left = if done > 0.0 {
            since.elapsed().mul_f32((1.0 - progress) / done)
        } else {
            Duration::ZERO
        };
        let held_out = match self.state.best.quality() {
            Some(accuracy) => format!(", best held out {:.2} %", 100.0 * accuracy),
            None => String::new(),
        };
        host.progress(&format!(
            "{:.1} % done, epoch {}, step {}, loss {:.4}{held_out}, {}:{:02} left",
            100.0 * progress,
            self.state.epoch + 1,
            self.state.step,
            self.recent_loss,
            left.as_secs() / 60,
            left.as_secs() % 60,
        ));
    }

    /// All that it needs to go on behind the last batch.
    ///
    /// # Errors
    /// `diverged` when a weight is not finite
    pub fn snapshot(&self) -> Result<Vec<u8>> {
        if !finite(&self.vectors) {
            return Err(self.diverged("a weight is"));
        }
        let held_out = self.held_out.vectors();
        let mut vectors: Vec<(String, &[f32])> = Vec::new();
        for (i, vector) in self.vectors.iter().enumerate() {
            vectors.push((format!("params.{i}"), vector));
            vectors.push((format!("first.{i}"), &self.moments[i].first));
            vectors.push((format!("second.{i}"), &self.moments[i].second));
        }
        for (i, vector) in self.best.iter().enumerate() {
            vectors.push((format!("best.{i}"), vector));
        }
        for (i, vector) in held_out.iter().enumerate() {
            vectors.push((format!("held-out.{i}"), vector));
        }
        pack_state(&self.state, &vectors)
    }

    /// Goes on behind the batch at which [`Trainer::snapshot`] gave `bytes`.
    ///
    /// # Errors
    /// `no-state` when these are not the state of such a model
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let (state, packed) = unpack_state::<State>(bytes)?;
        let vector = |name: &str, i: usize| packed.floats(&format!("{name}.{i}"));
        let of_model = |name: &str| -> Result<Vec<Vec<f32>>> {
            let vectors = self.parts.iter().enumerate().map(|(i, parts)| {
                let found = vector(name, i).map_err(no_state)?;
                if found.len() == length(parts) {
                    Ok(found)
                } else {
                    Err(no_state("it is of a model of another shape"))
                }
            });
            vectors.collect()
        };
        let vectors = of_model("params")?;
        let (first, second) = (of_model("first")?, of_model("second")?);
        let best = match state.best.quality() {
            Some(_) => of_model("best")?,
            None => Vec::new(),
        };
        let held_out = (0..HeldOut::VECTORS).map(|i| vector("held-out", i).map_err(no_state));
        let held_out = HeldOut::from_vectors(&held_out.collect::<Result<Vec<_>>>()?);
        self.model.set(&vectors).map_err(internal)?;
        let moments = first.into_iter().zip(second);
        self.moments = moments
            .map(|(first, second)| Moments { first, second })
            .collect();
        (self.vectors, self.best) = (vectors, best);
        (self.state, self.held_out) = (state, held_out);
        Ok(())
    }
}

/// Whether every number is.
fn finite(vectors: &[Vec<f32>]) -> bool {
    vectors.iter().flatten().all(|x| x.is_finite())
}

/// The cross entropy with the reviews' classes.
///
/// # Errors
/// None
pub fn class_loss(output: &Output, examples: &Examples, labels: usize) -> Result<Tensor> {
    let loss = || soft_cross_entropy(&output.logits, &targets(&examples.classes, labels)?);
    loss().map_err(internal)
}

/// candle's own errors, which no data should be able to cause.
pub fn internal(error: candle_core::Error) -> Error {
    Error::new("training-failed", error.to_string())
}

/// That a stage was not started.
pub fn not_started() -> Error {
    Error::new("not-started", "no weights were loaded")
}

mod pruned;
mod whole;

#[cfg(test)]
mod tests;
