//! Distillation, as a graph file names it.

use std::collections::BTreeSet;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use segue_kernels::training::{Onto, View, fill, matmul, softmax};
use segue_learn::loss::soft_cross_entropy;
use segue_plugin::{
    Batch, Column, Columns, Context, Error, Host, ModelPath, Next, OutputPath, Result, Stage,
    fixed_f32, ragged_f32,
};
use serde::Deserialize;

use crate::attention::Scores;
use crate::batch::{Examples, reads};
use crate::config::Config;
use crate::labels::labels;
use crate::layer::LayerShape;
use crate::log::writes;
use crate::model::Output;
use crate::output::{Tokenizer, read_tokenizer, write_model};
use crate::params::{self, LAYERS};
use crate::schedule::Schedule;
use crate::shrink::{Kept, Target, shrink};
use crate::trainer::{Goal, Trainer, class_loss, internal, not_started};

/// Trains a smaller model to do as a larger one does, which runs upstream as `bert` stages.
///
/// The student starts as a part of the teacher: some of its layers, and of their widths what has
/// the largest absolute weights. It learns the teacher's hidden states, after the embeddings and
/// after each kept layer, and the scores of these layers' attention; and the teacher's verdicts
/// and the true labels, together with them or after them.
///
/// # Columns
/// reads  `tokens`, `truth`, and `role`, `epoch`, `progress` as `read` gives them; the teacher's
/// `logits: fixed f32[labels]`, and its states, each `ragged f32[H]`: `state-0`; for each kept
/// layer L `state-(L+1)`, which it gives; and, unless `attention-weight` is 0, `state-L`, which it
/// takes
///
/// A review without a label counts for all but the labels' part of the loss, which is a mean over
/// the others.
///
/// writes a row a step, and one for each look at the held-out reviews
/// # Source
/// Jiao et al., arXiv:1909.10351
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Distill {
    /// The teacher: a Hugging Face folder, the same that runs upstream.
    pub teacher: ModelPath,
    /// The folder for the trained student.
    pub output: OutputPath,
    /// The teacher's layers that the student keeps, ascending: `0,2,3,5`.
    pub layers: String,
    /// The student's hidden size.
    pub hidden: usize,
    /// The inner size of the student's feed-forward blocks.
    pub inner: usize,
    /// The classes, in the order of the teacher's logits; left out, as the teacher calls them, or else negative and positive.
    #[serde(default)]
    pub labels: Vec<String>,
    /// What counts how much.
    #[serde(flatten)]
    pub counts: Counts,
    /// Store the weights in 16 bits.
    #[serde(default)]
    pub half_precision: bool,
    /// How to train.
    #[serde(flatten)]
    pub schedule: Schedule,
    #[serde(skip)]
    running: Option<Running>,
}

/// How much each part of the loss counts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Counts {
    /// How much the difference of hidden states counts.
    pub state_weight: f32,
    /// How much the difference of attention scores counts, which is larger by itself.
    pub attention_weight: f32,
    /// The part of the run before which verdicts and labels do not count.
    pub predict_from: f32,
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
            state_weight: 1.0,
            attention_weight: 0.05,
            predict_from: 0.0,
            verdict_weight: 1.0,
            label_weight: 0.5,
            temperature: 1.0,
        }
    }
}

struct Running {
    config: Config,
    tokenizer: Tokenizer,
    teacher: Teacher,
    trainer: Trainer,
}

/// What of the teacher is needed beside what it gives.
struct Teacher {
    hidden: usize,
    /// Of the kept layers.
    layers: Vec<LayerShape>,
    kept: Kept,
    /// Of each kept layer what makes queries and keys: weights (2 A, H), then biases (2 A).
    queries_keys: Vec<Vec<f32>>,
    threads: usize,
}

/// What the teacher says of a batch, and how much it counts.
struct Lesson<'a> {
    teacher: &'a Teacher,
    batch: &'a Batch,
    examples: &'a Examples,
    options: &'a Distill,
}

/// Blames the teacher for what nobody else is blamed for.
fn blame(error: Error) -> Error {
    match error.option {
        None => error.option("teacher"),
        Some(_) => error,
    }
}

impl Distill {
    fn target(&self) -> Result<Target> {
        let layers = (self.layers.split(','))
            .map(|text| text.trim().parse::<usize>())
            .collect::<std::result::Result<Vec<_>, _>>();
        let layers = layers.map_err(|_| {
            let message = format!("`{}` is no list of layers such as `0,2,3,5`", self.layers);
            Error::new("bad-option", message).option("layers")
        })?;
        Ok(Target {
            layers,
            hidden: self.hidden,
            inner: self.inner,
        })
    }

