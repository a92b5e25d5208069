//! Operators that behave, one for each relation of output rows to input rows.

use std::time::Duration;

use segue_plugin::arrow_array::{StringArray, UInt64Array};
use segue_plugin::{Batch, Columns, Host, Result, Rows, Stage};

use crate::leash;

/// Gives what it gets, after a while, or as soon as it may.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pass {
    /// How long a batch takes, in milliseconds.
    #[serde(default)]
    pub sleep_ms: u64,
    /// The file that says how far it may go; empty when nothing holds it.
    #[serde(default)]
    pub leash: String,
}

impl Stage for Pass {
    fn columns(&self) -> Columns {
        Columns::new().reads("text", "utf8").writes("text", "utf8")
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        std::thread::sleep(Duration::from_millis(self.sleep_ms));
        leash::wait(&self.leash, batch.time());
        Ok(batch)
    }
}

/// Holds a time's texts back until no more can come, then gives the longest and
/// how many there were.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hoard {
    #[serde(skip)]
    held: Vec<(u64, Vec<String>)>,
}

impl Stage for Hoard {
    fn columns(&self) -> Columns {
        Columns::new()
            .reads("text", "utf8")
            .writes("longest", "utf8")
            .writes("texts", "u64")
            .rows(Rows::New)
    }

    fn process_each(&mut self, batch: Batch, _host: &mut Host<'_>) -> Result<()> {
        let texts = batch.text("text")?.iter().flatten().map(str::to_owned);
        self.held.push((batch.time(), texts.collect()));
        Ok(())
    }

    fn flush(&mut self, time: u64, host: &mut Host<'_>) -> Result<()> {
        let due = self.held.extract_if(.., |(held, _)| *held == time);
        let texts: Vec<String> = due.flat_map(|(_, texts)| texts).collect();
        let longest = texts.iter().max_by_key(|text| text.len()).cloned();
        let count = UInt64Array::from(vec![texts.len() as u64]);
        host.emit(Batch::from_arrays(
            time,
            vec![
                (
                    "longest".into(),
                    std::sync::Arc::new(StringArray::from(vec![longest])),
                ),
                ("texts".into(), std::sync::Arc::new(count)),
            ],
        )?);
        Ok(())
    }
}

/// Drops every other row, the first of a batch never.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EveryOther {}

impl Stage for EveryOther {
    fn columns(&self) -> Columns {
        Columns::new().reads("review", "u64").rows(Rows::Mapped)
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        // Batches of the tests are small.
        Batch::mapped(batch.time(), (0..batch.rows() as u32).step_by(2).collect())
    }
}

/// Starts a count.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Zero {}

impl Stage for Zero {
    fn columns(&self) -> Columns {
        Columns::new().reads("review", "u64").writes("trips", "u64")
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let zeros = UInt64Array::from(vec![0; batch.rows()]);
        batch.with_column("trips", zeros)
    }
}

/// Counts one more trip.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddOne {}

impl Stage for AddOne {
    fn columns(&self) -> Columns {
        Columns::new().reads("trips", "u64").writes("trips", "u64")
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let more = batch.u64("trips")?.iter().map(|trips| Some(trips? + 1));
        let more: UInt64Array = more.collect();
        batch.with_column("trips", more)
    }
}

/// Keeps the rows that have made their trips, or the others: review r makes r modulo
/// `most`, and one more.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reached {
    /// The most trips that any row makes.
    pub most: u64,
    /// Whether it keeps the rows that have made them.
    pub keep: bool,
}

impl Stage for Reached {
    fn columns(&self) -> Columns {
        Columns::new()
            .reads("review", "u64")
            .reads("trips", "u64")
            .rows(Rows::Mapped)
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let (reviews, trips) = (batch.u64("review")?.values(), batch.u64("trips")?.values());
        let reached = |row: &usize| trips[*row] > reviews[*row] % self.most;
        let rows = (0..batch.rows()).filter(|row| reached(row) == self.keep);
        // Batches of the tests are small.
        Batch::mapped(batch.time(), rows.map(|row| row as u32).collect())
    }
}
