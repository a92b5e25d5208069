//! Where one layer of an exported graph ends and the next begins.

use std::collections::{BTreeSet, HashMap};

use tract_core::internal::*;

use crate::layers::Layers;
use segue_model::ModelConfig;

/// Name of the input that takes a piece's hidden states.
pub(super) const HIDDEN: &str = "segue.hidden";

/// Why a graph cannot be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Uncut {
    /// It is of another model than `config.json`.
    OtherModel(String),
    /// Its nodes do not say where its layers are; it can still run whole.
    Unnamed(String),
}

/// The values that flow from part to part of a model of L layers.
#[derive(Debug)]
pub(super) struct Cuts {
    /// What enters layer i, and last what leaves layer L - 1.
    pub boundaries: Vec<OutletId>,
    /// The logits, when the graph goes on behind the last layer.
    pub head: Option<OutletId>,
}

/// The part of a model that a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Before,
    Layer(usize),
    After,
}

impl Cuts {
    /// Finds them by node names, which say `.../encoder/layer.N/...` in Hugging Face's exports.
    ///
    /// # Errors
    /// Which boundary cannot be found, or how the graph differs from `config.json`.
    pub fn find(model: &TypedModel, config: &ModelConfig) -> Result<Self, Uncut> {
        let count = config.num_hidden_layers;
        let parts = parts(model).map_err(Uncut::OtherModel)?;
        let last = parts.iter().filter_map(|p| match p {
            Part::Layer(layer) => Some(*layer + 1),
            _ => None,
        });
        match last.max() {
            None => {
                let why = "no node is named like `/bert/encoder/layer.0/...`";
                return Err(Uncut::Unnamed(why.into()));
            }
            Some(found) if found != count => {
                let why = format!("it has {found} layers, and `config.json` says {count}");
                return Err(Uncut::OtherModel(why));
            }
            Some(_) => {}
        }
        let boundaries = (0..=count)
            .map(|at| boundary(model, config, &parts, at))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Uncut::Unnamed)?;
        let output = model.outputs.first().copied();
        let head = output.filter(|outlet| !boundaries.contains(outlet));
        if let Some(outlet) = head {
            check_logits(model, config, outlet).map_err(Uncut::OtherModel)?;
        }
        Ok(Self { boundaries, head })
    }

    /// Start (none for the graph's own inputs) and end of each piece of `layers`.
    pub fn piece_ends(&self, layers: Layers) -> Vec<(Option<OutletId>, OutletId)> {
        let at = &self.boundaries;
        let mut ends = Vec::new();
        if layers.has_embeddings() {
            ends.push((None, at[0]));
        }
        for layer in layers.start..layers.end {
            ends.push((Some(at[layer]), at[layer + 1]));
        }
        if let (Some(head), true) = (self.head, layers.reaches_head(at.len() - 1)) {
            ends.push((Some(at[layers.end]), head));
        }
        ends
    }
}

/// The output of a graph that runs whole, and whether it is the logits: its first that is
/// these, else its first of hidden states.
///
/// # Errors
/// What its outputs are, when none is of `config`
pub(super) fn whole(model: &TypedModel, config: &ModelConfig) -> Result<(OutletId, bool), String> {
    let outputs = || model.outputs.iter().copied();
    let logits = outputs().find(|outlet| check_logits(model, config, *outlet).is_ok());
    let hidden = || outputs().find(|outlet| is_hidden(model, config, *outlet));
    match (logits, hidden) {
        (Some(outlet), _) => Ok((outlet, true)),
        (None, hidden) => hidden().map(|outlet| (outlet, false)).ok_or_else(|| {
            let facts = outputs().filter_map(|outlet| model.outlet_fact(outlet).ok());
            let shown: Vec<String> = facts.map(|fact| format!("{fact:?}")).collect();
            format!(
                "its outputs are {}, neither {} logits nor hidden states of size {}",
                shown.join("; "),
                config.labels.len(),
                config.hidden_size
            )
        }),
    }
}

