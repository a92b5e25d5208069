//! Training in a stream: each batch is a step, held-out batches are looked at, and the state is
//! saved every few minutes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use candle_core::Tensor;
use schemars::JsonSchema;
use segue_kernels::training::Mask;
use segue_learn::adamw::{AdamW, Form, Moments, Step, norm};
use segue_learn::loss::{of_logits, soft_cross_entropy, targets};
use segue_learn::schedule::{Best, WarmUp};
use segue_learn::store::{pack_state, unpack_state, write_whole};
use segue_plugin::{Error, Host, Result};
use serde::{Deserialize, Serialize};

use crate::attention::Scores;
use crate::batch::{Examples, Use};
use crate::config::ModelShape;
use crate::held_out::HeldOut;
use crate::log::{self, Entry};
use crate::model::{Model, Output, Tokens};
use crate::params::{Part, parts};

/// How to train.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Schedule {
    /// The learning rate at its highest.
    pub learning_rate: f32,
    /// The part of all steps in which the rate rises from 0; then it falls back to 0.
    pub warm_up: f32,
    /// AdamW's weight decay of matrices.
    pub weight_decay: f32,
    /// Gradients longer than this are shortened to it.
    pub clip: f32,
    /// The part of values that dropout leaves out.
    pub dropout: f32,
    /// The seed of dropout and of what is drawn.
    pub seed: u64,
    /// Epochs without a better held-out accuracy after which no more is learnt.
    pub patience: u32,
    /// Minutes between two checkpoints.
    pub checkpoint_minutes: f32,
    /// Threads for the sums; 0 takes all cores.
    pub threads: usize,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            learning_rate: 5e-5,
            warm_up: 0.1,
            weight_decay: 0.01,
            clip: 1.0,
            dropout: 0.1,
            seed: 1,
            patience: 2,
            checkpoint_minutes: 3.0,
            threads: 0,
        }
    }
}

impl Schedule {
    /// # Errors
    /// `bad-option`
    pub fn check(&self) -> Result<()> {
        let part = |x: f32| (0.0..1.0).contains(&x);
        let positive = |x: f32| x > 0.0 && x.is_finite();
        for (good, option, rule) in [
            (positive(self.learning_rate), "learning-rate", "above 0"),
            (part(self.warm_up), "warm-up", "from 0 to below 1"),
            (part(self.dropout), "dropout", "from 0 to below 1"),
            (self.weight_decay >= 0.0, "weight-decay", "0 or more"),
            (positive(self.clip), "clip", "above 0"),
            (
                self.checkpoint_minutes >= 0.0,
                "checkpoint-minutes",
                "0 or more",
            ),
        ] {
            if !good {
                return Err(
                    Error::new("bad-option", format!("`{option}` must be {rule}")).option(option),
                );
            }
        }
        Ok(())
    }

    /// Threads to use.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// The rate when `progress` of all steps is done.
    fn rate(&self, progress: f32) -> f32 {
        let warm_up = WarmUp {
            highest: self.learning_rate,
            part: self.warm_up,
        };
        warm_up.rate(progress)
    }
}

/// Sums over held-out reviews.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    reviews: u64,
    correct: u64,
    loss: f64,
}

/// A batch: its time, and which of that time it is, from 1. Sources that are merged have batches
/// of the same time, in an order that is always the same.
type Place = (u64, u32);

/// All of the state that is not a vector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// The last batch that is in it.
    last: Option<Place>,
    step: u64,
    epoch: u32,
    tally: Tally,
    /// The best held-out accuracy, and the epochs since.
    best: Best<f32>,
    log: Vec<Entry>,
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
    state: State,
    /// The last batch that came in this run.
    came: Place,
    path: PathBuf,
    saved: Instant,
    started: (Instant, f32),
    recent_loss: f32,
}

