//! Single values of a JSON object, each with an error that names it.

use serde_json::{Map, Value};

/// `config.json` as an object.
pub(crate) struct Fields<'a>(pub &'a Map<String, Value>);

impl Fields<'_> {
    /// What `name` holds; `None` for nothing and for `null`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A size that must be there, in 1..=`most`.
    pub fn size(&self, name: &str, most: usize) -> Result<usize, String> {
        match self.get(name) {
            None => Err(format!("`{name}` is missing")),
            Some(value) => size(name, value, most),
        }
    }

    /// A size in 1..=`most`, or `otherwise`.
    pub fn size_or(&self, name: &str, most: usize, otherwise: usize) -> Result<usize, String> {
        match self.get(name) {
            None => Ok(otherwise),
            Some(value) => size(name, value, most),
        }
    }

    /// A text, where there is one.
    pub fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{name}` is {}, not a text", short(other))),
        }
    }

    /// Whether `name` holds anything but `null`, `false`, and an empty list or object.
    pub fn is_set(&self, name: &str) -> bool {
        match self.get(name) {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Array(all)) => !all.is_empty(),
            Some(Value::Object(all)) => !all.is_empty(),
            Some(_) => true,
        }
    }
}

/// `value`, which stands at `name`, as a size in 1..=`most`.
pub(crate) fn size(name: &str, value: &Value, most: usize) -> Result<usize, String> {
    // Some programs write whole numbers as `12.0`.
    let whole = value.as_f64().filter(|number| number.fract() == 0.0);
    let Some(number) = whole else {
        return Err(format!("`{name}` is {}, not a whole number", short(value)));
    };
    match value.as_u64().unwrap_or(number as u64) {
        size if number >= 1.0 && size <= most as u64 => Ok(size as usize),
        _ => Err(format!("`{name}` is {number}, outside 1..={most}")),
    }
}

/// A value as a message can show it.
pub(crate) fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("`{}...`", &text[..at]),
        None => format!("`{text}`"),
    }
}
