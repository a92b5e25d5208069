//! Numbers as text.

use std::fmt::Display;
use std::io::Write;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::DataType;

/// Appends the number or boolean in row `at` of `column`: the shortest text
/// that reads back as the same value of the same type. Of what is not finite,
/// and of columns of other types, nothing. Gives whether it wrote.
pub fn push_scalar(out: &mut Vec<u8>, column: &dyn Array, at: usize) -> bool {
    match column.data_type() {
        DataType::Boolean => push(out, column.as_boolean().value(at)),
        DataType::Int8 => push(out, column.as_primitive::<Int8Type>().value(at)),
        DataType::Int16 => push(out, column.as_primitive::<Int16Type>().value(at)),
        DataType::Int32 => push(out, column.as_primitive::<Int32Type>().value(at)),
        DataType::Int64 => push(out, column.as_primitive::<Int64Type>().value(at)),
        DataType::UInt8 => push(out, column.as_primitive::<UInt8Type>().value(at)),
        DataType::UInt16 => push(out, column.as_primitive::<UInt16Type>().value(at)),
        DataType::UInt32 => push(out, column.as_primitive::<UInt32Type>().value(at)),
        DataType::UInt64 => push(out, column.as_primitive::<UInt64Type>().value(at)),
        DataType::Float16 => push_f32(out, column.as_primitive::<Float16Type>().value(at).into()),
        DataType::Float32 => push_f32(out, column.as_primitive::<Float32Type>().value(at)),
        DataType::Float64 => push_f64(out, column.as_primitive::<Float64Type>().value(at)),
        _ => false,
    }
}

fn push(out: &mut Vec<u8>, value: impl Display) -> bool {
    // Writing to memory cannot fail.
    write!(out, "{value}").is_ok()
}

// serde_json writes floats the shortest way, with an exponent where that is
// shorter; `Display` never uses one, and gives 1e300 three hundred zeros.

fn push_f32(out: &mut Vec<u8>, value: f32) -> bool {
    value.is_finite() && serde_json::to_writer(out, &value).is_ok()
}

fn push_f64(out: &mut Vec<u8>, value: f64) -> bool {
    value.is_finite() && serde_json::to_writer(out, &value).is_ok()
}
