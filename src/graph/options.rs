//! A stage's `with.*` options against its operator's manifest.

use std::path::{Path, PathBuf};

use segue_plugin::{OptionManifest, OptionType};
use serde_json::{Map, Value};

use super::catalog::{Catalog, Operator};
use super::raw::{RawOption, RawStage};
use crate::diagnostic::{Diagnostic, did_you_mean, list, nearest};
use crate::toml_file::{Kind, Node};

/// The options as the operator gets them: checked, paths resolved, defaults filled in.
pub fn check(
    stage: &RawStage,
    operator: &Operator,
    base: &Path,
    catalog: &dyn Catalog,
    errors: &mut Vec<Diagnostic>,
) -> Value {
    let manifest = &operator.manifest;
    let mut values = Map::new();
    for option in &manifest.options {
        if !option.default.is_null() {
            values.insert(option.name.clone(), option.default.clone());
        }
    }
    for raw in &stage.options {
        match manifest
            .options
            .iter()
            .find(|known| known.name == raw.name.value)
        {
            Some(known) => match value(raw, known, base, catalog) {
                Ok(value) => {
                    values.insert(known.name.clone(), value);
                }
                Err(error) => errors.push(error),
            },
            None => errors.push(unknown(raw, operator)),
        }
    }
    for option in manifest.options.iter().filter(|option| option.required) {
        if !stage
            .options
            .iter()
            .any(|raw| raw.name.value == option.name)
        {
            errors.push(missing(stage, operator, option));
        }
    }
    Value::Object(values)
}

fn unknown(raw: &RawOption, operator: &Operator) -> Diagnostic {
    let (name, manifest) = (&raw.name.value, &operator.manifest);
    let known = manifest.options.iter().map(|option| option.name.as_str());
    let help = did_you_mean(name, &format!("options of `{}`", manifest.name), known);
    let message = format!("`{}` has no option `{name}`", manifest.name);
    Diagnostic::new("unknown-option", message)
        .at(raw.name.span)
        .help_some(help)
}

fn missing(stage: &RawStage, operator: &Operator, option: &OptionManifest) -> Diagnostic {
    let message = format!("`{}` needs `with.{}`", stage.name.value, option.name);
    let doc = option.doc.trim_end_matches('.');
    let help = format!(
        "`{}` says of `{}`: {doc}",
        operator.manifest.name, option.name
    );
    Diagnostic::new("missing-option", message)
        .at(stage.name.span)
        .help(help)
}

fn value(
    raw: &RawOption,
    known: &OptionManifest,
    base: &Path,
    catalog: &dyn Catalog,
) -> Result<Value, Diagnostic> {
    let json = match (&raw.text, known.option_type) {
        // What is typed for a text is that text, even if it looks like a number.
        (Some(text), OptionType::String)
            if !matches!(raw.node.kind, Kind::Array(_) | Kind::Table(_)) =>
        {
            Value::String(raw.node.as_str().unwrap_or(text).to_owned())
        }
        _ => raw.node.to_json(),
    };
    let fits = match known.option_type {
        OptionType::String | OptionType::Path | OptionType::OutputPath => json.is_string(),
        OptionType::Integer => json.is_i64(),
        OptionType::Number => json.is_number(),
        OptionType::Boolean => json.is_boolean(),
        OptionType::Strings => is_strings(&raw.node),
        OptionType::Integers => is_list_of(&raw.node, Value::is_i64),
        OptionType::Numbers => is_list_of(&raw.node, Value::is_number),
        OptionType::Names => is_names(&raw.node),
    };
    let (name, span) = (&known.name, raw.node.span);
    if !fits {
        let wanted = words(known.option_type);
        let (what, span) = match odd_item(&raw.node, known) {
            Some(item) => (format!("a list with {}", item.what()), item.span),
            None => (raw.node.what().to_owned(), span),
        };
        let message = format!("`{name}` must be {wanted}, not {what}");
        return Err(Diagnostic::new("wrong-type", message).at(span));
    }
    in_range(&raw.node, known)?;
    is_choice(&raw.node, &json, known)?;
    let text = json.as_str().map(str::to_owned);
    let Some(text) = text.as_deref() else {
        return Ok(json);
    };
    if !matches!(known.option_type, OptionType::Path | OptionType::OutputPath) {
        return Ok(json);
    }
    if text.is_empty() {
        let message = format!("`{name}` must be {}, not empty", words(known.option_type));
        return Err(Diagnostic::new("wrong-type", message).at(span));
    }
    if let Some(fetched) = fetched(text, known, catalog) {
        let path = fetched.map_err(|problem| problem.at(span))?;
        return Ok(Value::String(path.to_string_lossy().into_owned()));
    }
    let path = if raw.typed {
        Path::new(text).to_owned()
    } else {
        base.join(text)
    };
    if known.option_type == OptionType::Path && !catalog.exists(&path) {
        let message = format!("there is nothing at `{}`", path.display());
        let from = if raw.typed {
            "the working directory"
        } else {
            "the graph file's folder"
        };
        let help = format!("`{name}` is taken from {from}");
        return Err(Diagnostic::new("missing-file", message).at(span).help(help));
    }
    Ok(Value::String(path.to_string_lossy().into_owned()))
}

/// What the address of a model names; `None` for a path.
fn fetched(
    text: &str,
    known: &OptionManifest,
    catalog: &dyn Catalog,
) -> Option<Result<PathBuf, Diagnostic>> {
    let reads = known.option_type == OptionType::Path;
    reads.then(|| catalog.fetched(text)).flatten()
}

