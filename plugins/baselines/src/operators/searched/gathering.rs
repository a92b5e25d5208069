//! The rows of a side input, as evaluators get them.

use segue_plugin::{Batch, Column, Columns, Result};

use crate::operators::gathered::Gathered;

/// The port at which texts come.
pub const ROWS: &str = "rows";

/// Adds what is read of the texts; `input` says whether they have roles.
pub fn reads(columns: Columns, input: &[Column]) -> Columns {
    let columns = columns
        .reads_at(ROWS, "review", "u64")
        .reads_at(ROWS, "text", "utf8")
        .reads_at(ROWS, "truth", "utf8");
    let has = |column: &Column| column.name == "role" && column.port == ROWS;
    if input.iter().any(has) {
        columns.reads_at(ROWS, "role", "utf8")
    } else {
        columns
    }
}

/// Texts that are gathered until something is made of them.
#[derive(Debug)]
pub enum Gathering<T> {
    /// Texts come.
    Texts(Box<Gathered>),
    /// What was made of them.
    Made(T),
}

impl<T> Default for Gathering<T> {
    fn default() -> Self {
        Gathering::Texts(Box::default())
    }
}

impl<T> Gathering<T> {
    /// Takes in a batch of texts.
    ///
    /// # Errors
    /// Those of [`Gathered::add`]
    pub fn add(&mut self, batch: &Batch, labels: &[String]) -> Result<()> {
        match self {
            Gathering::Texts(gathered) => gathered.add(batch, labels),
            // A side input is there whole before anything else comes.
            Gathering::Made(_) => Ok(()),
        }
    }

    /// What `make` makes of all texts, once.
    ///
    /// # Errors
    /// Those of `make`
    pub fn made(&mut self, make: impl FnOnce(Gathered) -> Result<T>) -> Result<&mut T> {
        if let Gathering::Texts(gathered) = self {
            *self = Gathering::Made(make(std::mem::take(gathered))?);
        }
        match self {
            Gathering::Made(made) => Ok(made),
            Gathering::Texts(_) => unreachable!("it was made above"),
        }
    }
}
