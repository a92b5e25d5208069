//! Distillation, as a graph file names it.

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use segue_plugin::{
    Batch, Columns, Context, Error, Host, ModelPath, Next, OutputPath, Result, Stage, fixed_f32,
    ragged_f32,
};
use serde::Deserialize;

use crate::batch::{Examples, reads};
use crate::config::{Config, ModelShape};
use crate::finetune::sentiments;
use crate::log::writes;
use crate::model::{Output, cross_entropy};
use crate::output::{Tokenizer, read_tokenizer, write_model};
use crate::params;
use crate::prune::{Kept, Target, shrink};
use crate::rows::softmax;
use crate::trainer::{Schedule, Trainer, class_loss, internal};

/// Trains a smaller model to do as a larger one does, which runs upstream as `bert` stages.
///
/// The student starts as a part of the teacher: some of its layers, and of their widths what has
/// the largest absolute weights. It learns the teacher's hidden states, after the embeddings and
/// after each kept layer, together with its verdicts and the true labels.
///
/// # Columns
/// reads  `tokens`, `truth`, and `role`, `epoch`, `progress` as `read` gives them; the teacher's
/// `logits: fixed f32[labels]`, and its `state-0`, `state-K` for each kept layer K - 1
///
/// writes a row a step, and one for each look at the held-out reviews
/// # Source
/// Jiao et al., arXiv:1909.10351
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Distill {
    /// The teacher: a Hugging Face folder, the same that runs upstream.
    pub teacher: ModelPath,
    /// The folder for the trained student, and for checkpoints on the way.
    pub output: OutputPath,
    /// The teacher's layers that the student keeps, ascending: `0,2,3,5`.
    pub layers: String,
    /// The student's hidden size.
    pub hidden: usize,
    /// The inner size of the student's feed-forward blocks.
    pub inner: usize,
    /// The classes, in the order of the classifier's outputs.
    #[serde(default = "sentiments")]
    pub labels: Vec<String>,
    /// How much the difference of hidden states counts.
    #[serde(default = "one")]
    pub state_weight: f32,
    /// How much the teacher's verdicts count.
    #[serde(default = "one")]
    pub verdict_weight: f32,
    /// How much the true labels count.
    #[serde(default = "half")]
    pub label_weight: f32,
    /// The teacher's logits are divided by it, and the student's.
    #[serde(default = "one")]
    pub temperature: f32,
    /// Store the weights in 16 bits.
    #[serde(default)]
    pub half_precision: bool,
    /// How to train.
    #[serde(flatten)]
    pub schedule: Schedule,
    #[serde(skip)]
    running: Option<Running>,
}

struct Running {
    config: Config,
    tokenizer: Tokenizer,
    kept: Kept,
    trainer: Trainer,
}

/// What the teacher said of a batch.
struct Lesson {
    /// Each state on the dimensions the student has, (n, h).
    states: Vec<Tensor>,
    /// Probabilities, (reviews, labels).
    verdicts: Tensor,
}

fn one() -> f32 {
    1.0
}

fn half() -> f32 {
    0.5
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

    /// After how many of the teacher's layers its states are learnt.
    fn states(&self) -> Result<Vec<usize>> {
        let layers = self.target()?.layers;
        Ok(std::iter::once(0)
            .chain(layers.iter().map(|layer| layer + 1))
            .collect())
    }

    fn check(&self) -> Result<()> {
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
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            let message = "`temperature` must be above 0";
            return Err(Error::new("bad-option", message).option("temperature"));
        }
        Ok(())
    }

    fn teacher(&self) -> Result<Config> {
        let config = Config::read(&self.teacher, self.labels.len());
        config.map_err(|error| error.option("teacher"))
    }
}

impl Stage for Distill {
    fn columns(&self) -> Columns {
        self.columns_for(&[]).unwrap_or_default()
    }

    fn columns_for(&self, _: &[segue_plugin::Column]) -> Result<Columns> {
        self.check()?;
        let hidden = ragged_f32(self.teacher()?.shape.layer.hidden);
        let columns = reads(Columns::new()).reads("logits", fixed_f32(self.labels.len()));
        let states = self.states()?;
        let add =
            |columns: Columns, state: &usize| columns.reads(&format!("state-{state}"), hidden);
        Ok(writes(states.iter().fold(columns, add)))
    }

