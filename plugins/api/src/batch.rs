//! A micro-batch as a plugin sees it.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, UInt32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, ListArray, RecordBatch, StringArray,
    UInt32Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema};

use crate::{Error, Result, Type};

/// Columns of equal length, and the time they belong to.
#[derive(Clone, Debug)]
pub struct Batch {
    time: u64,
    port: usize,
    columns: RecordBatch,
}

impl Batch {
    /// Wraps Arrow columns; `time` is the micro-batch's sequence number.
    pub fn new(time: u64, columns: RecordBatch) -> Self {
        Batch {
            time,
            port: 0,
            columns,
        }
    }

    /// The same, as it comes by input port number `port`.
    pub fn at_port(self, port: usize) -> Self {
        Batch { port, ..self }
    }

    /// The input port it came by: its place in [`Stage::PORTS`](crate::Stage::PORTS), or where
    /// that is empty the place of the edge in `from`, then in `loop`.
    pub fn port(&self) -> usize {
        self.port
    }

    /// The micro-batch's sequence number.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// The Arrow columns.
    pub fn columns(&self) -> &RecordBatch {
        &self.columns
    }

    /// The Arrow columns, by value.
    pub fn into_columns(self) -> RecordBatch {
        self.columns
    }

    /// The column `name`.
    ///
    /// # Errors
    /// `missing-column` when there is none.
    pub fn column(&self, name: &str) -> Result<&ArrayRef> {
        (self.columns.column_by_name(name))
            .ok_or_else(|| Error::new("missing-column", format!("there is no column `{name}`")))
    }

    /// The column `name` as the Arrow array `A`, such as `UInt64Array`, `Float32Array`,
    /// `StringArray`, `BooleanArray` or `ListArray`:
    /// `let texts: &StringArray = batch.get("text")?;`
    ///
    /// # Errors
    /// `missing-column`, `column-mismatch`
    pub fn get<A: Array + 'static>(&self, name: &str) -> Result<&A> {
        let column = self.column(name)?;
        let array = column.as_any().downcast_ref::<A>();
        array.ok_or_else(|| {
            let wanted = std::any::type_name::<A>();
            let wanted = wanted.rsplit("::").next().unwrap_or(wanted);
            mismatch(name, wanted.trim_end_matches('>'), column)
        })
    }

    /// The column `name` as `utf8`: one text a row.
    ///
    /// # Errors
    /// `missing-column`, `column-mismatch`
    pub fn text(&self, name: &str) -> Result<&StringArray> {
        let column = self.column(name)?;
        column
            .as_string_opt()
            .ok_or_else(|| mismatch(name, "utf8", column))
    }

    /// The column `name` as `u64`.
    ///
    /// # Errors
    /// `missing-column`, `column-mismatch`
    pub fn u64(&self, name: &str) -> Result<&arrow_array::UInt64Array> {
        let column = self.column(name)?;
        column
            .as_primitive_opt()
            .ok_or_else(|| mismatch(name, "u64", column))
    }

    /// Row by row, the integers of the column `name`, which is `list u32`.
    ///
    /// # Errors
    /// `missing-column`, `column-mismatch`
    pub fn lists_u32(&self, name: &str) -> Result<impl Iterator<Item = &[u32]>> {
        let column = self.column(name)?;
        let list = column
            .as_list_opt::<i32>()
            .ok_or_else(|| mismatch(name, "list u32", column))?;
        let values = list.values().as_primitive_opt::<UInt32Type>();
        let values = values
            .ok_or_else(|| mismatch(name, "list u32", column))?
            .values();
        Ok(list
            .value_offsets()
            .windows(2)
            .map(|w| &values[w[0] as usize..w[1] as usize]))
    }

    /// Row by row, the vectors of the column `name`, which is `ragged f32[width]`:
    /// each slice holds a row's vectors one after the other.
    ///
    /// # Errors
    /// `missing-column`, `column-mismatch`
    pub fn ragged_f32(&self, name: &str, width: usize) -> Result<impl Iterator<Item = &[f32]>> {
        let column = self.column(name)?;
        let wrong = || mismatch(name, &format!("ragged f32[{width}]"), column);
        let list = column.as_list_opt::<i32>().ok_or_else(wrong)?;
        let vectors = list.values().as_fixed_size_list_opt().ok_or_else(wrong)?;
        if vectors.value_length() as usize != width {
            return Err(wrong());
        }
        let values = vectors
            .values()
            .as_primitive_opt::<Float32Type>()
            .ok_or_else(wrong)?
            .values();
        let at = move |offset: i32| offset as usize * width;
        Ok(list
            .value_offsets()
            .windows(2)
            .map(move |w| &values[at(w[0])..at(w[1])]))
    }

    /// The vectors of the column `name`, which is `fixed f32[width]`: row-major,
    /// rows x width.
    ///
    /// # Errors
    /// `missing-column`, `column-mismatch`
    pub fn fixed_f32(&self, name: &str) -> Result<(usize, &[f32])> {
        let column = self.column(name)?;
        let wrong = || mismatch(name, "fixed f32[..]", column);
        let vectors = column.as_fixed_size_list_opt().ok_or_else(wrong)?;
        let values = vectors
            .values()
            .as_primitive_opt::<Float32Type>()
            .ok_or_else(wrong)?
            .values();
        Ok((vectors.value_length() as usize, values))
    }

    /// The same batch with the column `name` added or replaced.
    ///
    /// # Errors
    /// `row-count` when `column` has another number of rows
    pub fn with_column(self, name: &str, column: impl Array + 'static) -> Result<Self> {
        self.with_array(name, Arc::new(column))
    }

    /// As [`Batch::with_column`], for a shared array.
    ///
    /// # Errors
    /// `row-count` when `column` has another number of rows
    pub fn with_array(self, name: &str, column: ArrayRef) -> Result<Self> {
        let rows = self.rows();
        if column.len() != rows && self.columns.num_columns() > 0 {
            let message = format!(
                "column `{name}` has {} rows, the batch has {rows}",
                column.len()
            );
            return Err(Error::new("row-count", message));
        }
        let mut all: Vec<(String, ArrayRef)> = (self.columns.schema().fields().iter())
            .zip(self.columns.columns())
            .filter(|(field, _)| field.name() != name)
            .map(|(field, array)| (field.name().clone(), array.clone()))
            .collect();
        all.push((name.to_owned(), column));
        let port = self.port;
        Ok(Batch::from_arrays(self.time, all)?.at_port(port))
    }

    /// A batch of these columns.
    ///
    /// # Errors
    /// `arrow` when their lengths differ
    pub fn from_arrays(time: u64, columns: Vec<(String, ArrayRef)>) -> Result<Self> {
        let fields: Vec<Field> = (columns.iter())
            .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
            .collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let columns = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        Ok(Batch::new(time, columns))
    }

    /// The output of a stage whose rows are `mapped`: `rows[i]` is the input row
    /// that output row i came from.
    ///
    /// # Errors
    /// None with ascending rows; the host refuses others
    pub fn mapped(time: u64, rows: Vec<u32>) -> Result<Self> {
        Batch::from_arrays(
            time,
            vec![("row".to_owned(), Arc::new(UInt32Array::from(rows)))],
        )
    }
}

