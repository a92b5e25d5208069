//! A loaded range of a model, ready to run.

use std::path::{Path, PathBuf};

use segue_kernels::{Isa, Precision};
use segue_model::{Found, ModelConfig, ModelError, find};
use tract_core::internal::*;

use crate::layers::Layers;
use crate::native::{Source, wired};
use crate::onnx::{self, OnnxChain};

/// Encoder layers `start..end` of a model, with embeddings and head where the range has them.
///
/// It takes one review at a time, at its own length and without padding, so that a review's
/// result cannot depend on others. It is single-threaded.
#[derive(Debug)]
pub struct Segment {
    config: ModelConfig,
    layers: Layers,
    ends_in_logits: bool,
    engine: Engine,
    /// What messages call the model.
    path: PathBuf,
    /// Tensors with values that are not finite.
    damaged: Vec<String>,
    /// Those of the last run.
    states: Vec<TValue>,
}

#[derive(Debug)]
enum Engine {
    Native(SimpleState<TypedFact, Box<dyn TypedOp>>),
    Onnx(OnnxChain),
}

/// One review, as it is handed in.
#[derive(Clone, Copy)]
enum Input<'a> {
    Tokens(&'a [u32]),
    Hidden(&'a [f32], usize),
}

/// How a segment is run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// At each run the hidden states after so many layers are kept, as far as they lie in the
    /// range: 0 is after the embeddings.
    pub states: Vec<usize>,
    /// In which numbers the layers' matrix products are taken.
    pub precision: Precision,
    /// The instruction set; `None` for the one that the variable `SEGUE_ISA` names, or else the
    /// best.
    pub isa: Option<Isa>,
}

/// What a range of a model takes and gives, as told by [`check`].
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The model's configuration.
    pub config: ModelConfig,
    /// Whether it gives logits (else hidden states).
    pub gives_logits: bool,
    /// Bytes that the word table takes in memory, if the range has the embeddings.
    pub word_bytes: u64,
    /// Whether the model can be cut between its layers.
    pub is_cut: bool,
}

/// Checks that the model in `dir` has all tensors of `layers`; no weights are read.
///
/// An ONNX file, which has no header, is loaded and tried.
///
/// # Errors
/// As [`Segment::load`].
pub fn check(dir: &Path, layers: Layers) -> Result<Checked, ModelError> {
    check_with(dir, layers, Precision::F32)
}

/// As [`check`], for a precision.
///
/// # Errors
/// As [`Segment::load_with`].
pub fn check_with(dir: &Path, layers: Layers, precision: Precision) -> Result<Checked, ModelError> {
    let config = ModelConfig::read(dir)?;
    layers.check(config.num_hidden_layers)?;
    let (gives_logits, word_bytes, is_cut) = match &find(dir)? {
        Found::Onnx(path) => {
            check_onnx(precision)?;
            let known = onnx::check(path, &config, layers)?;
            check_task(&config, layers, known.ends_in_logits)?;
            let words = config.vocab_size as u64 * config.hidden_size as u64;
            (known.ends_in_logits, 4 * words, known.is_cut)
        }
        found => {
            let source = Source::open(found, &config, layers, precision, None)?;
            let words = if layers.has_embeddings() {
                source.word_bytes()?
            } else {
                0
            };
            check_task(&config, layers, source.ends_in_logits())?;
            (source.ends_in_logits(), words, true)
        }
    };
    Ok(Checked {
        config,
        gives_logits,
        word_bytes,
        is_cut,
    })
}

/// An ONNX file says itself in which numbers it computes.
fn check_onnx(precision: Precision) -> Result<(), ModelError> {
    match precision {
        Precision::F32 => Ok(()),
        _ => Err(ModelError::new(
            "bad-precision",
            "an ONNX file is run as it is, in the numbers that it names itself",
        )
        .help("leave `precision` out, or give a folder with weights instead of an ONNX file")),
    }
}

/// Refuses a model whose head is for another purpose than judging texts.
fn check_task(config: &ModelConfig, layers: Layers, gives_logits: bool) -> Result<(), ModelError> {
    match layers.reaches_head(config.num_hidden_layers) {
        true if gives_logits => config.check_classes(),
        true => config.check_task(),
        false => Ok(()),
    }
}

