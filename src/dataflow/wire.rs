//! Hidden states on an edge, made smaller. The same is done wherever the edge leads, so
//! that results do not depend on which stages share a device.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Int8Type};
use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float16Array, Float32Array, Int8Array};
use arrow_array::{ListArray, RecordBatch};
use arrow_schema::{ArrowError, Field, Schema};
use half::f16;
use half::slice::HalfFloatSliceExt;
use half::vec::HalfFloatVecExt;
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::inbox::Rows;
use super::parcel::Parcel;

use crate::graph::Wire;

/// What a column of scales is called, after the column it belongs to. A column of int8
/// vectors without such a column beside it is a plugin's own.
const SCALES: &str = "\u{1}scales";
/// The largest int8 that is used: the range is symmetric.
const LARGEST: f32 = 127.0;

/// The edge `rows`, with what crosses it made as small as `wire` says.
pub fn compacted<'scope>(rows: Rows<'scope>, wire: Wire) -> Rows<'scope> {
    if wire == Wire::F32 {
        return rows;
    }
    rows.unary::<NoopBuilder<Parcel>, _, _, _>(Pipeline, "wire", |_, _| {
        move |input, output| {
            input.for_each(|capability, parcel| {
                let whole = std::mem::take(parcel);
                let (Some(capability), Some(rows)) = (capability.retain_least(0), whole.rows)
                else {
                    return;
                };
                let rows = rows.and_then(|rows| compact(&rows, wire).map_err(|e| e.to_string()));
                let mut parcel = Parcel::of(whole.time, whole.part, rows);
                output
                    .session_with_builder(&capability)
                    .give_container(&mut parcel);
            });
        }
    })
}

/// Each column of type `ragged f32[N]` as f16, or as int8 with a scale for each vector;
/// other columns as they are.
///
/// # Errors
/// Those of Arrow, which do not occur with whole columns
pub fn compact(rows: &RecordBatch, wire: Wire) -> Result<RecordBatch, ArrowError> {
    let mut columns = Vec::new();
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        match (ragged(array), wire) {
            (Some((list, vectors, values)), Wire::F16) => {
                let halves: Vec<f16> = Vec::from_f32_slice(values);
                let values = Arc::new(Float16Array::from_iter_values(halves));
                columns.push((
                    field.name().clone(),
                    nest(list, vectors.value_length(), values)?,
                ));
            }
            (Some((list, vectors, values)), Wire::Int8) => {
                let (bytes, scales) = quantised(values, vectors.value_length() as usize);
                let bytes = Arc::new(Int8Array::from(bytes));
                columns.push((
                    field.name().clone(),
                    nest(list, vectors.value_length(), bytes)?,
                ));
                let scales: ArrayRef = Arc::new(Float32Array::from(scales));
                columns.push((field.name().clone() + SCALES, list_of(list, scales)?));
            }
            _ => columns.push((field.name().clone(), array.clone())),
        }
    }
    batch(rows, columns)
}

/// The rows that [`compact`] was given, as exactly as the wire holds them; any other
/// rows as they are.
///
/// # Errors
/// When a column of scales does not fit its column
pub fn expand(rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut columns = Vec::new();
    let mut changed = false;
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        let name = field.name();
        if name.ends_with(SCALES) {
            continue;
        }
        let scales = rows.column_by_name(&format!("{name}{SCALES}"));
        let values = match (small(array), scales) {
            (Some((_, Small::Halves(values))), _) => Some(values.to_f32_vec()),
            (Some((width, Small::Bytes(values))), Some(scales)) => {
                Some(scaled(values, width, scales)?)
            }
            _ => None,
        };
        let array = match (values, array.as_list_opt::<i32>(), small(array)) {
            (Some(values), Some(list), Some((width, _))) => {
                changed = true;
                let width = i32::try_from(width).unwrap_or(i32::MAX);
                nest(list, width, Arc::new(Float32Array::from(values)))?
            }
            _ => array.clone(),
        };
        columns.push((name.clone(), array));
    }
    if changed {
        batch(&rows, columns)
    } else {
        Ok(rows)
    }
}

