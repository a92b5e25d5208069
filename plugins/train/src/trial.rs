//! How good are options of fine-tuning that a search proposes?

use schemars::JsonSchema;
use segue_candidates::Measure;
use segue_candidates::given::Given;
use segue_candidates::rows::{Asked, scored, tries};
use segue_learn::columns::Role;
use segue_learn::evenly::{at_effort, evenly};
use segue_plugin::{Batch, Column, Columns, Context, Error, Host, ModelPath, Port, Result, Stage};
use serde::Deserialize;

use crate::config::Config;
use crate::course::Course;
use crate::finetune::Labels;
use crate::gathered::{Gathered, reads};
use crate::params;
use crate::trainer::{Trainer, not_started};

/// Scores options of fine-tuning that a search proposes: trains with them on some of the
/// reviews whose role is `train`, and says how it does on those whose role is `validation`.
///
/// An effort below 1 is so many fewer of them. Options with which training
/// diverges have no fitness.
///
/// # Columns
/// by `candidates`: those of [`tries`]
/// by `rows`, a side input: `tokens` list u32, `truth` utf8, `role` utf8, `review` u64
/// # Errors
/// `bad-candidate` for options that training does not have; `no-options`, `no-held-out`,
/// `too-few-rows`
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FinetuneTrial {
    /// The model to begin with, as `finetune` has it.
    pub model: ModelPath,
    /// The classes, as `finetune` has them.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How many of the reviews to train with a candidate of full effort gets at most, evenly spaced;
    /// 0 is all.
    #[serde(default)]
    pub most_reviews: usize,
    /// How many of the held-out reviews it is scored on at most; 0 is all.
    #[serde(default)]
    pub most_held_out: usize,
    /// What it tells the search.
    #[serde(default)]
    pub measure: Measure,
    /// How to train; a candidate's options take the place of some.
    #[serde(flatten)]
    pub given: Given<Course>,
    #[serde(skip)]
    base: Option<(Config, Vec<Vec<f32>>)>,
    #[serde(skip)]
    gathered: Gathered,
}

/// At most `most` of `rows`, of these what `effort` gets, evenly spaced; all where `most` is 0.
fn some(rows: &[usize], most: usize, effort: f64) -> Vec<usize> {
    let most = if most == 0 { rows.len() } else { most };
    evenly(rows, at_effort(most.min(rows.len()), effort))
}

/// The port of the reviews.
const ROWS: usize = 1;

impl Stage for FinetuneTrial {
    const PORTS: &'static [Port] = &[Port::new("candidates"), Port::whole("rows")];

    fn columns(&self) -> Columns {
        reads(tries("candidates"), "rows")
    }

    fn columns_for(&self, _: &[Column]) -> Result<Columns> {
        self.given.own().check()?;
        let (config, _) = Config::read(&self.model, &self.labels)?;
        params::open(&self.model, &config)?;
        Ok(self.columns())
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        let (config, labels) = Config::read(&self.model, &self.labels)?;
        self.labels = labels;
        let seed = self.given.own().schedule.seed;
        let vectors = params::read(&self.model, &config, seed)?;
        self.base = Some((config, vectors));
        Ok(())
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        if batch.port() == ROWS {
            let (config, _) = self.base.as_ref().ok_or_else(not_started)?;
            return self.gathered.add(&batch, &config.shape, &self.labels);
        }
        let scores = scored(&batch, |asked| match self.train(asked, host) {
            Err(error) if error.code == "diverged" => Ok(f64::NAN),
            fitness => fitness,
        })?;
        if let Some(scores) = scores {
            host.emit(scores);
        }
        Ok(())
    }
}

impl FinetuneTrial {
    fn train(&self, asked: &Asked, host: &Host<'_>) -> Result<f64> {
        let course = self.given.with(asked.named()?)?;
        course.check()?;
        let (config, vectors) = self.base.as_ref().ok_or_else(not_started)?;
        let held_out = self.gathered.rows(Role::Validation);
        let held_out = some(&held_out, self.most_held_out, 1.0);
        if held_out.is_empty() {
            let message = "no review has the role `validation`, to score candidates by: \
                           `read` gives it with `hold-out`";
            return Err(Error::new("no-held-out", message));
        }
        let all = self.gathered.rows(Role::Train);
        let rows = some(&all, self.most_reviews, asked.effort);
        if rows.is_empty() {
            let message = format!(
                "of {} reviews to train with none is left at an effort of {:.4}: give more \
                 reviews, or the search fewer `rungs`",
                all.len(),
                asked.effort
            );
            return Err(Error::new("too-few-rows", message));
        }
        let shape = config.shape.clone();
        let mut trainer = Trainer::new(course.schedule.clone(), shape, vectors.clone())?;
        let lessons = course.lessons(&rows);
        for (number, lesson) in lessons.iter().enumerate() {
            let examples = self.gathered.lesson(lesson);
            let loss = trainer.learn(&examples, &Labels::new(&examples, self.labels.len()))?;
            let (step, steps) = (number + 1, lessons.len());
            let options = &asked.options;
            host.progress(&format!(
                "tries {options}: step {step} of {steps}, loss {loss:.4}"
            ));
        }
        let (accuracy, loss) = trainer.measure(self.gathered.batches(&held_out))?;
        Ok(self.measure.of(loss, accuracy))
    }
}
