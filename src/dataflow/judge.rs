//! Accuracy: how often the file's label and the pipeline's verdict are the same, and whether
//! the two speak of the same labels at all.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;

use super::seen::OTHERS;
use super::state::Counts;
use crate::diagnostic::visible;
use crate::graph::{Graph, Role};
use crate::operators::{JUDGED, read_options};

/// Labels that a note names.
const SHOWN: usize = 8;
/// Of the labels one in so many may be a number without a name.
const NUMBERED: u64 = 20;

/// Compares labels with verdicts.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    /// The first sink's stage, as its file names it.
    pub stage: String,
    /// What verdicts can be; empty where the graph does not say that.
    verdicts: Vec<String>,
    /// What sources call their labels.
    names: Vec<String>,
}

impl Judge {
    /// For what reaches the first sink of `graph`.
    pub fn new(graph: &Graph) -> Self {
        let with = |role: Role| {
            let stages = graph.stages.iter();
            stages.filter(move |stage| stage.operator.role == role)
        };
        let Some(sink) = with(Role::Sink).next() else {
            return Judge::default();
        };
        let verdict = sink.columns.reads.iter().find(|one| one.name == JUDGED[1]);
        Judge {
            stage: sink.file_name.clone(),
            verdicts: verdict.map_or_else(Vec::new, |column| column.labels.clone()),
            names: with(Role::Source)
                .flat_map(|stage| read_options(&stage.options).labels)
                .collect(),
        }
    }

    /// Counts the rows of `batch` by label, those whose label a verdict can have, and those
    /// where it is the verdict.
    pub fn add(&self, batch: &RecordBatch, counts: &mut Counts) {
        counts.seen.rows(batch);
        let column = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let [Some(truth), Some(label)] = JUDGED.map(column) else {
            return;
        };
        for (truth, label) in truth.iter().zip(label).filter_map(|(a, b)| Some((a?, b?))) {
            if !self.verdicts.is_empty() && !has(&self.verdicts, truth) {
                counts.unmatched += 1;
                continue;
            }
            counts.judged += 1;
            counts.correct += u64::from(truth.eq_ignore_ascii_case(label));
        }
    }

    /// Correct verdicts over those with a label that verdicts can have. `None` where there are
    /// none, and where labels are numbers without a name: of stars from 1 to 5, `1` is not the
    /// label number 1.
    pub fn accuracy(&self, counts: &Counts) -> Option<f64> {
        let sure = counts.judged > 0 && self.comparable(counts) && !self.numbered(counts);
        sure.then(|| counts.correct as f64 / counts.judged as f64)
    }

    /// What to say where labels are left out of the accuracy, or leave no accuracy at all.
    pub fn note(&self, counts: &Counts) -> Option<String> {
        let others = listed(self.others(counts).map(|(name, _)| name));
        if others.is_empty() || counts.seen.labels.is_empty() {
            return None;
        }
        let how = "`with.labels` of `read` says which is which";
        if self.accuracy(counts).is_some() {
            let records = match counts.unmatched {
                0 => return None,
                1 => "1 record has".to_owned(),
                several => format!("{several} records have"),
            };
            return Some(format!(
                "{records} a label that no verdict can be ({others}), and no part in the accuracy; {how}"
            ));
        }
        if counts.judged > 0 && self.comparable(counts) {
            return Some(format!(
                "there is no accuracy: labels are numbers without a name ({others}), so what the others mean is not sure; {how}"
            ));
        }
        let file = listed(counts.seen.truths.keys().map(String::as_str));
        let verdicts = listed(self.possible(counts).into_iter());
        Some(format!(
            "there is no accuracy: the file's labels are {file}, the verdicts' {verdicts}; {how}"
        ))
    }

    /// What verdicts can be. Where the graph does not say that, they can be what they were, and
    /// what sources call their labels if they were any of these.
    fn possible<'a>(&'a self, counts: &'a Counts) -> Vec<&'a str> {
        if !self.verdicts.is_empty() {
            return self.verdicts.iter().map(String::as_str).collect();
        }
        let seen: Vec<&str> = counts.seen.labels.keys().map(String::as_str).collect();
        let shared = self.names.iter().any(|name| has(&seen, name));
        let names = self.names.iter().filter(|name| shared && !has(&seen, name));
        let names: Vec<&str> = names.map(String::as_str).collect();
        [seen, names].concat()
    }

