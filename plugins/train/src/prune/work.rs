//! What a stage that prunes does, between what it is given and what it gives.

use segue_plugin::{Batch, Error, Host, Result};

use super::calibration::Calibration;
use super::importance::Importance;
use super::options::{Kind, Prune, Score, bad_options};
use super::recovery::{Lesson, Recover};
use super::rescale::rescale;
use super::target::{Parts, by_speed, cost_of, costs};
use super::units::{Kept, absolute_weights, places_of_others, remove};
use super::weights::places_of_smallest;
use crate::batch::{Examples, Use};
use crate::config::{Config, ModelShape};
use crate::layer::LayerShape;
use crate::log::{self, Entry};
use crate::model::Tokens;
use crate::output::{Tokenizer, read_tokenizer};
use crate::params::{self, LAYERS, parts};
use crate::shrink::{Target, shrink};
use crate::trainer::{Trainer, not_started};

/// The stage at work.
pub(super) struct Running {
    pub(super) config: Config,
    pub(super) tokenizer: Tokenizer,
    /// The model to begin with, less the hidden dimensions that are not kept.
    pub(super) shape: ModelShape,
    pub(super) vectors: Vec<Vec<f32>>,
    pub(super) phase: Phase,
}

pub(super) enum Phase {
    /// Reviews are looked at.
    Calibrating(Box<Calibration>),
    /// What is to go at once is gone; `raised` times what goes gradually.
    Pruned {
        trainer: Box<Trainer>,
        gone: Vec<Vec<bool>>,
        raised: u32,
    },
}

/// Blames the model for what nobody else is blamed for.
pub(super) fn blame(error: Error) -> Error {
    match error.option {
        None => error.option("model"),
        Some(_) => error,
    }
}

impl Prune {
    pub(super) fn base(&self) -> Result<(Config, Tokenizer, Vec<String>)> {
        let (config, labels) = Config::read(&self.model, &self.labels)?;
        Ok((config, read_tokenizer(&self.model)?, labels))
    }

    /// The model to begin with.
    pub(super) fn narrowed(&self, config: &Config) -> Result<(ModelShape, Vec<Vec<f32>>)> {
        let vectors = params::read(&self.model, config, self.schedule.seed).map_err(blame)?;
        let Some(hidden) = self.hidden else {
            return Ok((config.shape.clone(), vectors));
        };
        let inner = config.shape.layers.iter().map(|layer| layer.inner).max();
        let target = Target {
            layers: (0..config.shape.layers.len()).collect(),
            hidden,
            inner: inner.unwrap_or_default(),
        };
        let (shape, vectors, _) = shrink(&config.shape, &vectors, &target)?;
        Ok((shape, vectors))
    }

    pub(super) fn is_gradual(&self) -> bool {
        self.gradual > 0.0
    }

    pub(super) fn calibrates(&self) -> bool {
        let looks = self.score == Score::Fisher || self.rescale;
        self.kind == Kind::Structured && !self.is_gradual() && looks && self.calibration > 0
    }

    pub(super) fn trainer(&self, shape: ModelShape, vectors: Vec<Vec<f32>>) -> Result<Trainer> {
        Trainer::start(self.schedule.clone(), shape, vectors, &self.output)
    }

    /// What each layer keeps, by what was looked at or by absolute weights.
    pub(super) fn kept(
        &self,
        (shape, vectors): (&ModelShape, &[Vec<f32>]),
        importance: Option<&Importance>,
        amount: f64,
    ) -> Result<Vec<Kept>> {
        let layers = shape.layers.iter().enumerate();
        let scores = match importance.filter(|_| self.score == Score::Fisher) {
            Some(importance) => importance.0.clone(),
            None => layers
                .map(|(at, layer)| absolute_weights(*layer, &vectors[LAYERS + at]))
                .collect(),
        };
        let parts = match self.speedup.filter(|_| !self.has_options()) {
            Some(speedup) => {
                let times = self.times.as_deref();
                let costs = costs(shape, times).map_err(|e| e.option("times"))?;
                return by_speed(shape, &scores, &costs, speedup);
            }
            None if self.has_options() => self.parts()?,
            None => Parts::all(amount),
        };
        parts.kept(&scores).map_err(bad_options)
    }

