//! The shape of a batch from the other side of the boundary, checked before anything
//! follows its pointers any further.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_schema::{DataType, Field};

use crate::{Error, Result};

/// Rows of a batch: offsets and row numbers have 32 bits.
const ROWS_MAX: i64 = i32::MAX as i64;
/// Elements of a nested array: its bytes can be counted without overflow.
const ELEMENTS_MAX: i64 = 1 << 40;
/// Columns of a batch.
const COLUMNS_MAX: i64 = 1 << 14;
/// A column type is at most a list of vectors of scalars; one more, to name what it is.
const DEPTH_MAX: usize = 4;

/// `struct ArrowSchema` of `segue.h`, whose fields [`FFI_ArrowSchema`] hides.
#[repr(C)]
struct RawSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *const *const RawSchema,
    dictionary: *const RawSchema,
    release: Option<unsafe extern "C" fn(*mut RawSchema)>,
    private_data: *mut c_void,
}

/// `struct ArrowArray` of `segue.h`, whose fields [`FFI_ArrowArray`] hides.
#[repr(C)]
struct RawArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *const *const c_void,
    children: *const *const RawArray,
    dictionary: *const RawArray,
    release: Option<unsafe extern "C" fn(*mut RawArray)>,
    private_data: *mut c_void,
}

const _: () = assert!(size_of::<RawSchema>() == size_of::<FFI_ArrowSchema>());
const _: () = assert!(size_of::<RawArray>() == size_of::<FFI_ArrowArray>());

/// How an array's elements lie in its buffers.
enum Layout {
    /// One buffer of elements.
    Plain,
    /// Offsets of so many bytes, then bytes.
    Bytes(i64),
    /// Offsets of so many bytes, into a child.
    List(i64),
    /// So many elements of a child for each.
    Fixed(i64),
}