    /// After how many of the teacher's layers its states are needed.
    fn states(&self) -> Result<BTreeSet<usize>> {
        let layers = self.target()?.layers;
        let learnt = layers.iter().map(|layer| layer + 1).chain([0]);
        let entered = layers
            .iter()
            .copied()
            .filter(|_| self.counts.attention_weight > 0.0);
        Ok(learnt.chain(entered).collect())
    }

    fn check(&self) -> Result<()> {
        for (value, option) in [
            (self.counts.state_weight, "state-weight"),
            (self.counts.attention_weight, "attention-weight"),
            (self.counts.verdict_weight, "verdict-weight"),
            (self.counts.label_weight, "label-weight"),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                let message = format!("`{option}` must be 0 or more");
                return Err(Error::new("bad-option", message).option(option));
            }
        }
        if !(self.counts.temperature > 0.0 && self.counts.temperature.is_finite()) {
            let message = "`temperature` must be above 0";
            return Err(Error::new("bad-option", message).option("temperature"));
        }
        if !(0.0..=1.0).contains(&self.counts.predict_from) {
            let message = "`predict-from` must be from 0 to 1";
            return Err(Error::new("bad-option", message).option("predict-from"));
        }
        Ok(())
    }

    fn teacher(&self) -> Result<Config> {
        let (config, _) = Config::read(&self.teacher, &self.labels).map_err(blame)?;
        Ok(config)
    }

    /// The classes: as the graph calls them, or else the stage that gives the logits.
    fn classes(&self, input: &[Column]) -> Result<Vec<String>> {
        let logits = input.iter().find(|column| column.name == "logits");
        let known = logits.map_or(&[][..], |column| &column.labels);
        let (_, otherwise) = Config::read(&self.teacher, &self.labels).map_err(blame)?;
        match (self.labels.as_slice(), known) {
            ([], []) => Ok(otherwise),
            (given, known) => labels(given, known),
        }
    }
}

impl Stage for Distill {
    fn columns(&self) -> Columns {
        self.columns_for(&[]).unwrap_or_default()
    }

    fn columns_for(&self, input: &[Column]) -> Result<Columns> {
        self.check()?;
        self.schedule.check()?;
        let config = self.teacher()?;
        read_tokenizer(&self.teacher).map_err(blame)?;
        params::open(&self.teacher, &config).map_err(blame)?;
        let hidden = ragged_f32(config.shape.hidden);
        let labels = self.classes(input)?;
        let columns = reads(Columns::new()).reads("logits", fixed_f32(labels.len()));
        let states = self.states()?;
        let add =
            |columns: Columns, state: &usize| columns.reads(&format!("state-{state}"), hidden);
        let columns = states.iter().fold(columns, add);
        Ok(writes(columns, self.schedule.pause_ms()))
    }

    fn start(&mut self, context: &Context) -> Result<()> {
        self.labels = self.classes(&context.input)?;
        let config = self.teacher()?;
        let tokenizer = read_tokenizer(&self.teacher).map_err(blame)?;
        let vectors = params::read(&self.teacher, &config, self.schedule.seed).map_err(blame)?;
        let target = self.target()?;
        let (shape, student, kept) = shrink(&config.shape, &vectors, &target)?;
        let queries_keys = kept.layers.iter().map(|i| {
            let (layer, vector) = (config.shape.layers[*i], &vectors[LAYERS + i]);
            let (h, a, parts) = (layer.hidden, layer.attention(), layer.parts().qkv);
            let (weight, bias) = (&vector[parts.weight], &vector[parts.bias]);
            [&weight[..2 * a * h], &bias[..2 * a]].concat()
        });
        let layers = kept.layers.iter().map(|i| config.shape.layers[*i]);
        let teacher = Teacher {
            hidden: config.shape.hidden,
            layers: layers.collect(),
            queries_keys: queries_keys.collect(),
            kept,
            threads: self.schedule.threads(),
        };
        let schedule = self.schedule.clone();
        let trainer = Trainer::start(schedule, shape, student, &self.output)?;
        self.running = Some(Running {
            config,
            tokenizer,
            teacher,
            trainer,
        });
        Ok(())
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        let mut running = self.running.take();
        let Some(Running {
            teacher, trainer, ..
        }) = &mut running
        else {
            return Err(not_started());
        };
        let examples = Examples::read(&batch, trainer.shape(), &self.labels)?;
        let lesson = Lesson {
            teacher,
            batch: &batch,
            examples: &examples,
            options: self,
        };
        let taken = trainer.take(batch.time(), &examples, &lesson, host);
        self.running = running;
        taken
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        match &self.running {
            Some(Running { trainer, .. }) => trainer.snapshot(),
            None => Err(not_started()),
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        match &mut self.running {
            Some(Running { trainer, .. }) => trainer.restore(state),
            None => Err(not_started()),
        }
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        let Some(Running {
            config,
            tokenizer,
            trainer,
            ..
        }) = &mut self.running
        else {
            return Err(not_started());
        };
        let shape = trainer.shape().clone();
        let vectors = trainer.finish(host)?;
        let config = config.text(&shape, &self.labels);
        let model = (&shape, vectors);
        write_model(&self.output, tokenizer, model, &config, self.half_precision)?;
        Ok(Next::Done)
    }
}

impl Teacher {
    /// The state before layer `number`, (n, H).
    fn state(&self, batch: &Batch, number: usize) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for review in batch.ragged_f32(&format!("state-{number}"), self.hidden)? {
            values.extend_from_slice(review);
        }
        Ok(values)
    }