    /// Which numbers are zero when a part of `amount` is gone.
    pub(super) fn gone(
        &self,
        shape: &ModelShape,
        vectors: &[Vec<f32>],
        amount: f64,
    ) -> Result<Vec<Vec<bool>>> {
        match self.kind {
            Kind::Unstructured => {
                let how = (amount, self.scope, self.tables);
                Ok(places_of_smallest(&parts(shape), vectors, how))
            }
            Kind::Structured => {
                let kept = self.kept((shape, vectors), None, amount)?;
                Ok(places_of_others(shape, vectors, &kept))
            }
        }
    }

    /// Takes out what goes at once, by what a calibration saw.
    pub(super) fn prune(
        &self,
        (shape, vectors): (&ModelShape, &[Vec<f32>]),
        calibration: Option<Calibration>,
    ) -> Result<Phase> {
        let amount = self.amount.unwrap_or_default();
        if self.is_gradual() {
            return Ok(Phase::Pruned {
                trainer: Box::new(self.trainer(shape.clone(), vectors.to_vec())?),
                gone: Vec::new(),
                raised: 0,
            });
        }
        let raised = self.gradual_steps;
        if self.kind == Kind::Unstructured {
            let gone = self.gone(shape, vectors, amount)?;
            let mut trainer = Box::new(self.trainer(shape.clone(), vectors.to_vec())?);
            trainer.keep_zero(gone.clone())?;
            return Ok(Phase::Pruned {
                trainer,
                gone,
                raised,
            });
        }
        let importance = calibration
            .as_ref()
            .map(|calibration| &calibration.importance);
        let kept = self.kept((shape, vectors), importance, amount)?;
        let (small, mut made) = remove(shape, vectors, &kept);
        if let Some(calibration) = calibration.as_ref().filter(|_| self.rescale) {
            let reviews: Vec<&[u32]> = calibration.reviews.iter().collect();
            let batches: Vec<Tokens> = (reviews.chunks(32))
                .map(|rows| Tokens::new(rows.iter().copied()))
                .collect();
            let threads = self.schedule.threads();
            rescale((shape, vectors), (&small, &mut made), &batches, threads)?;
        }
        let mut trainer = Box::new(self.trainer(small, made)?);
        if let Some(calibration) = calibration {
            trainer.hold_out(calibration.held_out);
        }
        Ok(Phase::Pruned {
            trainer,
            gone: Vec::new(),
            raised,
        })
    }

    /// Takes out more where it is time to.
    ///
    /// # Source
    /// Zhu and Gupta, arXiv:1710.01878, section 3: a part of 1 - (1 - t)³
    pub(super) fn raise(
        &self,
        trainer: &mut Trainer,
        raised: &mut u32,
        progress: f64,
    ) -> Result<Option<Vec<Vec<bool>>>> {
        let steps = f64::from(self.gradual_steps);
        let due = (progress / self.gradual.max(f64::MIN_POSITIVE) * steps)
            .floor()
            .min(steps);
        if due as u32 <= *raised {
            return Ok(None);
        }
        *raised = due as u32;
        let part = 1.0 - (1.0 - due / steps).powi(3);
        let amount = self.amount.unwrap_or_default() * part;
        let gone = self.gone(trainer.shape(), trainer.current(), amount)?;
        trainer.keep_zero(gone.clone())?;
        trainer.forget_best();
        Ok(Some(gone))
    }

