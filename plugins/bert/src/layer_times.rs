//! How long the layers of a model take here, by their heads and inner units.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use segue_encoder::{Layers, ModelConfig, ModelError, Segment};
use segue_model::{HalfTimes, LayerTimes as Table};
use segue_plugin::arrow_array::{ArrayRef, Float64Array, StringArray, UInt32Array};
use segue_plugin::{Batch, Columns, Error, Host, ModelPath, Next, OutputPath, Result, Rows, Stage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The file that is written.
const FILE: &str = "layer-times.toml";

/// Inner sizes are measured at multiples of a 16th of the model's.
const INNER_STEPS: usize = 16;

/// Measures how long an encoder layer takes on this machine, on one core: with each number of
/// heads, and with inner sizes up to the model's own. `prune` chooses by it.
///
/// # Columns
/// writes `part` utf8 (`heads` or `inner`, or these of the last layer), `size` u32 and `seconds` f64, a row a measured size
/// # Errors
/// `write-failed`
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LayerTimes {
    /// The model whose layers are measured: their sizes, not their weights.
    pub model: ModelPath,
    /// The folder for `layer-times.toml`.
    pub output: OutputPath,
    /// Tokens of the text.
    #[serde(default = "tokens")]
    #[schemars(range(min = 1, max = 4096))]
    pub tokens: usize,
    /// How often each size is measured; the least time counts.
    #[serde(default = "rounds")]
    #[schemars(range(min = 1, max = 10_000))]
    pub rounds: usize,
}

fn tokens() -> usize {
    200
}

fn rounds() -> usize {
    15
}

/// The sizes of a layer to measure.
#[derive(Clone, Copy)]
struct Sizes {
    hidden: usize,
    head_size: usize,
    heads: usize,
    inner: usize,
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::new("write-failed", error.to_string())
}

impl LayerTimes {
    fn measure(&self) -> Result<Table> {
        let config = ModelConfig::read(&self.model).map_err(|e| Error::from(e).option("model"))?;
        let sizes = config.layers.iter();
        let inner = sizes.clone().map(|layer| layer.inner).max().unwrap_or(1);
        let whole = Sizes {
            hidden: config.hidden_size,
            head_size: config.layers[0].head_size,
            heads: sizes.map(|layer| layer.heads).max().unwrap_or(1),
            inner,
        };
        let step = inner.div_ceil(INNER_STEPS);
        let widths: Vec<usize> = (1..=INNER_STEPS).map(|i| (i * step).min(inner)).collect();
        let mut widths = widths;
        widths.dedup();
        let all: Vec<Sizes> = (1..=whole.heads)
            .map(|heads| Sizes { heads, ..whole })
            .chain(widths.iter().map(|inner| Sizes {
                inner: *inner,
                ..whole
            }))
            .collect();
        let half = |is_last| Ok::<_, Error>(halves(&self.seconds(&all, is_last)?, whole.heads));
        Ok(Table {
            tokens: self.tokens,
            hidden: whole.hidden,
            head_size: whole.head_size,
            whole: half(false)?,
            last: half(true)?,
            widths,
            rest: 0.0,
        })
    }

    /// The least time of each, measured in turns, so that what else the machine does meets all.
    fn seconds(&self, all: &[Sizes], is_last: bool) -> Result<Vec<f64>> {
        let folder = tempfile::tempdir().map_err(|e| failed(&e))?;
        let segment = |sizes: &Sizes| -> Result<Segment> {
            write_layer(folder.path(), *sizes, self.tokens, is_last)?;
            let one = Layers { start: 1, end: 2 };
            let load = Segment::load(folder.path(), one);
            load.map_err(|e: ModelError| Error::from(e))
        };
        let mut segments = all.iter().map(segment).collect::<Result<Vec<_>>>()?;
        let hidden = numbers(self.tokens * all[0].hidden);
        let mut least = vec![f64::INFINITY; all.len()];
        let mut out = Vec::new();
        for _ in 0..self.rounds {
            for (segment, least) in segments.iter_mut().zip(&mut least) {
                out.clear();
                let started = Instant::now();
                segment.run_hidden(&hidden, &mut out)?;
                *least = least.min(started.elapsed().as_secs_f64());
            }
        }
        Ok(least)
    }
}

/// A layer's time as the sum of its halves', from the times with each number of heads and then
/// with each inner size, of which the last is that of all heads.
fn halves(seconds: &[f64], heads: usize) -> HalfTimes {
    let (heads, inner) = seconds.split_at(heads);
    let most = inner[inner.len() - 1].min(heads[heads.len() - 1]);
    let (heads, inner) = (not_above(heads, most), not_above(inner, most));
    let least = inner[0];
    // What is left of a layer with no inner units; it counts with the heads.
    let step = (most - least) / (inner.len() - 1).max(1) as f64;
    let base = least - step.max(0.0);
    HalfTimes {
        heads: heads.iter().map(|x| (x - most + base).max(1e-9)).collect(),
        inner: inner.iter().map(|x| (x - base).max(1e-9)).collect(),
    }
}

/// `seconds` of ascending sizes, of which the last takes `most`: less work takes no longer, and
/// what was measured so had to wait for others.
fn not_above(seconds: &[f64], most: f64) -> Vec<f64> {
    let mut least = most;
    let mut all: Vec<f64> = (seconds.iter().rev())
        .map(|x| {
            least = least.min(*x);
            least
        })
        .collect();
    all.reverse();
    all
}

/// Numbers from -0.05 to 0.05 that look like weights.
fn numbers(count: usize) -> Vec<f32> {
    let hash = |i: u32| i.wrapping_mul(2_654_435_761) >> 8;
    let number = |i: u32| (hash(i) % 1000) as f32 / 1e4 - 0.05;
    (0..count as u32).map(number).collect()
}

/// Writes a model of two layers, of which the second has weights.
/// With `is_last` a head follows.
fn write_layer(folder: &Path, sizes: Sizes, tokens: usize, is_last: bool) -> Result<()> {
    let Sizes {
        hidden,
        head_size,
        heads,
        inner,
    } = sizes;
    let config = json!({
        "hidden_size": hidden, "num_attention_heads": heads, "head_dim": head_size,
        "intermediate_size": inner, "num_hidden_layers": 2, "vocab_size": 1,
        "max_position_embeddings": tokens,
        "architectures": [if is_last { "BertForSequenceClassification" } else { "BertModel" }],
    });
    let attention = heads * head_size;
    let mut shapes = vec![
        // By which the file is known as one of a BERT.
        (
            "encoder.layer.0.attention.self.query.weight".to_owned(),
            vec![1, 1],
        ),
    ];
    for (name, outputs, inputs) in [
        ("attention.self.query", attention, hidden),
        ("attention.self.key", attention, hidden),
        ("attention.self.value", attention, hidden),
        ("attention.output.dense", hidden, attention),
        ("intermediate.dense", inner, hidden),
        ("output.dense", hidden, inner),
    ] {
        shapes.push((
            format!("encoder.layer.1.{name}.weight"),
            vec![outputs, inputs],
        ));
        shapes.push((format!("encoder.layer.1.{name}.bias"), vec![outputs]));
    }
    for name in ["attention.output", "output"] {
        for part in ["weight", "bias"] {
            shapes.push((
                format!("encoder.layer.1.{name}.LayerNorm.{part}"),
                vec![hidden],
            ));
        }
    }
    for (name, outputs) in [("pooler.dense", hidden), ("classifier", 2)] {
        if is_last {
            shapes.push((format!("{name}.weight"), vec![outputs, hidden]));
            shapes.push((format!("{name}.bias"), vec![outputs]));
        }
    }
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in shapes {
        let start = data.len();
        let values = numbers(shape.iter().product());
        values
            .iter()
            .for_each(|x| data.extend_from_slice(&x.to_le_bytes()));
        let offsets = [start, data.len()];
        header.insert(
            name,
            json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}),
        );
    }
    let header = Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    let file = [&length[..], header.as_bytes(), &data].concat();
    std::fs::write(folder.join("config.json"), config.to_string()).map_err(|e| failed(&e))?;
    std::fs::write(folder.join("model.safetensors"), file).map_err(|e| failed(&e))
}

