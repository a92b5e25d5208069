//! Which columns reach each stage, and which of them are sent on.

use segue_plugin::{Column, Columns, OperatorManifest, Rows};

use super::stage::Stage;
use crate::diagnostic::{Diagnostic, list, nearest};

/// The columns that reach a stage: those that all its inputs have, of one type. Their classes are
/// called as the first says that knows.
pub fn input_columns(inputs: &[&[Column]]) -> Vec<Column> {
    let Some((first, rest)) = inputs.split_first() else {
        return Vec::new();
    };
    let in_all = |column: &Column| {
        let others = rest
            .iter()
            .map(|all| all.iter().find(|one| one.fits(column)));
        let others: Vec<&Column> = others.collect::<Option<_>>()?;
        let text = others
            .iter()
            .find(|other| other.column_type != column.column_type);
        let labelled = |column: &&Column| !column.labels.is_empty();
        let known = std::iter::once(column)
            .chain(others.iter().copied())
            .find(labelled);
        // Where one has numbers as text and another any text, all is text.
        let merged = known.unwrap_or(column);
        Some(match text {
            Some(_) => merged.for_plugins(),
            None => merged.clone(),
        })
    };
    first.iter().filter_map(in_all).collect()
}

/// The columns of `stages` number `inputs` that all of them have.
fn common(inputs: impl Iterator<Item = usize>, stages: &[Stage]) -> Vec<Column> {
    let available: Vec<&[Column]> = inputs.map(|i| stages[i].available.as_slice()).collect();
    input_columns(&available)
}

/// What an operator is told of the columns that reach it by `from`: with input ports those
/// of each.
pub fn reaching_columns(
    manifest: &OperatorManifest,
    inputs: &[usize],
    ports: &[usize],
    stages: &[Stage],
) -> Vec<Column> {
    if manifest.ports.is_empty() {
        return common(inputs.iter().copied(), stages);
    }
    let at = |(number, port): (usize, &segue_plugin::PortManifest)| {
        let edges = inputs
            .iter()
            .zip(ports)
            .filter(move |(_, at)| **at == number);
        let columns = common(edges.map(|(input, _)| *input), stages).into_iter();
        let name = port.name.clone();
        columns.map(move |column| column.at_port(name.clone()))
    };
    manifest.ports.iter().enumerate().flat_map(at).collect()
}

/// The columns that can pass a stage by: those at every port that is not a side input.
pub fn passing_columns(
    manifest: &OperatorManifest,
    inputs: &[usize],
    ports: &[usize],
    stages: &[Stage],
) -> Vec<Column> {
    let whole = |port: &usize| manifest.ports.get(*port).is_some_and(|port| port.whole);
    let edges = inputs.iter().zip(ports).filter(|(_, port)| !whole(port));
    common(edges.map(|(input, _)| *input), stages)
}

/// The columns there are after a stage that reads `input`.
pub fn output_columns(input: &[Column], columns: &Columns) -> Vec<Column> {
    let passes = |column: &&Column| {
        columns.rows != Rows::New
            && !columns.drops.contains(&column.name)
            && !columns
                .writes
                .iter()
                .any(|written| written.name == column.name)
    };
    input
        .iter()
        .filter(passes)
        .chain(&columns.writes)
        .cloned()
        .collect()
}

/// Reports the first column that `stage` reads and that its inputs give with classes of other
/// names. `stages` are those already checked.
pub fn check_labels(stage: &Stage, stages: &[Stage], errors: &mut Vec<Diagnostic>) {
    let given = |(input, port): (usize, usize), wanted: &Column| {
        let read = stage.reads_at(port).any(|column| column == wanted);
        let mut columns = stages[input].available.iter().filter(|_| read);
        let column = columns.find(|c| c.name == wanted.name)?;
        (!column.labels.is_empty()).then_some(&column.labels)
    };
    for wanted in &stage.columns.reads {
        let edges = stage.edges().enumerate();
        let mut known = edges.filter_map(|(at, (input, port))| {
            let labels = given((input, port), wanted)?;
            Some((at, &stages[input].name, labels))
        });
        let Some((_, first, labels)) = known.next() else {
            continue;
        };
        if let Some((at, other, others)) = known.find(|(_, _, others)| *others != labels) {
            let message = format!(
                "`{}` reads `{}` from stages whose classes have other names: `{first}` has {}, `{other}` has {}",
                stage.name,
                wanted.name,
                quoted(labels),
                quoted(others)
            );
            errors.push(Diagnostic::new("labels-differ", message).at(stage.spans.edge(at)));
            return;
        }
    }
}

fn quoted(names: &[String]) -> String {
    format!("`{}`", names.join("`, `"))
}

/// Reports each column that `stage` reads and its inputs do not have, or have with
/// another type. `stages` are those already checked.
pub fn check_reads(stage: &Stage, stages: &[Stage], errors: &mut Vec<Diagnostic>) {
    // What a loop brings is not known yet.
    let ports = stage.ports.inputs.iter();
    let mut ports: Vec<usize> = match stage.operator.manifest.ports.is_empty() {
        true if stage.inputs.is_empty() => Vec::new(),
        true => vec![0],
        false => ports.copied().collect(),
    };
    ports.sort_unstable();
    ports.dedup();
    for port in ports {
        check_reads_at(stage, port, stages, errors);
    }
}

