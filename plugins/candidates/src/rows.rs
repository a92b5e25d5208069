//! The rows that a search gives, and those that evaluators give back.
//!
//! | column | type | of which rows |
//! | --- | --- | --- |
//! | `what` | `utf8` | all: `candidate`, `generation`, `front` or `best` |
//! | `generation` | `u64` | all, from 0 |
//! | `candidate` | `u64` | candidates, the front and the best: the number in its generation |
//! | `position` | `list f64` | candidates, the front and the best: a point of the unit box; else empty |
//! | `options` | `utf8` | candidates, the front and the best of a space of options: what the point stands for, such as `cost=2.5,ngrams=3` |
//! | `effort` | `f64` | candidates: the share of the full effort at which it is scored |
//! | `steps`, `rate` | `u64`, `f64` | candidates: Adam's steps to take before it is scored, and their rate |
//! | `evaluations` | `u64` | generations and the best: candidates scored so far |
//! | `best` | `f64` | generations and the best: the best fitness so far |
//! | `mean`, `diversity` | `f64` | generations |
//! | `objectives` | `utf8` | the front and the best: what the evaluator gave, such as `fitness=0.9,parameters=1200` |
//! | `seconds` | `f64` | generations: time that the search has run; the one column that differs between runs |
//!
//! An evaluator gives back `candidate`, `fitness` f64, and `position`: where Adam's steps led, or
//! what it was given; one that tries options also `options`. Further numbers that a search reads, as objectives or for constraints, are
//! columns of f64 with names of their own.

use std::sync::Arc;

use segue_plugin::arrow_array::builder::{Float64Builder, ListBuilder};
use segue_plugin::arrow_array::cast::AsArray;
use segue_plugin::arrow_array::types::Float64Type;
use segue_plugin::arrow_array::{
    Array, ArrayRef, Float64Array, ListArray, StringArray, UInt64Array,
};
use segue_plugin::arrow_schema::{DataType, Field};
use segue_plugin::{Batch, Columns, Error, Result};

use crate::task::Task;

/// What a row tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// One to be scored.
    #[default]
    Candidate,
    /// How a generation was.
    Generation,
    /// One that no other beats in every objective, at the end.
    Front,
    /// The best, at the end.
    Best,
}

impl What {
    /// As it stands in the column.
    pub fn name(self) -> &'static str {
        match self {
            What::Candidate => "candidate",
            What::Generation => "generation",
            What::Front => "front",
            What::Best => "best",
        }
    }
}

/// One row that a search gives.
#[derive(Clone, Debug, Default)]
pub struct Row<'a> {
    /// What it tells of.
    pub what: What,
    /// Of which generation.
    pub generation: u64,
    /// The number there.
    pub candidate: Option<u64>,
    /// A point of the unit box.
    pub position: &'a [f64],
    /// What the point stands for, in a space of options.
    pub options: Option<String>,
    /// What is asked.
    pub task: Option<Task>,
    /// Candidates scored so far.
    pub evaluations: Option<u64>,
    /// The best fitness so far.
    pub best: Option<f64>,
    /// The generation's mean fitness.
    pub mean: Option<f64>,
    /// How far its candidates lie apart.
    pub diversity: Option<f64>,
    /// What the evaluator gave, by name.
    pub objectives: Option<String>,
    /// How long the search has run.
    pub seconds: Option<f64>,
}

/// The columns of these rows.
pub fn written(columns: Columns) -> Columns {
    columns
        .writes("what", "utf8")
        .writes("generation", "u64")
        .writes("candidate", "u64")
        .writes("position", "list f64")
        .writes("options", "utf8")
        .writes("effort", "f64")
        .writes("steps", "u64")
        .writes("rate", "f64")
        .writes("evaluations", "u64")
        .writes("best", "f64")
        .writes("mean", "f64")
        .writes("diversity", "f64")
        .writes("objectives", "utf8")
        .writes("seconds", "f64")
}

