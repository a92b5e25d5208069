//! `segue stages`

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use clap::Args;
use segue_plugin::OptionType;
use serde_json::Value;

use super::{Failed, Outcome, answer};
use segue::graph::{Catalog, Operator};
use segue::operators::{Operators, is_path, twice};

/// `segue stages`
#[derive(Args)]
pub struct StagesArgs {
    /// Show this operator's options, or what the library at this path has
    name: Option<String>,
}

/// Lists the operators, or shows one, or those of one library.
pub fn stages(arguments: &StagesArgs) -> Outcome {
    let operators = Operators::default();
    let Some(name) = &arguments.name else {
        let all = operators.list();
        return answer(&(table(&all) + &broken(&operators) + &shadowed(&operators, &all)));
    };
    match named(&operators, name)?.as_slice() {
        [operator] => {
            answer(&(page(operator) + &shadowed(&operators, std::slice::from_ref(operator))))
        }
        all => answer(&table(all)),
    }
}

/// The operator `name`, or those of the library at that path.
///
/// # Errors
/// [`Failed::Wrong`] when there is none
pub fn named(operators: &Operators, name: &str) -> Result<Vec<Operator>, Failed> {
    let found = if is_path(name) {
        operators.of_library(name)
    } else {
        operators.operator(name, Path::new("")).map(|one| vec![one])
    };
    found.map_err(|error| Failed::Wrong(error.text()))
}

/// Operators of `all` that several libraries have.
fn shadowed(operators: &Operators, all: &[Operator]) -> String {
    let mut names = BTreeSet::new();
    let lines = all.iter().filter(|one| names.insert(&one.manifest.name));
    let lines = lines.filter_map(|one| {
        let (name, used) = (&one.manifest.name, one.library.as_ref()?);
        if !operators.plugins.on_search_path(used) {
            return None;
        }
        let used = operators.plugins.find(name).ok()??.0;
        twice(name, &used, &operators.plugins.others(name, &used, true))
    });
    let lines: Vec<String> = lines.collect();
    match lines.as_slice() {
        [] => String::new(),
        lines => format!("\n{}\n", lines.join("\n")),
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
    let all = operators.plugins.all().into_iter();
    let errors = all.filter_map(|(_, manifest)| manifest.err());
    let lines: String = errors
        .map(|error| format!("  {}\n", error.message))
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
    if manifest.starts {
        text += "needs no `from`: it begins by itself\n";
    }
    if !manifest.ports.is_empty() {
        text += "\ninput ports\n";
    }
    for port in &manifest.ports {
        let what = if port.whole {
            " (a side input: each replica gets all of its rows, before all else)"
        } else {
            ""
        };
        let _ = writeln!(text, "  {}{what}", port.name);
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
        let _ = writeln!(text, "\nexample, with {}", example.options);
        if example.inputs.is_empty() {
            let _ = writeln!(text, "  in   {}", rows(&example.input));
        }
        for (port, input) in &example.inputs {
            let _ = writeln!(text, "  in   at `{port}`: {}", rows(input));
        }
        let _ = writeln!(text, "  out  {}", rows(&example.output));
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
        OptionType::Integers => "list of integers",
        OptionType::Numbers => "list of numbers",
        OptionType::Names => "list of strings, or table of lists",
    }
}
