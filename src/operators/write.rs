//! The options of `write`.

use segue_plugin::{Column, Columns};
use serde_json::Value;

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::io::{self, WriteOptions};

/// The options of `write`.
pub fn write_options(options: &Value) -> WriteOptions {
    WriteOptions {
        path: options["path"].as_str().unwrap_or_default().into(),
    }
}

/// The columns that `write` puts in the file: those its option names, or else every
/// column that is not a list.
pub fn written_columns(options: &Value, input: &[Column]) -> Result<Vec<Column>, Diagnostic> {
    let Some(names) = options["columns"]
        .as_array()
        .filter(|names| !names.is_empty())
    else {
        return Ok(input
            .iter()
            .filter(|column| column.column_type.is_scalar())
            .cloned()
            .collect());
    };
    let known = || input.iter().map(|column| column.name.as_str());
    let twice = |(i, name): &(usize, &Value)| names[..*i].contains(name);
    if let Some((_, name)) = names.iter().enumerate().find(twice) {
        let message = format!("`columns` names {name} twice");
        return Err(Diagnostic::new("duplicate", message).option("columns"));
    }
    (names.iter().filter_map(Value::as_str))
        .map(|name| {
            let found = input.iter().find(|column| column.name == name).cloned();
            found.ok_or_else(|| {
                let message = format!("no column `{name}` reaches `write`");
                let help = did_you_mean(name, "columns that reach it", known());
                let error = Diagnostic::new("missing-column", message).option("columns");
                error.help_some(help)
            })
        })
        .collect()
}

/// What accuracy is measured with, where both reach a sink: what the file says, and
/// what the pipeline says.
pub const JUDGED: [&str; 2] = ["truth", "label"];

/// The column with a record's number.
pub const NUMBER: &str = "review";

/// Whether `write` has a row for each record that cannot be used.
pub fn keeps_rejects(options: &Value) -> bool {
    options["rejects"] == "keep"
}

/// What `write` reads: what it writes, and what its verdicts are judged by.
///
/// # Errors
/// What is wrong with the options
pub fn columns(options: &Value, input: &[Column]) -> Result<Columns, Diagnostic> {
    io::check_write_path(&write_options(options).path)?;
    let mut reads = written_columns(options, input)?;
    let number = keeps_rejects(options).then_some(NUMBER);
    let needed = input.iter().filter(|column| {
        let name = column.name.as_str();
        JUDGED.contains(&name) || number == Some(name)
    });
    let unwritten: Vec<Column> = needed
        .filter(|column| !reads.contains(column))
        .cloned()
        .collect();
    reads.extend(unwritten);
    Ok(Columns {
        reads,
        ..Columns::default()
    })
}