/// A batch of these rows.
///
/// # Errors
/// None that is known.
pub fn batch(rows: &[Row<'_>]) -> Result<Batch> {
    let numbers = |of: &dyn Fn(&Row<'_>) -> Option<u64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<UInt64Array>())
    };
    let reals = |of: &dyn Fn(&Row<'_>) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<Float64Array>())
    };
    let whats = StringArray::from_iter_values(rows.iter().map(|row| row.what.name()));
    let options: StringArray = rows.iter().map(|row| row.options.as_deref()).collect();
    let objectives: StringArray = rows.iter().map(|row| row.objectives.as_deref()).collect();
    let columns: [(&str, ArrayRef); 14] = [
        ("what", Arc::new(whats)),
        ("generation", numbers(&|row| Some(row.generation))),
        ("candidate", numbers(&|row| row.candidate)),
        (
            "position",
            Arc::new(points(rows.iter().map(|row| row.position))),
        ),
        ("options", Arc::new(options)),
        ("effort", reals(&|row| row.task.map(effort))),
        ("steps", numbers(&|row| row.task.map(|task| steps(task).0))),
        ("rate", reals(&|row| row.task.map(|task| steps(task).1))),
        ("evaluations", numbers(&|row| row.evaluations)),
        ("best", reals(&|row| row.best)),
        ("mean", reals(&|row| row.mean)),
        ("diversity", reals(&|row| row.diversity)),
        ("objectives", Arc::new(objectives)),
        ("seconds", reals(&|row| row.seconds)),
    ];
    let named = |(name, column): (&str, ArrayRef)| (name.to_owned(), column);
    Batch::from_arrays(0, columns.into_iter().map(named).collect())
}

fn effort(task: Task) -> f64 {
    match task {
        Task::Score { effort } => effort,
        Task::Adam { .. } => 1.0,
    }
}

fn steps(task: Task) -> (u64, f64) {
    match task {
        Task::Score { .. } => (0, 0.0),
        Task::Adam { steps, rate } => (u64::from(steps), rate),
    }
}

/// A column of points.
fn points<'a>(points: impl Iterator<Item = &'a [f64]>) -> ListArray {
    let item = Field::new("item", DataType::Float64, false);
    let mut builder = ListBuilder::new(Float64Builder::new()).with_field(item);
    for point in points {
        builder.values().append_slice(point);
        builder.append(true);
    }
    builder.finish()
}

/// The numbers of row `row` of the column `position`.
///
/// # Errors
/// `missing-column`, `column-mismatch`
pub fn point(batch: &Batch, row: usize) -> Result<Vec<f64>> {
    let points: &ListArray = batch.get("position")?;
    let wrong = || Error::new("column-mismatch", "column `position` is not `list f64`");
    let point = points.value(row);
    let point = point.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
    Ok(point.values().to_vec())
}

/// The best that a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// A point of the unit box.
    pub position: Vec<f64>,
    /// What the evaluator gave, such as `fitness=0.9,parameters=1200`.
    pub objectives: String,
}

impl Found {
    /// The objective of this name, where the search had it.
    pub fn objective(&self, name: &str) -> Option<f64> {
        let mut pairs = self
            .objectives
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(other, _)| *other == name)?;
        value.parse().ok()
    }
}

/// The best that a search found, where `batch` tells of it.
///
/// # Errors
/// `missing-column`, `column-mismatch`
pub fn best(batch: &Batch) -> Result<Option<Found>> {
    let (whats, objectives) = (batch.text("what")?, batch.text("objectives")?);
    let row = (0..batch.rows()).find(|row| whats.value(*row) == What::Best.name());
    let found = |row| {
        Ok(Found {
            position: point(batch, row)?,
            objectives: objectives.value(row).to_owned(),
        })
    };
    row.map(found).transpose()
}

/// The columns of an evaluator that reads candidates at `port` and whose batches are dealt over
/// all its replicas; `port` is empty where it has one input alone.
pub fn evaluates(port: &str) -> Columns {
    Columns::new()
        .reads_at(port, "what", "utf8")
        .reads_at(port, "candidate", "u64")
        .reads_at(port, "position", "list f64")
        .reads_at(port, "effort", "f64")
        .reads_at(port, "steps", "u64")
        .reads_at(port, "rate", "f64")
        .writes("candidate", "u64")
        .writes("fitness", "f64")
        .writes("position", "list f64")
        .spreads()
}

/// The same, of an evaluator that tries a candidate's options, and says which with its scores.
pub fn tries(port: &str) -> Columns {
    let columns = evaluates(port).reads_at(port, "options", "utf8");
    columns.writes("options", "utf8")
}

/// A candidate as an evaluator gets it, and gives it back.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The number in its generation.
    pub number: u64,
    /// A point of the unit box; an evaluator moves it where Adam's steps lead.
    pub place: Vec<f64>,
    /// What the point stands for; empty where the evaluator does not [try](tries) options, or the
    /// search has none.
    pub options: String,
    /// How many of Adam's steps to take before it is scored.
    pub steps: u32,
    /// How long they are, of a weight.
    pub rate: f64,
    /// The share of the full effort at which it is scored.
    pub effort: f64,
}

impl Asked {
    /// The options to try, such as `cost=2.5,ngrams=3`.
    ///
    /// # Errors
    /// `no-options` where the search has no space of options: then all candidates would be alike
    pub fn named(&self) -> Result<&str> {
        if self.options.is_empty() {
            let message = "a candidate names no options to try: the search needs a `space`";
            return Err(Error::new("no-options", message));
        }
        Ok(&self.options)
    }
}

