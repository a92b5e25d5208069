//! What a search tells besides candidates: how each generation was, the front, and the best.

use std::path::Path;

use arrow_select::filter::filter_record_batch;
use schemars::JsonSchema;
use segue_candidates::rows::What;
use segue_plugin::arrow_array::{Array, BooleanArray, Float64Array};
use segue_plugin::{Batch, Columns, Context, Error, Host, Next, OutputPath, Result, Rows, Stage};
use serde::Deserialize;

use crate::history::Statistics;
use crate::plot::{Run, convergence};

/// Keeps a search's row of each generation, and draws how the best went.
///
/// # Columns
/// reads and writes `generation` u64, `evaluations` u64, `best` f64 (so far), `mean` f64,
/// `diversity` f64 and `seconds` f64, which alone differs between runs
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct History {
    /// The file that a plot of the best by evaluations is written to, at the end, as SVG.
    #[serde(default)]
    pub output: Option<OutputPath>,
    /// What the plot's vertical axis is called.
    #[serde(default = "fitness")]
    pub value: String,
    /// For the plot: all generations so far.
    #[serde(skip)]
    lines: Vec<Statistics>,
}

fn fitness() -> String {
    "fitness".to_owned()
}

const HISTORY: [(&str, &str); 6] = [
    ("generation", "u64"),
    ("evaluations", "u64"),
    ("best", "f64"),
    ("mean", "f64"),
    ("diversity", "f64"),
    ("seconds", "f64"),
];

impl Stage for History {
    fn columns(&self) -> Columns {
        let columns = keeps(&HISTORY);
        // Without a plot there is nothing to remember.
        if self.output.is_some() {
            columns.snapshots(0)
        } else {
            columns
        }
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        self.output.as_deref().map_or(Ok(()), check_folder)
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        if self.output.is_some() {
            self.lines.extend(lines(&batch)?);
        }
        keep(&batch, What::Generation, host)
    }

    fn finish(&mut self, _host: &mut Host<'_>) -> Result<Next> {
        if let Some(output) = &self.output {
            let name = output.file_stem().unwrap_or_default().to_string_lossy();
            let run = Run {
                name: &name,
                history: &self.lines,
            };
            write(output, &convergence(&name, &self.value, &[run]))?;
        }
        Ok(Next::Done)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        postcard::to_stdvec(&self.lines).map_err(no_state)
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        self.lines = postcard::from_bytes(state).map_err(no_state)?;
        Ok(())
    }
}

/// That there is a folder for the plot: at its end, after hours, is no time to find that out.
///
/// # Errors
/// `write-failed`
pub(super) fn check_folder(output: &Path) -> Result<()> {
    let folder = output.parent().filter(|folder| *folder != Path::new(""));
    match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => {
            let message = format!(
                "cannot write the plot: `{}` is not a folder",
                folder.display()
            );
            Err(Error::new("write-failed", message).option("output"))
        }
        None => Ok(()),
    }
}

pub(super) fn no_state(error: postcard::Error) -> Error {
    Error::new("no-state", error.to_string())
}

/// What a plot needs of each generation that `batch` tells of.
fn lines(batch: &Batch) -> Result<Vec<Statistics>> {
    let (whats, numbers) = (batch.text("what")?, batch.u64("generation")?);
    let evaluations = batch.u64("evaluations")?;
    let best: &Float64Array = batch.get("best")?;
    let mean: &Float64Array = batch.get("mean")?;
    let diversity: &Float64Array = batch.get("diversity")?;
    let real = |of: &Float64Array, row: usize| of.is_valid(row).then(|| of.value(row));
    let tells = |row: &usize| whats.value(*row) == What::Generation.name();
    let line = |row: usize| Statistics {
        generation: numbers.value(row),
        evaluations: evaluations.value(row),
        effort: 0.0,
        best: real(best, row),
        mean: real(mean, row),
        diversity: real(diversity, row).unwrap_or_default(),
        cached: 0,
        infeasible: 0,
        not_finite: 0,
    };
    Ok((0..batch.rows()).filter(tells).map(line).collect())
}

/// Writes a file that is there whole or not at all.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot write the plot to `{}`: {error}", path.display());
        Error::new("write-failed", message).option("output")
    };
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, text).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}

/// Keeps the best that a search found: one row, at its end.
///
/// # Columns
/// reads and writes `generation` u64 and `candidate` u64, where it was found, `evaluations` u64,
/// `best` f64, its fitness, which of several objectives is their weighted sum, to be minimised,
/// `objectives` utf8, what the evaluator gave, such as `fitness=0.9,parameters=1200`, `position`
/// list f64, a point of the unit box, and `options` utf8: in a space of options, what that stands
/// for, such as `cost=2.5,ngrams=3`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Best {}

const BEST: [(&str, &str); 7] = [
    ("generation", "u64"),
    ("candidate", "u64"),
    ("evaluations", "u64"),
    ("best", "f64"),
    ("objectives", "utf8"),
    ("position", "list f64"),
    ("options", "utf8"),
];

impl Stage for Best {
    fn columns(&self) -> Columns {
        keeps(&BEST)
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        keep(&batch, What::Best, host)
    }
}

/// Keeps what no other candidate of a search beats in each of its objectives (the
/// Pareto front), at its end: a row a candidate, in the order in which they were found.
///
/// # Columns
/// reads and writes `generation` u64 and `candidate` u64, where it was found, `objectives` utf8,
/// such as `fitness=0.9,parameters=1200`, `position` list f64, a point of the unit box, and
/// `options` utf8: in a space of options, what that stands for
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Front {}

const FRONT: [(&str, &str); 5] = [
    ("generation", "u64"),
    ("candidate", "u64"),
    ("objectives", "utf8"),
    ("position", "list f64"),
    ("options", "utf8"),
];

impl Stage for Front {
    fn columns(&self) -> Columns {
        keeps(&FRONT)
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        keep(&batch, What::Front, host)
    }
}

fn keeps(columns: &[(&str, &str)]) -> Columns {
    let add = |all: Columns, (name, is): &(&str, &str)| all.reads(name, *is).writes(name, *is);
    let all = Columns::new().reads("what", "utf8");
    columns.iter().fold(all, add).rows(Rows::New)
}

/// Gives the rows that tell of `what`, where there are any.
fn keep(batch: &Batch, what: What, host: &mut Host<'_>) -> Result<()> {
    let whats = batch.text("what")?;
    let tells = |row| Some(whats.value(row) == what.name());
    let rows: BooleanArray = (0..batch.rows()).map(tells).collect();
    if rows.true_count() > 0 {
        let kept = filter_record_batch(batch.columns(), &rows)?;
        host.emit(Batch::new(batch.time(), kept));
    }
    Ok(())
}
