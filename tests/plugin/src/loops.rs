//! Operators of a search in small: one that proposes, one that scores, and one that has
//! had enough at some time.

use std::sync::Arc;
use std::time::Duration;

use segue_plugin::arrow_array::{Array, Float64Array, StringArray, UInt64Array};
use segue_plugin::{Batch, Columns, Error, Example, Host, Next, Port, Result, Rows, Stage};
use serde_json::json;

use crate::leash;

/// Proposes generations of candidates, each made from the best one so far.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Propose {
    /// How many there are.
    pub generations: u64,
    /// Candidates in each.
    pub candidates: u64,
    /// How many of them share a batch; 0 for all of a generation.
    #[serde(default)]
    pub together: usize,
    #[serde(skip)]
    state: State,
}

#[derive(Clone, Copy, Default, serde::Deserialize, serde::Serialize)]
struct State {
    generation: u64,
    best: f64,
    fitness: f64,
    /// A hash of all that was scored, in its order.
    seen: u64,
}

impl Propose {
    fn generation(&self, host: &mut Host<'_>) -> Result<()> {
        let first = self.state.generation * self.candidates;
        let numbers: Vec<u64> = (first..first + self.candidates).collect();
        let value = |number: &u64| self.state.best + ((number * 7919) % 101) as f64 / 101.0 - 0.5;
        let values: Vec<f64> = numbers.iter().map(value).collect();
        let size = match self.together {
            0 => numbers.len(),
            together => together,
        };
        for (numbers, values) in numbers.chunks(size).zip(values.chunks(size)) {
            host.emit(batch("candidate", numbers.to_vec(), values.to_vec())?);
        }
        Ok(())
    }
}

fn batch(what: &str, numbers: Vec<u64>, values: Vec<f64>) -> Result<Batch> {
    let what = StringArray::from(vec![what; numbers.len()]);
    Batch::from_arrays(
        0,
        vec![
            ("what".into(), Arc::new(what)),
            ("candidate".into(), Arc::new(UInt64Array::from(numbers))),
            ("value".into(), Arc::new(Float64Array::from(values))),
        ],
    )
}

impl Stage for Propose {
    const PORTS: &'static [Port] = &[Port::new("scores")];
    const STARTS: bool = true;

    fn columns(&self) -> Columns {
        Columns::new()
            .reads_at("scores", "candidate", "u64")
            .reads_at("scores", "value", "f64")
            .reads_at("scores", "fitness", "f64")
            .writes("what", "utf8")
            .writes("candidate", "u64")
            .writes("value", "f64")
            .rows(Rows::New)
            .snapshots(0)
    }

    fn begin(&mut self, host: &mut Host<'_>) -> Result<()> {
        self.state.fitness = f64::MAX;
        self.generation(host)
    }

    fn process_each(&mut self, batch: Batch, _host: &mut Host<'_>) -> Result<()> {
        let numbers: &UInt64Array = batch.get("candidate")?;
        let (values, scores): (&Float64Array, &Float64Array) =
            (batch.get("value")?, batch.get("fitness")?);
        for row in 0..batch.rows() {
            let (value, fitness) = (values.value(row), scores.value(row));
            self.state.seen = (self.state.seen.wrapping_mul(31))
                .wrapping_add(numbers.value(row) ^ fitness.to_bits());
            if fitness < self.state.fitness {
                (self.state.best, self.state.fitness) = (value, fitness);
            }
        }
        Ok(())
    }

    fn flush(&mut self, _time: u64, host: &mut Host<'_>) -> Result<()> {
        self.state.generation += 1;
        if self.state.generation < self.generations {
            self.generation(host)?;
        }
        Ok(())
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        host.emit(batch("best", vec![self.state.seen], vec![self.state.best])?);
        Ok(Next::Done)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.state).map_err(|e| Error::new("no-state", e.to_string()))
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        let state = serde_json::from_slice(state);
        self.state = state.map_err(|e| Error::new("no-state", e.to_string()))?;
        Ok(())
    }
}

