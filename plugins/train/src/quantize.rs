//! Weights as bytes, as a graph file names it.

use std::sync::Arc;

use schemars::JsonSchema;
use segue_learn::store::{Stored, make_folder, pack_tensors};
use segue_model::{Quantized, TensorSpec};
use segue_plugin::arrow_array::{ArrayRef, Float64Array, UInt64Array};
use segue_plugin::{
    Batch, Column, Columns, Context, Error, Host, ModelPath, OutputPath, Result, Rows, Stage,
};
use serde::Deserialize;

use crate::config::Config;
use crate::output::{Tokenizer, read_tokenizer, write_files};
use crate::params::{self, Part};

/// Stores a model's weights as bytes: of each encoder layer's matrices and of the word table, with
/// a scale a row, so that the row's largest number is 127 steps. All other tensors stay floats.
///
/// `bert` runs the model in any precision; with `precision = "int8"` it takes the bytes as they
/// are, which are those that it would round the weights to at load.
///
/// # Columns
/// writes one row: `matrices: u64`, `weights: u64` in them, `bytes: u64` of the new file, and
/// `error: f64`, the root of the mean square of what rounding changed, over that of the weights
/// # Errors
/// `model-missing`, `model-mismatch`; `not-finite` for weights that are no numbers
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quantize {
    /// The model: a Hugging Face folder with `model.safetensors` or `pytorch_model.bin`.
    pub model: ModelPath,
    /// The folder for the model with bytes.
    pub output: OutputPath,
    /// Store what is not bytes in 16 bits.
    #[serde(default)]
    pub half_precision: bool,
    #[serde(skip)]
    base: Option<(Config, Vec<String>, Tokenizer)>,
}

/// What was done so far.
#[derive(Default)]
struct Done {
    matrices: u64,
    weights: u64,
    /// Sums of squares: of what rounding changed, and of the weights.
    squares: [f64; 2],
}

/// Whether a tensor is one of those whose products are taken in bytes, or the word table.
fn is_matrix(part: &Part) -> bool {
    let is_weight = part.shape.len() == 2 && part.name.ends_with(".weight");
    is_weight
        && (part.name.starts_with("encoder.layer.")
            || part.name == "embeddings.word_embeddings.weight")
}

/// What a tensor of the new file holds.
enum Values {
    Floats(Vec<f32>),
    Bytes(Quantized),
}

impl Quantize {
    fn base(&self) -> Result<(Config, Vec<String>, Tokenizer)> {
        let (config, labels) = Config::read(&self.model, &[])?;
        params::open(&self.model, &config)?;
        Ok((config, labels, read_tokenizer(&self.model)?))
    }

    /// The tensors of the new file, each by its part.
    fn tensors(&self, config: &Config, done: &mut Done) -> Result<Vec<(Part, Values)>> {
        let weights = params::open(&self.model, config)?;
        let parts = params::parts(&config.shape).into_iter().flatten();
        let there = parts.filter(|part| weights.has(&part.name));
        let read = |part: Part| -> Result<(Part, Values)> {
            let (name, shape) = (part.name.clone(), part.shape.clone());
            let values = weights.read(&TensorSpec { name, shape })?;
            if !values.iter().all(|x| x.is_finite()) {
                let message = format!("`{}` has values that are not finite", part.name);
                return Err(Error::new("not-finite", message));
            }
            let values = if is_matrix(&part) {
                Values::Bytes(done.round(&values, part.shape[1]))
            } else {
                Values::Floats(values)
            };
            Ok((part, values))
        };
        there.map(read).collect()
    }

    /// The bytes of `model.safetensors`.
    fn file(&self, tensors: &[(Part, Values)]) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        for (part, values) in tensors {
            let name = if part.name.starts_with("classifier") {
                part.name.clone()
            } else {
                format!("bert.{}", part.name)
            };
            match values {
                Values::Floats(values) => {
                    let shape = part.shape.clone();
                    all.push((name, Stored::new(values, shape, self.half_precision)));
                }
                Values::Bytes(rows) => {
                    let scales = Stored::new(&rows.scales, vec![rows.scales.len()], false);
                    all.push((format!("{name}_scale"), scales));
                    all.push((name, Stored::bytes(&rows.numbers, part.shape.clone())));
                }
            }
        }
        pack_tensors(all, Some(("format", "pt".to_owned())))
    }
}

impl Done {
    fn round(&mut self, values: &[f32], depth: usize) -> Quantized {
        let rows = Quantized::of(values, depth);
        self.matrices += 1;
        self.weights += values.len() as u64;
        for (x, back) in values.iter().zip(rows.widen()) {
            let off = f64::from(*x) - f64::from(back);
            self.squares[0] += off * off;
            self.squares[1] += f64::from(*x) * f64::from(*x);
        }
        rows
    }

    fn row(&self, bytes: usize) -> Result<Batch> {
        let [off, all] = self.squares;
        let whole = |x: u64| Arc::new(UInt64Array::from(vec![x])) as ArrayRef;
        let error = if all > 0.0 { (off / all).sqrt() } else { 0.0 };
        let columns = [
            ("matrices", whole(self.matrices)),
            ("weights", whole(self.weights)),
            ("bytes", whole(bytes as u64)),
            ("error", Arc::new(Float64Array::from(vec![error]))),
        ];
        let columns = columns.map(|(name, column)| (name.to_owned(), column));
        Batch::from_arrays(0, columns.into())
    }
}

fn blame(error: Error) -> Error {
    match error.option {
        None => error.option("model"),
        Some(_) => error,
    }
}

impl Stage for Quantize {
    const STARTS: bool = true;

    fn columns(&self) -> Columns {
        Columns::new()
            .writes("matrices", "u64")
            .writes("weights", "u64")
            .writes("bytes", "u64")
            .writes("error", "f64")
            .rows(Rows::New)
            .snapshots(10_000)
    }

    fn columns_for(&self, _: &[Column]) -> Result<Columns> {
        self.base().map_err(blame)?;
        Ok(self.columns())
    }

    fn start(&mut self, _: &Context) -> Result<()> {
        make_folder(&self.output)?;
        self.base = Some(self.base().map_err(blame)?);
        Ok(())
    }

    fn begin(&mut self, host: &mut Host<'_>) -> Result<()> {
        let Some((config, labels, tokenizer)) = &self.base else {
            return Err(Error::new("not-started", "no model was read"));
        };
        let mut done = Done::default();
        let tensors = self.tensors(config, &mut done).map_err(blame)?;
        let file = self.file(&tensors)?;
        let text = config.text(&config.shape, labels);
        write_files(&self.output, tokenizer, &file, &text)?;
        host.emit(done.row(file.len())?);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        // All is done at the beginning.
        Ok(Vec::new())
    }

    fn restore(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}