/// The candidates of `batch`, in order.
///
/// # Errors
/// `missing-column`, `column-mismatch`
pub fn asked(batch: &Batch) -> Result<Vec<Asked>> {
    let (whats, numbers) = (batch.text("what")?, batch.u64("candidate")?);
    let (steps, rates) = (batch.u64("steps")?, batch.get::<Float64Array>("rate")?);
    let efforts = batch.get::<Float64Array>("effort")?;
    let has_options = batch.columns().column_by_name("options").is_some();
    let options = has_options.then(|| batch.text("options")).transpose()?;
    let is_candidate = |row: &usize| whats.value(*row) == What::Candidate.name();
    let one = |row: usize| {
        Ok(Asked {
            number: numbers.value(row),
            place: point(batch, row)?,
            options: options.map_or("", |options| options.value(row)).to_owned(),
            steps: u32::try_from(steps.value(row)).unwrap_or(u32::MAX),
            rate: rates.value(row),
            effort: efforts.value(row),
        })
    };
    (0..batch.rows()).filter(is_candidate).map(one).collect()
}

/// What an evaluator gives back: `fitness` of each of `asked`, and where they are now. `None`
/// where nothing was asked.
///
/// # Errors
/// None that is known.
pub fn answer(time: u64, asked: &[Asked], fitness: Vec<f64>) -> Result<Option<Batch>> {
    if asked.is_empty() {
        return Ok(None);
    }
    let numbers: UInt64Array = asked.iter().map(|asked| Some(asked.number)).collect();
    let places = points(asked.iter().map(|asked| asked.place.as_slice()));
    let columns: [(&str, ArrayRef); 3] = [
        ("candidate", Arc::new(numbers)),
        ("fitness", Arc::new(Float64Array::from(fitness))),
        ("position", Arc::new(places)),
    ];
    let named = |(name, column): (&str, ArrayRef)| (name.to_owned(), column);
    Batch::from_arrays(time, columns.into_iter().map(named).collect()).map(Some)
}

/// Scores the candidates of `batch` one by one: `score` gives the fitness, and moves the place
/// where Adam's steps lead. `None` where no row is a candidate.
///
/// # Errors
/// `missing-column`, `column-mismatch`, and those of `score`
pub fn scored(
    batch: &Batch,
    score: impl FnMut(&mut Asked) -> Result<f64>,
) -> Result<Option<Batch>> {
    let mut asked = asked(batch)?;
    let fitness: Result<Vec<f64>> = asked.iter_mut().map(score).collect();
    let answer = answer(batch.time(), &asked, fitness?)?;
    // Those that try options have the column, and say which they were.
    let names = batch.columns().column_by_name("options").is_some();
    let options = || asked.iter().map(|asked| Some(asked.options.as_str()));
    match answer {
        Some(scores) if names => {
            let options: StringArray = options().collect();
            scores.with_column("options", options).map(Some)
        }
        answer => Ok(answer),
    }
}

/// A candidate's number, what was read of it, and its position where the evaluator moved it.
pub type Scored<T> = (u64, T, Option<Vec<f64>>);

/// The scores that came back: candidates' numbers, fitness (not a number where there is none),
/// and where they ended if the column is there.
///
/// # Errors
/// `missing-column`, `column-mismatch`
pub fn scores(batch: &Batch) -> Result<Vec<Scored<f64>>> {
    let all = values(batch, &["fitness"])?.into_iter();
    let one = |(number, values, place): Scored<Vec<f64>>| (number, values[0], place);
    Ok(all.map(one).collect())
}

/// The same, of the columns `names` in place of `fitness` alone.
///
/// # Errors
/// `missing-column`, `column-mismatch`
pub fn values(batch: &Batch, names: &[&str]) -> Result<Vec<Scored<Vec<f64>>>> {
    let numbers = batch.u64("candidate")?;
    let columns = names.iter().map(|name| batch.get::<Float64Array>(name));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let places = batch.columns().column_by_name("position").is_some();
    let one = |row: usize| {
        let value = |column: &&Float64Array| {
            if column.is_null(row) {
                f64::NAN
            } else {
                column.value(row)
            }
        };
        let values = columns.iter().map(value).collect();
        let place = places.then(|| point(batch, row)).transpose()?;
        Ok((numbers.value(row), values, place))
    };
    (0..batch.rows()).map(one).collect()
}

/// `scores` with a further column of numbers, one a candidate.
///
/// # Errors
/// `column-mismatch` when there are not as many
pub fn with_column(scores: Batch, name: &str, values: Vec<f64>) -> Result<Batch> {
    scores.with_column(name, Float64Array::from(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_of_plain_numbers_names_no_options() {
        let row = |options: Option<&str>| Row {
            candidate: Some(1),
            position: &[0.5],
            options: options.map(str::to_owned),
            task: Some(Task::FULL),
            ..Row::default()
        };
        let asked = asked(&batch(&[row(Some("cost=2.5")), row(None)]).unwrap()).unwrap();
        assert_eq!(asked[0].named().unwrap(), "cost=2.5");
        assert_eq!(asked[1].named().unwrap_err().code, "no-options");
    }
}