fn check_reads_at(stage: &Stage, port: usize, stages: &[Stage], errors: &mut Vec<Diagnostic>) {
    let all = stage.operator.manifest.ports.is_empty();
    let edges = stage.inputs.iter().zip(&stage.ports.inputs).enumerate();
    let edges = edges.filter(|(_, (_, at))| all || **at == port);
    let edges: Vec<(usize, usize)> = edges.map(|(edge, (input, _))| (edge, *input)).collect();
    let input = common(edges.iter().map(|(_, input)| *input), stages);
    let first = edges.first().map_or(0, |(edge, _)| *edge);
    for wanted in stage.reads_at(port) {
        if input.iter().any(|column| column.fits(wanted)) {
            continue;
        }
        let of = |input: usize| {
            stages[input]
                .available
                .iter()
                .find(|c| c.name == wanted.name)
        };
        let wrong = edges.iter().find_map(|(edge, input)| {
            let found = of(*input)?;
            let differs = found.column_type != wanted.column_type;
            differs.then_some((*edge, &stages[*input], found))
        });
        let error = match wrong {
            Some((edge, producer, found)) => {
                let error = mismatch(stage, producer, wanted, found);
                error.at_first(stage.spans.edge(edge))
            }
            None => {
                // Of several edges it is the first that lacks it.
                let lacks = edges.iter().find(|(_, input)| of(*input).is_none());
                let edge = lacks.map_or(first, |(edge, _)| *edge);
                missing(stage, wanted, &input).at(stage.spans.edge(edge))
            }
        };
        errors.push(error);
    }
}

fn mismatch(stage: &Stage, producer: &Stage, wanted: &Column, found: &Column) -> Diagnostic {
    let message = format!(
        "`{}` reads `{}: {}`, but `{}` gives `{}`",
        stage.name, wanted.name, wanted.column_type, producer.name, found.column_type
    );
    let error = Diagnostic::new("column-mismatch", message);
    let error = match stage.spans.options.get("model") {
        Some(model) => error.label(*model, format!("gives `{}` its width", stage.name)),
        None => error,
    };
    match (
        stage.spans.options.get("model"),
        producer.spans.options.get("model"),
    ) {
        (Some(_), Some(other)) => {
            (error.label(*other, format!("gives `{}` its width", producer.name))).help(format!(
                "give `{}` and `{}` the same `with.model`",
                producer.name, stage.name
            ))
        }
        _ => error,
    }
}

fn missing(stage: &Stage, wanted: &Column, input: &[Column]) -> Diagnostic {
    let message = format!(
        "`{}` reads `{}: {}`, which does not reach it",
        stage.name, wanted.name, wanted.column_type
    );
    let names: Vec<&str> = input.iter().map(|column| column.name.as_str()).collect();
    let help = match nearest(&wanted.name, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("the columns that reach it: {}", list(&names)),
    };
    Diagnostic::new("missing-column", message).help(help)
}

/// Fills in what each stage sends: what is read anywhere downstream, and no more.
pub fn drop_unread(stages: &mut [Stage], errors: &mut Vec<Diagnostic>) {
    let mut needed: Vec<Vec<String>> = vec![Vec::new(); stages.len()];
    loop {
        let before = needed.clone();
        for i in (0..stages.len()).rev() {
            let edges: Vec<(usize, usize)> = stages[i].edges().collect();
            for (input, port) in edges {
                let wanted = wanted_input(&stages[i], &needed[i], port);
                let new: Vec<_> = wanted
                    .iter()
                    .filter(|name| !needed[input].contains(name))
                    .cloned()
                    .collect();
                needed[input].extend(new);
            }
        }
        if needed == before {
            break;
        }
    }
    for i in 0..stages.len() {
        let sends: Vec<Column> = (stages[i].available.iter())
            .filter(|column| needed[i].contains(&column.name))
            .cloned()
            .collect();
        stages[i].sends = sends;
        let lacking = lacking_in_loop(stages, i, &needed[i]);
        errors.extend(lacking);
    }
}

/// What `stage` must be given by `port` so that it can send `needed`.
fn wanted_input(stage: &Stage, needed: &[String], port: usize) -> Vec<String> {
    let written = |name: &String| {
        stage
            .columns
            .writes
            .iter()
            .any(|column| column.name == *name)
    };
    let passing = needed
        .iter()
        .filter(|name| stage.columns.rows != Rows::New && !written(name))
        .filter(|_| !stage.is_whole(port));
    let reads = stage.reads_at(port).map(|column| column.name.clone());
    reads.chain(passing.cloned()).collect()
}

/// What comes back by a loop must have what the stage needs, as what comes first has it.
fn lacking_in_loop(stages: &[Stage], i: usize, needed: &[String]) -> Option<Diagnostic> {
    let stage = &stages[i];
    let first = stage.inputs.iter().zip(&stage.ports.inputs);
    let first = first
        .filter(|(_, port)| !stage.is_whole(**port))
        .map(|(input, _)| *input)
        .next();
    let loops = stage.loops.iter().zip(&stage.ports.loops);
    loops.into_iter().find_map(|(&back, &port)| {
        let of = |s: &Stage, name: &str| s.available.iter().find(|c| c.name == name).cloned();
        let has = |name: &String| {
            let back = of(&stages[back], name);
            match stage.reads_at(port).find(|column| column.name == *name) {
                Some(read) => back.is_some_and(|column| column.fits(read)),
                None => {
                    let first = first.and_then(|first| of(&stages[first], name));
                    back.map(|c| c.column_type) == first.map(|c| c.column_type)
                }
            }
        };
        let wanted = wanted_input(stage, needed, port);
        let name = wanted.iter().find(|name| !has(name))?;
        let message = format!(
            "`{}` loops back to `{}` without the column `{name}` that it needs",
            stages[back].name, stage.name
        );
        Some(Diagnostic::new("column-mismatch", message).at(stage.spans.name))
    })
}
