//! A segment from an ONNX export: the file's own graph, cut at the layer boundaries.
//!
//! Every layer becomes a tract model of its own, and a segment runs a chain of them: so what
//! tract makes of a layer cannot depend on where the model was cut.

mod cut;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tract_core::internal::*;
use tract_onnx::prelude::{Framework, InferenceModelExt};
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact};

use crate::layers::Layers;
use cut::{Cuts, Uncut, extract};
use segue_model::ModelConfig;
use segue_model::{ModelError, files};

/// One piece of the graph, and what each of its inputs is fed with.
#[derive(Debug)]
struct Piece {
    feeds: Vec<Feed>,
    state: SimpleState<TypedFact, Box<dyn TypedOp>>,
}

/// An input of a piece, by its name in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    /// Hidden states; true when the graph has them as (1, n, H), false for (n, H).
    Hidden(bool),
    /// Token ids; zeros of their shape behind the embeddings, where only the shape is used.
    Tokens(DatumType),
    /// Ones for every token: there is no padding.
    Mask(DatumType),
    /// Token types: zeros.
    Types(DatumType),
    /// 0, 1, 2, ...
    Positions(DatumType),
}

/// The pieces of a range of layers.
#[derive(Debug)]
pub(crate) struct OnnxChain {
    pieces: Vec<Piece>,
    pub ends_in_logits: bool,
    /// Whether its layers can be told apart.
    pub is_cut: bool,
}

/// What [`check`] finds out of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub ends_in_logits: bool,
    pub is_cut: bool,
}

/// What was checked: the file with its size and time, its configuration, the layers.
type Asked = (PathBuf, u64, Option<SystemTime>, ModelConfig, Layers);

/// Each file is checked once for each range, which takes seconds for a large one.
static CHECKED: Mutex<Vec<(Asked, Result<Known, ModelError>)>> = Mutex::new(Vec::new());

/// Loads `layers` of the file and runs them on a few tokens, since nothing less shows whether
/// they can be run.
///
/// # Errors
/// As [`OnnxChain::load`], and `model-onnx` when it cannot be run
pub(crate) fn check(
    path: &Path,
    config: &ModelConfig,
    layers: Layers,
) -> Result<Known, ModelError> {
    let meta = readable(path)?;
    let time = meta.modified().ok();
    let asked = (path.to_owned(), meta.len(), time, config.clone(), layers);
    let mut checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = checked.iter().find(|(one, _)| *one == asked) {
        return known.clone();
    }
    let known = OnnxChain::load(path, config, layers).and_then(|chain| tried(path, config, chain));
    checked.push((asked, known.clone()));
    known
}

fn tried(path: &Path, config: &ModelConfig, mut chain: OnnxChain) -> Result<Known, ModelError> {
    // Two lengths: a graph can have been exported for one.
    for n in [2, 3].map(|n: usize| n.min(config.max_position_embeddings)) {
        let hidden = vec![0.5; n * config.hidden_size];
        let given = chain.run(&vec![0; n], &hidden, n);
        let given = given.map_err(|e| broken(path, format!("it cannot be run: {e:#}")))?;
        let wanted = if chain.ends_in_logits {
            config.labels.len()
        } else {
            n * config.hidden_size
        };
        if given.len() != wanted {
            let why = format!(
                "it gives {} numbers for {n} tokens, not {wanted}",
                given.len()
            );
            return Err(broken(path, why));
        }
    }
    Ok(Known {
        ends_in_logits: chain.ends_in_logits,
        is_cut: chain.is_cut,
    })
}

impl OnnxChain {
    /// Loads the file and keeps the pieces of `layers`; one whose layers cannot be told apart is
    /// a single piece.
    ///
    /// # Errors
    /// `model-missing`, or `model-onnx` when a part is asked for and the layers cannot be told
    /// apart, or when they do not match `config.json`.
    pub fn load(path: &Path, config: &ModelConfig, layers: Layers) -> Result<Self, ModelError> {
        readable(path)?;
        let bad = |e: TractError| broken(path, format!("{e:#}"));
        let model = decluttered(path).map_err(bad)?;
        let (ends, ends_in_logits, is_cut) = match Cuts::find(&model, config) {
            Ok(cuts) => {
                let last = layers.reaches_head(config.num_hidden_layers);
                (cuts.piece_ends(layers), cuts.head.is_some() && last, true)
            }
            Err(Uncut::Unnamed(_)) if layers == Layers::all(config.num_hidden_layers) => {
                let (end, is_logits) =
                    cut::whole(&model, config).map_err(|why| broken(path, why))?;
                (vec![(None, end)], is_logits, false)
            }
            Err(Uncut::Unnamed(why)) => {
                return Err(broken(path, why)
                    .help("leave out `split` and `layers`: then the model runs whole"));
            }
            Err(Uncut::OtherModel(why)) => return Err(broken(path, why)),
        };
        let mut pieces = Vec::new();
        for (start, end) in ends {
            let piece = extract(&model, start, end).map_err(bad)?;
            pieces.push(Piece::new(piece).map_err(bad)?);
        }
        if pieces.is_empty() {
            let message = format!("`{layers}` is the head alone, and the model has none");
            return Err(ModelError::new("bad-layers", message));
        }
        Ok(Self {
            pieces,
            ends_in_logits,
            is_cut,
        })
    }

