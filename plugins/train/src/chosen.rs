//! Fine-tuning with the options that a search found best.

use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use segue_candidates::BestOptions;
use segue_candidates::given::Given;
use segue_learn::columns::Role;
use segue_learn::store::make_folder;
use segue_plugin::arrow_array::{ArrayRef, Float32Array, StringArray, UInt64Array};
use segue_plugin::{
    Batch, Column, Columns, Context, Error, Host, ModelPath, Next, OutputPath, Port, Result, Rows,
    Stage,
};
use serde::Deserialize;

use crate::config::Config;
use crate::course::{Course, Lesson};
use crate::finetune::Labels;
use crate::gathered::{Gathered, reads};
use crate::output::{Tokenizer, read_tokenizer, write_model};
use crate::params;
use crate::trainer::{Trainer, not_started};

/// Trains a BERT-family model, with the options that a search found best, on all reviews whose
/// role is `train` or `validation`, and judges those whose role is `test`.
///
/// # Columns
/// by `options`: `options` utf8, such as `search-best` gives; the last row counts
/// by `rows`, a side input: `review` u64, `tokens` list u32, `truth` utf8, `role` utf8
/// writes one row for each that is to be judged: `review`, `truth`, `label` utf8, the verdict,
/// and `score` f32, its probability
/// # Errors
/// `no-best` when no options came; `no-use` when nobody would get to see what is learnt;
/// `bad-candidate`; `diverged`
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FinetuneChosen {
    /// The model to begin with, as `finetune` has it.
    pub model: ModelPath,
    /// The folder that the trained model is written to.
    #[serde(default)]
    pub output: Option<OutputPath>,
    /// The classes, as `finetune` has them.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Store the weights in 16 bits.
    #[serde(default)]
    pub half_precision: bool,
    /// How to train; the best's options take the place of some.
    #[serde(flatten)]
    pub given: Given<Course>,
    #[serde(skip)]
    base: Option<(Config, Tokenizer)>,
    #[serde(skip)]
    gathered: Gathered,
    #[serde(skip)]
    best: BestOptions,
    #[serde(skip)]
    state: State,
}

/// How far it is.
#[derive(Default)]
enum State {
    #[default]
    Gathering,
    /// Steps that are left, the next at the end.
    Learning(Box<Trainer>, Vec<Lesson>, Instant),
    /// Rows that are left, the next at the end.
    Judging(Box<Trainer>, Vec<usize>),
}

/// The port of the reviews.
const ROWS: usize = 1;

/// Verdicts in a batch.
const BATCH: usize = 256;

impl Stage for FinetuneChosen {
    const PORTS: &'static [Port] = &[Port::new("options"), Port::whole("rows")];

    fn columns(&self) -> Columns {
        reads(Columns::new(), "rows")
            .reads_at("options", "options", "utf8")
            .writes("review", "u64")
            .writes("truth", "utf8")
            .writes("label", "utf8")
            .writes("score", "f32")
            .rows(Rows::New)
            .snapshots(0)
    }

    fn columns_for(&self, _: &[Column]) -> Result<Columns> {
        self.given.own().check()?;
        let (config, _) = Config::read(&self.model, &self.labels)?;
        params::open(&self.model, &config)?;
        read_tokenizer(&self.model)?;
        Ok(self.columns())
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        let (config, labels) = Config::read(&self.model, &self.labels)?;
        self.labels = labels;
        self.base = Some((config, read_tokenizer(&self.model)?));
        self.output.as_deref().map_or(Ok(()), make_folder)
    }

