//! Batches over the Arrow C Data Interface.

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::{Array, RecordBatch, StructArray};

use crate::{Error, Result, shape};

/// A batch as the two structs that cross the boundary; each releases itself.
///
/// # Errors
/// `arrow` when a column's type has no C form
pub fn export_batch(batch: RecordBatch) -> Result<(FFI_ArrowArray, FFI_ArrowSchema)> {
    let data = StructArray::from(batch).into_data();
    let schema = FFI_ArrowSchema::try_from(data.data_type())?;
    Ok((FFI_ArrowArray::new(&data), schema))
}

/// The batch in two structs from the other side of the boundary, validated: pointers,
/// counts, names and lengths before anything follows them, then offsets and UTF-8.
///
/// # Safety
/// `array` and `schema` must follow the Arrow C Data Interface: pointers that are not
/// null point to what it says, and buffers are as long as their lengths and offsets say.
///
/// # Errors
/// `bad-batch` when it is no struct array, or its contents do not fit together
pub unsafe fn import_batch(array: FFI_ArrowArray, schema: &FFI_ArrowSchema) -> Result<RecordBatch> {
    let bad = |message: String| Error::new("bad-batch", message);
    // SAFETY: the caller vouches for both structs.
    let data_type = unsafe { shape::check(&array, schema)? };
    // SAFETY: as above, and the type is the one that was checked against the array.
    let mut data =
        unsafe { from_ffi_and_data_type(array, data_type) }.map_err(|e| bad(e.to_string()))?;
    data.align_buffers();
    data.validate_full().map_err(|e| bad(e.to_string()))?;
    if data.null_count() > 0 {
        return Err(bad("a batch's rows cannot be null themselves".to_owned()));
    }
    Ok(RecordBatch::from(StructArray::from(data)))
}
