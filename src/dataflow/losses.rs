//! Records that cannot be used: a run in which every one was such has failed, and rows that
//! stand for them where a sink keeps them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array, new_null_array};
use arrow_schema::{ArrowError, Field, SchemaRef};

use super::state::Cut;
use crate::diagnostic::Diagnostic;
use crate::io::Reject;
use crate::operators::NUMBER;

/// Why records cannot be used: for each source and code the first reason of this run.
#[derive(Debug, Default)]
pub struct Losses(BTreeMap<String, BTreeMap<String, String>>);

impl Losses {
    /// Adds the records of a batch of `source`.
    pub fn add(&mut self, source: &str, rejects: &[Reject]) {
        for reject in rejects {
            let reasons = self.0.entry(source.to_owned()).or_default();
            let reason = reasons.entry(reject.code.clone());
            reason.or_insert_with(|| reject.reason.clone());
        }
    }

    /// Checks that some record was good, of all that `cut` has behind it.
    ///
    /// # Errors
    /// `all-rejected`, with the commonest reason
    pub fn check(&self, cut: &Cut, rejects: &Path) -> Result<(), Diagnostic> {
        let all: u64 = cut.sources.values().sum();
        let reasons = cut.counts.seen.rejects.iter();
        let commonest = reasons.max_by_key(|(_, count)| **count);
        let Some((code, count)) = commonest.filter(|_| cut.counts.rejected >= all) else {
            return Ok(());
        };
        let such_as = self.0.values().find_map(|reasons| reasons.get(code));
        let such_as = such_as.map_or_else(String::new, |reason| format!(", such as: {reason}"));
        let message = format!(
            "no record can be used: of {all} every one was rejected, {count} of them for `{code}`{such_as}"
        );
        let help = format!("each is in `{}` with its reason", rejects.display());
        Err(Diagnostic::new("all-rejected", message).help(help))
    }

    /// The sources none of whose records could be used, where others had some: what is to be
    /// said of each.
    pub fn notes(&self, cut: &Cut) -> Vec<(String, String)> {
        let lost = |source: &String| cut.counts.rejected_of.get(source).copied();
        let sources = cut.sources.iter();
        let sources = sources.filter(|(name, all)| **all > 0 && lost(name) >= Some(**all));
        let note = |(name, all): (&String, &u64)| {
            let reasons = self.0.get(name).and_then(|reasons| reasons.values().next());
            let such_as = reasons.map_or_else(String::new, |reason| format!(", such as: {reason}"));
            let note = format!("not one of its {all} records can be used{such_as}");
            (name.clone(), note)
        };
        sources.map(note).collect()
    }
}

/// `batches`, which are of `schema`, with a row for each of the records numbered `rejected`: its
/// number, and nulls. Where rows come in the order of their numbers it stands in its place,
/// else at the end.
///
/// # Errors
/// Columns of more than 2 GiB
pub fn with_rejected(
    batches: &[RecordBatch],
    rejected: Vec<u64>,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let numbers: ArrayRef = Arc::new(UInt64Array::from(rejected));
    let column = |field: &Arc<Field>| {
        if field.name() == NUMBER && field.data_type() == numbers.data_type() {
            Arc::clone(&numbers)
        } else {
            new_null_array(field.data_type(), numbers.len())
        }
    };
    let columns = schema.fields().iter().map(column).collect();
    let lost = RecordBatch::try_new(Arc::clone(schema), columns)?;
    let all = arrow_select::concat::concat_batches(schema, batches.iter().chain([&lost]))?;
    let found = all.column_by_name(NUMBER);
    let found = found.and_then(|found| found.as_primitive_opt::<UInt64Type>());
    let rows = all.num_rows() - lost.num_rows();
    let Some(values) = found
        .map(|found| found.values())
        .filter(|values| values[..rows].is_sorted())
    else {
        return Ok(all);
    };
    let mut order: Vec<(u64, u64)> = values.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let order = UInt64Array::from_iter_values(order.into_iter().map(|(_, at)| at));
    arrow_select::take::take_record_batch(&all, &order)
}
