//! Training in a stream: each batch is a step, held-out batches are looked at, and the state is
//! saved every few minutes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use segue_plugin::{Error, Host, Result};
use serde::{Deserialize, Serialize};

use crate::adamw::{AdamW, Moments, norm};
use crate::attention::Scores;
use crate::batch::{Examples, Use};
use crate::checkpoint;
use crate::config::ModelShape;
use crate::dropout::Mask;
use crate::log::{self, Entry};
use crate::model::{Model, Output, cross_entropy};
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
        let part = match progress < self.warm_up {
            true => progress / self.warm_up,
            false => (1.0 - progress) / (1.0 - self.warm_up),
        };
        self.learning_rate * part.clamp(0.0, 1.0)
    }
}

/// Sums over held-out reviews.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    reviews: u64,
    correct: u64,
    loss: f64,
}

/// All of the state that is no vector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// The last batch that is in it.
    time: Option<u64>,
    step: u64,
    epoch: u32,
    tally: Tally,
    /// The best held-out accuracy, and the epochs since.
    best: Option<(f32, u32)>,
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
    state: State,
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
        let (state, vectors, moments, best) = match from {
            0 => {
                let vectors = vectors()?;
                let moments = vectors.iter().map(|v| Moments::zeros(v.len())).collect();
                (State::default(), vectors, moments, Vec::new())
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
            state,
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
    /// `no-checkpoint` when an old batch comes again that the checkpoint does not know,
    /// `diverged` when the loss is no number any more
    pub fn take(
        &mut self,
        time: u64,
        examples: &Examples,
        goal: &impl Goal,
        host: &mut Host<'_>,
    ) -> Result<()> {
        if self.state.time.is_some_and(|seen| time <= seen) {
            return self.give(time, host);
        }
        match examples.used_for {
            Use::Train => {
                self.end_epoch(time);
                self.state.epoch = examples.epoch;
                self.train(time, examples, goal)?;
            }
            Use::Validate => self.validate(examples)?,
        }
        self.state.time = Some(time);
        self.give(time, host)?;
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
    /// `no-reviews`
    pub fn finish(&mut self, host: &mut Host<'_>) -> Result<&[Vec<f32>]> {
        let Some(time) = self.state.time else {
            return Err(Error::new("no-reviews", "no review came to train with"));
        };
        // Behind every batch: a crash from here on comes back to the last checkpoint.
        let end = time + 1;
        self.end_epoch(end);
        let accuracy = self.state.best.map(|(accuracy, _)| accuracy);
        self.note(end, "end", None, None, accuracy);
        self.give(end, host)?;
        Ok(match self.best.is_empty() {
            true => &self.vectors,
            false => &self.best,
        })
    }

    fn train(&mut self, time: u64, examples: &Examples, goal: &impl Goal) -> Result<()> {
        if self
            .state
            .best
            .is_some_and(|(_, since)| since >= self.schedule.patience)
        {
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
            return Err(self.diverged(&format!("the loss is {value}")));
        }
        let gradients = self.model.gradients(&loss).map_err(internal)?;
        let length = norm(&gradients) as f32;
        if !length.is_finite() {
            return Err(self.diverged(&format!("the gradient's length is {length}")));
        }
        let scale = (self.schedule.clip / length.max(1e-12)).min(1.0);
        let rate = self.schedule.rate(examples.progress);
        let adam = AdamW {
            weight_decay: self.schedule.weight_decay,
            ..AdamW::default()
        };
        for (i, gradient) in gradients.iter().enumerate() {
            let params = (self.vectors[i].as_mut_slice(), self.parts[i].as_slice());
            adam.step(
                params,
                (gradient, scale),
                &mut self.moments[i],
                rate,
                self.state.step,
            );
        }
        self.model.set(&self.vectors).map_err(internal)?;
        let weight = if self.recent_loss == 0.0 { 1.0 } else { 0.05 };
        self.recent_loss += weight * (value - self.recent_loss);
        self.note(time, "step", Some(value), Some(rate), None);
        Ok(())
    }

    fn diverged(&self, what: &str) -> Error {
        let step = self.state.step;
        let message = format!("{what} at step {step}; lower `learning-rate`");
        Error::new("diverged", message)
    }

    fn validate(&mut self, examples: &Examples) -> Result<()> {
        let output = self.model.run(&examples.tokens, None, &[]);
        let output = output.map_err(internal)?;
        let logits = output.logits.to_vec2::<f32>().map_err(internal)?;
        for (row, class) in logits.iter().zip(&examples.classes) {
            if let Some(logit) = row.iter().find(|logit| !logit.is_finite()) {
                return Err(self.diverged(&format!("a held-out review has a logit of {logit}")));
            }
            let Some(class) = class else { continue };
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = row.iter().map(|x| (x - top).exp()).sum();
            let tally = &mut self.state.tally;
            tally.reviews += 1;
            tally.correct += u64::from(row[*class] == top);
            tally.loss += f64::from(sum.ln() + top - row[*class]);
        }
        Ok(())
    }

    /// Writes down what the held-out reviews showed, if they were looked at since.
    fn end_epoch(&mut self, time: u64) {
        let tally = std::mem::take(&mut self.state.tally);
        if tally.reviews == 0 {
            return;
        }
        let accuracy = tally.correct as f32 / tally.reviews as f32;
        let loss = (tally.loss / tally.reviews as f64) as f32;
        match &mut self.state.best {
            Some((best, since)) if *best >= accuracy => *since += 1,
            best => {
                *best = Some((accuracy, 0));
                self.best.clone_from(&self.vectors);
            }
        }
        self.note(time, "validation", Some(loss), None, Some(accuracy));
    }

    fn note(
        &mut self,
        time: u64,
        event: &str,
        loss: Option<f32>,
        rate: Option<f32>,
        accuracy: Option<f32>,
    ) {
        self.state.log.push(Entry {
            time,
            event: event.to_owned(),
            epoch: self.state.epoch,
            step: self.state.step,
            loss,
            rate,
            accuracy,
        });
    }

    /// Gives the rows of `time`, for the first time or again.
    fn give(&self, time: u64, host: &mut Host<'_>) -> Result<()> {
        let from = self.state.log.partition_point(|entry| entry.time < time);
        let rows = self.state.log[from..]
            .iter()
            .take_while(|entry| entry.time == time);
        if rows.clone().next().is_some() {
            host.emit(log::batch(time, rows)?);
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
        let held_out = match self.state.best {
            Some((accuracy, _)) => format!(", best held out {:.2} %", 100.0 * accuracy),
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
        let mut vectors: Vec<(String, &[f32])> = Vec::new();
        for (i, vector) in self.vectors.iter().enumerate() {
            vectors.push((format!("params.{i}"), vector));
            vectors.push((format!("first.{i}"), &self.moments[i].first));
            vectors.push((format!("second.{i}"), &self.moments[i].second));
        }
        for (i, vector) in self.best.iter().enumerate() {
            vectors.push((format!("best.{i}"), vector));
        }
        checkpoint::save(&self.path, &self.state, &vectors)?;
        self.saved = Instant::now();
        Ok(())
    }
}

type Resumed = (State, Vec<Vec<f32>>, Vec<Moments>, Vec<Vec<f32>>);

fn resume(path: &std::path::Path, count: usize) -> Result<Resumed> {
    let (state, mut vectors) = checkpoint::load::<State>(path)?;
    let mut take = |name: &str, i: usize| {
        vectors.remove(&format!("{name}.{i}")).ok_or_else(|| {
            let message = format!("`{}` belongs to another model", path.display());
            Error::new("no-checkpoint", message)
        })
    };
    let mut all = |name: &str| {
        (0..count)
            .map(|i| take(name, i))
            .collect::<Result<Vec<_>>>()
    };
    let (params, first, second) = (all("params")?, all("first")?, all("second")?);
    let best = if state.best.is_some() {
        all("best")?
    } else {
        Vec::new()
    };
    let moments = (first.into_iter().zip(second))
        .map(|(first, second)| Moments { first, second })
        .collect();
    Ok((state, params, moments, best))
}

/// The cross entropy with the reviews' classes.
///
/// # Errors
/// None
pub fn class_loss(output: &Output, examples: &Examples, labels: usize) -> Result<Tensor> {
    let mut targets = vec![0.0f32; examples.len() * labels];
    for (row, class) in examples.classes.iter().enumerate() {
        if let Some(class) = class {
            targets[row * labels + class] = 1.0;
        }
    }
    let targets = Tensor::from_vec(targets, (examples.len(), labels), &Device::Cpu);
    cross_entropy(&output.logits, &targets.map_err(internal)?).map_err(internal)
}

/// candle's own errors, which no data should be able to cause.
pub fn internal(error: candle_core::Error) -> Error {
    Error::new("training-failed", error.to_string())
}