fn batch(rows: &RecordBatch, columns: Vec<(String, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let field =
        |(name, array): &(String, ArrayRef)| Field::new(name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options)
}

/// A `ragged f32[N]` column: its lists, its vectors, and all values its lists hold.
fn ragged(array: &ArrayRef) -> Option<(&ListArray, &FixedSizeListArray, &[f32])> {
    let list = array.as_list_opt::<i32>()?;
    let vectors = list.values().as_fixed_size_list_opt()?;
    let values = vectors.values().as_primitive_opt::<Float32Type>()?.values();
    Some((list, vectors, held(list, vectors, values)))
}

/// Of the values of all vectors, those that the lists hold: a slice of an array keeps
/// the others too.
fn held<'a, T>(list: &ListArray, vectors: &FixedSizeListArray, values: &'a [T]) -> &'a [T] {
    let width = vectors.value_length() as usize;
    let offsets = list.value_offsets();
    &values[offsets[0] as usize * width..offsets[offsets.len() - 1] as usize * width]
}

enum Small<'a> {
    Halves(&'a [f16]),
    Bytes(&'a [i8]),
}

/// A column that [`compact`] made: the width of its vectors, and its values.
fn small(array: &ArrayRef) -> Option<(usize, Small<'_>)> {
    let list = array.as_list_opt::<i32>()?;
    let vectors = list.values().as_fixed_size_list_opt()?;
    let width = vectors.value_length() as usize;
    if let Some(halves) = vectors.values().as_primitive_opt::<Float16Type>() {
        return Some((width, Small::Halves(held(list, vectors, halves.values()))));
    }
    let bytes = vectors.values().as_primitive_opt::<Int8Type>()?;
    Some((width, Small::Bytes(held(list, vectors, bytes.values()))))
}

/// Lists as long as those of `list`, of vectors of `width` values.
fn nest(list: &ListArray, width: i32, values: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let item = Arc::new(Field::new("item", values.data_type().clone(), false));
    let vectors = FixedSizeListArray::try_new(item, width, values, None)?;
    list_of(list, Arc::new(vectors))
}

/// Lists as long as those of `list`, of these items.
fn list_of(list: &ListArray, items: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let first = list.value_offsets()[0];
    let offsets: Vec<i32> = list
        .value_offsets()
        .iter()
        .map(|offset| offset - first)
        .collect();
    let item = Arc::new(Field::new("item", items.data_type().clone(), false));
    let offsets = arrow_buffer::OffsetBuffer::new(offsets.into());
    Ok(Arc::new(ListArray::try_new(item, offsets, items, None)?))
}

/// Each vector as int8, and its scale: the largest magnitude becomes 127.
fn quantised(values: &[f32], width: usize) -> (Vec<i8>, Vec<f32>) {
    let mut bytes = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len() / width.max(1));
    for vector in values.chunks_exact(width.max(1)) {
        let largest = vector
            .iter()
            .fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let finite = vector.iter().all(|value| value.is_finite());
        let scale = if !finite {
            // All of the vector becomes NaN, so that whoever reads it notices.
            f32::NAN
        } else if largest > 0.0 {
            largest / LARGEST
        } else {
            1.0
        };
        // Within -127 to 127 by the choice of the scale.
        bytes.extend(vector.iter().map(|value| (value / scale).round() as i8));
        scales.push(scale);
    }
    (bytes, scales)
}

