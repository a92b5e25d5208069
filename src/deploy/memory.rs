//! What a device must hold: the weights of its stages, and the batches that may be queued
//! there.

use segue_plugin::{Column, Type};

use crate::cluster::Cluster;
use crate::diagnostic::Diagnostic;
use crate::graph::{Graph, Plan, Wire};

/// The option that says how long the lists are which a stage makes of texts.
const LONGEST: &str = "max-tokens";
/// Bytes of the scale that each vector of int8 has.
const SCALE_BYTES: u64 = 4;

/// Reports each device whose memory limit is less than what it must hold.
pub fn check_memory(plan: &Plan, cluster: &Cluster) -> Vec<Diagnostic> {
    (cluster.devices.iter().enumerate())
        .filter_map(|(i, device)| {
            let (weights, queues) = (weights(plan, i), queues(plan, i));
            let over = weights.saturating_add(queues).checked_sub(device.memory?)?;
            if over == 0 {
                return None;
            }
            let message = format!(
                "`{}` would hold weights of {:.1} MiB and queues of up to {:.1} MiB, {:.1} MiB over its memory",
                device.name,
                mib(weights),
                mib(queues),
                mib(over)
            );
            let error = Diagnostic::new("too-little-memory", message);
            let help = "cut the stage into more segments with `split`, place fewer here, or make \
                        `stream.batch` or `stream.window` smaller";
            Some(error.at_some(device.spans.memory).help(help))
        })
        .collect()
}

/// In MiB, for people.
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Bytes of weights that device number `device` holds.
pub fn weights(plan: &Plan, device: usize) -> u64 {
    let stages = plan.graph.stages.iter().zip(&plan.replicas);
    stages
        .map(|(stage, replicas)| {
            let here = replicas
                .iter()
                .filter(|one| plan.layout.device(one.worker) == device);
            let units = stage.segment.iter().flat_map(|segment| &segment.units);
            here.count() as u64 * units.map(|unit| unit.bytes).sum::<u64>()
        })
        .sum()
}

/// The most bytes that may be queued on device number `device`: every batch in flight may
/// stand before the same edge, at worst the one that takes most, of those it receives or
/// sends. Texts do not count, since nothing says how long they are.
pub fn queues(plan: &Plan, device: usize) -> u64 {
    let stages = &plan.graph.stages;
    let here = |stage: usize| {
        let replicas = plan.replicas[stage].iter();
        replicas
            .map(|r| plan.layout.device(r.worker))
            .any(|d| d == device)
    };
    let edges = (0..stages.len()).flat_map(|to| {
        let inputs = stages[to].inputs.iter().chain(&stages[to].loops);
        inputs.map(move |&from| (from, to))
    });
    let edges = edges.filter(|&(from, to)| here(from) || here(to));
    let bytes = edges.map(|(from, to)| row_bytes(&plan.graph, from, stages[to].wire));
    let batches = (plan.graph.batch as u64).saturating_mul(plan.graph.window as u64);
    bytes.max().unwrap_or(0).saturating_mul(batches)
}

/// The most bytes that a row of what stage `from` sends takes, as far as that is known.
pub(super) fn row_bytes(graph: &Graph, from: usize, wire: Wire) -> u64 {
    let columns = graph.stages[from].sends.iter();
    columns
        .map(|column| column_bytes(column, longest(graph, from), wire))
        .fold(0, u64::saturating_add)
}

pub(super) fn column_bytes(column: &Column, longest: u64, wire: Wire) -> u64 {
    let bytes = |scalar: segue_plugin::Scalar| scalar.bytes().unwrap_or(0) as u64;
    match column.column_type {
        Type::Scalar(scalar) => bytes(scalar),
        Type::Fixed(scalar, n) => bytes(scalar) * n as u64,
        Type::List(scalar) => bytes(scalar).saturating_mul(longest),
        Type::Ragged(scalar, n) => {
            let vector = match wire {
                Wire::F32 => bytes(scalar) * n as u64,
                Wire::F16 => 2 * n as u64,
                Wire::Int8 => n as u64 + SCALE_BYTES,
            };
            vector.saturating_mul(longest)
        }
    }
}

/// How long lists are at most behind stage `from`: what the nearest stage before it says
/// that says anything.
pub(super) fn longest(graph: &Graph, from: usize) -> u64 {
    let mut at = Some(from);
    while let Some(stage) = at.map(|at| &graph.stages[at]) {
        if let Some(longest) = stage.options[LONGEST].as_u64() {
            return longest;
        }
        at = stage.inputs.first().copied();
    }
    0
}

/// The stages that say how long lists are, each with how long, by the option that says it.
pub fn lengths(graph: &Graph) -> Vec<(&str, &str, u64)> {
    let of = |stage: &'_ crate::graph::Stage| stage.options[LONGEST].as_u64();
    let stages = graph.stages.iter();
    stages
        .filter_map(|stage| Some((stage.file_name.as_str(), LONGEST, of(stage)?)))
        .collect()
}
