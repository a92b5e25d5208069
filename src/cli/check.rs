//! `segue check`

use super::load::{load, render_all};
use super::say::say;
use super::test::examples_of;
use super::{Failed, GraphArgs, Outcome, answer};
use segue::deploy::Loaded;
use segue::diagnostic::{Note, visible};
use segue::operators;

/// Says that the graph is right, or every error it has.
pub fn check(arguments: &GraphArgs) -> Outcome {
    let loaded = load(arguments)?;
    let graph = &loaded.plan.graph;
    let shadowed = loaded.operators.shadowed(graph, true);
    shadowed.iter().for_each(say);
    check_examples(arguments, &loaded)?;
    let stages = graph.stages.len();
    let notes = operators::notes(graph);
    let notes: String = notes.iter().map(Note::render).collect();
    let graph = arguments.graph.to_string_lossy();
    let graph = visible(&graph);
    answer(&format!("{graph}: no errors in {stages} stages\n{notes}"))
}

/// An operator that does not ship is held to its own examples.
fn check_examples(arguments: &GraphArgs, loaded: &Loaded) -> Result<(), Failed> {
    let mut checked = Vec::new();
    let mut errors = Vec::new();
    for stage in &loaded.plan.graph.stages {
        let Some(library) = &stage.operator.library else {
            continue;
        };
        let which = (library, &stage.operator.manifest.name);
        if loaded.operators.plugins.ships(library) || checked.contains(&which) {
            continue;
        }
        checked.push(which);
        let broken = examples_of(&stage.operator).into_iter();
        errors.extend(broken.map(|error| error.at(stage.spans.name)));
    }
    match errors.as_slice() {
        [] => Ok(()),
        errors => Err(render_all(errors, &loaded.sources, &arguments.graph)),
    }
}