/// Builds a column of type `list u32`.
pub fn list_u32_array<'a>(rows: impl Iterator<Item = &'a [u32]>) -> ListArray {
    let item = Field::new("item", DataType::UInt32, false);
    let mut builder = ListBuilder::new(UInt32Builder::new()).with_field(item);
    for row in rows {
        builder.values().append_slice(row);
        builder.append(true);
    }
    builder.finish()
}

/// Builds a column of type `ragged f32[width]` from the vectors of all rows, one
/// after the other, and how many vectors each row has.
///
/// # Errors
/// `arrow` when the lengths do not add up to `values`
pub fn ragged_f32_array(values: Vec<f32>, width: usize, lengths: &[usize]) -> Result<ListArray> {
    let vectors = fixed_f32_array(values, width)?;
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths.iter().copied());
    let item = Arc::new(Field::new("item", vectors.data_type().clone(), false));
    Ok(ListArray::try_new(item, offsets, Arc::new(vectors), None)?)
}

/// Builds a column of type `fixed f32[width]` from rows x width values.
///
/// # Errors
/// `arrow` when `values` is not a multiple of `width`
pub fn fixed_f32_array(values: Vec<f32>, width: usize) -> Result<FixedSizeListArray> {
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let size = i32::try_from(width).map_err(|_| Error::new("arrow", "a vector is too wide"))?;
    let values = Float32Array::new(ScalarBuffer::from(values), None);
    Ok(FixedSizeListArray::try_new(
        item,
        size,
        Arc::new(values),
        None,
    )?)
}

fn mismatch(name: &str, wanted: &str, found: &ArrayRef) -> Error {
    let found = match Type::from_arrow(found.data_type()) {
        Some(column_type) => column_type.to_string(),
        None => found.data_type().to_string(),
    };
    Error::new(
        "column-mismatch",
        format!("column `{name}` is `{found}`, not `{wanted}`"),
    )
}