/// The struct type of a batch whose pointers, counts, names and lengths fit together.
///
/// # Safety
/// Pointers that are not null must point to what the Arrow C Data Interface says.
///
/// # Errors
/// `bad-batch`
pub unsafe fn check(array: &FFI_ArrowArray, schema: &FFI_ArrowSchema) -> Result<DataType> {
    // SAFETY: both are the same C structs, field by field.
    let (array, schema) = unsafe {
        (
            &*std::ptr::from_ref(array).cast::<RawArray>(),
            &*std::ptr::from_ref(schema).cast::<RawSchema>(),
        )
    };
    if array.release.is_none() || schema.release.is_none() {
        return Err(bad("the batch was already released"));
    }
    // SAFETY: the caller vouches for what the pointers point to.
    unsafe {
        let format = format(schema, "the batch")?;
        if format != "+s" {
            let message = format!("a batch must be a struct array (`+s`), not `{format}`");
            return Err(bad(message));
        }
        if !schema.dictionary.is_null() || !array.dictionary.is_null() {
            return Err(bad("the batch is dictionary-encoded"));
        }
        let rows = counts(array, "the batch", ROWS_MAX)?;
        buffers(array, "the batch", 1)?;
        let columns = children(array, schema, "the batch")?;
        let mut fields: Vec<Field> = Vec::with_capacity(columns.len());
        for (i, (array, schema)) in columns.into_iter().enumerate() {
            let name = name(schema, i)?;
            if fields.iter().any(|field| *field.name() == name) {
                return Err(bad(format!("column `{name}` is given twice")));
            }
            let what = format!("column `{name}`");
            let data_type = typed(array, schema, &what, 0)?;
            if array.length != rows {
                let length = array.length;
                return Err(bad(format!("{what} has {length} rows, the batch {rows}")));
            }
            fields.push(Field::new(name, data_type, true));
        }
        Ok(DataType::Struct(fields.into()))
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new("bad-batch", message)
}

/// The type of `array`, once all that it and its children say of themselves fits.
///
/// # Safety
/// As for [`check`]
unsafe fn typed(
    array: &RawArray,
    schema: &RawSchema,
    what: &str,
    depth: usize,
) -> Result<DataType> {
    if array.release.is_none() || schema.release.is_none() {
        return Err(bad(format!("{what} was already released")));
    }
    if !schema.dictionary.is_null() || !array.dictionary.is_null() {
        let message = format!("{what} is dictionary-encoded, which is not a column type");
        return Err(bad(message));
    }
    if depth >= DEPTH_MAX {
        return Err(bad(format!("{what} is nested too deeply")));
    }
    // SAFETY: the caller vouches for what the pointers point to.
    unsafe {
        let format = format(schema, what)?;
        let (layout, plain) = layout(&format).ok_or_else(|| {
            bad(format!(
                "{what} has the Arrow format `{format}`, which is not a column type"
            ))
        })?;
        let elements = counts(array, what, ELEMENTS_MAX)?;
        let buffers = buffers(array, what, layout.buffers())?;
        let mut inner = children(array, schema, what)?.into_iter();
        let inner = match (layout.has_child(), inner.next(), inner.next()) {
            (false, None, _) => None,
            (true, Some((array, schema)), None) => {
                let what = format!("an item of {what}");
                Some((array, typed(array, schema, &what, depth + 1)?))
            }
            (has_child, ..) => {
                let (has, needs) = (array.n_children, i64::from(has_child));
                let message = format!("{what} has {has} children, `{format}` has {needs}");
                return Err(bad(message));
            }
        };
        let held = inner.as_ref().map_or(0, |(child, _)| child.length);
        let fits = |needed: i64| {
            if needed > held {
                Err(bad(format!("{what} has {held} items, but needs {needed}")))
            } else {
                Ok(())
            }
        };
        match layout {
            Layout::Plain if elements > 0 && buffers[1].is_null() => {
                return Err(bad(format!("{what} has no values: its buffer 1 is null")));
            }
            Layout::Plain => {}
            Layout::Bytes(width) => {
                let last = last_offset(buffers[1], width, elements, what)?;
                if last > 0 && buffers[2].is_null() {
                    return Err(bad(format!("{what} has no values: its buffer 2 is null")));
                }
            }
            Layout::List(width) => fits(last_offset(buffers[1], width, elements, what)?)?,
            Layout::Fixed(width) => fits(elements.saturating_mul(width))?,
        }
        let item = |(_, data_type): (_, DataType)| Arc::new(Field::new("item", data_type, true));
        Ok(match (layout, inner) {
            (Layout::List(4), Some(inner)) => DataType::List(item(inner)),
            (Layout::List(_), Some(inner)) => DataType::LargeList(item(inner)),
            (Layout::Fixed(width), Some(inner)) => {
                // `layout` has read it as an i32.
                DataType::FixedSizeList(item(inner), i32::try_from(width).unwrap_or(i32::MAX))
            }
            _ => plain,
        })
    }
}

impl Layout {
    /// With the one for which elements are null.
    fn buffers(&self) -> i64 {
        match self {
            Layout::Fixed(_) => 1,
            Layout::Plain | Layout::List(_) => 2,
            Layout::Bytes(_) => 3,
        }
    }

    fn has_child(&self) -> bool {
        matches!(self, Layout::List(_) | Layout::Fixed(_))
    }
}

/// What the format string `format` stands for; the type is that of a leaf.
fn layout(format: &str) -> Option<(Layout, DataType)> {
    let plain = |data_type| Some((Layout::Plain, data_type));
    match format {
        "b" => plain(DataType::Boolean),
        "c" => plain(DataType::Int8),
        "C" => plain(DataType::UInt8),
        "s" => plain(DataType::Int16),
        "S" => plain(DataType::UInt16),
        "i" => plain(DataType::Int32),
        "I" => plain(DataType::UInt32),
        "l" => plain(DataType::Int64),
        "L" => plain(DataType::UInt64),
        "e" => plain(DataType::Float16),
        "f" => plain(DataType::Float32),
        "g" => plain(DataType::Float64),
        "u" => Some((Layout::Bytes(4), DataType::Utf8)),
        "z" => Some((Layout::Bytes(4), DataType::Binary)),
        "U" => Some((Layout::Bytes(8), DataType::LargeUtf8)),
        "Z" => Some((Layout::Bytes(8), DataType::LargeBinary)),
        "+l" => Some((Layout::List(4), DataType::Null)),
        "+L" => Some((Layout::List(8), DataType::Null)),
        _ => {
            let width: i32 = format.strip_prefix("+w:")?.parse().ok()?;
            (width > 0).then_some((Layout::Fixed(i64::from(width)), DataType::Null))
        }
    }
}

/// The elements that `array`'s buffers hold: those before its offset, and its own.
fn counts(array: &RawArray, what: &str, max: i64) -> Result<i64> {
    let RawArray {
        length,
        offset,
        null_count,
        ..
    } = *array;
    for (name, count) in [("a length", length), ("an offset", offset)] {
        if count < 0 || count > max {
            let message = format!("{what} has {name} of {count}, which is not from 0 to {max}");
            return Err(bad(message));
        }
    }
    // -1 says that it was not counted.
    if null_count < -1 || null_count > length {
        let message = format!("{what} has a null count of {null_count} in {length} elements");
        return Err(bad(message));
    }
    Ok(length + offset)
}

/// The pointers to the `expected` buffers of `array`.
///
/// # Safety
/// As for [`check`]
unsafe fn buffers<'a>(
    array: &'a RawArray,
    what: &str,
    expected: i64,
) -> Result<&'a [*const c_void]> {
    if array.n_buffers != expected {
        let has = array.n_buffers;
        return Err(bad(format!("{what} has {has} buffers, not {expected}")));
    }
    if array.buffers.is_null() || !array.buffers.is_aligned() {
        return Err(bad(format!("{what} has no buffers: their list is null")));
    }
    // SAFETY: there are as many as the array says, which is few.
    let all = unsafe { std::slice::from_raw_parts(array.buffers, expected as usize) };
    if array.null_count > 0 && all[0].is_null() {
        let nulls = array.null_count;
        let message =
            format!("{what} has {nulls} nulls, but its buffer 0, which says where, is null");
        return Err(bad(message));
    }
    Ok(all)
}

