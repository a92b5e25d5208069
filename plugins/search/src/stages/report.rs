//! What a search tells besides candidates: how each generation was, and the best.

use arrow_select::filter::filter_record_batch;
use schemars::JsonSchema;
use segue_candidates::rows::What;
use segue_plugin::arrow_array::BooleanArray;
use segue_plugin::{Batch, Columns, Host, Result, Rows, Stage};
use serde::Deserialize;

/// Keeps a search's row of each generation: the numbers that a plot of its convergence needs.
///
/// # Columns
/// reads and writes `generation` u64, `evaluations` u64, `best` f64 (so far), `mean` f64,
/// `diversity` f64 and `seconds` f64, which alone differs between runs
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct History {}

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
        keeps(&HISTORY)
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        keep(&batch, What::Generation, host)
    }
}

/// Keeps the best that a search found: one row, at its end.
///
/// # Columns
/// reads and writes `generation` u64 and `candidate` u64, where it was found, `evaluations` u64,
/// `best` f64, its fitness, and `position` list f64, a point of the unit box
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Best {}

const BEST: [(&str, &str); 5] = [
    ("generation", "u64"),
    ("candidate", "u64"),
    ("evaluations", "u64"),
    ("best", "f64"),
    ("position", "list f64"),
];

impl Stage for Best {
    fn columns(&self) -> Columns {
        keeps(&BEST)
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        keep(&batch, What::Best, host)
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
