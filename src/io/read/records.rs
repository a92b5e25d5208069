//! What makes a record good: the checks that all formats share.

use std::borrow::Cow;
use std::num::IntErrorKind;

use crate::io::ReadOptions;

/// A value of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
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

    pub fn float(&self) -> Option<f64> {
        match self {
            Cell::Float(value) => Some(*value),
            _ => None,
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
    /// Present when the source has a label column.
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
    labels: Vec<String>,
    strip_markup: bool,
    max_bytes: usize,
}

impl Checks {
    pub fn new(options: &ReadOptions) -> Self {
        Self {
            text: options.text.clone(),
            labels: options.labels.clone(),
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
        let text = match self.strip_markup {
            true => strip_markup(text),
            false => Cow::Borrowed(text),
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

    /// The name of a gold label: of a number, the one that the options give it.
    ///
    /// # Errors
    /// `bad-label`
    pub fn truth(&self, label: &Cell) -> Result<String, Fault> {
        match label {
            Cell::Null => Err(bad_label("the label is missing")),
            Cell::Bool(value) => self.numbered(i64::from(*value)),
            Cell::Int(number) => self.numbered(*number),
            // Tables with gaps come out of many tools with 1 written as 1.0.
            Cell::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                self.numbered(*number as i64)
            }
            Cell::Float(number) => Err(bad_label(format!("label {number} is not an integer"))),
            Cell::Text(text) => self.named(text),
        }
    }

    fn named(&self, text: &str) -> Result<String, Fault> {
        let name = text.trim().to_lowercase();
        if name.is_empty() {
            return Err(bad_label("the label is empty"));
        }
        match name.parse::<i64>() {
            Ok(number) => self.numbered(number),
            Err(error) => match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
                    Err(self.out_of_range(&name))
                }
                _ => Ok(name),
            },
        }
    }

    fn numbered(&self, number: i64) -> Result<String, Fault> {
        usize::try_from(number)
            .ok()
            .and_then(|number| self.labels.get(number))
            .cloned()
            .ok_or_else(|| self.out_of_range(&number.to_string()))
    }

    fn out_of_range(&self, number: &str) -> Fault {
        match self.labels.len() {
            0 => bad_label(format!("label {number} has no name: no labels are given")),
            names => bad_label(format!("label {number} is outside 0 to {}", names - 1)),
        }
    }
}

fn bad_label(reason: impl Into<String>) -> Fault {
    Fault::new("bad-label", reason)
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
