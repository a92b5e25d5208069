//! Batches over the Arrow C Data Interface.

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::{Array, RecordBatch, StructArray};

use crate::{Error, Result};

/// A batch as the two structs that cross the boundary; each releases itself.
///
/// # Errors
/// `arrow` when a column's type has no C form
pub fn export_batch(batch: RecordBatch) -> Result<(FFI_ArrowArray, FFI_ArrowSchema)> {
    let data = StructArray::from(batch).into_data();
    let schema = FFI_ArrowSchema::try_from(data.data_type())?;
    Ok((FFI_ArrowArray::new(&data), schema))
}

/// The batch in two structs from the other side of the boundary, validated:
/// offsets, lengths and UTF-8 are checked before anything reads through them.
///
/// # Safety
/// `array` and `schema` must follow the Arrow C Data Interface: their buffers are
/// as long as their lengths and offsets say.
///
/// # Errors
/// `bad-batch` when it is no struct array, or its contents do not fit together
pub unsafe fn import_batch(array: FFI_ArrowArray, schema: &FFI_ArrowSchema) -> Result<RecordBatch> {
    let bad = |message: String| Error::new("bad-batch", message);
    if array.is_released() {
        return Err(bad("the batch was already released".to_owned()));
    }
    // SAFETY: the caller vouches for both structs.
    let mut data = unsafe { from_ffi(array, schema) }.map_err(|e| bad(e.to_string()))?;
    data.align_buffers();
    data.validate_full().map_err(|e| bad(e.to_string()))?;
    if !matches!(data.data_type(), arrow_schema::DataType::Struct(_)) {
        return Err(bad(format!(
            "a batch must be a struct array, not {}",
            data.data_type()
        )));
    }
    let columns = StructArray::from(data);
    if columns.null_count() > 0 {
        return Err(bad("a batch's rows cannot be null themselves".to_owned()));
    }
    Ok(RecordBatch::from(columns))
}
