//! Who reads whom: names, roles, cycles, and the order data flows in.

use super::catalog::Role;
use super::raw::RawStage;
use crate::diagnostic::{Diagnostic, did_you_mean, list};
use crate::toml_file::At;

/// The edges of a graph, by the stages' numbers in the file.
#[derive(Debug, Default)]
pub struct Edges {
    /// For each stage, those it reads, in the order `from` names them.
    pub inputs: Vec<Vec<usize>>,
    /// For each stage, those whose output comes back to it one generation later.
    pub loops: Vec<Vec<usize>>,
    /// Every stage that is in no cycle, each after those it reads.
    pub order: Vec<usize>,
}

/// Resolves `from` and `loop`, and reports what cannot flow. `roles[i]` is `None`
/// for a stage whose operator is unknown; `starts[i]` says that it needs no input.
pub fn check(
    stages: &[RawStage],
    roles: &[Option<Role>],
    starts: &[bool],
    errors: &mut Vec<Diagnostic>,
) -> Edges {
    let mut resolve = |names: &[At<String>]| -> Vec<usize> {
        names
            .iter()
            .filter_map(|name| resolve(stages, roles, name, errors))
            .collect()
    };
    let inputs: Vec<Vec<usize>> = stages.iter().map(|stage| resolve(&stage.from)).collect();
    let loops: Vec<Vec<usize>> = stages
        .iter()
        .map(|stage| resolve(&stage.loop_from))
        .collect();
    for ((stage, role), starts) in stages.iter().zip(roles).zip(starts) {
        errors.extend(role.and_then(|role| misplaced(stage, role, *starts)));
    }
    let order = order(&inputs);
    errors.extend(cycles(stages, &inputs, &order));
    let resolved = |(stage, inputs): (&RawStage, &Vec<usize>)| stage.from.len() == inputs.len();
    // A name that is no stage may be the one that seems unread.
    if stages.iter().zip(&inputs).all(resolved) {
        errors.extend(unread(stages, roles, &inputs, &loops));
    }
    errors.extend(ends(stages, roles, starts));
    Edges {
        inputs,
        loops,
        order,
    }
}

fn resolve(
    stages: &[RawStage],
    roles: &[Option<Role>],
    name: &At<String>,
    errors: &mut Vec<Diagnostic>,
) -> Option<usize> {
    let found = stages
        .iter()
        .position(|stage| stage.name.value == name.value);
    let error = match found {
        None => {
            let names = stages.iter().map(|stage| stage.name.value.as_str());
            let help = did_you_mean(&name.value, "stages", names);
            let message = format!("there is no stage `{}`", name.value);
            Diagnostic::new("unknown-stage", message)
                .at(name.span)
                .help_some(help)
        }
        Some(i) if roles[i] == Some(Role::Sink) => {
            let message = format!("`{}` gives nothing to read: it is a sink", name.value);
            Diagnostic::new("bad-edge", message).at(name.span)
        }
        Some(i) => return Some(i),
    };
    errors.push(error);
    None
}

fn misplaced(stage: &RawStage, role: Role, starts: bool) -> Option<Diagnostic> {
    let name = &stage.name.value;
    match (role, stage.from.first().or(stage.loop_from.first())) {
        (Role::Source, Some(from)) => {
            let message = format!("`{name}` is a source: it reads no stage");
            Some(Diagnostic::new("bad-edge", message).at(from.span))
        }
        (Role::Transform | Role::Sink, _) if stage.from.is_empty() && !starts => {
            let message = format!("`{name}` does not say what it reads");
            let error = Diagnostic::new("missing-key", message).at(stage.name.span);
            Some(error.help("add `from = \"STAGE\"`"))
        }
        _ => None,
    }
}

/// Kahn's algorithm, taking the first ready stage in file order.
fn order(inputs: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::new();
    let mut placed = vec![false; inputs.len()];
    while let Some(next) =
        (0..inputs.len()).find(|&i| !placed[i] && inputs[i].iter().all(|&input| placed[input]))
    {
        placed[next] = true;
        order.push(next);
    }
    order
}

/// One error for each cycle: from any stage left over, walk inputs that are left
/// over too until one comes again.
fn cycles(stages: &[RawStage], inputs: &[Vec<usize>], order: &[usize]) -> Vec<Diagnostic> {
    let mut seen: Vec<bool> = (0..stages.len()).map(|i| order.contains(&i)).collect();
    let mut errors = Vec::new();
    for start in 0..stages.len() {
        let mut path: Vec<usize> = Vec::new();
        let mut at = start;
        while !seen[at] {
            seen[at] = true;
            path.push(at);
            match inputs[at].iter().find(|&&input| !order.contains(&input)) {
                Some(&input) => at = input,
                None => break,
            }
        }
        if let Some(first) = path
            .iter()
            .position(|&i| i == at)
            .filter(|_| path.len() > 1 || inputs[start].contains(&start))
        {
            errors.push(cycle(stages, &path[first..]));
        }
    }
    errors
}

fn cycle(stages: &[RawStage], path: &[usize]) -> Diagnostic {
    let name = |i: usize| format!("`{}`", stages[i].name.value);
    let others: Vec<String> = path[1..]
        .iter()
        .chain(&path[..1])
        .map(|&i| name(i))
        .collect();
    let message = format!("{} reads {}", name(path[0]), others.join(", which reads "));
    let next = path.get(1).unwrap_or(&path[0]);
    let edge = stages[path[0]]
        .from
        .iter()
        .find(|from| from.value == stages[*next].name.value);
    let help = "write one of these edges as `loop = \"STAGE\"`: it carries to the next generation";
    Diagnostic::new("cycle", message)
        .at_some(edge.map(|from| from.span))
        .help(help)
}

fn unread(
    stages: &[RawStage],
    roles: &[Option<Role>],
    inputs: &[Vec<usize>],
    loops: &[Vec<usize>],
) -> Vec<Diagnostic> {
    let read = |i: usize| inputs.iter().chain(loops).any(|edges| edges.contains(&i));
    (0..stages.len())
        .filter(|&i| roles[i].is_some_and(|role| role != Role::Sink) && !read(i))
        .map(|i| {
            let message = format!("nothing reads `{}`", stages[i].name.value);
            let error = Diagnostic::new("unreachable", message).at(stages[i].name.span);
            error.help("remove it, or name it in the `from` of a stage")
        })
        .collect()
}

/// A graph needs rows from somewhere, a source or a stage that starts by itself, and a sink.
fn ends(stages: &[RawStage], roles: &[Option<Role>], starts: &[bool]) -> Option<Diagnostic> {
    if roles.iter().any(Option::is_none) {
        return None;
    }
    let begins = |role: Role| role == Role::Source && starts.contains(&true);
    let lacks = |role: Role| !roles.contains(&Some(role)) && !begins(role);
    let missing: Vec<&str> = [(Role::Source, "read"), (Role::Sink, "write")]
        .into_iter()
        .filter_map(|(role, plugin)| lacks(role).then_some(plugin))
        .collect();
    let (first, rest) = (missing.first()?, stages.first());
    let message = match rest {
        None => "the graph has no stages".to_owned(),
        Some(_) => format!("the graph has no stage that can {first}"),
    };
    let help = format!("add a stage with `plugin` {}", list(&missing));
    let at = rest.map(|stage| stage.name.span);
    Some(
        Diagnostic::new("incomplete-graph", message)
            .at_some(at)
            .help(help),
    )
}
