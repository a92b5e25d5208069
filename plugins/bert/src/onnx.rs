//! A segment from an ONNX export: the file's own graph, cut at the layer boundaries.
//!
//! Every layer becomes a tract model of its own, and a segment runs a chain of them: so what
//! tract makes of a layer cannot depend on where the model was cut.

mod cut;

use std::path::{Path, PathBuf};

use tract_core::internal::*;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::prelude::{Framework, InferenceModelExt};
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact};

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::layers::Layers;
use cut::{Cuts, extract};

/// The ONNX file that `path` names: itself, or `model.onnx` in a folder without safetensors.
pub(crate) fn find(path: &Path) -> Option<PathBuf> {
    if path.extension().is_some_and(|e| e == "onnx") {
        return Some(path.into());
    }
    let inside = path.join("model.onnx");
    let is_safetensors = path.join("model.safetensors").exists();
    (!is_safetensors && inside.exists()).then_some(inside)
}

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
}

impl OnnxChain {
    /// Loads the file and keeps the pieces of `layers`.
    ///
    /// # Errors
    /// `model-missing`, or `model-onnx` when the layers cannot be told apart or do not match
    /// `config.json`.
    pub fn load(path: &Path, config: &ModelConfig, layers: Layers) -> Result<Self, ModelError> {
        readable(path)?;
        let bad = |e: TractError| broken(path, format!("{e:#}"));
        let model = decluttered(path).map_err(bad)?;
        let cuts = Cuts::find(&model, config).map_err(|why| broken(path, why))?;
        let ends = cuts.piece_ends(layers);
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
            ends_in_logits: cuts.head.is_some() && layers.reaches_head(config.num_hidden_layers),
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
            _ => bail!("`{name}` is no input that a BERT has"),
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

/// Whether a file's first output are logits (batch, labels) and not hidden states.
///
/// # Errors
/// `model-missing` when it cannot be read, `model-onnx` when it is no ONNX file.
pub(crate) fn has_head(path: &Path) -> Result<bool, ModelError> {
    readable(path)?;
    let model = tract_onnx::onnx().proto_model_for_path(path);
    let model = model.map_err(|e| broken(path, format!("{e:#}")))?;
    let output = model.graph.and_then(|g| g.output.into_iter().next());
    let value = output.and_then(|o| o.r#type).and_then(|t| t.value);
    let Some(Value::TensorType(tensor)) = value else {
        return Err(broken(path, "it has no output".into()));
    };
    Ok(tensor.shape.is_some_and(|shape| shape.dim.len() == 2))
}

/// # Errors
/// `model-missing` when the file cannot be opened.
fn readable(path: &Path) -> Result<(), ModelError> {
    std::fs::File::open(path).map(drop).map_err(|e| {
        ModelError::new(
            "model-missing",
            format!("cannot read `{}`: {e}", path.display()),
        )
    })
}

fn broken(path: &Path, why: String) -> ModelError {
    ModelError::new("model-onnx", format!("`{}`: {why}", path.display()))
        .help("export the model with Hugging Face's exporter, or give it as `model.safetensors`")
}

/// The graph for one review of any length.
fn decluttered(path: &Path) -> TractResult<TypedModel> {
    let mut model = tract_onnx::onnx().model_for_path(path)?;
    let tokens = model.symbols.sym("tokens").to_dim();
    for input in 0..model.inputs.len() {
        let stated = model.input_fact(input)?.datum_type.concretize();
        let dt = stated.unwrap_or(DatumType::I64);
        let shape: TVec<TDim> = tvec![1.to_dim(), tokens.clone()];
        model.set_input_fact(input, InferenceFact::dt_shape(dt, shape))?;
    }
    for output in 0..model.outputs.len() {
        // What the exporter wrote there names symbols of its own.
        model.set_output_fact(output, InferenceFact::default())?;
    }
    model.into_typed()?.into_decluttered()
}
