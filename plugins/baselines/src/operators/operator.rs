//! What `svm`, `ann` and `cnn` have in common as operators of a graph.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use segue_candidates::given::Given;
use segue_learn::columns::Role;
use segue_learn::scorer::predict;
use segue_learn::store::make_folder;
use segue_learn::store::no_state;
use segue_plugin::arrow_array::{ArrayRef, Float32Array, StringArray, UInt64Array};
use segue_plugin::{Batch, Column, Columns, Context, Error, Host, Next, Result, Rows, Stage};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::models::recipe::Recipe;
use crate::models::trained::Trained;
use crate::operators::gathered::{Gathered, classes, roles};
use crate::operators::learning::Learning;
use crate::operators::options::Common;

/// The options of one operator.
pub trait Options: DeserializeOwned + JsonSchema + 'static {
    /// Those that every operator has.
    fn common(&self) -> &Common;

    /// What to learn, and how.
    ///
    /// # Errors
    /// `bad-option`
    fn recipe(&self) -> Result<Recipe>;
}

/// `given` with what its own `options` name in place of others, and what `text` names in place of
/// both.
///
/// # Errors
/// `bad-candidate`
pub fn with<O: Options>(given: &Given<O>, text: &str) -> Result<O> {
    let all = format!("{},{text}", given.own().common().options);
    given.with(all.trim_matches(','))
}

/// An operator that learns from some rows and judges others.
///
/// # Columns
/// reads `review` u64, `text` utf8, `truth` utf8: what to learn; `role` utf8, if there is
/// one: `train` (as are all rows without one), `validation` or `test`
/// writes one row for each that is to be judged: `review`, `truth`, `label` utf8, the
/// verdict, and `score` f32, of the verdict
#[derive(Deserialize)]
#[serde(try_from = "Given<O>", bound = "O: Options")]
pub struct Operator<O: Options> {
    options: O,
    state: State,
}

/// How far it is.
enum State {
    Gathering(Gathered),
    Learning(Gathered, Box<Learning>),
    Judging(Gathered, Box<Trained>, Vec<usize>),
    /// With a model that it was given.
    Given(Box<Trained>),
    Done,
}

impl<O: Options> TryFrom<Given<O>> for Operator<O> {
    type Error = Error;

    /// Those that `options` names take the place of others.
    fn try_from(given: Given<O>) -> Result<Self> {
        Ok(Operator::with(with(&given, "")?, Gathered::default()))
    }
}

impl<O: Options> JsonSchema for Operator<O> {
    fn schema_name() -> Cow<'static, str> {
        O::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        O::json_schema(generator)
    }
}

/// The least milliseconds between two times that the rows so far are saved: they are a few
/// megabytes, and quickly read again.
const PAUSE_MS: u64 = 30_000;

/// How many rows a batch of verdicts has.
const BATCH: usize = 1024;

impl<O: Options> Operator<O> {
    /// One that has `gathered` so many rows.
    pub fn with(options: O, gathered: Gathered) -> Self {
        Operator {
            options,
            state: State::Gathering(gathered),
        }
    }

    /// What it reads and writes; only to learn must it keep rows.
    fn with_truth(&self, truth: bool) -> Columns {
        let mut columns = Columns::new().reads("review", "u64").reads("text", "utf8");
        columns = columns.writes("review", "u64");
        if truth {
            columns = columns.reads("truth", "utf8").writes("truth", "utf8");
        }
        if self.options.common().model.is_none() {
            columns = columns.snapshots(PAUSE_MS);
        }
        columns
            .writes("label", "utf8")
            .writes("score", "f32")
            .rows(Rows::New)
    }
}

impl<O: Options> Stage for Operator<O> {
    fn columns(&self) -> Columns {
        let columns = Columns::new()
            .reads("review", "u64")
            .reads("text", "utf8")
            .writes("review", "u64")
            .writes("label", "utf8")
            .writes("score", "f32")
            .rows(Rows::New);
        match self.options.common().model.as_ref() {
            Some(_) => columns,
            None => columns
                .reads("truth", "utf8")
                .writes("truth", "utf8")
                .snapshots(PAUSE_MS),
        }
    }

