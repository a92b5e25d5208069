//! The options of `read`.

use std::path::PathBuf;

use encoding_rs::Encoding;
use segue_plugin::{Column, Columns, Rows, Scalar, Type};
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::graph::{ASKED, TAKEN};
use crate::io::{self, EpochOptions, ReadOptions, Role as RecordRole};

/// A byte that stands for something in a CSV file, as people write it.
fn byte(text: &str) -> Option<u8> {
    match (text, text.as_bytes()) {
        ("\\t" | "tab", _) => Some(b'\t'),
        (_, [byte]) if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => Some(*byte),
        _ => None,
    }
}

fn encoding(name: &str) -> Option<&'static Encoding> {
    let name = name.trim().to_lowercase().replace('_', "-");
    let name = match name.as_str() {
        // As Python calls them.
        "latin-1" => "latin1",
        "utf-8-sig" => "utf-8",
        other => other,
    };
    Encoding::for_label(name.as_bytes())
}

/// The labels' names, and what the file says for each where the option says that.
fn labels(option: &Value) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    if let Some(table) = option.as_object() {
        let names = table.keys().cloned().collect();
        return Some((names, table.values().map(texts).collect()));
    }
    option.is_array().then(|| (texts(option), Vec::new()))
}

fn texts(list: &Value) -> Vec<String> {
    let text = |one: &Value| match one {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    list.as_array()
        .map_or_else(Vec::new, |all| all.iter().map(text).collect())
}

/// The options of `read`.
pub fn read_options(options: &Value) -> ReadOptions {
    let text = |name: &str| options[name].as_str().map(str::to_owned);
    let plain = ReadOptions::new(text("path").unwrap_or_default());
    let (labels, label_values) =
        labels(&options["labels"]).unwrap_or((plain.labels, plain.label_values));
    let quote = options["quote"].as_str();
    let max_bytes = options["max-bytes"]
        .as_u64()
        .and_then(|n| usize::try_from(n).ok());
    ReadOptions {
        text: text("text").unwrap_or(plain.text),
        label: text("label"),
        labels,
        label_values,
        delimiter: options["delimiter"].as_str().and_then(byte),
        quote: quote.map(byte),
        encoding: options["encoding"].as_str().and_then(encoding),
        taken: texts(&options[TAKEN]),
        asked: texts(&options[ASKED]),
        strip_markup: options["strip-markup"]
            .as_bool()
            .unwrap_or(plain.strip_markup),
        max_bytes: max_bytes.unwrap_or(plain.max_bytes),
        path: plain.path,
        role: text("role")
            .and_then(|name| RecordRole::ALL.into_iter().find(|role| role.name() == name)),
        epochs: epoch_options(options),
    }
}

/// Whether the file is read more than once, or in another order.
fn epoch_options(options: &Value) -> Option<EpochOptions> {
    let epochs = options["epochs"].as_u64();
    let shuffle = options["shuffle"].as_u64();
    let hold_out = options["hold-out"].as_f64();
    let path = |option: &str| options[option].as_str().map(PathBuf::from);
    let (unlabelled, exclude) = (path("unlabelled"), path("exclude"));
    let ordered = epochs.is_some() || shuffle.is_some() || hold_out.is_some();
    let asked = ordered || unlabelled.is_some();
    asked.then(|| EpochOptions {
        epochs: epochs.map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        shuffle,
        hold_out: hold_out.unwrap_or(0.0),
        hold_out_by: options["hold-out-by"].as_str().map(str::to_owned),
        unlabelled,
        exclude,
    })
}

/// What is wrong with the options of `read` that the manifest cannot say.
fn check_options(options: &Value) -> Result<(), Diagnostic> {
    let bad = |option: &str, message: &str| Diagnostic::new("bad-option", message).option(option);
    let whole = |option: &str| options[option].as_i64();
    if whole("epochs").is_some_and(|n| !(1..=i64::from(u32::MAX)).contains(&n)) {
        return Err(bad(
            "epochs",
            "`epochs` must be at least 1, and at most 4294967295",
        ));
    }
    if whole("max-bytes").is_some_and(|n| n < 1) {
        return Err(bad("max-bytes", "`max-bytes` must be at least 1"));
    }
    if whole("shuffle").is_some_and(|seed| seed < 0) {
        return Err(bad("shuffle", "`shuffle` is a seed, 0 or more"));
    }
    let given = |option: &str| options[option].as_str();
    if given("delimiter").is_some_and(|text| byte(text).is_none()) {
        let message = "`delimiter` is one ASCII character, such as `;`, or `\\t` for a tab";
        return Err(bad("delimiter", message));
    }
    if given("quote").is_some_and(|text| !text.is_empty() && byte(text).is_none()) {
        return Err(bad(
            "quote",
            "`quote` is one ASCII character, or empty for none",
        ));
    }
    if let Some(both) = quoted_as_delimited(options) {
        let message = format!("`quote` and `delimiter` are both `{both}`");
        let at = ["quote", "delimiter"].into_iter();
        let at = at.filter(|option| options[option].is_string());
        return Err(bad(at.into_iter().next().unwrap_or("quote"), &message));
    }
    if let Some(name) = given("encoding").filter(|name| encoding(name).is_none()) {
        let message = format!("there is no encoding `{name}`");
        let help = "such as `utf-8`, `windows-1252`, `latin-1`, `utf-16le`, `shift_jis`";
        return Err(bad("encoding", &message).help(help));
    }
    if let Some((names, _)) = labels(&options["labels"]) {
        let same = |(i, name): &(usize, &String)| {
            let before = names[..*i].iter();
            before
                .map(|one| one.to_lowercase())
                .any(|one| one == name.to_lowercase())
        };
        if names.is_empty() {
            let help = "leave it out for `negative` and `positive`";
            return Err(bad("labels", "`labels` names no label").help(help));
        }
        if let Some((_, name)) = names.iter().enumerate().find(same) {
            let message = format!("`labels` names `{name}` twice, in whatever letter case");
            return Err(bad("labels", &message));
        }
    }
    if let Some((one, other, value)) = ambiguous(&options["labels"]) {
        let message = format!("`labels` says that `{value}` is `{one}`, and that it is `{other}`");
        return Err(bad("labels", &message));
    }
    let hold_out = options["hold-out"].as_f64();
    if hold_out.is_some_and(|part| !(0.0..1.0).contains(&part)) {
        return Err(bad("hold-out", "`hold-out` is a part, from 0 to below 1"));
    }
    if options["hold-out-by"].is_string() && hold_out.is_none_or(|part| part == 0.0) {
        let message = "`hold-out-by` says what is held out together, but `hold-out` is not given";
        return Err(bad("hold-out-by", message));
    }
    if options["exclude"].is_string() && !options["unlabelled"].is_string() {
        let message = "`exclude` leaves texts out of `unlabelled`, which is not given";
        return Err(bad("exclude", message));
    }
    let read = read_options(options);
    if read.epochs.is_some() && read.role.is_some_and(|role| role != RecordRole::Train) {
        let message = "records with a role of their own are read once, in the order of the file";
        return Err(bad("role", message));
    }
    Ok(())
}

/// What stands both between fields of a CSV file and around them, where one of these is said.
fn quoted_as_delimited(options: &Value) -> Option<char> {
    let read = read_options(options);
    let tabs = read.path.extension().is_some_and(|ending| ending == "tsv");
    let usual = if tabs { b'\t' } else { b',' };
    let quote = read.quote.unwrap_or(Some(b'"'))?;
    (quote == read.delimiter.unwrap_or(usual)).then_some(char::from(quote))
}

/// Two labels that a table gives the same value.
fn ambiguous(labels: &Value) -> Option<(&str, &str, String)> {
    let mut seen: Vec<(&str, String)> = Vec::new();
    for (label, values) in labels.as_object()? {
        for value in texts(values) {
            let known = seen
                .iter()
                .find(|(other, known)| *known == value && *other != label);
            if let Some((other, _)) = known {
                return Some((other, label, value));
            }
            seen.push((label, value));
        }
    }
    None
}

/// What `read` gives under these options: the columns of its file.
///
/// # Errors
/// What is wrong with the options, or with the file
pub fn columns(options: &Value) -> Result<Columns, Diagnostic> {
    check_options(options)?;
    let source = io::open(&read_options(options))?;
    let mut columns = Columns::new().rows(Rows::New);
    for field in source.schema().fields() {
        let number = io::is_number_field(field).then_some(Type::Scalar(Scalar::Number));
        if let Some(column_type) = number.or_else(|| Type::from_arrow(field.data_type())) {
            columns.writes.push(Column::new(field.name(), column_type));
        }
    }
    Ok(columns)
}