    /// Says, at `time`, that something was taken out, and what is left.
    pub(super) fn tell(&self, time: u64, running: &Running, host: &mut Host<'_>) -> Result<()> {
        let Phase::Pruned { trainer, .. } = &running.phase else {
            return Ok(());
        };
        let list = |of: &dyn Fn(&LayerShape) -> usize| {
            let all: Vec<String> = trainer
                .shape()
                .layers
                .iter()
                .map(|l| of(l).to_string())
                .collect();
            all.join(" ")
        };
        let costs = costs(&running.shape, self.times.as_deref())?;
        host.progress(&format!(
            "pruned: heads {}, inner units {}, {:.2} times less to do",
            list(&|layer| layer.heads),
            list(&|layer| layer.inner),
            cost_of(&running.shape, &costs) / cost_of(trainer.shape(), &costs),
        ));
        host.emit(log::batch(
            time,
            &[Entry {
                event: "pruned".into(),
                epoch: 0,
                step: 0,
                loss: None,
                rate: None,
                accuracy: None,
            }],
        )?);
        Ok(())
    }

    pub(super) fn take(
        &self,
        running: &mut Running,
        batch: &Batch,
        host: &mut Host<'_>,
    ) -> Result<()> {
        let examples = Examples::read(batch, &running.shape, &self.labels)?;
        if let Phase::Calibrating(calibration) = &mut running.phase {
            calibration.take(&running.vectors, &examples, self.score)?;
            host.progress(&format!(
                "looked at {} of {} reviews",
                calibration.seen, self.calibration
            ));
            if calibration.seen >= self.calibration {
                self.end_calibration(running, batch.time(), host)?;
            }
            return Ok(());
        }
        let Phase::Pruned {
            trainer,
            gone,
            raised,
        } = &mut running.phase
        else {
            return Err(not_started());
        };
        if self.is_gradual()
            && examples.used_for == Use::Train
            && let Some(more) = self.raise(trainer, raised, f64::from(examples.progress))?
        {
            *gone = more;
            trainer.note_event("pruned");
        }
        if self.recover == Recover::None {
            self.tell(batch.time(), running, host)?;
            host.done();
            return Ok(());
        }
        let lesson = Lesson {
            recover: self.recover,
            counts: &self.counts,
            batch,
            examples: &examples,
            labels: self.labels.len(),
        };
        trainer.take(batch.time(), &examples, &lesson, host)
    }

    pub(super) fn end_calibration(
        &self,
        running: &mut Running,
        time: u64,
        host: &mut Host<'_>,
    ) -> Result<()> {
        let Running {
            shape,
            vectors,
            phase,
            ..
        } = running;
        if let Phase::Calibrating(calibration) = phase {
            let rest = Calibration::new(shape, vectors, 1)?;
            let calibration = std::mem::replace(&mut **calibration, rest);
            *phase = self.prune((shape, vectors), Some(calibration))?;
            self.tell(time, running, host)?;
            if self.recover == Recover::None {
                host.done();
            }
        }
        Ok(())
    }

    /// The pruned model.
    pub(super) fn made(
        &self,
        running: &mut Running,
        host: &mut Host<'_>,
    ) -> Result<(ModelShape, Vec<Vec<f32>>)> {
        if let Phase::Calibrating(calibration) = &running.phase {
            if calibration.seen == 0 {
                return Err(Error::new("no-reviews", "no review came to prune by"));
            }
            self.end_calibration(running, 0, host)?;
        }
        let Phase::Pruned {
            trainer, raised, ..
        } = &mut running.phase
        else {
            return Err(not_started());
        };
        let shape = trainer.shape().clone();
        if self.recover == Recover::None {
            return Ok((shape, trainer.current().to_vec()));
        }
        self.raise(trainer, raised, 1.0)?;
        let vectors = trainer.finish(host)?.to_vec();
        if !self.is_gradual() || self.kind == Kind::Unstructured {
            return Ok((shape, vectors));
        }
        // What is gone is zero, and so the first to go again.
        let kept = self.kept((&shape, &vectors), None, self.amount.unwrap_or_default())?;
        Ok(remove(&shape, &vectors, &kept))
    }
}
