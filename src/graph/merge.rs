//! What a stage that reads several others does not get of them.

use super::flow::input_columns;
use super::stage::{Graph, Stage};
use crate::diagnostic::Note;

/// A note for each column that all inputs of a stage have, with types that do not go
/// together: it does not reach the stage.
pub fn merging_notes(graph: &Graph) -> Vec<Note> {
    let stages = graph.stages.iter();
    stages.flat_map(|stage| notes(graph, stage)).collect()
}

fn notes(graph: &Graph, stage: &Stage) -> Vec<Note> {
    let inputs = stage.inputs.iter().map(|input| &graph.stages[*input]);
    let inputs: Vec<&Stage> = inputs.collect();
    let Some(first) = inputs.first() else {
        return Vec::new();
    };
    let available: Vec<_> = inputs.iter().map(|one| one.available.as_slice()).collect();
    let reaching = input_columns(&available);
    let reaches = |name: &str| reaching.iter().any(|column| column.name == name);
    let names = first.available.iter().map(|column| column.name.as_str());
    let note = |name: &str| {
        let of = |input: &&Stage| {
            let column = input.available.iter().find(|one| one.name == name)?;
            Some(format!(
                "`{}` gives `{}`",
                input.file_name, column.column_type
            ))
        };
        let types: Option<Vec<String>> = inputs.iter().map(of).collect();
        let message = format!("`{name}` does not reach it: {}", types?.join(", "));
        Some(Note::new(&stage.file_name, message))
    };
    names
        .filter(|name| !reaches(name))
        .filter_map(note)
        .collect()
}