impl Segment {
    /// Loads `layers` of the model in `dir`; of the weight file it reads only their tensors.
    ///
    /// # Errors
    /// - `model-missing`: a file cannot be read
    /// - `model-config`: `config.json` makes no sense
    /// - `model-mismatch`: a tensor is missing, or is not what `config.json` says
    /// - `model-truncated`: the weight file is shorter than its header says
    /// - `model-onnx`: an ONNX file whose layers cannot be told apart
    /// - `bad-layers`: the range does not fit the model
    /// - `bad-isa`: the variable `SEGUE_ISA` names what this machine does not have
    pub fn load(dir: &Path, layers: Layers) -> Result<Self, ModelError> {
        Self::load_with(dir, layers, &Options::default())
    }

    /// As [`Self::load`], with options.
    ///
    /// # Errors
    /// As [`Self::load`]; `bad-states` and `bad-precision` for an ONNX file.
    pub fn load_with(dir: &Path, layers: Layers, options: &Options) -> Result<Self, ModelError> {
        let Options {
            states,
            precision,
            isa,
        } = options;
        let config = ModelConfig::read(dir)?;
        layers.check(config.num_hidden_layers)?;
        let mut damaged = Vec::new();
        let (engine, ends_in_logits) = match &find(dir)? {
            Found::Onnx(_) if !states.is_empty() => {
                let message = "an ONNX file does not give the states of its layers";
                return Err(ModelError::new("bad-states", message));
            }
            Found::Onnx(path) => {
                check_onnx(*precision)?;
                let chain = OnnxChain::load(path, &config, layers)?;
                let ends_in_logits = chain.ends_in_logits;
                (Engine::Onnx(chain), ends_in_logits)
            }
            found => {
                let source = Source::open(found, &config, layers, *precision, *isa)?;
                let plan = wired(source.build(states).map(SimplePlan::new)?)?;
                damaged = source.damaged();
                (
                    Engine::Native(wired(plan.spawn())?),
                    source.ends_in_logits(),
                )
            }
        };
        check_task(&config, layers, ends_in_logits)?;
        Ok(Self {
            path: dir.into(),
            damaged,
            ends_in_logits,
            engine,
            layers,
            config,
            states: Vec::new(),
        })
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The range that was loaded.
    pub fn layers(&self) -> Layers {
        self.layers
    }

    /// Whether it takes token ids (else hidden states).
    pub fn takes_tokens(&self) -> bool {
        self.layers.has_embeddings()
    }

    /// Whether it gives logits (else hidden states).
    pub fn gives_logits(&self) -> bool {
        self.ends_in_logits
    }

    /// State number `index` of those asked for, of the last review: n x H.
    ///
    /// # Errors
    /// `bad-states` when there is none
    pub fn state(&self, index: usize) -> Result<&[f32], ModelError> {
        let state = self.states.get(index);
        let state = state.ok_or_else(|| ModelError::new("bad-states", "no such state was kept"))?;
        wired(
            state
                .try_as_plain_ram()
                .and_then(|plain| plain.as_slice::<f32>()),
        )
    }

    /// f32 that one review of `tokens` tokens adds to the output.
    pub fn output_len(&self, tokens: usize) -> usize {
        if self.ends_in_logits {
            self.config.labels.len()
        } else {
            tokens * self.config.hidden_size
        }
    }

    /// Runs one review from its token ids, and appends n x H hidden states or the logits to `out`.
    ///
    /// # Errors
    /// `bad-token` for an id outside the vocabulary, `too-long` for more tokens than positions,
    /// `no-tokens` for none, `not-finite` when a result is not a number, `wrong-input` when this segment takes hidden states.
    pub fn run_tokens(&mut self, tokens: &[u32], out: &mut Vec<f32>) -> Result<(), ModelError> {
        self.check_input(true, tokens.len())?;
        let vocabulary = self.config.vocab_size;
        if let Some(at) = tokens.iter().position(|t| *t as usize >= vocabulary) {
            let message = format!(
                "token {} at position {at} is outside the model's vocabulary of {vocabulary}",
                tokens[at]
            );
            return Err(ModelError::new("bad-token", message)
                .help("tokenize with the vocabulary of the same model"));
        }
        self.run(Input::Tokens(tokens), out)
    }

    /// Runs one review from its hidden states (n, H), and appends like [`Self::run_tokens`].
    ///
    /// # Errors
    /// `too-long`, `no-tokens`, `not-finite`, or `wrong-input` when the length is no multiple of H or this
    /// segment takes token ids.
    pub fn run_hidden(&mut self, hidden: &[f32], out: &mut Vec<f32>) -> Result<(), ModelError> {
        let h = self.config.hidden_size;
        if !hidden.len().is_multiple_of(h) {
            let message = format!("{} values are no vectors of length {h}", hidden.len());
            return Err(ModelError::new("wrong-input", message));
        }
        let n = hidden.len() / h;
        self.check_input(false, n)?;
        self.run(Input::Hidden(hidden, n), out)
    }

    fn run(&mut self, input: Input<'_>, out: &mut Vec<f32>) -> Result<(), ModelError> {
        let before = out.len();
        self.states = wired(self.engine.run(input, out))?;
        if all_finite(&out[before..]) {
            Ok(())
        } else {
            out.truncate(before);
            Err(self.not_finite(input))
        }
    }

    fn not_finite(&self, input: Input<'_>) -> ModelError {
        let model = self.path.display();
        let gives = if self.ends_in_logits {
            "logits"
        } else {
            "hidden states"
        };
        let message = format!("the model `{model}` gives {gives} that are not finite numbers");
        let error = ModelError::new("not-finite", message);
        match (input, self.damaged.as_slice()) {
            (Input::Hidden(hidden, _), _) if !all_finite(hidden) => {
                error.help("the hidden states that reached it are not finite either")
            }
            (_, []) => error.help("its weights are finite, but too large to be computed with"),
            (_, tensors) => error.help(format!(
                "its weights are damaged, or were too large for 16 bits: `{}`",
                tensors.join("`, `")
            )),
        }
    }

    fn check_input(&self, is_tokens: bool, n: usize) -> Result<(), ModelError> {
        let positions = self.config.max_position_embeddings;
        if is_tokens != self.takes_tokens() {
            let takes = if is_tokens {
                "hidden states"
            } else {
                "token ids"
            };
            let message = format!("layers {} take {takes}", self.layers);
            return Err(ModelError::new("wrong-input", message));
        }
        if n == 0 {
            let message = "a review without tokens cannot be run";
            return Err(ModelError::new("no-tokens", message)
                .help("a tokenizer gives at least its two marks"));
        }
        if n > positions {
            let message =
                format!("a review has {n} tokens, and the model has {positions} positions");
            return Err(ModelError::new("too-long", message).help(format!(
                "set `max-tokens` of the tokenizer to {positions} or less"
            )));
        }
        Ok(())
    }
}

/// Whether no value is infinite or NaN, without a branch a value.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    let largest = values.iter().map(|x| x.to_bits() & 0x7fff_ffff);
    largest.fold(0, u32::max) < f32::INFINITY.to_bits()
}

impl Engine {
    /// Appends the result to `out`, and gives what else was asked for.
    fn run(&mut self, input: Input<'_>, out: &mut Vec<f32>) -> TractResult<Vec<TValue>> {
        match self {
            Self::Native(state) => {
                let input = match input {
                    Input::Tokens(tokens) => Tensor::from_shape(&[tokens.len()], tokens)?,
                    Input::Hidden(hidden, n) => Tensor::from_shape(&[n, hidden.len() / n], hidden)?,
                };
                let result = state.run(tvec!(input.into()));
                if result.is_err() {
                    state.reset_turn()?;
                }
                let mut results = result?.into_iter();
                if let Some(result) = results.next() {
                    out.extend_from_slice(result.try_as_plain_ram()?.as_slice::<f32>()?);
                }
                Ok(results.collect())
            }
            Self::Onnx(chain) => {
                out.extend(match input {
                    Input::Tokens(tokens) => chain.run(tokens, &[], tokens.len())?,
                    Input::Hidden(hidden, n) => chain.run(&[], hidden, n)?,
                });
                Ok(Vec::new())
            }
        }
    }
}
