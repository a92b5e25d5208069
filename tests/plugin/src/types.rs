//! Columns of every type there is: given by one operator, held to that by another.

use std::sync::Arc;

use segue_plugin::arrow_array::{ArrayRef, FixedSizeListArray, Int64Array, ListArray};
use segue_plugin::arrow_array::{BooleanArray, cast::AsArray, types::Float32Type};
use segue_plugin::arrow_buffer::OffsetBuffer;
use segue_plugin::arrow_schema::{DataType, Field};
use segue_plugin::{Batch, Columns, Error, Result, Stage, Type, ragged_f32};

const SCALARS: [&str; 12] = [
    "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "utf8",
];

/// The name and type of each column.
fn all() -> impl Iterator<Item = (String, Type)> {
    SCALARS.into_iter().flat_map(|scalar| {
        [
            scalar.to_owned(),
            format!("list {scalar}"),
            format!("fixed {scalar}[2]"),
            format!("ragged {scalar}[3]"),
        ]
        .map(|name| (name.clone(), Type::from(name.as_str())))
    })
}

/// The column of type `wanted` for reviews of these numbers: row i holds `i % 3` items,
/// where it may.
fn column(wanted: Type, reviews: &[u64]) -> Result<ArrayRef> {
    let lengths = || reviews.iter().map(|review| (review % 3) as usize);
    let items = match wanted {
        Type::Scalar(_) => reviews.len(),
        Type::List(_) => lengths().sum(),
        Type::Fixed(_, width) => width * reviews.len(),
        Type::Ragged(_, width) => width * lengths().sum::<usize>(),
    };
    let first = reviews.first().copied().unwrap_or(0) as i64;
    let numbers = Int64Array::from_iter_values((0..items as i64).map(|i| (i + first) % 100));
    let cast = |to: &DataType| -> Result<ArrayRef> { Ok(arrow_cast::cast(&numbers, to)?) };
    let item = |to: &DataType| Arc::new(Field::new("item", to.clone(), false));
    let fixed = |to: &DataType, scalar: &DataType, width: i32| -> Result<FixedSizeListArray> {
        let DataType::FixedSizeList(item, _) = to else {
            return Err(Error::new("test", "no vectors"));
        };
        Ok(FixedSizeListArray::try_new(
            Arc::clone(item),
            width,
            cast(scalar)?,
            None,
        )?)
    };
    let whole = wanted.to_arrow();
    Ok(match &whole {
        DataType::List(inner) => {
            let items: ArrayRef = match inner.data_type() {
                vectors @ DataType::FixedSizeList(scalar, width) => {
                    Arc::new(fixed(vectors, scalar.data_type(), *width)?)
                }
                scalar => cast(scalar)?,
            };
            let offsets = OffsetBuffer::from_lengths(lengths());
            Arc::new(ListArray::try_new(
                item(inner.data_type()),
                offsets,
                items,
                None,
            )?)
        }
        DataType::FixedSizeList(scalar, width) => {
            Arc::new(fixed(&whole, scalar.data_type(), *width)?)
        }
        scalar => cast(scalar)?,
    })
}

/// Gives a column of each type.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EveryType {}

impl Stage for EveryType {
    fn columns(&self) -> Columns {
        let reads = Columns::new().reads("review", "u64");
        all().fold(reads, |columns, (name, column_type)| {
            columns.writes(&name, column_type)
        })
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let reviews = batch.u64("review")?.values().to_vec();
        all().try_fold(batch, |batch, (name, wanted)| {
            batch.with_array(&name, column(wanted, &reviews)?)
        })
    }
}

/// All numbers of a `ragged f32[N]` column.
fn numbers(column: &ArrayRef) -> Result<Vec<f32>> {
    let vectors = column
        .as_list_opt::<i32>()
        .map(|list| list.values().clone());
    let items =
        vectors.and_then(|vectors| Some(vectors.as_fixed_size_list_opt()?.values().clone()));
    let numbers =
        items.and_then(|items| Some(items.as_primitive_opt::<Float32Type>()?.values().to_vec()));
    numbers.ok_or_else(|| Error::new("test", format!("no vectors: {column:?}")))
}

/// Says of each row whether every column came as [`EveryType`] gave it.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SameTypes {}

impl Stage for SameTypes {
    fn columns(&self) -> Columns {
        let reads = Columns::new().reads("review", "u64").writes("same", "bool");
        all().fold(reads, |columns, (name, column_type)| {
            columns.reads(&name, column_type)
        })
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let reviews = batch.u64("review")?.values().to_vec();
        for (name, wanted) in all() {
            let (given, expected) = (batch.column(&name)?, column(wanted, &reviews)?);
            // As text: two lists of booleans with the same bits are not always `==`.
            let shown = |array: &ArrayRef| format!("{array:?}");
            let same = match wanted == ragged_f32(3) {
                // `wire` may have rounded it.
                true => numbers(given)?
                    .iter()
                    .zip(numbers(&expected)?)
                    .all(|(a, b)| (a - b).abs() < 0.5),
                false => shown(given) == shown(&expected),
            };
            if !same {
                return Err(Error::new(
                    "test",
                    format!("`{name}` is {given:?}, not {expected:?}"),
                ));
            }
        }
        batch.with_column("same", BooleanArray::from(vec![true; reviews.len()]))
    }
}
