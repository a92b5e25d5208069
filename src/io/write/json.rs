//! JSON Lines: an object a row, its keys in the order of the columns. What is
//! not a finite number is null.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use serde_json::Value;

use super::number::push_scalar;
use super::text::Encode;

/// Writes the columns of one schema.
pub struct JsonEncoder {
    /// What stands before each column's value: `{"a":`, then `,"b":`.
    keys: Vec<String>,
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
        }
    }
}

impl Encode for JsonEncoder {
    fn header(&self) -> Vec<u8> {
        Vec::new()
    }

    fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) {
        for at in 0..batch.num_rows() {
            for (key, column) in self.keys.iter().zip(batch.columns()) {
                out.extend_from_slice(key.as_bytes());
                push_value(out, column, at);
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

fn push_value(out: &mut Vec<u8>, column: &dyn Array, at: usize) {
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
        _ => {
            if !push_scalar(out, column, at) {
                out.extend_from_slice(b"null");
            }
        }
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