    /// Token ids (n), or hidden states (n, H), to hidden states or logits.
    ///
    /// # Errors
    /// What tract says.
    pub fn run(&mut self, tokens: &[u32], hidden: &[f32], n: usize) -> TractResult<Vec<f32>> {
        let mut data = hidden.to_vec();
        for piece in &mut self.pieces {
            data = piece.run(tokens, &data, n)?;
        }
        Ok(data)
    }
}

impl Piece {
    fn new(model: TypedModel) -> TractResult<Self> {
        let model = model.into_optimized()?;
        let feeds = (model.inputs.iter())
            .map(|outlet| Feed::of(&model.node(outlet.node).name, model.outlet_fact(*outlet)?))
            .collect::<TractResult<_>>()?;
        let state = SimplePlan::new(model)?.spawn()?;
        Ok(Self { feeds, state })
    }

    fn run(&mut self, tokens: &[u32], hidden: &[f32], n: usize) -> TractResult<Vec<f32>> {
        let inputs = (self.feeds.iter())
            .map(|feed| Ok(feed.tensor(tokens, hidden, n)?.into()))
            .collect::<TractResult<_>>()?;
        let result = self.state.run(inputs);
        if result.is_err() {
            self.state.reset_turn()?;
        }
        let outputs = result?;
        let plain = outputs[0].try_as_plain_ram()?;
        Ok(plain.as_slice::<f32>()?.to_vec())
    }
}

impl Feed {
    fn of(name: &str, fact: &TypedFact) -> TractResult<Self> {
        let dt = fact.datum_type;
        Ok(match name {
            cut::HIDDEN => Self::Hidden(fact.rank() == 3),
            _ if name.contains("mask") => Self::Mask(dt),
            _ if name.contains("type") => Self::Types(dt),
            _ if name.contains("position") => Self::Positions(dt),
            _ if name.contains("ids") => Self::Tokens(dt),
            _ => bail!("`{name}` is not an input that a BERT has"),
        })
    }

    fn tensor(self, tokens: &[u32], hidden: &[f32], n: usize) -> TractResult<Tensor> {
        let integers = |dt: DatumType, at: &dyn Fn(usize) -> i64| {
            let values: Vec<i64> = (0..n).map(at).collect();
            let tensor = Tensor::from_shape(&[1, n], &values)?;
            TractResult::Ok(tensor.cast_to_dt(dt)?.into_owned())
        };
        match self {
            Self::Hidden(true) => Tensor::from_shape(&[1, n, hidden.len() / n], hidden),
            Self::Hidden(false) => Tensor::from_shape(&[n, hidden.len() / n], hidden),
            Self::Tokens(dt) => integers(dt, &|i| tokens.get(i).map_or(0, |t| i64::from(*t))),
            Self::Mask(dt) => integers(dt, &|_| 1),
            Self::Types(dt) => integers(dt, &|_| 0),
            Self::Positions(dt) => integers(dt, &|i| i as i64),
        }
    }
}

/// # Errors
/// `model-missing` when the file cannot be read.
fn readable(path: &Path) -> Result<std::fs::Metadata, ModelError> {
    let missing = |e: std::io::Error| {
        let message = format!("cannot read `{}`: {e}", path.display());
        ModelError::new("model-missing", message)
    };
    files::open(path)?.metadata().map_err(missing)
}

fn broken(path: &Path, why: String) -> ModelError {
    ModelError::new("model-onnx", format!("`{}`: {why}", path.display()))
        .help("export the model with Hugging Face's exporter, or give it as `model.safetensors`")
}

/// The graph for one review of any length.
fn decluttered(path: &Path) -> TractResult<TypedModel> {
    // What the exporter wrote of outputs and intermediates names symbols of its own.
    let onnx = tract_onnx::onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_value_info(true);
    let mut model = onnx.model_for_path(path)?;
    let tokens = model.symbols.sym("tokens").to_dim();
    for input in 0..model.inputs.len() {
        let stated = model.input_fact(input)?.datum_type.concretize();
        let dt = stated.unwrap_or(DatumType::I64);
        let shape: TVec<TDim> = tvec![1.to_dim(), tokens.clone()];
        model.set_input_fact(input, InferenceFact::dt_shape(dt, shape))?;
    }
    model.into_typed()?.into_decluttered()
}