/// Each child with its schema.
///
/// # Safety
/// As for [`check`]
unsafe fn children<'a>(
    array: &'a RawArray,
    schema: &'a RawSchema,
    what: &str,
) -> Result<Vec<(&'a RawArray, &'a RawSchema)>> {
    let (count, named) = (array.n_children, schema.n_children);
    if count != named {
        let message = format!("{what} has {count} children, but its schema has {named}");
        return Err(bad(message));
    }
    if !(0..=COLUMNS_MAX).contains(&count) {
        let message = format!("{what} has {count} children, which is not from 0 to {COLUMNS_MAX}");
        return Err(bad(message));
    }
    if count > 0 && (array.children.is_null() || schema.children.is_null()) {
        return Err(bad(format!("{what} has no children: their list is null")));
    }
    (0..count as usize)
        .map(|i| {
            // SAFETY: both lists have `count` pointers.
            let pair = unsafe {
                (
                    array.children.add(i).read_unaligned().as_ref(),
                    schema.children.add(i).read_unaligned().as_ref(),
                )
            };
            match pair {
                (Some(array), Some(schema)) => Ok((array, schema)),
                _ => Err(bad(format!("child {} of {what} is null", i + 1))),
            }
        })
        .collect()
}

/// Where the last of `elements` ends; offsets are of `width` bytes.
///
/// # Safety
/// As for [`check`]
unsafe fn last_offset(
    offsets: *const c_void,
    width: i64,
    elements: i64,
    what: &str,
) -> Result<i64> {
    if offsets.is_null() {
        return Err(bad(format!("{what} has no offsets: its buffer 1 is null")));
    }
    let at = |i: i64| {
        // SAFETY: there is an offset more than elements, and `i` is not beyond it.
        unsafe {
            match width {
                4 => i64::from(offsets.cast::<i32>().add(i as usize).read_unaligned()),
                _ => offsets.cast::<i64>().add(i as usize).read_unaligned(),
            }
        }
    };
    if !(offsets as usize).is_multiple_of(width as usize) {
        return Err(bad(format!("{what} has offsets that are not aligned")));
    }
    let (first, last) = (at(0), at(elements));
    if first < 0 || last < first || last > ELEMENTS_MAX {
        let message = format!("{what} has offsets from {first} to {last}");
        return Err(bad(message));
    }
    Ok(last)
}

/// # Safety
/// As for [`check`]
unsafe fn format(schema: &RawSchema, what: &str) -> Result<String> {
    if schema.format.is_null() {
        return Err(bad(format!("{what} has no format: it is null")));
    }
    // SAFETY: it ends with a zero byte.
    let bytes = unsafe { CStr::from_ptr(schema.format) };
    Ok(shown(bytes))
}

/// # Safety
/// As for [`check`]
unsafe fn name(schema: &RawSchema, i: usize) -> Result<String> {
    let number = i + 1;
    if schema.name.is_null() {
        return Err(bad(format!("column {number} of the batch has no name")));
    }
    // SAFETY: it ends with a zero byte.
    let bytes = unsafe { CStr::from_ptr(schema.name) };
    match bytes.to_str() {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err(bad(format!(
            "the name of column {number} of the batch, `{}`, is not UTF-8",
            shown(bytes)
        ))),
    }
}

/// The text, as short as a message needs it.
fn shown(text: &CStr) -> String {
    let bytes = text.to_bytes();
    String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into_owned()
}
