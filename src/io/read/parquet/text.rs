//! Columns whose type no stage knows, as text.
//!
//! | type | text |
//! | --- | --- |
//! | decimal | all its digits: `12.50` |
//! | date, time, timestamp | ISO 8601: `2024-02-29`, `12:30:00`, `2024-02-29T12:30:00Z` |
//! | list, struct, map | JSON |
//! | UUID | `6ba7b810-9dad-11d1-80b4-00c04fd430c8` |
//! | other bytes | themselves where they are UTF-8, else hexadecimal: `\x00ff` |
//! | anything else | as Arrow shows it |

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray, new_empty_array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};

use crate::io::write::push_json;

/// Whether a column of this type has a text.
pub fn has_text(data_type: &DataType) -> bool {
    is_nested(data_type)
        || matches!(data_type, DataType::Timestamp(..))
        || ArrayFormatter::try_new(&new_empty_array(data_type), &FormatOptions::new()).is_ok()
}

/// The text of each value of `column`; `uuid` says that its bytes are one.
///
/// # Errors
/// A value that has none
pub fn texts(column: &dyn Array, uuid: bool) -> Result<ArrayRef, ArrowError> {
    if let DataType::Timestamp(unit, Some(_)) = column.data_type() {
        // The instant is the same, and no table of time zones is needed to show it.
        let universal = DataType::Timestamp(*unit, Some("+00:00".into()));
        if *column.data_type() != universal {
            return texts(&arrow_cast::cast(column, &universal)?, uuid);
        }
    }
    let rows = (0..column.len()).map(|at| !column.is_null(at));
    let texts: StringArray = if is_nested(column.data_type()) {
        let json = |at| {
            let mut json = Vec::new();
            push_json(&mut json, column, at);
            String::from_utf8_lossy(&json).into_owned()
        };
        rows.enumerate()
            .map(|(at, some)| some.then(|| json(at)))
            .collect()
    } else if let Some(bytes) = column.as_fixed_size_binary_opt() {
        bytes
            .iter()
            .map(|value| value.map(|value| bytes_text(value, uuid)))
            .collect()
    } else {
        let options = FormatOptions::new();
        let formatter = ArrayFormatter::try_new(column, &options)?;
        let text = |at| formatter.value(at).try_to_string();
        let all = rows
            .enumerate()
            .map(|(at, some)| some.then(|| text(at)).transpose());
        all.collect::<Result<_, _>>()?
    };
    Ok(Arc::new(texts))
}

fn bytes_text(bytes: &[u8], uuid: bool) -> String {
    if !uuid {
        return hexadecimal(bytes);
    }
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        let dash = if matches!(at, 4 | 6 | 8 | 10) {
            "-"
        } else {
            ""
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{dash}{byte:02x}");
    }
    text
}

/// `\x00ff`
pub fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::from("\\x");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn is_nested(data_type: &DataType) -> bool {
    use DataType::{FixedSizeList, LargeList, List, Map, Struct};
    matches!(
        data_type,
        List(_) | LargeList(_) | FixedSizeList(..) | Struct(_) | Map(..)
    )
}
