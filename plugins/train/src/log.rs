//! What a trainer writes down: a row a step, and one for each look at the held-out reviews.

use std::sync::Arc;

use segue_plugin::arrow_array::{ArrayRef, Float32Array, StringArray, UInt32Array, UInt64Array};
use segue_plugin::{Batch, Columns, Result, Rows};

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
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

/// The columns of the rows, for a trainer whose state is saved at most every `pause_ms`.
pub fn writes(columns: Columns, pause_ms: u64) -> Columns {
    columns
        .writes("event", "utf8")
        .writes("epoch", "u32")
        .writes("step", "u64")
        .writes("loss", "f32")
        .writes("learning_rate", "f32")
        .writes("held_out_accuracy", "f32")
        .rows(Rows::New)
        .snapshots(pause_ms)
}

/// `entries` as a batch of `time`.
///
/// # Errors
/// None
pub fn batch(time: u64, entries: &[Entry]) -> Result<Batch> {
    let entries = entries.iter();
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
