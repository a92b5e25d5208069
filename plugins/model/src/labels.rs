//! What a model's classes are called.

use serde_json::Value;

use crate::fields::{Fields, short};

/// The most classes a model may have.
const CLASSES_MAX: usize = 1 << 16;

/// Labels by index: from `id2label`, else `LABEL_0..` for `num_labels` (default 2).
pub(crate) fn labels(fields: &Fields<'_>) -> Result<Vec<String>, String> {
    let named = match fields.get("id2label") {
        Some(Value::Object(named)) if !named.is_empty() => named,
        Some(Value::Object(_)) | None => {
            let count = fields.size_or("num_labels", CLASSES_MAX, 2)?;
            return Ok((0..count).map(generic).collect());
        }
        Some(other) => return Err(format!("`id2label` is {}, not an object", short(other))),
    };
    if named.len() > CLASSES_MAX {
        let count = named.len();
        return Err(format!("`id2label` has {count} names, over {CLASSES_MAX}"));
    }
    (0..named.len())
        .map(|i| match named.get(&i.to_string()) {
            Some(Value::String(label)) => Ok(label.clone()),
            // Stars are often written so.
            Some(Value::Number(label)) => Ok(label.to_string()),
            Some(other) => Err(format!("`id2label` calls {i} {}", short(other))),
            None => Err(format!(
                "`id2label` has {} names and none for {i}",
                named.len()
            )),
        })
        .collect()
}

/// The name that the library gives a class for which nobody has one.
pub(crate) fn generic(index: usize) -> String {
    format!("LABEL_{index}")
}