    /// The file's labels that no verdict can be, and how often each came.
    fn others<'a>(&'a self, counts: &'a Counts) -> impl Iterator<Item = (&'a str, u64)> {
        let possible = self.possible(counts);
        let truths = counts.seen.truths.iter();
        truths
            .map(|(name, count)| (name.as_str(), *count))
            .filter(move |(name, _)| !has(&possible, name))
    }

    fn comparable(&self, counts: &Counts) -> bool {
        let possible = self.possible(counts);
        let mut truths = counts.seen.truths.keys();
        truths.any(|truth| has(&possible, truth))
    }

    /// Whether too many labels are numbers that no label has.
    fn numbered(&self, counts: &Counts) -> bool {
        let numbers = self
            .others(counts)
            .filter(|(name, _)| name.parse::<u64>().is_ok());
        let numbers: u64 = numbers.map(|(_, count)| count).sum();
        numbers * NUMBERED > counts.judged + counts.unmatched
    }
}

fn has(labels: &[impl AsRef<str>], label: &str) -> bool {
    let label = label.to_lowercase();
    let mut labels = labels.iter();
    labels.any(|known| known.as_ref().to_lowercase() == label)
}

/// `` `a`, `b`, ... ``
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names
        .filter(|name| *name != OTHERS)
        .map(|name| format!("`{}`", visible(name)))
        .collect();
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    names[..names.len().min(SHOWN)].join(", ") + more
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};

    use super::*;

    const TWO: [&str; 2] = ["negative", "positive"];

    /// The accuracy and the note of rows with labels and verdicts. Sources have two names.
    fn judged(verdicts: &[&str], pairs: &[(&str, &str)]) -> (Option<f64>, String) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let judge = Judge {
            stage: String::new(),
            verdicts: owned(verdicts),
            names: owned(&TWO),
        };
        let column = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
        let truth = column(pairs.iter().map(|pair| pair.0).collect());
        let label = column(pairs.iter().map(|pair| pair.1).collect());
        let batch = RecordBatch::try_from_iter([("truth", truth), ("label", label)]).unwrap();
        let mut counts = Counts::default();
        judge.add(&batch, &mut counts);
        let note = judge.note(&counts).unwrap_or_default();
        (judge.accuracy(&counts), note)
    }

    #[test]
    fn only_labels_that_a_verdict_can_be_count() {
        let rows = [
            ("Positive", "positive"),
            ("negative", "positive"),
            ("mixed", "positive"),
        ];
        let (accuracy, note) = judged(&TWO, &rows);
        assert_eq!(accuracy, Some(0.5));
        assert!(
            note.starts_with("1 record has a label that no verdict can be (`mixed`)"),
            "{note}"
        );
        // Nobody says what verdicts can be.
        let (accuracy, note) = judged(&[], &rows);
        assert_eq!((accuracy, note.as_str()), (Some(1.0 / 3.0), ""));
        for verdicts in [&TWO[..], &[]] {
            let (accuracy, note) = judged(verdicts, &[("negative", "positive")]);
            assert_eq!((accuracy, note.as_str()), (Some(0.0), ""));
        }
    }

    #[test]
    fn labels_that_cannot_match_are_named() {
        let one = [("happy", "positive")];
        let (accuracy, note) = judged(&TWO, &one);
        assert_eq!(accuracy, None);
        assert!(
            note.contains("labels are `happy`, the verdicts' `negative`, `positive`;"),
            "{note}"
        );
        assert_eq!(judged(&[], &one).0, None);
        let (accuracy, note) = judged(&[], &[("negative", "BAD"), ("positive", "GOOD")]);
        assert_eq!(accuracy, None);
        assert!(
            note.contains("labels are `negative`, `positive`, the verdicts' `BAD`, `GOOD`;"),
            "{note}"
        );
    }

    #[test]
    fn numbers_without_a_name_make_the_others_unsure() {
        let rows = [
            ("positive", "negative"),
            ("2", "positive"),
            ("positive", "negative"),
        ];
        for verdicts in [&TWO[..], &[]] {
            let (accuracy, note) = judged(verdicts, &rows);
            assert_eq!(accuracy, None);
            assert!(note.contains("numbers without a name (`2`)"), "{note}");
        }
        let mut rows = vec![("positive", "positive"); 19];
        rows.push(("2", "positive"));
        assert_eq!(judged(&TWO, &rows).0, Some(1.0));
    }
}
