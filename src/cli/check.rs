//! `segue check`

use super::load::load;
use super::{GraphArgs, Outcome, answer};

/// Says that the graph is right, or every error it has.
pub fn check(arguments: &GraphArgs) -> Outcome {
    let loaded = load(arguments)?;
    let stages = loaded.plan.graph.stages.len();
    answer(&format!(
        "{}: no errors in {stages} stages\n",
        arguments.graph.display()
    ))
}
