//! A stage of two units that shows how far its first part runs ahead of its second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use segue_plugin::arrow_array::UInt64Array;
use segue_plugin::{Batch, Column, Columns, Error, Result, Stage, Unit, Units};

/// Batches that the first part has seen, in this process.
static ENTERED: AtomicU64 = AtomicU64::new(0);

/// The longest that the second part waits for the first to run ahead.
const PATIENCE: Duration = Duration::from_secs(600);

/// At its first batch the second part waits until the first part has seen `ahead`
/// batches. At each it tells how many the first has seen that itself has not yet given.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gate {
    /// The part, or both.
    #[serde(default = "both")]
    pub part: String,
    /// How many batches the first part must see before the second gives any.
    pub ahead: u64,
    #[serde(skip)]
    left: u64,
}

fn both() -> String {
    "..".to_owned()
}

impl Stage for Gate {
    const HAS_UNITS: bool = true;

    fn columns(&self) -> Columns {
        let columns = Columns::new().reads("review", "u64");
        match self.part.as_str() {
            "0..1" => columns,
            _ => columns.writes("ahead", "u64"),
        }
    }

    fn columns_for(&self, _input: &[Column]) -> Result<Columns> {
        Ok(self.columns())
    }

    fn units(&self) -> Result<Option<Units>> {
        let unit = |name: &str| Unit {
            name: name.to_owned(),
            cost: 1.0,
            bytes: 0,
        };
        Ok(Some(Units {
            option: "part".to_owned(),
            units: vec![unit("enter"), unit("leave")],
        }))
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        if self.part == "0..1" {
            ENTERED.fetch_add(1, Ordering::SeqCst);
            return Ok(batch);
        }
        let started = Instant::now();
        while ENTERED.load(Ordering::SeqCst) < self.ahead {
            if started.elapsed() > PATIENCE {
                let seen = ENTERED.load(Ordering::SeqCst);
                let message = format!("the first part saw {seen} batches, not {}", self.ahead);
                return Err(Error::new("no-overlap", message));
            }
            std::thread::yield_now();
        }
        // Time for the first part to run further ahead, if nothing holds it.
        std::thread::sleep(Duration::from_millis(5));
        let ahead = ENTERED.load(Ordering::SeqCst) - self.left;
        self.left += 1;
        let ahead = UInt64Array::from(vec![ahead; batch.rows()]);
        batch.with_column("ahead", ahead)
    }
}