    fn start(&mut self, context: &Context) -> Result<()> {
        let config = self.teacher()?;
        let tokenizer = read_tokenizer(&self.teacher).map_err(|error| error.option("teacher"))?;
        let vectors = params::read(&self.teacher, &config.shape, self.schedule.seed);
        let vectors = vectors.map_err(|error| error.option("teacher"))?;
        let (shape, vectors, kept) = shrink(&config.shape, &vectors, &self.target()?)?;
        let schedule = self.schedule.clone();
        let trainer = Trainer::start(schedule, shape, || Ok(vectors), &self.output, context.from)?;
        self.running = Some(Running {
            config,
            tokenizer,
            kept,
            trainer,
        });
        Ok(())
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        // Never called: `process_each` is.
        Ok(batch)
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        let Some(Running {
            config,
            kept,
            trainer,
            ..
        }) = &mut self.running
        else {
            return Err(Error::new("not-started", "no weights were loaded"));
        };
        let examples = Examples::read(&batch, trainer.shape(), &self.labels)?;
        let states: Vec<usize> = std::iter::once(0)
            .chain(kept.layers.iter().map(|layer| layer + 1))
            .collect();
        let labels = self.labels.len();
        let weights = [self.state_weight, self.verdict_weight, self.label_weight];
        let temperature = self.temperature;
        let loss = |output: &Output| {
            let lesson = lesson(&batch, &config.shape, kept, &states, labels, temperature)?;
            let classes = class_loss(output, &examples, labels)?;
            total(output, &lesson, classes, weights, temperature).map_err(internal)
        };
        trainer.take(batch.time(), &examples, loss, host)
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        let Some(Running {
            config,
            tokenizer,
            trainer,
            ..
        }) = &mut self.running
        else {
            return Err(Error::new("not-started", "no weights were loaded"));
        };
        let shape = trainer.shape().clone();
        let vectors = trainer.finish(host)?;
        let config = config.text(&shape, &self.labels);
        let model = (&shape, vectors);
        write_model(&self.output, tokenizer, model, &config, self.half_precision)?;
        Ok(Next::Done)
    }
}

fn lesson(
    batch: &Batch,
    teacher: &ModelShape,
    kept: &Kept,
    states: &[usize],
    labels: usize,
    temperature: f32,
) -> Result<Lesson> {
    let h = teacher.layer.hidden;
    let state = |number: &usize| {
        let mut values = Vec::new();
        for review in batch.ragged_f32(&format!("state-{number}"), h)? {
            for token in review.chunks_exact(h) {
                values.extend(kept.hidden.iter().map(|i| token[*i]));
            }
        }
        let shape = (values.len() / kept.hidden.len(), kept.hidden.len());
        Tensor::from_vec(values, shape, &Device::Cpu).map_err(internal)
    };
    let mut verdicts: Vec<f32> = batch.fixed_f32("logits")?.1.to_vec();
    verdicts.iter_mut().for_each(|logit| *logit /= temperature);
    softmax(&mut verdicts, labels);
    let shape = (verdicts.len() / labels, labels);
    Ok(Lesson {
        states: states.iter().map(state).collect::<Result<_>>()?,
        verdicts: Tensor::from_vec(verdicts, shape, &Device::Cpu).map_err(internal)?,
    })
}

/// The weighted sum of what the student does not do as its teacher.
fn total(
    output: &Output,
    lesson: &Lesson,
    classes: Tensor,
    [states, verdicts, labels]: [f32; 3],
    temperature: f32,
) -> candle_core::Result<Tensor> {
    let logits = output.logits.affine(1.0 / f64::from(temperature), 0.0)?;
    // Its gradient shrinks with the square of the temperature.
    let factor = f64::from(verdicts * temperature * temperature);
    let mut sum = (classes.affine(f64::from(labels), 0.0)?
        + cross_entropy(&logits, &lesson.verdicts)?.affine(factor, 0.0)?)?;
    let factor = f64::from(states) / lesson.states.len() as f64;
    for (mine, theirs) in output.states.iter().zip(&lesson.states) {
        let difference = (mine - theirs)?.sqr()?.mean_all()?;
        sum = (sum + difference.affine(factor, 0.0)?)?;
    }
    Ok(sum)
}