/// Scores candidates on all the texts there are.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Score {
    /// How long a candidate takes, in milliseconds.
    #[serde(default)]
    pub sleep_ms: u64,
    /// The file that says how far it may go; empty when nothing holds it.
    #[serde(default)]
    pub leash: String,
    #[serde(skip)]
    letters: usize,
    #[serde(skip)]
    texts: usize,
}

impl Stage for Score {
    const PORTS: &'static [Port] = &[Port::new("candidates"), Port::whole("rows")];

    fn examples() -> Vec<Example> {
        vec![Example::at_ports(
            json!({}),
            [
                ("candidates", vec![json!({"candidate": 7, "value": 1.0})]),
                (
                    "rows",
                    vec![json!({"text": "one"}), json!({"text": "three"})],
                ),
            ],
            vec![json!({"candidate": 7, "fitness": 0.992, "texts": 2})],
        )]
    }

    fn columns(&self) -> Columns {
        Columns::new()
            .reads_at("candidates", "candidate", "u64")
            .reads_at("candidates", "value", "f64")
            .reads_at("rows", "text", "utf8")
            .writes("candidate", "u64")
            .writes("value", "f64")
            .writes("fitness", "f64")
            .writes("texts", "u64")
            .spreads()
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        if batch.port() == 1 {
            let texts: &StringArray = batch.get("text")?;
            self.texts += texts.len();
            self.letters += texts.iter().flatten().map(str::len).sum::<usize>();
            return Ok(());
        }
        leash::wait(&self.leash, batch.time());
        std::thread::sleep(Duration::from_millis(self.sleep_ms * batch.rows() as u64));
        let goal = self.letters as f64 / 1000.0;
        let values: &Float64Array = batch.get("value")?;
        let fitness: Float64Array = values
            .values()
            .iter()
            .map(|v| Some((v - goal).abs()))
            .collect();
        let texts = UInt64Array::from(vec![self.texts as u64; batch.rows()]);
        host.emit(
            batch
                .with_column("fitness", fitness)?
                .with_column("texts", texts)?,
        );
        Ok(())
    }
}

/// Gives the candidates that it gets as soon as it may.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hold {
    /// The file that says how far it may go.
    pub leash: String,
}

impl Stage for Hold {
    fn columns(&self) -> Columns {
        Columns::new()
            .reads("candidate", "u64")
            .writes("candidate", "u64")
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        leash::wait(&self.leash, batch.time());
        Ok(batch)
    }
}

/// Gives the number of each row until it has had enough, and how many there were at its end.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Enough {
    /// After how many batches it needs no more.
    pub batches: u64,
    #[serde(skip)]
    seen: [u64; 2],
}

impl Enough {
    fn give(&self, host: &mut Host<'_>) -> Result<()> {
        let rows = UInt64Array::from(vec![self.seen[1]]);
        host.emit(Batch::from_arrays(
            0,
            vec![("rows".into(), Arc::new(rows))],
        )?);
        Ok(())
    }
}

impl Stage for Enough {
    fn columns(&self) -> Columns {
        (Columns::new().reads("text", "utf8").writes("rows", "u64"))
            .rows(Rows::New)
            .snapshots(0)
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        self.seen[0] += 1;
        self.seen[1] += batch.rows() as u64;
        if self.seen[0] == self.batches {
            host.done();
        }
        if self.seen[0] > self.batches {
            Err(Error::new("too-much", "it was given more than it needs"))
        } else {
            self.give(host)
        }
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        self.give(host)?;
        Ok(Next::Done)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        Ok(self.seen.iter().flat_map(|n| n.to_le_bytes()).collect())
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        let number = |i: usize| state[8 * i..][..8].try_into().map_or(0, u64::from_le_bytes);
        self.seen = [number(0), number(1)];
        Ok(())
    }
}
