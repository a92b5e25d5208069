//! Columns of files that have the name of one that a stage writes, and columns that a sink asks
//! for by the name they have in the file. Both are told to the source, as options that no graph
//! file can give.

use serde_json::Value;

use super::catalog::{Operator, Role};
use super::stage::Stage;

/// Names that stages write: a column of the file that has one is called something else.
pub const TAKEN: &str = "(taken)";

/// Names that a sink's `columns` asks for: a text or label is given under its own name too.
pub const ASKED: &str = "(asked)";

/// Tells every source of `stages` what the sinks ask for.
pub fn tell_asked(stages: &mut [Option<(Operator, Value)>]) {
    let sinks = stages
        .iter()
        .flatten()
        .filter(|(operator, _)| operator.role == Role::Sink);
    let mut columns: Vec<String> = sinks
        .flat_map(|(_, options)| names(&options["columns"]))
        .collect();
    columns.sort();
    columns.dedup();
    tell(stages, ASKED, &columns);
}

/// Tells every source which names are taken.
pub fn tell_taken(known: &mut [Option<(Operator, Value)>], stages: &mut [Stage], taken: &[String]) {
    tell(known, TAKEN, taken);
    for stage in stages
        .iter_mut()
        .filter(|stage| stage.operator.role == Role::Source)
    {
        tell_one(&mut stage.options, TAKEN, taken);
    }
}

fn tell(stages: &mut [Option<(Operator, Value)>], option: &str, all: &[String]) {
    for (operator, options) in stages.iter_mut().flatten() {
        if operator.role == Role::Source {
            tell_one(options, option, all);
        }
    }
}

fn tell_one(options: &mut Value, option: &str, all: &[String]) {
    if let (Some(options), false) = (options.as_object_mut(), all.is_empty()) {
        options.insert(option.to_owned(), all.into());
    }
}

fn names(list: &Value) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|one| one.as_str().map(str::to_owned))
        .collect()
}

/// The names of columns that stages write and none reads: what stands in a file under such a
/// name is something else. They do not depend on the file, which other devices may not have.
pub fn taken(stages: &[Stage]) -> Vec<String> {
    let transforms = || {
        stages
            .iter()
            .filter(|stage| stage.operator.role == Role::Transform)
    };
    let reads = |name: &String| {
        let mut all = transforms().flat_map(|stage| &stage.columns.reads);
        all.any(|column| column.name == *name)
    };
    let written = transforms().flat_map(|stage| &stage.columns.writes);
    let mut taken: Vec<String> = written.map(|column| column.name.clone()).collect();
    taken.retain(|name| !reads(name));
    taken.sort();
    taken.dedup();
    taken
}

/// Whether a source of `stages` gives a column that is `taken`.
pub fn in_files(stages: &[Stage], taken: &[String]) -> bool {
    let mut sources = stages
        .iter()
        .filter(|stage| stage.operator.role == Role::Source);
    sources.any(|source| {
        source
            .available
            .iter()
            .any(|column| taken.contains(&column.name))
    })
}
