//! `segue check`

use super::load::load;
use super::{GraphArgs, Outcome, answer};
use crate::diagnostic::{Note, visible};
use crate::operators;

/// Says that the graph is right, or every error it has.
pub fn check(arguments: &GraphArgs) -> Outcome {
    let loaded = load(arguments)?;
    let stages = loaded.plan.graph.stages.len();
    let notes = operators::notes(&loaded.plan.graph);
    let notes: String = notes.iter().map(Note::render).collect();
    let graph = arguments.graph.to_string_lossy();
    let graph = visible(&graph);
    answer(&format!("{graph}: no errors in {stages} stages\n{notes}"))
}
