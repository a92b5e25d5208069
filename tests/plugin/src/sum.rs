//! A stage whose batches build on each other, and which gives its state to the host.

use std::sync::Arc;

use segue_plugin::arrow_array::{StringArray, UInt64Array};
use segue_plugin::{Batch, Columns, Error, Host, Next, Result, Rows, Stage};

/// Gives, for each batch, a running hash of all texts so far, and once more at the end.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunningSum {
    /// Bytes that its state has beyond what it needs.
    #[serde(default)]
    pub ballast: usize,
    /// The least milliseconds between two snapshots.
    #[serde(default)]
    pub pause_ms: u64,
    /// Batches and their sum.
    #[serde(skip)]
    state: [u64; 2],
}

impl RunningSum {
    fn row(&self, time: u64, what: &str) -> Result<Batch> {
        let [batches, sum] = self.state.map(|n| Arc::new(UInt64Array::from(vec![n])));
        Batch::from_arrays(
            time,
            vec![
                ("what".into(), Arc::new(StringArray::from(vec![what]))),
                ("batches".into(), batches),
                ("sum".into(), sum),
            ],
        )
    }
}

impl Stage for RunningSum {
    fn columns(&self) -> Columns {
        Columns::new()
            .reads("text", "utf8")
            .writes("what", "utf8")
            .writes("batches", "u64")
            .writes("sum", "u64")
            .rows(Rows::New)
            .snapshots(self.pause_ms)
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let [batches, sum] = &mut self.state;
        for byte in (batch.text("text")?.iter().flatten()).flat_map(str::bytes) {
            *sum = sum.wrapping_mul(31).wrapping_add(u64::from(byte)) % 1_000_003;
        }
        *batches += 1;
        self.row(batch.time(), "batch")
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        host.emit(self.row(0, "end")?);
        Ok(Next::Done)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        let mut bytes: Vec<u8> = self.state.iter().flat_map(|n| n.to_le_bytes()).collect();
        bytes.resize(16 + self.ballast, self.state[1] as u8);
        Ok(bytes)
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        let wrong = || Error::new("no-state", format!("a state of {} bytes", state.len()));
        let (numbers, ballast) = state.split_at_checked(16).ok_or_else(wrong)?;
        let number = |i: usize| {
            let bytes = numbers[8 * i..][..8].try_into();
            bytes.map_or(0, u64::from_le_bytes)
        };
        self.state = [number(0), number(1)];
        let whole = ballast.len() == self.ballast
            && ballast.iter().all(|byte| *byte == self.state[1] as u8);
        whole.then_some(()).ok_or_else(wrong)
    }
}
