//! What a trainer writes down: a row a step, and one for each look at the held-out reviews.

use std::sync::Arc;

use segue_plugin::arrow_array::{ArrayRef, Float32Array, StringArray, UInt32Array, UInt64Array};
use segue_plugin::{Batch, Columns, Result, Rows};
use serde::{Deserialize, Serialize};

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The time that it belongs to.
    pub time: u64,
    /// Which batch of that time it belongs to, from 1.
    pub batch: u32,
    /// `step`, `validation` or `end`.
    pub event: String,
    /// From 0.
    pub epoch: u32,
    /// Steps so far.
    pub step: u64,
    /// Of the step, or the mean over the held-out reviews.
    pub loss: Option<f32>,
    /// Of the step.
    pub rate: Option<f32>,
    /// Correct verdicts over held-out reviews.
    pub accuracy: Option<f32>,
}

/// The columns of the rows.
pub fn writes(columns: Columns) -> Columns {
    columns
        .writes("event", "utf8")
        .writes("epoch", "u32")
        .writes("step", "u64")
        .writes("loss", "f32")
        .writes("learning_rate", "f32")
        .writes("held_out_accuracy", "f32")
        .rows(Rows::New)
        .keeps()
}

/// `entries` as a batch of `time`.
///
/// # Errors
/// None
pub fn batch<'a>(time: u64, entries: impl Iterator<Item = &'a Entry> + Clone) -> Result<Batch> {
    let floats = |of: fn(&Entry) -> Option<f32>| -> ArrayRef {
        Arc::new(entries.clone().map(of).collect::<Float32Array>())
    };
    let events: StringArray = entries.clone().map(|e| Some(e.event.as_str())).collect();
    let epochs: UInt32Array = entries.clone().map(|e| Some(e.epoch)).collect();
    let steps: UInt64Array = entries.clone().map(|e| Some(e.step)).collect();
    Batch::from_arrays(
        time,
        vec![
            ("event".into(), Arc::new(events) as ArrayRef),
            ("epoch".into(), Arc::new(epochs)),
            ("step".into(), Arc::new(steps)),
            ("loss".into(), floats(|e| e.loss)),
            ("learning_rate".into(), floats(|e| e.rate)),
            ("held_out_accuracy".into(), floats(|e| e.accuracy)),
        ],
    )
}
