//! `segue stages`

use std::fmt::Write;

use clap::Args;
use segue_plugin::OptionType;
use serde_json::Value;

use super::{Failed, Outcome, answer};
use crate::diagnostic::{Diagnostic, Sources};
use crate::graph::{Operator, did_you_mean};
use crate::operators::Operators;

/// `segue stages`
#[derive(Args)]
pub struct StagesArgs {
    /// Show this operator's options
    name: Option<String>,
}

/// Lists the operators, or shows one.
pub fn stages(arguments: &StagesArgs) -> Outcome {
    let operators = Operators::default();
    let all = operators.list();
    let Some(name) = &arguments.name else {
        return answer(&(table(&all) + &broken(&operators)));
    };
    match all.iter().find(|one| one.manifest.name == *name) {
        Some(operator) => answer(&page(operator)),
        None => {
            let known = all.iter().map(|one| one.manifest.name.as_str());
            let help = did_you_mean(name, "operators", known);
            let error = Diagnostic::new("unknown-plugin", format!("there is no operator `{name}`"));
            Err(Failed::Wrong(error.help_some(help).render(&Sources::new())))
        }
    }
}

fn table(all: &[Operator]) -> String {
    let width = all
        .iter()
        .map(|one| one.manifest.name.len())
        .max()
        .unwrap_or(0);
    let line = |one: &Operator| format!("{:width$}  {}\n", one.manifest.name, one.manifest.doc);
    all.iter().map(line).collect()
}

/// Libraries on the search path that cannot be used.
fn broken(operators: &Operators) -> String {
    let problems = operators
        .plugins
        .all()
        .into_iter()
        .filter_map(|(_, manifest)| manifest.err());
    let lines: String = problems
        .map(|problem| format!("  {}\n", problem.message))
        .collect();
    if lines.is_empty() {
        lines
    } else {
        format!("\nnot usable:\n{lines}")
    }
}

fn page(operator: &Operator) -> String {
    let manifest = &operator.manifest;
    let mut text = format!("{} {}\n{}\n", manifest.name, manifest.version, manifest.doc);
    if let Some(library) = &operator.library {
        let _ = writeln!(text, "library: {}", library.display());
    }
    if manifest.units {
        text += "can be cut into segments with `split`\n";
    }
    if !manifest.options.is_empty() {
        text += "\noptions\n";
    }
    for option in &manifest.options {
        let given = match (&option.default, option.required) {
            (_, true) => ", required".to_owned(),
            (Value::Null, false) => String::new(),
            (default, false) => format!(", default {default}"),
        };
        let kind = match option.choices.as_slice() {
            [] => words(option.option_type).to_owned(),
            choices => choices
                .iter()
                .map(|c| format!("{c:?}"))
                .collect::<Vec<_>>()
                .join(" | "),
        };
        let _ = writeln!(
            text,
            "  with.{} ({kind}{given})\n      {}",
            option.name, option.doc
        );
    }
    for example in &manifest.examples {
        let rows = |rows: &[Value]| {
            rows.iter()
                .map(Value::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let _ = writeln!(
            text,
            "\nexample, with {}\n  in   {}\n  out  {}",
            example.options,
            rows(&example.input),
            rows(&example.output)
        );
    }
    text
}

fn words(option_type: OptionType) -> &'static str {
    match option_type {
        OptionType::String => "string",
        OptionType::Integer => "integer",
        OptionType::Number => "number",
        OptionType::Boolean => "boolean",
        OptionType::Path | OptionType::OutputPath => "path",
        OptionType::Strings => "list of strings",
    }
}
