//! Pruning, as the host calls it.

use segue_learn::store::no_state;
use segue_plugin::{
    Batch, Column, Columns, Context, Host, Next, Result, Stage, fixed_f32, ragged_f32,
};
use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::options::{Prune, bad_options};
use super::recovery::{Recover, state};
use super::state::{join, split};
use super::target::costs;
use super::units::{Kept, remove};
use super::weights::{from_bits, to_bits};
use super::work::{Phase, Running, blame};
use crate::batch::reads;
use crate::config::ModelShape;
use crate::log::writes;
use crate::output::write_files;
use crate::params;
use crate::trainer::not_started;

/// What a state says besides vectors.
#[derive(Serialize, Deserialize)]
struct Said {
    /// Reviews looked at; `None` when it is pruned.
    seen: Option<usize>,
    raised: u32,
    /// Of each layer, heads and inner units.
    sizes: Vec<(usize, usize)>,
}

impl Stage for Prune {
    fn columns(&self) -> Columns {
        writes(reads(Columns::new()), self.schedule.pause_ms())
    }

    fn columns_for(&self, _: &[Column]) -> Result<Columns> {
        self.check()?;
        let (config, _, labels) = self.base().map_err(blame)?;
        params::open(&self.model, &config).map_err(blame)?;
        costs(&config.shape, self.times.as_deref()).map_err(|e| e.option("times"))?;
        let layers = config.shape.layers.len();
        self.parts()?.check_layers(layers).map_err(bad_options)?;
        let columns = self.columns();
        if self.recover != Recover::Distill {
            return Ok(columns);
        }
        let columns = columns.reads("logits", fixed_f32(labels.len()));
        if self.counts.state_weight == 0.0 {
            return Ok(columns);
        }
        let hidden = ragged_f32(config.shape.hidden);
        let states = 0..=config.shape.layers.len();
        Ok(states.fold(columns, |columns, number| {
            columns.reads(&state(number), hidden)
        }))
    }

    fn start(&mut self, _: &Context) -> Result<()> {
        let (config, tokenizer, labels) = self.base().map_err(blame)?;
        self.labels = labels;
        let (shape, vectors) = self.narrowed(&config)?;
        let phase = if self.calibrates() {
            let threads = self.schedule.threads();
            Phase::Calibrating(Box::new(Calibration::new(&shape, &vectors, threads)?))
        } else {
            self.prune((&shape, &vectors), None)?
        };
        self.running = Some(Running {
            config,
            tokenizer,
            shape,
            vectors,
            phase,
        });
        Ok(())
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        let Some(mut running) = self.running.take() else {
            return Err(not_started());
        };
        let taken = self.take(&mut running, &batch, host);
        self.running = Some(running);
        taken
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        let Some(running) = &self.running else {
            return Err(not_started());
        };
        let said = |seen, raised, shape: &ModelShape| {
            let sizes = shape
                .layers
                .iter()
                .map(|layer| (layer.heads, layer.inner))
                .collect();
            serde_json::to_vec(&Said {
                seen,
                raised,
                sizes,
            })
            .map_err(no_state)
        };
        match &running.phase {
            Phase::Calibrating(calibration) => {
                let said = said(Some(calibration.seen), 0, &running.shape)?;
                let [scores, reviews, held_out] = calibration.snapshot()?;
                Ok(join(&[&said, &scores, &reviews, &held_out]))
            }
            Phase::Pruned {
                trainer,
                gone,
                raised,
            } => {
                let said = said(None, *raised, trainer.shape())?;
                Ok(join(&[&said, &trainer.snapshot()?, &to_bits(gone), &[]]))
            }
        }
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(mut running) = self.running.take() else {
            return Err(not_started());
        };
        let [said, first, second, third] = split::<4>(bytes)?;
        let said: Said = serde_json::from_slice(said).map_err(no_state)?;
        match (&mut running.phase, said.seen) {
            (Phase::Calibrating(calibration), Some(seen)) => {
                calibration.restore(seen, first, second, third)?;
            }
            (_, Some(_)) => return Err(no_state("it is of other options")),
            (_, None) => {
                let (shape, vectors) = self.sized(&running, &said.sizes)?;
                let gone = if second.is_empty() {
                    Vec::new()
                } else {
                    from_bits(second, &vectors)
                        .ok_or_else(|| no_state("it is of a model of another shape"))?
                };
                let mut trainer = Box::new(self.trainer(shape, vectors)?);
                trainer.restore(first)?;
                trainer.keep_zero(gone.clone())?;
                running.phase = Phase::Pruned {
                    trainer,
                    gone,
                    raised: said.raised,
                };
            }
        }
        self.running = Some(running);
        Ok(())
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        let Some(mut running) = self.running.take() else {
            return Err(not_started());
        };
        let (shape, vectors) = self.made(&mut running, host)?;
        let config = running.config.text(&shape, &self.labels);
        let weights = if self.sparse {
            params::sparse_file(&shape, &vectors, self.half_precision)?
        } else {
            params::file(&shape, &vectors, self.half_precision)?
        };
        write_files(&self.output, &running.tokenizer, &weights, &config)?;
        self.running = Some(running);
        Ok(Next::Done)
    }
}

impl Prune {
    /// A model of these sizes, whose numbers a state brings.
    fn sized(
        &self,
        running: &Running,
        sizes: &[(usize, usize)],
    ) -> Result<(ModelShape, Vec<Vec<f32>>)> {
        let other = || no_state("it is of a model of another shape");
        let mut kept = Vec::new();
        for (layer, (heads, inner)) in running.shape.layers.iter().zip(sizes) {
            if *heads > layer.heads || *inner > layer.inner || *heads == 0 || *inner == 0 {
                return Err(other());
            }
            kept.push(Kept {
                heads: (0..*heads).collect(),
                inner: (0..*inner).collect(),
            });
        }
        if sizes.len() == running.shape.layers.len() {
            Ok(remove(&running.shape, &running.vectors, &kept))
        } else {
            Err(other())
        }
    }
}
