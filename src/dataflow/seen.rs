//! What a user wants counted of the rows and records that are committed.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use serde::{Deserialize, Serialize};

use crate::io::Reject;
use crate::operators::JUDGED;

/// Names that are told apart; further ones count together.
const NAMES_MAX: usize = 64;
/// What further ones count as.
pub const OTHERS: &str = "others";
/// Bytes of a name that are kept.
const NAME_BYTES: usize = 80;

/// How often each name came.
pub type Tallied = BTreeMap<String, u64>;

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// Rows by the pipeline's verdict.
    pub labels: Tallied,
    /// Rows by the file's label.
    pub truths: Tallied,
    /// Rejected records by the code of the reason.
    pub rejects: Tallied,
}

impl Seen {
    /// Counts the rows of the first sink.
    pub fn rows(&mut self, batch: &RecordBatch) {
        let [truth, label] = JUDGED;
        tally(&mut self.truths, batch, truth);
        tally(&mut self.labels, batch, label);
    }

    /// Counts records that cannot be used.
    pub fn rejects(&mut self, rejects: &[Reject]) {
        for reject in rejects {
            add(&mut self.rejects, &reject.code);
        }
    }
}

fn tally(counts: &mut Tallied, batch: &RecordBatch, name: &str) {
    let column = batch.column_by_name(name);
    let Some(column) = column.and_then(|column| column.as_string_opt::<i32>()) else {
        return;
    };
    for value in column.iter().flatten() {
        add(counts, value);
    }
}

fn add(counts: &mut Tallied, name: &str) {
    let end = (0..=name.len().min(NAME_BYTES)).rev();
    let end = end.into_iter().find(|end| name.is_char_boundary(*end));
    let name = &name[..end.unwrap_or(0)];
    let known = counts.contains_key(name) || counts.len() < NAMES_MAX;
    let name = if known { name } else { OTHERS };
    *counts.entry(name.to_owned()).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};

    use super::*;

    fn batch(truths: Vec<Option<&str>>, labels: Vec<Option<&str>>) -> RecordBatch {
        let [truth, label] = JUDGED;
        let column = |values| Arc::new(StringArray::from(values)) as ArrayRef;
        RecordBatch::try_from_iter([(truth, column(truths)), (label, column(labels))]).unwrap()
    }

    #[test]
    fn names_are_counted_and_nulls_are_not() {
        let mut seen = Seen::default();
        let labels = vec![Some("positive"), Some("negative"), Some("positive")];
        seen.rows(&batch(vec![Some("Negative"), None, Some("x")], labels));
        let expected = [("negative", 1), ("positive", 2)].map(|(n, c)| (n.to_owned(), c));
        assert_eq!(seen.labels, Tallied::from(expected));
        assert_eq!(seen.truths.len(), 2);
    }

    #[test]
    fn names_without_end_are_bounded() {
        let mut seen = Seen::default();
        for i in 0..1000 {
            let name = format!("{i}{}", "é".repeat(1000));
            seen.rows(&batch(vec![None], vec![Some(&name)]));
        }
        assert_eq!(seen.labels.len(), NAMES_MAX + 1);
        assert_eq!(seen.labels.values().sum::<u64>(), 1000);
        assert!(seen.labels.keys().all(|name| name.len() <= NAME_BYTES));
    }
}
