//! The operator, as a graph file names it.

use schemars::JsonSchema;
use segue_encoder::{
    Checked, Layers, ModelConfig, ModelError, Options, Precision, Segment, check_with,
    embedding_bytes, flops, head_bytes, layer_cost,
};
use segue_plugin::{
    Batch, Column, Columns, Context, Error, ModelPath, Result, Stage, Unit, Units, fixed_f32,
    fixed_f32_array, list_u32, ragged_f32, ragged_f32_array,
};
use serde::Deserialize;

/// Tokens of the review that unit costs are stated for.
const TYPICAL_TOKENS: usize = 200;

/// Runs encoder layers of a BERT-family model.
///
/// # Columns
/// reads  `tokens: list u32`, or `hidden: ragged f32[H]` when `layers` does not begin at 0; and
/// `review: u64` where it is there, to name a review at fault
///
/// writes `logits: fixed f32[labels]`, or `hidden: ragged f32[H]` when `layers` ends before the
/// head or the model has none; and `state-K: ragged f32[H]` for each K of `states` within `layers`
///
/// # Errors
/// Those of [`Segment::load`], [`Segment::run_tokens`] and [`Segment::run_hidden`]
/// # Source
/// Devlin et al., arXiv:1810.04805, section 3
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bert {
    /// A Hugging Face folder, or an `.onnx` file in one.
    pub model: ModelPath,
    /// The encoder layers to run, as `a..b`; the embeddings go with the first, the head with the last.
    #[serde(default = "all_layers")]
    pub layers: String,
    /// After how many layers hidden states are also written, as a list: `0,2,4`; 0 is after the embeddings.
    #[serde(default)]
    pub states: String,
    /// In which numbers matrix products are taken: `f32`, `bf16` or `int8`.
    #[serde(default)]
    pub precision: Numbers,
    #[serde(skip)]
    segment: Option<Segment>,
    #[serde(skip)]
    kept: Vec<usize>,
}

/// What `precision` can be.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// As the weights are, in 32 bits: the reference.
    #[default]
    F32,
    /// Rounded to 16 bits, summed in 32: faster than `f32` only on a processor with AMX.
    Bf16,
    /// Weights and activations rounded to 8 bits, with a scale a row and a token; attention as
    /// with `bf16`.
    Int8,
}

impl From<Numbers> for Precision {
    fn from(numbers: Numbers) -> Self {
        match numbers {
            Numbers::F32 => Self::F32,
            Numbers::Bf16 => Self::Bf16,
            Numbers::Int8 => Self::Int8,
        }
    }
}

fn all_layers() -> String {
    "..".into()
}

impl Bert {
    fn range(&self) -> Result<Layers> {
        let config = ModelConfig::read(&self.model).map_err(blamed)?;
        Layers::parse(&self.layers, config.num_hidden_layers).map_err(blamed)
    }

    /// The states that this range has.
    fn states(&self, layers: Layers, count: usize) -> Result<Vec<usize>> {
        let bad = |what: &str| {
            let message = format!("`states` has `{what}`; write numbers from 0 to {count}: `0,2`");
            Error::new("bad-option", message).option("states")
        };
        let mut all = Vec::new();
        for text in self
            .states
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            let state = text.parse().ok().filter(|state| *state <= count);
            all.push(state.ok_or_else(|| bad(text))?);
        }
        all.sort_unstable();
        all.dedup();
        let first = if layers.has_embeddings() {
            0
        } else {
            layers.start + 1
        };
        all.retain(|state| (first..=layers.end).contains(state));
        Ok(all)
    }
}

/// Whether reviews are numbered in a column that reaches the stage.
fn has_review(input: &[Column]) -> bool {
    let review = Column::new("review", "u64");
    input.iter().any(|column| column.fits(&review))
}

/// The column of a state.
fn state_column(state: usize) -> String {
    format!("state-{state}")
}

impl Stage for Bert {
    const HAS_UNITS: bool = true;

    fn columns(&self) -> Columns {
        self.columns_for(&[]).unwrap_or_default()
    }

    fn columns_for(&self, input: &[Column]) -> Result<Columns> {
        let layers = self.range()?;
        let checked = check_with(&self.model, layers, self.precision.into()).map_err(blamed)?;
        let Checked {
            config,
            gives_logits,
            ..
        } = checked;
        let hidden = ragged_f32(config.hidden_size);
        let columns = match has_review(input) {
            // For messages.
            true => Columns::new().reads("review", "u64"),
            false => Columns::new(),
        };
        let columns = if layers.has_embeddings() {
            columns.reads("tokens", list_u32())
        } else {
            columns.reads("hidden", hidden)
        };
        let columns = if gives_logits {
            columns
                .writes("logits", fixed_f32(config.labels.len()))
                .labelled("logits", config.class_names())
        } else {
            columns.writes("hidden", hidden)
        };
        let states = self.states(layers, config.num_hidden_layers)?;
        let add = |columns: Columns, state: &usize| columns.writes(&state_column(*state), hidden);
        Ok(states.iter().fold(columns, add))
    }

