//! Operators that break the contract at one batch, and behave before it.

use segue_plugin::arrow_array::{StringArray, UInt64Array};
use segue_plugin::{Batch, Columns, Context, Error, Host, Result, Rows, Stage};

/// The contract of most of these: one number a row.
fn numbers() -> Columns {
    Columns::new()
        .reads("review", "u64")
        .writes("number", "u64")
}

/// What a stage that behaves gives.
fn numbered(batch: Batch) -> Result<Batch> {
    let numbers = UInt64Array::from(batch.u64("review")?.values().to_vec());
    batch.with_column("number", numbers)
}

/// Defines an operator with the option `at` that behaves at every other batch.
macro_rules! faulty {
    ($(#[$doc:meta])* $name:ident, |$batch:ident, $host:ident| $fault:expr) => {
        $(#[$doc])*
        #[derive(serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct $name {
            /// The batch at which it breaks the contract.
            pub at: u64,
        }

        impl Stage for $name {
            fn columns(&self) -> Columns {
                numbers()
            }

            fn process(&mut self, batch: Batch) -> Result<Batch> {
                numbered(batch)
            }

            fn process_each(
                &mut self,
                $batch: Batch,
                $host: &mut Host<'_>,
            ) -> Result<()> {
                if $batch.time() != self.at {
                    $host.emit(self.process($batch)?);
                    return Ok(());
                }
                $fault
            }
        }
    };
}

faulty!(
    /// Panics.
    Panics,
    |batch, _host| panic!("no verdict on {} rows", batch.rows())
);

faulty!(
    /// Gives a row less than it got.
    LosesARow,
    |batch, host| {
        let columns = batch.columns().slice(1, batch.rows() - 1);
        host.emit(numbered(Batch::new(batch.time(), columns))?);
        Ok(())
    }
);

faulty!(
    /// Gives text where it declares numbers.
    GivesText,
    |batch, host| {
        let texts = StringArray::from(vec!["x"; batch.rows()]);
        host.emit(batch.with_column("number", texts)?);
        Ok(())
    }
);

faulty!(
    /// Gives its input back, without the column it declares.
    GivesNothing,
    |batch, host| {
        host.emit(batch);
        Ok(())
    }
);

faulty!(
    /// Gives two batches for one.
    GivesTwice,
    |batch, host| {
        host.emit(numbered(batch.clone())?);
        host.emit(numbered(batch)?);
        Ok(())
    }
);

faulty!(
    /// Blames its option.
    Refuses,
    |batch, _host| {
        let message = format!("`at` must not be {}", batch.time());
        Err(Error::new("bad-option", message).option("at"))
    }
);

/// Maps its rows, and names them in the wrong order.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RowsBackwards {
    /// The batch at which it does.
    pub at: u64,
}

impl Stage for RowsBackwards {
    fn columns(&self) -> Columns {
        Columns::new().reads("review", "u64").rows(Rows::Mapped)
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        // Batches of the tests are small.
        let mut rows: Vec<u32> = (0..batch.rows() as u32).collect();
        if batch.time() == self.at {
            rows.reverse();
        }
        Batch::mapped(batch.time(), rows)
    }
}

/// Gives rows at the end of a time, though its rows are its input's.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Late {
    /// The time at which it does.
    pub at: u64,
    #[serde(skip)]
    last: Option<Batch>,
}

impl Stage for Late {
    fn columns(&self) -> Columns {
        numbers()
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let given = numbered(batch)?;
        self.last = Some(given.clone());
        Ok(given)
    }

    fn flush(&mut self, time: u64, host: &mut Host<'_>) -> Result<()> {
        if let Some(last) = self.last.clone().filter(|_| time == self.at) {
            host.emit(last);
        }
        Ok(())
    }
}

/// Cannot be started.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WillNotStart {
    /// Whether it blames this option.
    #[serde(default)]
    pub blamed: bool,
}

impl Stage for WillNotStart {
    fn columns(&self) -> Columns {
        numbers()
    }

    fn start(&mut self, context: &Context) -> Result<()> {
        let message = format!("worker {} is not to my liking", context.worker);
        let error = Error::new("bad-option", message);
        Err(if self.blamed {
            error.option("blamed")
        } else {
            error
        })
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        numbered(batch)
    }
}
