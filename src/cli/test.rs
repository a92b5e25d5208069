//! `segue test`

use std::fmt::Write;

use clap::Args;

use super::stages::named;
use super::{Failed, Outcome, answer};
use segue::diagnostic::{Diagnostic, Sources};
use segue::graph::Operator;
use segue::operators::Operators;
use segue::plugins::{Broken, broken_examples};

/// `segue test`
#[derive(Args)]
pub struct TestArgs {
    /// An operator's name, or the path of a library
    plugin: String,
}

/// Runs the examples of an operator, or of all operators of a library.
pub fn test(arguments: &TestArgs) -> Outcome {
    let operators = Operators::default();
    let mut lines = String::new();
    let mut errors = Vec::new();
    for operator in named(&operators, &arguments.plugin)? {
        let (name, count) = (&operator.manifest.name, operator.manifest.examples.len());
        let broken = examples_of(&operator);
        match (count, broken.is_empty()) {
            (0, true) => drop(writeln!(lines, "`{name}` has no examples")),
            (1, true) => drop(writeln!(lines, "`{name}`: its example holds")),
            (_, true) => drop(writeln!(lines, "`{name}`: its {count} examples hold")),
            (_, false) => errors.extend(broken),
        }
    }
    answer(&lines)?;
    let texts: Vec<String> = errors
        .iter()
        .map(|one| one.render(&Sources::new()))
        .collect();
    match texts.as_slice() {
        [] => Ok(()),
        texts => Err(Failed::Running(texts.join("\n"))),
    }
}

/// What is wrong with the examples of `operator`, which run in a process of their own.
pub fn examples_of(operator: &Operator) -> Vec<Diagnostic> {
    let manifest = &operator.manifest;
    let Some(library) = operator
        .library
        .as_ref()
        .filter(|_| !manifest.examples.is_empty())
    else {
        return Vec::new();
    };
    let name = &manifest.name;
    let of = |Broken { number, reason }: Broken| {
        let message = format!("example {number} of `{name}` does not hold: {reason}");
        Diagnostic::new("bad-example", message)
    };
    match broken_examples(library, name) {
        Ok(broken) => broken.into_iter().map(of).collect(),
        Err(error) => vec![error],
    }
}
