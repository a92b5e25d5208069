//! What a plugin says of itself, checked beyond its JSON.

use std::collections::BTreeSet;

use segue_plugin::{Column, Columns, Manifest, OperatorManifest, OptionManifest};
use segue_plugin::{OptionType, Units};

use crate::diagnostic::Diagnostic;

/// Units of one stage; more than any model has.
const UNITS_MAX: usize = 1024;
/// Columns of one stage, of each kind.
const COLUMNS_MAX: usize = 4096;

fn bad(message: String) -> Diagnostic {
    Diagnostic::new("bad-plugin", message)
}

/// The first thing in `manifest` that contradicts itself.
///
/// # Errors
/// `bad-plugin`
pub fn check(manifest: &Manifest) -> Result<(), Diagnostic> {
    if manifest.operators.is_empty() {
        return Err(bad("the plugin's manifest names no operators".to_owned()));
    }
    let mut names = BTreeSet::new();
    for operator in &manifest.operators {
        let name = &operator.name;
        if name.is_empty() || name.contains(['/', '\\', '#']) || name.contains(char::is_whitespace)
        {
            let message = format!(
                "the plugin's manifest names an operator `{name}`, which a graph cannot write"
            );
            return Err(bad(message));
        }
        if !names.insert(name) {
            let message = format!("the plugin's manifest names the operator `{name}` twice");
            return Err(bad(message));
        }
        check_options(operator)?;
        check_ports(operator)?;
    }
    Ok(())
}

fn check_ports(operator: &OperatorManifest) -> Result<(), Diagnostic> {
    let mut names = BTreeSet::new();
    let mut ports = operator.ports.iter();
    match ports.find(|port| port.name.is_empty() || !names.insert(&port.name)) {
        Some(port) => Err(bad(format!(
            "the plugin's manifest gives the port `{}` of `{}` twice, or without a name",
            port.name, operator.name
        ))),
        None => Ok(()),
    }
}

fn check_options(operator: &OperatorManifest) -> Result<(), Diagnostic> {
    let mut names = BTreeSet::new();
    for option in &operator.options {
        let of = format!("option `{}` of `{}`", option.name, operator.name);
        if option.name.is_empty() || !names.insert(&option.name) {
            return Err(bad(format!(
                "the plugin's manifest gives {of} twice, or without a name"
            )));
        }
        if let (Some(minimum), Some(maximum)) = (option.minimum, option.maximum)
            && minimum > maximum
        {
            let message =
                format!("the plugin's manifest gives {of} a range from {minimum} to {maximum}");
            return Err(bad(message));
        }
        if !option.default.is_null() && !fits(option) {
            let message = format!(
                "the plugin's manifest gives {of} the default {}, which does not fit its type",
                option.default
            );
            return Err(bad(message));
        }
    }
    Ok(())
}

/// Whether an option's default can be of its type.
fn fits(option: &OptionManifest) -> bool {
    let default = &option.default;
    match option.option_type {
        OptionType::Path | OptionType::OutputPath => default.is_string(),
        OptionType::String => !default.is_number() && !default.is_boolean(),
        OptionType::Integer => default.is_i64() || default.is_u64(),
        OptionType::Number => default.is_number(),
        OptionType::Boolean => default.is_boolean(),
        OptionType::Strings | OptionType::Integers | OptionType::Numbers => default.is_array(),
        OptionType::Names => default.is_array() || default.is_object(),
    }
}

/// Columns that can be told apart, and not absurdly many.
///
/// # Errors
/// `bad-plugin`
pub fn check_columns(columns: &Columns) -> Result<(), Diagnostic> {
    for (what, list) in [("reads", &columns.reads), ("writes", &columns.writes)] {
        if list.len() > COLUMNS_MAX {
            let count = list.len();
            return Err(bad(format!(
                "it {what} {count} columns; {COLUMNS_MAX} is the most"
            )));
        }
        let mut names = BTreeSet::new();
        let mut columns = list.iter();
        if let Some(twice) = columns.find(|column| !names.insert((&column.port, &column.name))) {
            return Err(bad(format!("it {what} the column `{}` twice", twice.name)));
        }
    }
    Ok(())
}

/// Columns at ports that `operator` has.
///
/// # Errors
/// `bad-plugin`
pub fn check_ports_of(operator: &OperatorManifest, columns: &Columns) -> Result<(), Diagnostic> {
    let odd = match (columns.stateful, columns.snapshots, columns.spreads) {
        (true, _, true) => Some("spreads, though its batches build on each other"),
        (false, true, _) => Some("snapshots, but keeps no state"),
        _ => None,
    };
    if let Some(odd) = odd {
        return Err(bad(format!("it says that it {odd}")));
    }
    let known = |column: &Column| {
        if operator.ports.is_empty() {
            column.port.is_empty()
        } else {
            operator.ports.iter().any(|port| port.name == column.port)
        }
    };
    if let Some(odd) = columns.reads.iter().find(|column| !known(column)) {
        let (name, port) = (&odd.name, &odd.port);
        return Err(bad(format!(
            "it reads the column `{name}` at the port `{port}`, which it does not have"
        )));
    }
    if let Some(odd) = columns.writes.iter().find(|column| !column.port.is_empty()) {
        return Err(bad(format!(
            "it writes the column `{}` at a port",
            odd.name
        )));
    }
    Ok(())
}

/// Units that a split can be computed from.
///
/// # Errors
/// `bad-plugin`
pub fn check_units(units: &Units) -> Result<(), Diagnostic> {
    let count = units.units.len();
    if count > UNITS_MAX {
        let message = format!("it says that it has {count} units; {UNITS_MAX} is the most");
        return Err(bad(message));
    }
    let odd = |cost: f64| !cost.is_finite() || cost < 0.0;
    match units.units.iter().find(|unit| odd(unit.cost)) {
        Some(unit) => {
            let (name, cost) = (&unit.name, unit.cost);
            Err(bad(format!(
                "its unit `{name}` has the cost {cost}, which is not a number from 0 on"
            )))
        }
        None => Ok(()),
    }
}