    /// One unit an encoder layer; none when `layers` already selects a part.
    fn units(&self) -> Result<Option<Units>> {
        let config = ModelConfig::read(&self.model).map_err(blamed)?;
        let count = config.num_hidden_layers;
        if self.range()? != Layers::all(count) {
            return Ok(None);
        }
        let precision = self.precision.into();
        let checked = check_with(&self.model, Layers::all(count), precision).map_err(blamed)?;
        let mut units: Vec<Unit> = (0..count)
            .map(|layer| unit(&config, precision, layer, &checked))
            .collect();
        if !checked.is_cut {
            units = vec![Unit {
                name: "the whole ONNX file, whose nodes are not named by layers".into(),
                cost: units.iter().map(|unit| unit.cost).sum(),
                bytes: units.iter().map(|unit| unit.bytes).sum(),
            }];
        }
        Ok(Some(Units {
            option: "layers".into(),
            units,
        }))
    }

    fn start(&mut self, _: &Context) -> Result<()> {
        let config = ModelConfig::read(&self.model).map_err(blamed)?;
        let layers = self.range()?;
        let states = self.states(layers, config.num_hidden_layers)?;
        let options = Options {
            states: states.clone(),
            precision: self.precision.into(),
            isa: None,
        };
        let segment = Segment::load_with(&self.model, layers, &options);
        self.segment = Some(segment.map_err(blamed)?);
        self.kept = states;
        Ok(())
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let Some(segment) = &mut self.segment else {
            return Err(Error::new("not-started", "no weights were loaded"));
        };
        let mut states = vec![Vec::new(); self.kept.len()];
        let (values, lengths) = run(segment, &batch, &mut states)?;
        let config = segment.config();
        let mut batch = if segment.gives_logits() {
            batch.with_column("logits", fixed_f32_array(values, config.labels.len())?)?
        } else {
            let hidden = ragged_f32_array(values, config.hidden_size, &lengths)?;
            batch.with_column("hidden", hidden)?
        };
        for (state, values) in self.kept.iter().zip(states) {
            let values = ragged_f32_array(values, config.hidden_size, &lengths)?;
            batch = batch.with_column(&state_column(*state), values)?;
        }
        Ok(batch)
    }
}

/// The output of all rows, one after the other, and each row's tokens; into `states` go those
/// that are kept.
fn run(
    segment: &mut Segment,
    batch: &Batch,
    states: &mut [Vec<f32>],
) -> Result<(Vec<f32>, Vec<usize>)> {
    let hidden_size = segment.config().hidden_size;
    let mut values = Vec::new();
    let mut lengths = Vec::with_capacity(batch.rows());
    if segment.takes_tokens() {
        if !segment.gives_logits() {
            // One allocation for the whole batch, instead of growth by copying.
            let tokens: usize = batch.lists_u32("tokens")?.map(<[u32]>::len).sum();
            values.reserve(tokens * hidden_size);
        }
        for (row, tokens) in batch.lists_u32("tokens")?.enumerate() {
            let result = segment.run_tokens(tokens, &mut values);
            let kept = result.and_then(|()| keep(segment, states));
            kept.map_err(|e| in_row(batch, row, e))?;
            lengths.push(tokens.len());
        }
    } else {
        for (row, hidden) in batch.ragged_f32("hidden", hidden_size)?.enumerate() {
            let result = segment.run_hidden(hidden, &mut values);
            let kept = result.and_then(|()| keep(segment, states));
            kept.map_err(|e| in_row(batch, row, e))?;
            lengths.push(hidden.len() / hidden_size);
        }
    }
    Ok((values, lengths))
}

/// Appends the states of the last review.
fn keep(segment: &Segment, states: &mut [Vec<f32>]) -> std::result::Result<(), ModelError> {
    for (i, state) in states.iter_mut().enumerate() {
        state.extend_from_slice(segment.state(i)?);
    }
    Ok(())
}

fn unit(config: &ModelConfig, precision: Precision, layer: usize, checked: &Checked) -> Unit {
    let one = Layers {
        start: layer,
        end: layer + 1,
    };
    let mut bytes = layer_cost(config, layer, precision, TYPICAL_TOKENS).parameter_bytes;
    if one.has_embeddings() {
        bytes += embedding_bytes(config, checked.word_bytes);
    }
    if one.reaches_head(config.num_hidden_layers) {
        bytes += head_bytes(config);
    }
    Unit {
        name: format!("layer {layer}"),
        cost: flops(config, one, checked.gives_logits, TYPICAL_TOKENS),
        bytes,
    }
}

/// A model's error, at the option that names the model or the range.
fn blamed(error: ModelError) -> Error {
    let option = match error.code {
        "bad-layers" => "layers",
        "bad-precision" => "precision",
        _ => "model",
    };
    Error::from(error).option(option)
}

/// The error with the review that it is about, or its row where reviews are not numbered.
fn in_row(batch: &Batch, row: usize, error: ModelError) -> Error {
    let review = batch.u64("review").ok();
    let review = review.and_then(|all| all.values().get(row).copied());
    let which = match review {
        Some(review) => format!("review {review}"),
        None => format!("row {row}"),
    };
    let mut error = Error::from(error);
    error.message = format!("{which}: {}", error.message);
    error
}