fn scaled(values: &[i8], width: usize, scales: &ArrayRef) -> Result<Vec<f32>, ArrowError> {
    let bad = || ArrowError::InvalidArgumentError("int8 vectors without their scales".to_owned());
    let list = scales.as_list_opt::<i32>().ok_or_else(bad)?;
    let scales = list
        .values()
        .as_primitive_opt::<Float32Type>()
        .ok_or_else(bad)?
        .values();
    let offsets = list.value_offsets();
    let scales = &scales[offsets[0] as usize..offsets[offsets.len() - 1] as usize];
    if scales.len() * width != values.len() {
        return Err(bad());
    }
    let vectors = values.chunks_exact(width.max(1)).zip(scales);
    Ok(vectors
        .flat_map(|(vector, scale)| vector.iter().map(move |v| f32::from(*v) * scale))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use segue_plugin::ragged_f32_array;

    fn rows() -> RecordBatch {
        let values: Vec<f32> = (0..20).map(|i| (i as f32 - 9.5) * 0.37).collect();
        let hidden: ArrayRef = Arc::new(ragged_f32_array(values, 4, &[2, 0, 3]).unwrap());
        RecordBatch::try_from_iter([("hidden", hidden)]).unwrap()
    }

    fn values(rows: &RecordBatch) -> Vec<f32> {
        ragged(rows.column(0)).unwrap().2.to_vec()
    }

    fn check(wire: Wire, rows: &RecordBatch, error: f32) {
        let back = expand(compact(rows, wire).unwrap()).unwrap();
        assert_eq!(
            back.schema().field(0).data_type(),
            rows.schema().field(0).data_type()
        );
        assert_eq!(back.num_rows(), rows.num_rows());
        for (a, b) in values(rows).iter().zip(values(&back)) {
            assert!((a - b).abs() <= error, "{wire:?}: {a} became {b}");
        }
        // What was rounded once stays as it is.
        let again = expand(compact(&back, wire).unwrap()).unwrap();
        if wire == Wire::F16 {
            assert_eq!(again, back);
        }
    }

    #[test]
    fn what_crosses_is_near_what_was_sent() {
        check(Wire::F32, &rows(), 0.0);
        check(Wire::F16, &rows(), 2e-3);
        check(Wire::Int8, &rows(), 3.6 / 254.0);
        // A slice holds other rows' values too.
        check(Wire::F16, &rows().slice(2, 1), 2e-3);
        check(Wire::Int8, &rows().slice(2, 1), 3.6 / 254.0);
        check(Wire::Int8, &rows().slice(1, 1), 0.0);
    }

    #[test]
    fn scales_that_do_not_fit_are_refused() {
        let small = compact(&rows(), Wire::Int8).unwrap();
        let (vectors, scales) = (small.column(0).clone(), small.column(1));
        let name = |i: usize| small.schema().field(i).name().clone();
        for odd in [scales.slice(0, 1), vectors.clone()] {
            let odd = arrow_select::concat::concat(&[&odd, &odd, &odd])
                .unwrap()
                .slice(0, 3);
            let columns = [(name(0), vectors.clone()), (name(1), odd)];
            assert!(expand(RecordBatch::try_from_iter(columns).unwrap()).is_err());
        }
    }

    #[test]
    fn int8_vectors_of_a_plugin_cross_as_they_are() {
        let small = compact(&rows(), Wire::Int8).unwrap();
        let own = small.project(&[0]).unwrap();
        for wire in [Wire::F32, Wire::F16, Wire::Int8] {
            assert_eq!(expand(compact(&own, wire).unwrap()).unwrap(), own);
        }
    }

    #[test]
    fn a_number_that_is_not_finite_does_not_become_one() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let hidden = ragged_f32_array(vec![1.0, odd, 0.5, 0.25], 2, &[2]).unwrap();
            let hidden: ArrayRef = Arc::new(hidden);
            let rows = RecordBatch::try_from_iter([("hidden", hidden)]).unwrap();
            let back = values(&expand(compact(&rows, Wire::Int8).unwrap()).unwrap());
            assert!(back[0].is_nan() && back[1].is_nan(), "{back:?}");
            assert!(back[2].is_finite() && back[3].is_finite(), "{back:?}");
        }
    }
}
