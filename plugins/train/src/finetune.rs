//! Fine-tuning, as a graph file names it.

use candle_core::Tensor;
use schemars::JsonSchema;
use segue_plugin::{
    Batch, Column, Columns, Context, Error, Host, ModelPath, Next, OutputPath, Result, Stage,
};
use serde::Deserialize;

use crate::batch::{Examples, reads};
use crate::config::Config;
use crate::log::writes;
use crate::model::Output;
use crate::output::{Tokenizer, read_tokenizer, write_model};
use crate::params;
use crate::schedule::Schedule;
use crate::trainer::{Goal, Trainer, class_loss, not_started};

/// Trains all of a BERT-family model for classification, and writes it as a model folder.
///
/// Each batch is one step; the source's `epochs`, `shuffle` and `hold-out` say what comes. The
/// model with the best held-out accuracy is kept.
///
/// # Columns
/// reads  `tokens`, `truth`, and `role`, `epoch`, `progress` as `read` gives them
///
/// writes a row a step, and one for each look at the held-out reviews
/// # Errors
/// `missing-label` when a review to train with has none; `diverged`
/// # Source
/// Devlin et al., arXiv:1810.04805, section 4
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Finetune {
    /// The model to begin with: a Hugging Face folder with `model.safetensors` or `pytorch_model.bin`; a classifier it lacks is drawn.
    pub model: ModelPath,
    /// The folder for the trained model.
    pub output: OutputPath,
    /// The classes, in the order of the classifier's outputs; left out, those that the model names, or else negative and positive.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Store the weights in 16 bits.
    #[serde(default)]
    pub half_precision: bool,
    /// How to train.
    #[serde(flatten)]
    pub schedule: Schedule,
    #[serde(skip)]
    running: Option<(Config, Tokenizer, Trainer)>,
}

/// Learns the classes of a batch, which are all known.
pub struct Labels<'a> {
    examples: &'a Examples,
    labels: usize,
}

impl<'a> Labels<'a> {
    /// Of so many classes.
    pub fn new(examples: &'a Examples, labels: usize) -> Self {
        Labels { examples, labels }
    }
}

impl Goal for Labels<'_> {
    fn loss(&self, output: &Output) -> Result<Tensor> {
        if self.examples.classes.contains(&None) {
            let message = "a review to train with has no label, and `finetune` learns from labels";
            return Err(Error::new("missing-label", message));
        }
        class_loss(output, self.examples, self.labels)
    }
}

/// Blames the model for what nobody else is blamed for.
fn blame(error: Error) -> Error {
    match error.option {
        None => error.option("model"),
        Some(_) => error,
    }
}

impl Finetune {
    /// The model, its tokenizer and its classes.
    fn base(&self) -> Result<(Config, Tokenizer, Vec<String>)> {
        let (config, labels) = Config::read(&self.model, &self.labels)?;
        Ok((config, read_tokenizer(&self.model)?, labels))
    }
}

impl Stage for Finetune {
    fn columns(&self) -> Columns {
        writes(reads(Columns::new()), self.schedule.pause_ms())
    }

    fn columns_for(&self, _: &[Column]) -> Result<Columns> {
        self.schedule.check()?;
        let (config, ..) = self.base().map_err(blame)?;
        params::open(&self.model, &config).map_err(blame)?;
        Ok(self.columns())
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        let (config, tokenizer, labels) = self.base().map_err(blame)?;
        self.labels = labels;
        let shape = config.shape.clone();
        let weights = params::read(&self.model, &config, self.schedule.seed).map_err(blame)?;
        let trainer = Trainer::start(self.schedule.clone(), shape, weights, &self.output)?;
        self.running = Some((config, tokenizer, trainer));
        Ok(())
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        let Some((.., trainer)) = &mut self.running else {
            return Err(not_started());
        };
        let examples = Examples::read(&batch, trainer.shape(), &self.labels)?;
        let goal = Labels::new(&examples, self.labels.len());
        trainer.take(batch.time(), &examples, &goal, host)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        match &self.running {
            Some((.., trainer)) => trainer.snapshot(),
            None => Err(not_started()),
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        match &mut self.running {
            Some((.., trainer)) => trainer.restore(state),
            None => Err(not_started()),
        }
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        let Some((config, tokenizer, trainer)) = &mut self.running else {
            return Err(not_started());
        };
        let shape = trainer.shape().clone();
        let vectors = trainer.finish(host)?;
        let config = config.text(&shape, &self.labels);
        write_model(
            &self.output,
            tokenizer,
            (&shape, vectors),
            &config,
            self.half_precision,
        )?;
        Ok(Next::Done)
    }
}
