//! TOML as a tree in which every key and value keeps its span.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Span};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    pub span: Span,
    pub kind: Kind,
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text, number or truth value.
    Plain(Value),
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table, where it stands, and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
}

impl Node {
    /// As an error calls it: `a whole number`.
    pub fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Array(_) => "a list",
            Kind::Table(_) => "a table",
            Kind::Plain(Value::String(_)) => "a string",
            Kind::Plain(Value::Bool(_)) => "a boolean",
            Kind::Plain(value) if value.is_i64() || value.is_u64() => "an integer",
            Kind::Plain(_) => "a number",
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plain(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The same without spans.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Plain(value) => value.clone(),
            Kind::Array(items) => items.iter().map(Node::to_json).collect(),
            Kind::Table(entries) => entries
                .iter()
                .map(|e| (e.key.clone(), e.node.to_json()))
                .collect(),
        }
    }
}

/// Parses a whole file: its top-level entries in file order, and every syntax error.
pub fn parse_file(text: &str, source: usize) -> (Vec<Entry>, Vec<Diagnostic>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut found = Vec::new();
    let mut again = 0..0;
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        // What stands under a header that came before repeats it, and says nothing new.
        if again.contains(&start) {
            continue;
        }
        found.push(syntax_error(&error, text, source));
        let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
        if found.last().is_some_and(is_duplicate) && text[line..].starts_with('[') {
            again = start
                ..text[start..]
                    .find("\n[")
                    .map_or(text.len(), |end| start + end);
        }
    }
    (entries(table.into_inner(), source, 0), found)
}

fn is_duplicate(error: &Diagnostic) -> bool {
    error.code == "duplicate"
}

/// Parses one value, as `--set` has it; what is no TOML value is text as it stands.
pub fn parse_value(text: &str, source: usize, offset: usize) -> Node {
    let span = Span {
        source,
        start: offset,
        end: offset + text.len(),
    };
    match DeValue::parse(text) {
        Ok(value) => Node {
            span,
            ..node(value, source, offset)
        },
        Err(_) => Node {
            span,
            kind: Kind::Plain(Value::String(text.to_owned())),
        },
    }
}

fn syntax_error(error: &toml::de::Error, text: &str, source: usize) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let key = text.get(span.clone()).unwrap_or_default();
    let span = Span {
        source,
        start: span.start,
        end: span.end,
    };
    let message = error.message().replace('\n', ", ");
    let error = if message.contains("duplicate") {
        Diagnostic::new("duplicate", format!("`{key}` stands here twice"))
    } else {
        Diagnostic::new("syntax", message)
    };
    error.at(span)
}

fn entries(table: DeTable<'_>, source: usize, offset: usize) -> Vec<Entry> {
    let mut all: Vec<Entry> = (table.into_iter())
        .map(|(key, value)| {
            let at = key.span();
            let key_span = Span {
                source,
                start: at.start + offset,
                end: at.end + offset,
            };
            let key = key.into_inner().into_owned();
            Entry {
                key,
                key_span,
                node: node(value, source, offset),
            }
        })
        .collect();
    all.sort_by_key(|entry| entry.key_span.start);
    all
}

fn node(value: Spanned<DeValue<'_>>, source: usize, offset: usize) -> Node {
    let at = value.span();
    let span = Span {
        source,
        start: at.start + offset,
        end: at.end + offset,
    };
    let kind = match value.into_inner() {
        DeValue::String(text) => Kind::Plain(Value::String(text.into_owned())),
        DeValue::Integer(number) => {
            match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Kind::Plain(number.into()),
                // Out of range: as a float it is refused wherever an integer is wanted.
                Err(_) => Kind::Plain(f64::INFINITY.to_string().into()),
            }
        }
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Kind::Plain(number.into()),
            _ => Kind::Plain(number.as_str().into()),
        },
        DeValue::Boolean(truth) => Kind::Plain(truth.into()),
        DeValue::Datetime(time) => Kind::Plain(time.to_string().into()),
        DeValue::Array(items) => Kind::Array(
            items
                .into_iter()
                .map(|item| node(item, source, offset))
                .collect(),
        ),
        DeValue::Table(table) => Kind::Table(entries(table, source, offset)),
    };
    Node { span, kind }
}
