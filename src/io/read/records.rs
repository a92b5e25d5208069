//! What makes a record good: the checks that all formats share.

use std::borrow::Cow;

use super::batch::Kind;
use super::labels::Labels;
use crate::io::ReadOptions;

/// A value of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(String),
}

impl Cell {
    pub fn bool(&self) -> Option<bool> {
        match self {
            Cell::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            Cell::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub fn uint(&self) -> Option<u64> {
        match self {
            Cell::UInt(value) => Some(*value),
            _ => None,
        }
    }

    pub fn float(&self) -> Option<f64> {
        match self {
            Cell::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The same in a column of `kind`, which the type of the cell's own column led to: see
    /// [`Kind::with`].
    pub fn into_kind(self, kind: Kind) -> Cell {
        match (kind, self) {
            (Kind::Number | Kind::Text, Cell::Bool(value)) => Cell::Text(value.to_string()),
            (Kind::Number | Kind::Text, Cell::Int(value)) => Cell::Text(value.to_string()),
            (Kind::Number | Kind::Text, Cell::UInt(value)) => Cell::Text(value.to_string()),
            (Kind::Number | Kind::Text, Cell::Float(value)) => Cell::Text(value.to_string()),
            (_, cell) => cell,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Cell::Text(value) => Some(value),
            _ => None,
        }
    }
}

/// A good record.
pub struct Row {
    pub text: String,
    /// The gold label, where the source has a label column and it says one.
    pub truth: Option<String>,
    /// The columns that pass through, in the order of the schema.
    pub others: Vec<Cell>,
}

impl Row {
    /// Bytes of all its strings.
    pub fn bytes(&self) -> usize {
        let others = self.others.iter().filter_map(Cell::text).map(str::len);
        self.text.len() + self.truth.as_ref().map_or(0, String::len) + others.sum::<usize>()
    }
}

/// Why a record cannot be used; becomes a `Reject` where its place is known.
#[derive(Debug, PartialEq)]
pub struct Fault {
    pub code: &'static str,
    pub reason: String,
}

impl Fault {
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// `bytes` as text.
///
/// # Errors
/// `invalid-utf8`, with the place of the first bad byte within `what`.
pub fn utf8<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        Fault::new(
            "invalid-utf8",
            format!("{what} is not UTF-8 at its byte {at}"),
        )
    })
}

/// The checks that the options ask for.
pub struct Checks {
    text: String,
    labels: Labels,
    strip_markup: bool,
    max_bytes: usize,
}

impl Checks {
    pub fn new(options: &ReadOptions) -> Self {
        Self {
            text: options.text.clone(),
            labels: Labels::new(options),
            strip_markup: options.strip_markup,
            max_bytes: options.max_bytes,
        }
    }

    /// The text as it goes on.
    ///
    /// # Errors
    /// `no-text`, `too-long`
    pub fn text(&self, text: Option<&str>) -> Result<String, Fault> {
        let name = &self.text;
        let text = text.ok_or_else(|| Fault::new("no-text", format!("`{name}` is missing")))?;
        let text = if self.strip_markup {
            strip_markup(text)
        } else {
            Cow::Borrowed(text)
        };
        if text.trim().is_empty() {
            return Err(Fault::new("no-text", format!("`{name}` is empty")));
        }
        if text.len() > self.max_bytes {
            let (have, limit) = (text.len(), self.max_bytes);
            let reason = format!("`{name}` has {have} bytes, and the limit is {limit}");
            return Err(Fault::new("too-long", reason));
        }
        Ok(text.into_owned())
    }

    /// See [`Labels::of`].
    ///
    /// # Errors
    /// `bad-label`
    pub fn truth(&self, label: &Cell) -> Result<Option<String>, Fault> {
        self.labels.of(label)
    }

    /// See [`Labels::named`].
    ///
    /// # Errors
    /// `bad-label`
    pub fn named(&self, label: &str) -> Result<Option<String>, Fault> {
        self.labels.named(label)
    }
}

/// Each HTML line break becomes one space.
fn strip_markup(text: &str) -> Cow<'_, str> {
    let mut stripped = String::new();
    let mut rest = 0;
    for (at, _) in text.match_indices('<') {
        if let Some(length) = line_break(&text.as_bytes()[at..]) {
            stripped.push_str(&text[rest..at]);
            stripped.push(' ');
            rest = at + length;
        }
    }
    if rest == 0 {
        return Cow::Borrowed(text);
    }
    stripped.push_str(&text[rest..]);
    Cow::Owned(stripped)
}

/// Length of the line break that `markup` starts with.
fn line_break(markup: &[u8]) -> Option<usize> {
    let forms: [&[u8]; 3] = [b"<br />", b"<br/>", b"<br>"];
    let starts = |form: &&&[u8]| {
        let start = markup.get(..form.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(form))
    };
    forms.iter().find(starts).map(|form| form.len())
}