/// The nodes between `start` and `end` as a model of their own, with the inputs they still need.
pub(super) fn extract(
    model: &TypedModel,
    start: Option<OutletId>,
    end: OutletId,
) -> TractResult<TypedModel> {
    let mut piece = TypedModel {
        symbols: model.symbols.clone(),
        ..TypedModel::default()
    };
    let mut mapping: HashMap<OutletId, OutletId> = HashMap::new();
    if let Some(start) = start {
        let fact = model.outlet_fact(start)?.without_value();
        mapping.insert(start, piece.add_source(HIDDEN, fact)?);
    }
    let needed = needed(model, start, end);
    for id in model.eval_order()? {
        if !needed.contains(&id) {
            continue;
        }
        let node = model.node(id);
        if model.inputs.contains(&id.into()) {
            let outlet = piece.add_source(&node.name, node.outputs[0].fact.clone())?;
            mapping.insert(id.into(), outlet);
            continue;
        }
        let inputs: TVec<OutletId> = node.inputs.iter().map(|i| mapping[i]).collect();
        let outlets = piece.wire_node(&node.name, node.op.clone(), &inputs)?;
        for (slot, outlet) in outlets.into_iter().enumerate() {
            mapping.entry(OutletId::new(id, slot)).or_insert(outlet);
        }
    }
    piece.select_output_outlets(&[mapping[&end]])?;
    Ok(piece)
}

/// Nodes that `end` is computed from, without going behind `start`.
fn needed(model: &TypedModel, start: Option<OutletId>, end: OutletId) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![end];
    while let Some(outlet) = open.pop() {
        if Some(outlet) != start && found.insert(outlet.node) {
            open.extend(&model.node(outlet.node).inputs);
        }
    }
    found
}

/// The part of each node: by name, else the latest part of what it reads, and behind the last
/// layer for what reads that.
fn parts(model: &TypedModel) -> Result<Vec<Part>, String> {
    let mut parts = vec![Part::Before; model.nodes().len()];
    for id in model.eval_order().map_err(|e| format!("{e:#}"))? {
        let node = model.node(id);
        let inputs = node.inputs.iter().map(|i| parts[i.node]);
        parts[id] = match layer_of(&node.name) {
            Some(layer) => Part::Layer(layer),
            None if inputs.max() > Some(Part::Before) => Part::After,
            None => Part::Before,
        };
    }
    Ok(parts)
}

/// N of a name with `encoder/layer.N/` in it.
fn layer_of(name: &str) -> Option<usize> {
    let (_, rest) = name.split_once("encoder/layer.")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The one value of hidden states that part `at` (or the output) reads from earlier parts.
fn boundary(
    model: &TypedModel,
    config: &ModelConfig,
    parts: &[Part],
    at: usize,
) -> Result<OutletId, String> {
    let before = |part: Part| part < Part::Layer(at);
    let mut found = BTreeSet::new();
    for node in model.nodes() {
        if !before(parts[node.id]) {
            let inputs = node.inputs.iter().filter(|i| before(parts[i.node]));
            found.extend(inputs.map(|i| (i.node, i.slot)));
        }
    }
    if at == config.num_hidden_layers {
        let outputs = model.outputs.iter().filter(|o| before(parts[o.node]));
        found.extend(outputs.map(|o| (o.node, o.slot)));
    }
    let mut hidden = found
        .into_iter()
        .map(|(node, slot)| OutletId::new(node, slot))
        .filter(|outlet| is_hidden(model, config, *outlet));
    match (hidden.next(), hidden.next()) {
        (Some(outlet), None) => Ok(outlet),
        (None, _) => Err(format!(
            "no hidden states of size {} reach layer {at}",
            config.hidden_size
        )),
        (Some(_), Some(_)) => Err(format!("several hidden states cross into layer {at}")),
    }
}

/// Whether an outlet is f32 (1, n, H) or (n, H).
fn is_hidden(model: &TypedModel, config: &ModelConfig, outlet: OutletId) -> bool {
    let Ok(fact) = model.outlet_fact(outlet) else {
        return false;
    };
    let shape = fact.shape.dims();
    let tokens = match shape {
        [tokens, _] => tokens,
        [one, tokens, _] if one.is_one() => tokens,
        _ => return false,
    };
    let is_last = shape.last() == Some(&config.hidden_size.to_dim());
    fact.datum_type == f32::datum_type() && is_last && tokens.to_i64().is_err()
}

fn check_logits(model: &TypedModel, config: &ModelConfig, outlet: OutletId) -> Result<(), String> {
    let fact = model.outlet_fact(outlet).map_err(|e| format!("{e:#}"))?;
    let labels = config.labels.len();
    if fact.shape.volume() == labels.to_dim() && fact.datum_type == f32::datum_type() {
        return Ok(());
    }
    Err(format!(
        "its output is {fact:?}, and `config.json` names {labels} labels"
    ))
}
