//! Numbers as text.

use std::fmt::Display;
use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
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

/// The columns of `batch` with numbers that are not finite, and how many of them.
pub fn not_finite(batch: &RecordBatch) -> Vec<(String, u64)> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let counts = columns.map(|(field, column)| (field.name().clone(), not_finite_in(column)));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// How many, those in lists included.
fn not_finite_in(column: &dyn Array) -> u64 {
    match column.data_type() {
        DataType::Float16 => odd::<Float16Type>(column, |x| f32::from(x).is_finite()),
        DataType::Float32 => odd::<Float32Type>(column, f32::is_finite),
        DataType::Float64 => odd::<Float64Type>(column, f64::is_finite),
        DataType::List(item) if holds_floats(item.data_type()) => {
            let lists = column.as_list::<i32>().iter().flatten();
            lists.map(|list| not_finite_in(&list)).sum()
        }
        DataType::LargeList(item) if holds_floats(item.data_type()) => {
            let lists = column.as_list::<i64>().iter().flatten();
            lists.map(|list| not_finite_in(&list)).sum()
        }
        DataType::FixedSizeList(item, _) if holds_floats(item.data_type()) => {
            let lists = column.as_fixed_size_list().iter().flatten();
            lists.map(|list| not_finite_in(&list)).sum()
        }
        _ => 0,
    }
}

fn holds_floats(item: &DataType) -> bool {
    match item {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            holds_floats(item.data_type())
        }
        item => item.is_floating(),
    }
}

fn odd<T: ArrowPrimitiveType>(column: &dyn Array, finite: fn(T::Native) -> bool) -> u64 {
    let values = column.as_primitive::<T>().iter().flatten();
    values.filter(|value| !finite(*value)).count() as u64
}