    fn columns_for(&self, input: &[Column]) -> Result<Columns> {
        self.options.recipe()?;
        let has = |name: &str| input.iter().any(|column| column.name == name);
        let columns =
            self.with_truth(has("truth") || self.options.common().model.as_ref().is_none());
        Ok(if has("role") {
            columns.reads("role", "utf8")
        } else {
            columns
        })
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        if let Some(model) = self.options.common().model.as_ref() {
            self.state = State::Given(Box::new(Trained::load(model)?));
            return Ok(());
        }
        let output = self.options.common().output.as_deref();
        output.map_or(Ok(()), make_folder)
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        match &self.state {
            State::Given(trained) => judge(trained, &batch),
            _ => Err(Error::new("not-started", "there is no model yet")),
        }
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        if let State::Gathering(gathered) = &mut self.state {
            return gathered.add(&batch, &self.options.recipe()?.labels);
        }
        host.emit(self.process(batch)?);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        match &self.state {
            State::Gathering(gathered) => gathered.pack(),
            _ => Err(no_state("rows are gathered no more")),
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        self.state = State::Gathering(Gathered::unpack(state).map_err(no_state)?);
        Ok(())
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        self.state = match std::mem::replace(&mut self.state, State::Done) {
            State::Gathering(gathered) => {
                check_use(&gathered, &self.options)?;
                host.progress("making features");
                let learning = Learning::begin(self.options.recipe()?, &gathered)?;
                State::Learning(gathered, Box::new(learning))
            }
            State::Learning(mut gathered, mut learning) => {
                let (last, line) = learning.step()?;
                host.progress(&line);
                if last {
                    let trained = learning.end(&mut gathered);
                    if let Some(output) = self.options.common().output.as_ref() {
                        trained.save(output)?;
                    }
                    let mut left = gathered.texts(Role::Test);
                    left.reverse();
                    State::Judging(gathered, Box::new(trained), left)
                } else {
                    State::Learning(gathered, learning)
                }
            }
            State::Judging(gathered, trained, mut left) if !left.is_empty() => {
                let mut texts = left.split_off(left.len().saturating_sub(BATCH));
                texts.reverse();
                host.emit(judge_gathered(&trained, &gathered, &texts)?);
                State::Judging(gathered, trained, left)
            }
            State::Judging(..) | State::Given(_) | State::Done => return Ok(Next::Done),
        };
        Ok(Next::More)
    }
}

/// Learning what nobody gets to see would be hours for nothing.
fn check_use(gathered: &Gathered, options: &impl Options) -> Result<()> {
    if options.common().output.is_none() && gathered.texts(Role::Test).is_empty() {
        let message = "no row has the role `test`, and `output` names no folder for the model";
        return Err(Error::new("no-use", message));
    }
    Ok(())
}

/// Verdicts on the rows of `batch`: on those for testing if it has roles, else on all.
fn judge(trained: &Trained, batch: &Batch) -> Result<Batch> {
    let labels = &trained.recipe.labels;
    let has = |name: &str| batch.columns().column_by_name(name).is_some();
    let rows: Vec<usize> = if has("role") {
        (roles(batch)?.iter().enumerate())
            .filter(|(_, role)| **role == Role::Test)
            .map(|(row, _)| row)
            .collect()
    } else {
        (0..batch.rows()).collect()
    };
    let texts: Vec<Option<&str>> = batch.text("text")?.iter().collect();
    let verdicts = trained.judge(rows.iter().map(|row| texts[*row].unwrap_or_default()))?;
    let reviews = batch.u64("review")?;
    let reviews = rows.iter().map(|row| reviews.value(*row)).collect();
    let truth = if has("truth") {
        let all = classes(batch.text("truth")?, labels)?;
        Some(rows.iter().map(|row| all[*row]).collect())
    } else {
        None
    };
    answer(batch.time(), labels, reviews, truth, &verdicts)
}

/// Gives verdicts on the texts number `texts`, in order.
///
/// # Errors
/// Those of the model
pub fn judge_texts(
    trained: &Trained,
    gathered: &Gathered,
    texts: &[usize],
    time: u64,
    host: &mut Host<'_>,
) -> Result<()> {
    for texts in texts.chunks(BATCH) {
        let verdicts = judge_gathered(trained, gathered, texts)?;
        host.emit(Batch::new(time, verdicts.into_columns()));
    }
    Ok(())
}

/// Verdicts on the texts number `texts`.
fn judge_gathered(trained: &Trained, gathered: &Gathered, texts: &[usize]) -> Result<Batch> {
    let rows = trained.features.rows(&gathered.corpus, texts);
    let verdicts = predict(trained.model.as_ref(), &rows, rows.len())?;
    let reviews = texts.iter().map(|at| gathered.review(*at)).collect();
    let truth = texts.iter().map(|at| gathered.class(*at)).collect();
    answer(0, &trained.recipe.labels, reviews, Some(truth), &verdicts)
}

fn answer(
    time: u64,
    labels: &[String],
    reviews: Vec<u64>,
    truth: Option<Vec<Option<u32>>>,
    verdicts: &[(usize, f32)],
) -> Result<Batch> {
    let name = |class: usize| labels.get(class).map(String::as_str);
    let given: StringArray = verdicts.iter().map(|(class, _)| name(*class)).collect();
    let scores: Float32Array = verdicts.iter().map(|(_, score)| Some(*score)).collect();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("review".to_owned(), Arc::new(UInt64Array::from(reviews))),
        ("label".to_owned(), Arc::new(given)),
        ("score".to_owned(), Arc::new(scores)),
    ];
    if let Some(truth) = truth {
        let truth = truth.into_iter().map(|class| name(class? as usize));
        let truth: StringArray = truth.collect();
        columns.push(("truth".to_owned(), Arc::new(truth)));
    }
    Batch::from_arrays(time, columns)
}