    /// That state on the dimensions the student has, (n, h).
    fn kept_state(&self, batch: &Batch, number: usize) -> Result<Tensor> {
        let (h, kept) = (self.hidden, &self.kept.hidden);
        let mut values = Vec::new();
        for review in batch.ragged_f32(&format!("state-{number}"), h)? {
            for token in review.chunks_exact(h) {
                values.extend(kept.iter().map(|i| token[*i]));
            }
        }
        let shape = (values.len() / kept.len(), kept.len());
        Tensor::from_vec(values, shape, &Device::Cpu).map_err(internal)
    }

    /// The queries and keys of kept layer `i` for `state`, (n, 2 A).
    fn queries_keys(&self, i: usize, state: &[f32]) -> Vec<f32> {
        let (h, a) = (self.hidden, self.layers[i].attention());
        let n = state.len() / h;
        let (weight, bias) = self.queries_keys[i].split_at(2 * a * h);
        let mut out = vec![0.0; n * 2 * a];
        fill(&mut out, bias);
        let (x, w) = (View::new(state, n, h), View::new(weight, 2 * a, h));
        matmul(&mut out, 2 * a, Onto::Sum, 1.0, (x, w.t()), self.threads);
        out
    }
}

impl Lesson<'_> {
    /// The teacher's probabilities, (reviews, labels).
    fn verdicts(&self) -> Result<Tensor> {
        let labels = self.options.labels.len();
        let mut verdicts: Vec<f32> = self.batch.fixed_f32("logits")?.1.to_vec();
        for logit in &mut verdicts {
            *logit /= self.options.counts.temperature;
        }
        softmax(&mut verdicts, labels);
        let shape = (verdicts.len() / labels, labels);
        Tensor::from_vec(verdicts, shape, &Device::Cpu).map_err(internal)
    }

    /// The cross entropies with the labels and with the teacher's verdicts, weighted.
    fn classes(&self, output: &Output) -> Result<Tensor> {
        let options = self.options;
        let temperature = options.counts.temperature;
        let known = class_loss(output, self.examples, options.labels.len())?;
        let verdicts = self.verdicts()?;
        let sum = || {
            let logits = output.logits.affine(1.0 / f64::from(temperature), 0.0)?;
            // Its gradient shrinks with the square of the temperature.
            let factor = f64::from(options.counts.verdict_weight * temperature * temperature);
            known.affine(f64::from(options.counts.label_weight), 0.0)?
                + soft_cross_entropy(&logits, &verdicts)?.affine(factor, 0.0)?
        };
        sum().map_err(internal)
    }

    /// The mean square of what the student's states are off, weighted.
    fn states(&self, output: &Output) -> Result<Tensor> {
        let kept = &self.teacher.kept.layers;
        let numbers = std::iter::once(0).chain(kept.iter().map(|layer| layer + 1));
        let factor = f64::from(self.options.counts.state_weight) / (kept.len() + 1) as f64;
        let mut sum = Tensor::zeros((), DType::F32, &Device::Cpu).map_err(internal)?;
        for (mine, number) in output.states.iter().zip(numbers) {
            let theirs = self.teacher.kept_state(self.batch, number)?;
            let add = || &sum + (mine - theirs)?.sqr()?.mean_all()?.affine(factor, 0.0)?;
            sum = add().map_err(internal)?;
        }
        Ok(sum)
    }
}

impl Goal for Lesson<'_> {
    fn scores(&self) -> Result<Vec<Scores>> {
        let (teacher, weight) = (self.teacher, self.options.counts.attention_weight);
        if weight == 0.0 {
            return Ok(Vec::new());
        }
        let layers = teacher.kept.layers.iter().enumerate();
        let scores = layers.map(|(i, layer)| {
            let state = teacher.state(self.batch, *layer)?;
            Ok(Scores {
                queries_keys: Arc::new(teacher.queries_keys(i, &state)),
                width: teacher.layers[i].attention(),
                weight: weight / teacher.kept.layers.len() as f32,
            })
        });
        scores.collect()
    }

    fn loss(&self, output: &Output) -> Result<Tensor> {
        let states = self.states(output)?;
        if self.examples.progress < self.options.counts.predict_from {
            Ok(states)
        } else {
            (states + self.classes(output)?).map_err(internal)
        }
    }
}

#[cfg(test)]
mod tests;
