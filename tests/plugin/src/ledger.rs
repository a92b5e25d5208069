//! A stage whose batches build on each other, and which saves its state in a file.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use segue_plugin::arrow_array::{StringArray, UInt64Array};
use segue_plugin::{Batch, Columns, Context, Error, Host, Next, OutputPath, Result, Rows, Stage};

/// Gives, for each batch, a running hash of all texts so far, and once more at the end.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ledger {
    /// Where the state is saved.
    pub state: OutputPath,
    /// Batches between two saves; 0 saves nothing.
    #[serde(default)]
    pub every: u64,
    /// How long a batch takes.
    #[serde(default)]
    pub sleep_ms: u64,
    #[serde(skip)]
    sum: u64,
    /// The last time in `sum`; the largest there is when there is none.
    #[serde(skip)]
    seen: u64,
    /// All that was given: any of it may be asked for again.
    #[serde(skip)]
    given: Vec<(u64, u64)>,
    #[serde(skip)]
    calls: u64,
}

impl Ledger {
    fn row(&self, time: u64, what: &str, sum: u64) -> Result<Batch> {
        Batch::from_arrays(
            time,
            vec![
                ("what".into(), Arc::new(StringArray::from(vec![what]))),
                ("sum".into(), Arc::new(UInt64Array::from(vec![sum]))),
            ],
        )
    }

    fn save(&mut self) -> Result<()> {
        let failed = |e: std::io::Error| Error::new("write-failed", e.to_string());
        let mut text = format!("{} {}\n", self.seen, self.sum);
        for (time, sum) in &self.given {
            text += &format!("{time} {sum}\n");
        }
        let new = self.state.with_extension("new");
        fs::write(&new, text).map_err(failed)?;
        fs::rename(&new, &*self.state).map_err(failed)
    }
}

impl Stage for Ledger {
    fn columns(&self) -> Columns {
        Columns::new()
            .reads("text", "utf8")
            .writes("what", "utf8")
            .writes("sum", "u64")
            .rows(Rows::New)
            .stateful()
    }

    fn start(&mut self, context: &Context) -> Result<()> {
        self.seen = u64::MAX;
        if context.from == 0 {
            // There is none in most runs.
            let _ = fs::remove_file(&*self.state);
            return Ok(());
        }
        let text = fs::read_to_string(&*self.state);
        let text = text.map_err(|e| Error::new("no-state", e.to_string()))?;
        let mut lines = text.lines().filter_map(|line| {
            let (time, sum) = line.split_once(' ')?;
            Some((time.parse::<u64>().ok()?, sum.parse::<u64>().ok()?))
        });
        let first = lines.next();
        (self.seen, self.sum) = first.ok_or_else(|| Error::new("no-state", "it is empty"))?;
        self.given = lines.collect();
        Ok(())
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        let time = batch.time();
        if self.seen != u64::MAX && time <= self.seen {
            let given = self.given.iter().find(|(at, _)| *at == time);
            let sum = given
                .ok_or_else(|| Error::new("no-state", "an old batch came again"))?
                .1;
            host.emit(self.row(time, "batch", sum)?);
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(self.sleep_ms));
        for text in batch.text("text")?.iter().flatten() {
            for byte in text.bytes() {
                self.sum = self.sum.wrapping_mul(31).wrapping_add(u64::from(byte)) % 1_000_003;
            }
        }
        self.seen = time;
        self.given.push((time, self.sum));
        host.emit(self.row(time, "batch", self.sum)?);
        host.progress(&format!("{} batches", self.given.len()));
        self.calls += 1;
        if self.every > 0 && self.calls.is_multiple_of(self.every) {
            self.save()?;
            host.saved();
        }
        Ok(())
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        host.emit(self.row(0, "end", self.sum)?);
        // In two parts, as a long job would.
        match std::mem::replace(&mut self.every, u64::MAX) {
            u64::MAX => Ok(Next::Done),
            _ => Ok(Next::More),
        }
    }
}