/// A row a size.
fn rows(table: &Table) -> Result<Batch> {
    let mut all: Vec<(&str, u32, f64)> = Vec::new();
    for (half, names) in [
        (&table.whole, ["heads", "inner"]),
        (&table.last, ["last-heads", "last-inner"]),
    ] {
        let widths = table.widths.iter().map(|width| *width as u32);
        all.extend((1..).zip(&half.heads).map(|(size, x)| (names[0], size, *x)));
        all.extend(
            widths
                .zip(&half.inner)
                .map(|(size, x)| (names[1], size, *x)),
        );
    }
    let parts: StringArray = all.iter().map(|row| Some(row.0)).collect();
    let sizes: UInt32Array = all.iter().map(|row| Some(row.1)).collect();
    let seconds: Float64Array = all.iter().map(|row| Some(row.2)).collect();
    let columns: Vec<(String, ArrayRef)> = vec![
        ("part".into(), Arc::new(parts)),
        ("size".into(), Arc::new(sizes)),
        ("seconds".into(), Arc::new(seconds)),
    ];
    Batch::from_arrays(0, columns)
}

impl Stage for LayerTimes {
    const STARTS: bool = true;

    fn columns(&self) -> Columns {
        Columns::new()
            .writes("part", "utf8")
            .writes("size", "u32")
            .writes("seconds", "f64")
            .rows(Rows::New)
            .snapshots(0)
    }

