//! Accuracy: how often the file's label and the pipeline's verdict are the same.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;

use super::state::Counts;
use crate::operators::JUDGED;

/// Counts the rows by label, and those in which the file's label and the pipeline's verdict are the same.
pub fn judge(batch: &RecordBatch, counts: &mut Counts) {
    counts.seen.rows(batch);
    let column = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let [Some(truth), Some(label)] = JUDGED.map(column) else {
        return;
    };
    for (truth, label) in truth.iter().zip(label).filter_map(|(a, b)| Some((a?, b?))) {
        counts.judged += 1;
        counts.correct += u64::from(truth.eq_ignore_ascii_case(label));
    }
}