    fn process_each(&mut self, batch: Batch, _host: &mut Host<'_>) -> Result<()> {
        if batch.port() == ROWS {
            let (config, _) = self.base.as_ref().ok_or_else(not_started)?;
            return self.gathered.add(&batch, &config.shape, &self.labels);
        }
        self.best.add(&batch)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        Ok(self.best.snapshot())
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        self.best.restore(state)
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        self.state = match std::mem::take(&mut self.state) {
            State::Gathering => self.open()?,
            State::Learning(mut trainer, mut left, since) => match left.pop() {
                Some(lesson) => {
                    self.learn(&mut trainer, &lesson, (left.len(), since), host)?;
                    State::Learning(trainer, left, since)
                }
                None => {
                    self.write(&trainer)?;
                    let mut left = self.gathered.rows(Role::Test);
                    left.reverse();
                    State::Judging(trainer, left)
                }
            },
            State::Judging(trainer, mut left) => {
                if left.is_empty() {
                    return Ok(Next::Done);
                }
                let mut rows = left.split_off(left.len().saturating_sub(BATCH));
                rows.reverse();
                host.progress(&format!("{} reviews left to judge", left.len()));
                host.emit(self.judge(&trainer, &rows)?);
                State::Judging(trainer, left)
            }
        };
        Ok(Next::More)
    }
}

impl FinetuneChosen {
    fn open(&self) -> Result<State> {
        let course = self.given.with(self.best.text()?)?;
        course.check()?;
        let (config, _) = self.base.as_ref().ok_or_else(not_started)?;
        let mut rows = self.gathered.rows(Role::Train);
        rows.extend(self.gathered.rows(Role::Validation));
        if rows.is_empty() {
            return Err(Error::new("no-reviews", "no review came to train with"));
        }
        if self.output.is_none() && self.gathered.rows(Role::Test).is_empty() {
            let message =
                "no review has the role `test`, and `output` names no folder for the model";
            return Err(Error::new("no-use", message));
        }
        rows.sort_unstable();
        let vectors = params::read(&self.model, config, course.schedule.seed)?;
        let trainer = Trainer::new(course.schedule.clone(), config.shape.clone(), vectors)?;
        let mut lessons = course.lessons(&rows);
        lessons.reverse();
        Ok(State::Learning(Box::new(trainer), lessons, Instant::now()))
    }

    fn learn(
        &self,
        trainer: &mut Trainer,
        lesson: &Lesson,
        (left, since): (usize, Instant),
        host: &Host<'_>,
    ) -> Result<()> {
        let examples = self.gathered.lesson(lesson);
        let loss = trainer.learn(&examples, &Labels::new(&examples, self.labels.len()))?;
        // The progress of a lesson is that in its middle.
        let all = (left as f32 + 0.5) / (1.0 - lesson.progress);
        let rest = since.elapsed().mul_f32(left as f32 / (all - left as f32));
        let (minutes, seconds) = (rest.as_secs() / 60, rest.as_secs() % 60);
        host.progress(&format!(
            "{left} steps left, loss {loss:.4}, {minutes}:{seconds:02} left"
        ));
        Ok(())
    }

    fn write(&self, trainer: &Trainer) -> Result<()> {
        let Some(output) = &self.output else {
            return Ok(());
        };
        let (config, tokenizer) = self.base.as_ref().ok_or_else(not_started)?;
        let text = config.text(trainer.shape(), &self.labels);
        let made = (trainer.shape(), trainer.vectors()?);
        write_model(output, tokenizer, made, &text, self.half_precision)
    }

    fn judge(&self, trainer: &Trainer, rows: &[usize]) -> Result<Batch> {
        let mut verdicts = Vec::with_capacity(rows.len());
        for (tokens, _) in self.gathered.batches(rows) {
            verdicts.extend(trainer.judge(&tokens)?);
        }
        let name = |class: usize| self.labels.get(class).map(String::as_str);
        let reviews: UInt64Array = rows
            .iter()
            .map(|row| Some(self.gathered.review(*row)))
            .collect();
        let truth = rows.iter().map(|row| name(self.gathered.class(*row)?));
        let labels: StringArray = verdicts.iter().map(|(class, _)| name(*class)).collect();
        let scores: Float32Array = verdicts.iter().map(|(_, score)| Some(*score)).collect();
        let columns: [(&str, ArrayRef); 4] = [
            ("review", Arc::new(reviews)),
            ("truth", Arc::new(truth.collect::<StringArray>())),
            ("label", Arc::new(labels)),
            ("score", Arc::new(scores)),
        ];
        let named = |(name, column): (&str, ArrayRef)| (name.to_owned(), column);
        Batch::from_arrays(0, columns.into_iter().map(named).collect())
    }
}
