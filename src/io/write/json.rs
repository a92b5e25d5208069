//! JSON Lines: an object a row, its keys in the order of the columns. What is
//! not a finite number is null.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Schema};
use serde_json::Value;

use super::number::push_scalar;
use super::text::Encode;
use crate::io::{is_number_field, json_number};

/// Writes the columns of one schema.
pub struct JsonEncoder {
    /// What stands before each column's value: `{"a":`, then `,"b":`.
    keys: Vec<String>,
    /// Whether the column's texts are numbers.
    numbers: Vec<bool>,
}

impl JsonEncoder {
    pub fn new(schema: &Schema) -> Self {
        let opening = |at| if at == 0 { '{' } else { ',' };
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let keys = names
            .enumerate()
            .map(|(at, name)| format!("{}{}:", opening(at), Value::from(name)));
        Self {
            keys: keys.collect(),
            numbers: schema
                .fields()
                .iter()
                .map(|field| is_number_field(field))
                .collect(),
        }
    }
}

impl Encode for JsonEncoder {
    fn header(&self) -> Vec<u8> {
        Vec::new()
    }

    fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) {
        for at in 0..batch.num_rows() {
            let columns = self.keys.iter().zip(&self.numbers).zip(batch.columns());
            for ((key, number), column) in columns {
                out.extend_from_slice(key.as_bytes());
                if *number {
                    push_number(out, column, at)
                } else {
                    push_value(out, column, at)
                }
            }
            let end: &[u8] = if self.keys.is_empty() {
                b"{}\n"
            } else {
                b"}\n"
            };
            out.extend_from_slice(end);
        }
    }
}

/// Appends the value in row `at` of `column` as JSON.
pub fn push_value(out: &mut Vec<u8>, column: &dyn Array, at: usize) {
    if column.is_null(at) {
        out.extend_from_slice(b"null");
        return;
    }
    match column.data_type() {
        DataType::Utf8 => push_text(out, column.as_string::<i32>().value(at)),
        DataType::LargeUtf8 => push_text(out, column.as_string::<i64>().value(at)),
        DataType::Utf8View => push_text(out, column.as_string_view().value(at)),
        DataType::List(_) => push_list(out, &column.as_list::<i32>().value(at)),
        DataType::LargeList(_) => push_list(out, &column.as_list::<i64>().value(at)),
        DataType::FixedSizeList(_, _) => push_list(out, &column.as_fixed_size_list().value(at)),
        DataType::Struct(fields) => {
            let names = fields.iter().map(|field| field.name().as_str());
            let columns = column.as_struct().columns().iter();
            push_object(out, names.zip(columns.map(|column| (column.as_ref(), at))));
        }
        DataType::Map(..) => push_map(out, column, at),
        kind if kind.is_floating() => {
            if !push_scalar(out, column, at) {
                out.extend_from_slice(b"null");
            }
        }
        _ => {
            if !push_scalar(out, column, at) {
                push_shown(out, column, at);
            }
        }
    }
}

fn push_object<'a>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = (&'a str, (&'a dyn Array, usize))>,
) {
    out.push(b'{');
    for (number, (name, (column, at))) in entries.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        push_text(out, name);
        out.push(b':');
        push_value(out, column, at);
    }
    out.push(b'}');
}

/// An object where the keys are strings, else a list of pairs.
fn push_map(out: &mut Vec<u8>, column: &dyn Array, at: usize) {
    let entries = column.as_map().value(at);
    let (keys, values) = (entries.column(0), entries.column(1));
    if let Some(keys) = keys.as_string_opt::<i32>() {
        let entry = |at: usize| (keys.value(at), (values.as_ref(), at));
        return push_object(out, (0..entries.len()).map(entry));
    }
    push_list(out, &entries);
}

/// What JSON has no word for, as a string: dates, decimals, bytes.
fn push_shown(out: &mut Vec<u8>, column: &dyn Array, at: usize) {
    let options = FormatOptions::new();
    let shown = ArrayFormatter::try_new(column, &options)
        .and_then(|formatter| formatter.value(at).try_to_string());
    match shown {
        Ok(text) => push_text(out, &text),
        Err(_) => out.extend_from_slice(b"null"),
    }
}

/// A number as the column's text has it; what is not a number stays a string.
fn push_number(out: &mut Vec<u8>, column: &dyn Array, at: usize) {
    let text = column
        .as_string_opt::<i32>()
        .filter(|_| !column.is_null(at));
    let text = text.map(|column| column.value(at).as_bytes());
    // One beyond what floats have is not a number to most who read it.
    let finite = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok();
        text.is_some_and(|text| {
            text.len() < 20 && !text.contains(['e', 'E']) || text.parse().is_ok_and(f64::is_finite)
        })
    };
    let whole = |text: &&[u8]| !text.is_empty() && json_number(text) == text.len();
    match text.filter(whole).filter(|text| finite(text)) {
        Some(number) => out.extend_from_slice(number),
        None => push_value(out, column, at),
    }
}

fn push_list(out: &mut Vec<u8>, items: &dyn Array) {
    out.push(b'[');
    for at in 0..items.len() {
        if at > 0 {
            out.push(b',');
        }
        push_value(out, items, at);
    }
    out.push(b']');
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}