impl Trainer {
    /// Starts with `vectors`, or goes on from the checkpoint in `folder` when the first batch to
    /// come is not number 0.
    ///
    /// # Errors
    /// `no-checkpoint`, `write-failed`, `bad-option`
    pub fn start(
        schedule: Schedule,
        shape: ModelShape,
        vectors: impl FnOnce() -> Result<Vec<Vec<f32>>>,
        folder: &std::path::Path,
        from: u64,
    ) -> Result<Self> {
        schedule.check()?;
        std::fs::create_dir_all(folder).map_err(|e| {
            let message = format!("cannot make the folder `{}`: {e}", folder.display());
            Error::new("write-failed", message).option("output")
        })?;
        let path = folder.join("checkpoint.safetensors");
        let parts = parts(&shape);
        let threads = schedule.threads();
        let (state, vectors, moments, best, held_out) = match from {
            0 => {
                let vectors = vectors()?;
                if !finite(&vectors) {
                    let message = "the model to begin with has numbers that are not finite";
                    return Err(Error::new("not-finite", message));
                }
                let moments = vectors.iter().map(|v| Moments::zeros(v.len())).collect();
                let (state, held_out) = (State::default(), HeldOut::default());
                (state, vectors, moments, Vec::new(), held_out)
            }
            _ => resume(&path, parts.len())?,
        };
        Ok(Trainer {
            model: Model::new(shape, &vectors, threads).map_err(internal)?,
            schedule,
            parts,
            vectors,
            moments,
            best,
            held_out,
            state,
            came: (0, 0),
            path,
            saved: Instant::now(),
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
        let place = match self.came {
            (before, count) if before == time => (time, count + 1),
            _ => (time, 1),
        };
        self.came = place;
        if self.state.last.is_some_and(|last| place <= last) {
            return self.give(place, host);
        }
        if let Some(epoch) = examples.epoch.filter(|epoch| *epoch > self.state.epoch) {
            self.end_epoch(place)?;
            self.state.epoch = epoch;
        }
        match (examples.used_for, examples.epoch) {
            (Use::Train, _) => self.train(place, examples, goal)?,
            (Use::Validate, Some(_)) => self.validate(&examples.tokens, &examples.classes)?,
            (Use::Validate, None) => self.held_out.add(examples),
        }
        self.state.last = Some(place);
        self.give(place, host)?;
        self.show(examples.progress, host);
        let minutes = self.saved.elapsed().as_secs_f32() / 60.0;
        if minutes >= self.schedule.checkpoint_minutes {
            self.save()?;
            host.saved();
        }
        Ok(())
    }

    /// The rest of the log, and the vectors to keep: the best on the held-out reviews, or the
    /// last where none are held out.
    ///
    /// # Errors
    /// `no-reviews`; `diverged` when a weight or a verdict is not finite
    pub fn finish(&mut self, host: &mut Host<'_>) -> Result<&[Vec<f32>]> {
        let Some((time, _)) = self.state.last else {
            return Err(Error::new("no-reviews", "no review came to train with"));
        };
        // Behind every batch: a crash from here on comes back to the last checkpoint.
        let end = (time + 1, 1);
        self.end_epoch(end)?;
        let accuracy = self.state.best.quality();
        self.note(end, "end", None, None, accuracy);
        self.give(end, host)?;
        let made = match self.best.is_empty() {
            true => &self.vectors,
            false => &self.best,
        };
        match finite(made) {
            true => Ok(made),
            false => Err(self.diverged("a weight is")),
        }
    }

    fn train(&mut self, place: Place, examples: &Examples, goal: &impl Goal) -> Result<()> {
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
        self.model.set(&self.vectors).map_err(internal)?;
        let weight = if self.recent_loss == 0.0 { 1.0 } else { 0.05 };
        self.recent_loss += weight * (value - self.recent_loss);
        self.note(place, "step", Some(value), Some(rate), None);
        Ok(())
    }

    /// Moves the weights against `gradients` times `scale`.
    fn step(&mut self, gradients: &[Vec<f32>], scale: f32, rate: f32) {
        let decayed = 1.0 - rate * self.schedule.weight_decay;
        for (i, gradient) in gradients.iter().enumerate() {
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
    fn end_epoch(&mut self, place: Place) -> Result<()> {
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
        self.note(place, "validation", Some(loss), None, Some(accuracy));
        Ok(())
    }

    fn note(
        &mut self,
        (time, batch): Place,
        event: &str,
        loss: Option<f32>,
        rate: Option<f32>,
        accuracy: Option<f32>,
    ) {
        self.state.log.push(Entry {
            time,
            batch,
            event: event.to_owned(),
            epoch: self.state.epoch,
            step: self.state.step,
            loss,
            rate,
            accuracy,
        });
    }

    /// Gives the rows of a batch, for the first time or again.
    fn give(&self, place: Place, host: &mut Host<'_>) -> Result<()> {
        let of = |entry: &Entry| (entry.time, entry.batch);
        let from = self.state.log.partition_point(|entry| of(entry) < place);
        let rows = self.state.log[from..].iter();
        let rows = rows.take_while(|entry| of(entry) == place);
        if rows.clone().next().is_some() {
            host.emit(log::batch(place.0, rows)?);
        }
        Ok(())
    }

    fn show(&mut self, progress: f32, host: &Host<'_>) {
        if self.started.1 < 0.0 {
            self.started = (Instant::now(), progress);
        }
        let (since, before) = self.started;
        let done = progress - before;
        let left = match done > 0.0 {
            true => since.elapsed().mul_f32((1.0 - progress) / done),
            false => Duration::ZERO,
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

    fn save(&mut self) -> Result<()> {
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
        write_whole(&self.path, &pack_state(&self.state, &vectors)?)?;
        self.saved = Instant::now();
        Ok(())
    }
}

/// Whether every number is.
fn finite(vectors: &[Vec<f32>]) -> bool {
    vectors.iter().flatten().all(|x| x.is_finite())
}

type Resumed = (State, Vec<Vec<f32>>, Vec<Moments>, Vec<Vec<f32>>, HeldOut);

fn resume(path: &std::path::Path, count: usize) -> Result<Resumed> {
    let unusable = |e: &dyn std::fmt::Display| {
        let message = format!("cannot go on from `{}`: {e}", path.display());
        Error::new("no-checkpoint", message)
    };
    let bytes = std::fs::read(path).map_err(|e| unusable(&e))?;
    let (state, mut vectors) = unpack_state::<State>(&bytes).map_err(|e| unusable(&e.message))?;
    let mut take = |name: &str, i: usize| {
        vectors.remove(&format!("{name}.{i}")).ok_or_else(|| {
            let message = format!("`{}` belongs to another model", path.display());
            Error::new("no-checkpoint", message)
        })
    };
    let mut some = |name: &str, count: usize| {
        (0..count)
            .map(|i| take(name, i))
            .collect::<Result<Vec<_>>>()
    };
    let params = some("params", count)?;
    let (first, second) = (some("first", count)?, some("second", count)?);
    let best = match state.best.quality() {
        Some(_) => some("best", count)?,
        None => Vec::new(),
    };
    let held_out = HeldOut::from_vectors(&some("held-out", HeldOut::VECTORS)?);
    let moments = (first.into_iter().zip(second))
        .map(|(first, second)| Moments { first, second })
        .collect();
    Ok((state, params, moments, best, held_out))
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

#[cfg(test)]
mod tests;