/// The first item of a list that is not of the type that the option's items have.
fn odd_item<'a>(node: &'a Node, known: &OptionManifest) -> Option<&'a Node> {
    let fits = |item: &Node| match known.option_type {
        OptionType::Strings | OptionType::Names => item.as_str().is_some(),
        OptionType::Integers => item.to_json().is_i64(),
        OptionType::Numbers => item.to_json().is_number(),
        _ => true,
    };
    match &node.kind {
        Kind::Array(items) => items.iter().find(|item| !fits(item)),
        _ => None,
    }
}

fn is_list_of(node: &Node, fits: fn(&Value) -> bool) -> bool {
    match &node.kind {
        Kind::Array(items) => items.iter().all(|item| fits(&item.to_json())),
        _ => false,
    }
}

/// Each number between the least and the greatest that the option may be.
fn in_range(node: &Node, known: &OptionManifest) -> Result<(), Diagnostic> {
    let items = match &node.kind {
        Kind::Array(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    for item in items {
        let Some(number) = item.to_json().as_f64() else {
            continue;
        };
        let low = known.minimum.is_some_and(|minimum| number < minimum);
        let high = known.maximum.is_some_and(|maximum| number > maximum);
        if low || high {
            let range = match (known.minimum, known.maximum) {
                (Some(minimum), Some(maximum)) => format!("from {minimum} to {maximum}"),
                (Some(minimum), None) => format!("at least {minimum}"),
                (None, maximum) => format!("at most {}", maximum.unwrap_or(number)),
            };
            let message = format!("`{}` must be {range}, not {number}", known.name);
            return Err(Diagnostic::new("bad-value", message).at(item.span));
        }
    }
    Ok(())
}

/// `value`, which is that of `node`, or each item of it, is one of the option's choices, where
/// it has some.
fn is_choice(node: &Node, value: &Value, known: &OptionManifest) -> Result<(), Diagnostic> {
    if known.choices.is_empty() {
        return Ok(());
    }
    let items: Vec<(&Node, Value)> = match &node.kind {
        Kind::Array(items) => items.iter().map(|item| (item, item.to_json())).collect(),
        _ => vec![(node, value.clone())],
    };
    for (item, value) in items {
        let text = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        if known.choices.contains(&text) {
            continue;
        }
        let choices = known.choices.iter().map(String::as_str);
        let near = nearest(&text, choices);
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("choose {}", list(&known.choices)),
        };
        let message = format!("`{}` cannot be `{text}`", known.name);
        let error = Diagnostic::new("bad-value", message).at(item.span);
        return Err(error.help(help));
    }
    Ok(())
}

fn is_strings(node: &Node) -> bool {
    match &node.kind {
        Kind::Array(items) => items.iter().all(|item| item.as_str().is_some()),
        _ => false,
    }
}

/// A list of strings, or a table of lists of what can be written as a plain value.
fn is_names(node: &Node) -> bool {
    let is_list = |node: &Node| match &node.kind {
        Kind::Array(items) => items.iter().all(|item| matches!(item.kind, Kind::Plain(_))),
        _ => false,
    };
    match &node.kind {
        Kind::Table(entries) => entries.iter().all(|entry| is_list(&entry.node)),
        _ => is_strings(node),
    }
}

fn words(option_type: OptionType) -> &'static str {
    match option_type {
        OptionType::String => "a string",
        OptionType::Integer => "an integer",
        OptionType::Number => "a number",
        OptionType::Boolean => "true or false",
        OptionType::Path | OptionType::OutputPath => "a path, as a string",
        OptionType::Strings => "a list of strings",
        OptionType::Integers => "a list of integers",
        OptionType::Numbers => "a list of numbers",
        OptionType::Names => "a list of strings, or a table of such lists",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_file::parse_value;

    /// What is said of `value` for an option of this type with these choices.
    fn said(option_type: OptionType, choices: &[&str], value: &str) -> Option<(String, usize)> {
        let known = OptionManifest {
            name: "x".to_owned(),
            option_type,
            default: Value::Null,
            required: false,
            doc: String::new(),
            choices: choices.iter().map(|one| (*one).to_owned()).collect(),
            minimum: None,
            maximum: None,
        };
        let node = parse_value(value, 0, 0);
        let error = is_choice(&node, &node.to_json(), &known).err()?;
        let help = error.help.clone().unwrap_or_default();
        Some((format!("{}; {help}", error.message), error.span()?.start))
    }

    #[test]
    fn choices_are_for_numbers_and_lists_too() {
        let names = ["adam", "sgd"];
        assert_eq!(said(OptionType::String, &[], "\"any\""), None);
        assert_eq!(said(OptionType::String, &names, "\"sgd\""), None);
        assert_eq!(
            said(OptionType::Strings, &names, "[\"sgd\", \"adam\"]"),
            None
        );
        assert_eq!(said(OptionType::Integer, &["1", "2"], "2"), None);
        let odd = |message: &str, at| Some((message.to_owned(), at));
        assert_eq!(
            said(OptionType::Strings, &names, "[\"sgd\", \"adm\"]"),
            odd("`x` cannot be `adm`; did you mean `adam`?", 8)
        );
        assert_eq!(
            said(OptionType::Integer, &["128", "256"], "1000"),
            odd("`x` cannot be `1000`; choose `128` and `256`", 0)
        );
        assert_eq!(
            said(OptionType::Integers, &["128", "256"], "[128, 1000]"),
            odd("`x` cannot be `1000`; choose `128` and `256`", 6)
        );
    }
}