    fn columns_for(&self, _: &[segue_plugin::Column]) -> Result<Columns> {
        ModelConfig::read(&self.model).map_err(|e| Error::from(e).option("model"))?;
        Ok(self.columns())
    }

    fn begin(&mut self, host: &mut Host<'_>) -> Result<()> {
        let table = self.measure()?;
        let folder: &Path = &self.output;
        std::fs::create_dir_all(folder).map_err(|e| failed(&e).option("output"))?;
        let written = std::fs::write(folder.join(FILE), table.text());
        written.map_err(|e| failed(&e).option("output"))?;
        host.emit(rows(&table)?);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn restore(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, _: &mut Host<'_>) -> Result<Next> {
        Ok(Next::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_the_sum_of_its_halves() {
        // 3, 2 for each head, and 10 for each step of inner units.
        let whole = |heads: f64, steps: f64| 3.0 + 2.0 * heads + 10.0 * steps;
        let heads = [1.0, 2.0].map(|heads| whole(heads, 3.0));
        let inner = [1.0, 2.0, 3.0].map(|steps| whole(2.0, steps));
        let halves = halves(&[&heads[..], &inner].concat(), 2);
        assert_eq!(halves.heads, [5.0, 7.0]);
        assert_eq!(halves.inner, [10.0, 20.0, 30.0]);
        assert_eq!(not_above(&[2.0, 9.0, 4.0, 5.0], 4.5), [2.0, 4.0, 4.0, 4.5]);
    }

    #[test]
    fn each_size_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = Sizes {
            hidden: 64,
            head_size: 16,
            heads: 4,
            inner: 512,
        };
        write_layer(folder.path(), sizes, 64, false).unwrap();
        let stage = LayerTimes {
            model: ModelPath(folder.path().into()),
            output: OutputPath(folder.path().into()),
            tokens: 64,
            rounds: 5,
        };
        let table = stage.measure().unwrap();
        assert_eq!((table.whole.heads.len(), table.widths.len()), (4, 16));
        assert_eq!((table.widths[0], table.widths[15]), (32, 512));
        assert_eq!(Table::parse(&table.text()).unwrap(), table);
        assert_eq!(rows(&table).unwrap().rows(), 40);
    }
}
