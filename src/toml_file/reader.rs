//! Reading values of the type that a key wants.

use serde_json::Value;

use super::node::{Entry, Kind, Node};
use crate::diagnostic::{Diagnostic, Span, did_you_mean};

/// The one version there is of either format.
const FORMAT: i64 = 1;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    pub value: T,
    pub span: Span,
}

impl At<String> {
    /// The key of `entry`.
    pub fn key(entry: &Entry) -> Self {
        At {
            value: entry.key.clone(),
            span: entry.key_span,
        }
    }
}

/// Collects what is wrong with a file while its values are read.
pub struct Reader {
    pub errors: Vec<Diagnostic>,
}

impl Reader {
    /// One of a file in which the parser found `errors`.
    pub fn new(errors: Vec<Diagnostic>) -> Self {
        Reader { errors }
    }

    /// Adds an error at `span`.
    pub fn error(&mut self, code: &str, message: String, span: Span) {
        self.errors.push(Diagnostic::new(code, message).at(span));
    }

    /// That the text `source`, with these entries, says which format it is in.
    pub fn has_format(&mut self, entries: &[Entry], source: usize) {
        if self.errors.is_empty() && !entries.iter().any(|entry| entry.key == "format") {
            let missing = Diagnostic::new("missing-format", "the file does not say its format");
            let missing = missing.at(Span::start_of(source));
            self.errors.push(missing.help("begin it with `format = 1`"));
        }
    }

    /// That the value of `format` is one that is known.
    pub fn format(&mut self, node: &Node) {
        if node.to_json() != FORMAT {
            let message = format!("this is not format {FORMAT}, the only one known");
            self.error("bad-format", message, node.span);
        }
    }

    /// The entries of a table that messages call `name`.
    pub fn table<'a>(&mut self, node: &'a Node, name: &str) -> &'a [Entry] {
        match &node.kind {
            Kind::Table(entries) => entries,
            _ => {
                let message = format!("{name} must be a table, not {}", node.what());
                self.error("wrong-type", message, node.span);
                &[]
            }
        }
    }

    /// `node`, which belongs to the value of `entry`, is not `wanted`.
    pub fn wrong(&mut self, entry: &Entry, wanted: &str, node: &Node) {
        let message = format!("`{}` must be {wanted}, not {}", entry.key, node.what());
        self.error("wrong-type", message, node.span);
    }

    pub fn string(&mut self, entry: &Entry) -> Option<At<String>> {
        let value = entry.node.as_str().map(str::to_owned);
        if value.is_none() {
            self.wrong(entry, "a string", &entry.node);
        }
        value.map(|value| At {
            value,
            span: entry.node.span,
        })
    }

    /// One string, or a list of them, none of them twice.
    pub fn strings(&mut self, entry: &Entry) -> Vec<At<String>> {
        let Kind::Array(items) = &entry.node.kind else {
            return self.string(entry).into_iter().collect();
        };
        let mut all: Vec<At<String>> = Vec::new();
        for item in items {
            match item.as_str() {
                None => self.wrong(entry, "a list of strings", item),
                Some(name) if all.iter().any(|other| other.value == name) => {
                    let message = format!("`{name}` stands twice in `{}`", entry.key);
                    self.error("duplicate", message, item.span);
                }
                Some(name) => all.push(At {
                    value: name.to_owned(),
                    span: item.span,
                }),
            }
        }
        if items.is_empty() {
            let message = format!("`{}` is an empty list", entry.key);
            self.error("bad-value", message, entry.node.span);
        }
        all
    }

    /// A whole number from 1 to `most`.
    pub fn count(&mut self, entry: &Entry, most: u64) -> Option<At<usize>> {
        let span = entry.node.span;
        let number = match &entry.node.kind {
            Kind::Plain(Value::Number(number)) if !number.is_f64() => number,
            _ => {
                self.wrong(entry, "an integer", &entry.node);
                return None;
            }
        };
        let Some(count) = number.as_u64().filter(|n| (1..=most).contains(n)) else {
            let message = format!("`{}` must be from 1 to {most}", entry.key);
            self.error("bad-value", message, span);
            return None;
        };
        let value = usize::try_from(count).ok()?;
        Some(At { value, span })
    }

    /// The key of `entry` is none of `known`, which are the `what`: `keys of a stage`.
    pub fn unknown(&mut self, entry: &Entry, what: &str, known: &[&str]) {
        let help = did_you_mean(&entry.key, what, known.iter().copied());
        let error = Diagnostic::new("unknown-key", format!("unknown key `{}`", entry.key));
        self.errors.push(error.at(entry.key_span).help_some(help));
    }
}
