//! A file read several times over, shuffled, with a part held out: what training needs.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, SchemaRef};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;

use super::CHUNK;
use super::held_out;
use super::role::{Role, role_column, with_columns, with_fields};
use super::unlabelled::Unlabelled;
use crate::diagnostic::Diagnostic;
use crate::io::error::option_error;
use crate::io::{EpochOptions, Reject, Source, SourceBatch};

/// Less than this part of the records that are to be held out is worth a note.
const NOTED: f64 = 0.9;

/// A [`Source`] that holds all records of another in memory.
///
/// Each epoch gives every record once: those for training in an order of the epoch's own,
/// then those for validation, in the order of the file. A batch never has both. A position
/// counts the records given, and at the start those that were rejected.
///
/// Records without a label are all for training, mixed with the others.
pub struct Epochs {
    inner: Option<Box<dyn Source>>,
    unlabelled: Option<Unlabelled>,
    options: EpochOptions,
    schema: SchemaRef,
    total: Option<u64>,
    chunks: Vec<RecordBatch>,
    /// Of the file, once it is held.
    notes: Vec<String>,
    /// Not yet passed on.
    rejects: Vec<Reject>,
    rejected: u64,
    /// Where the records for training lie: chunk and row; then those for validation.
    train: Vec<(usize, usize)>,
    held_out: Vec<(usize, usize)>,
    /// Records given.
    given: u64,
    /// The epoch whose order `train` has.
    shuffled: Option<u64>,
}

impl Epochs {
    pub fn new(
        inner: Box<dyn Source>,
        unlabelled: Option<Unlabelled>,
        options: EpochOptions,
    ) -> Self {
        let more = [
            ("role", DataType::Utf8),
            ("epoch", DataType::UInt32),
            ("progress", DataType::Float32),
        ];
        let (mut schema, mut total) = (inner.schema(), inner.total_records());
        if unlabelled.is_some() {
            // How many of its texts are known is not known yet.
            (schema, total) = (Unlabelled::schema(&schema), None);
        }
        Epochs {
            schema: with_fields(&schema, &more),
            total: total.map(|total| total * u64::from(options.epochs)),
            inner: Some(inner),
            unlabelled,
            options,
            chunks: Vec::new(),
            notes: Vec::new(),
            rejects: Vec::new(),
            rejected: 0,
            train: Vec::new(),
            held_out: Vec::new(),
            given: 0,
            shuffled: None,
        }
    }

    fn load(&mut self) -> Result<(), Diagnostic> {
        let Some(mut inner) = self.inner.take() else {
            return Ok(());
        };
        while let Some(read) = inner.next_batch(CHUNK)? {
            let chunk = self.chunks.len();
            self.train
                .extend((0..read.batch.num_rows()).map(|row| (chunk, row)));
            self.chunks.push(read.batch);
            self.rejects.extend(read.rejects);
        }
        self.notes = inner.notes();
        let count = self.train.len();
        let [left, held_out] = self.hold_out(count)?;
        self.note_fewer(held_out.len(), count);
        self.held_out = held_out.iter().map(|&i| self.train[i]).collect();
        self.train = left.iter().map(|&i| self.train[i]).collect();
        if let Some(unlabelled) = self.unlabelled.take() {
            self.add(&unlabelled, inner.schema(), count)?;
        }
        self.rejected = self.rejects.len() as u64;
        Ok(())
    }

    /// Which of the `count` records are for training, and which for validation.
    fn hold_out(&self, count: usize) -> Result<[Vec<usize>; 2], Diagnostic> {
        // A fraction below 1 of a count that fits in memory.
        let held_out = (count as f64 * self.options.hold_out).round() as usize;
        let random = &mut generator(self.options.shuffle.unwrap_or(0), u64::MAX);
        let (Some(by), Some(first)) = (&self.options.hold_out_by, self.chunks.first()) else {
            return Ok(held_out::some_of(count, held_out, random));
        };
        if count == 0 {
            return Ok(held_out::some_of(count, held_out, random));
        }
        let bad = |message: String| option_error("bad-option", "hold-out-by", message);
        let column = first
            .schema_ref()
            .index_of(by)
            .map_err(|e| bad(e.to_string()))?;
        let groups = held_out::groups(&self.chunks, column).map_err(|e| bad(e.to_string()))?;
        let (all, smallest) = (groups.len(), groups.iter().map(Vec::len).min().unwrap_or(0));
        held_out::some_groups(groups, held_out, random).ok_or_else(|| {
            let help = "hold out a larger part, or leave out `hold-out-by`";
            bad(format!(
                "`hold-out` asks for {held_out} of {count} records; of the {all} different \
                 `{by}`, the least frequent has {smallest}"
            ))
            .help(help)
        })
    }

    /// Says that what belongs together left much less to hold out than was asked for.
    fn note_fewer(&mut self, held_out: usize, count: usize) {
        let asked = count as f64 * self.options.hold_out;
        if let Some(by) = self.options.hold_out_by.as_ref()
            && (held_out as f64) < NOTED * asked
        {
            self.notes.push(format!(
                "{held_out} of {count} records are held out, and not {asked:.0}: more of the same \
                 `{by}` would be too many"
            ));
        }
    }

    /// Adds the records without a label to those for training.
    fn add(
        &mut self,
        unlabelled: &Unlabelled,
        schema: SchemaRef,
        labelled: usize,
    ) -> Result<(), Diagnostic> {
        let schema = Unlabelled::schema(&schema);
        let first = (labelled + self.rejects.len()) as u64;
        let found = unlabelled.read(&self.chunks, &schema, first)?;
        for chunk in &mut self.chunks {
            *chunk = RecordBatch::try_new(Arc::clone(&schema), chunk.columns().to_vec())
                .map_err(|e| option_error("batch-too-large", "path", e.to_string()))?;
        }
        for batch in found.chunks {
            let chunk = self.chunks.len();
            self.train
                .extend((0..batch.num_rows()).map(|row| (chunk, row)));
            self.chunks.push(batch);
        }
        self.rejects.extend(found.rejects);
        Ok(())
    }

    fn in_epoch(&self) -> u64 {
        (self.train.len() + self.held_out.len()) as u64
    }

    fn shuffle(&mut self, epoch: u64) {
        let Some(seed) = self
            .options
            .shuffle
            .filter(|_| self.shuffled != Some(epoch))
        else {
            return;
        };
        // From the order of the file, so that an epoch's does not depend on those before.
        self.train.sort_unstable();
        self.train.shuffle(&mut generator(seed, epoch));
        self.shuffled = Some(epoch);
    }

    fn next(&mut self, rows: usize) -> Result<Option<SourceBatch>, Diagnostic> {
        self.load()?;
        let in_epoch = self.in_epoch();
        let all = in_epoch * u64::from(self.options.epochs);
        if self.given >= all {
            return self.last();
        }
        let (epoch, at) = (self.given / in_epoch, self.given % in_epoch);
        self.shuffle(epoch);
        // Smaller than a count of records in memory.
        let at = at as usize;
        let (role, places) = match at.checked_sub(self.train.len()) {
            None => (Role::Train, &self.train[at..]),
            Some(at) => (Role::Validation, &self.held_out[at..]),
        };
        let places = &places[..rows.min(places.len())];
        let chunks: Vec<&RecordBatch> = self.chunks.iter().collect();
        let batch = arrow_select::interleave::interleave_record_batch(&chunks, places)
            .map_err(|e| option_error("batch-too-large", "path", e.to_string()))?;
        let rows = places.len();
        self.given += rows as u64;
        let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
        let progress = (self.given as f64 / all as f64) as f32;
        let added: Vec<ArrayRef> = vec![
            role_column(role, rows),
            Arc::new(UInt32Array::from_value(epoch, rows)),
            Arc::new(Float32Array::from_value(progress, rows)),
        ];
        Ok(Some(SourceBatch {
            batch: with_columns(&batch, &self.schema, added)?,
            rejects: std::mem::take(&mut self.rejects),
            next_record: self.rejected + self.given,
        }))
    }

    /// Rejects of a file without a good record.
    fn last(&mut self) -> Result<Option<SourceBatch>, Diagnostic> {
        let rejects = std::mem::take(&mut self.rejects);
        Ok((!rejects.is_empty()).then(|| SourceBatch {
            batch: RecordBatch::new_empty(Arc::clone(&self.schema)),
            rejects,
            next_record: self.rejected + self.given,
        }))
    }
}

fn generator(seed: u64, epoch: u64) -> Xoshiro256PlusPlus {
    // The generator spreads its seed; epochs only have to differ.
    Xoshiro256PlusPlus::seed_from_u64(seed ^ epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

impl Source for Epochs {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn total_records(&self) -> Option<u64> {
        self.total
    }

    fn progress(&self) -> Option<f64> {
        let all = self.in_epoch() * u64::from(self.options.epochs);
        (all > 0).then(|| self.given as f64 / all as f64)
    }

    fn notes(&self) -> Vec<String> {
        let inner = self.inner.as_ref();
        inner.map_or_else(|| self.notes.clone(), |inner| inner.notes())
    }

    fn skip(&mut self, records: u64) -> Result<(), Diagnostic> {
        if records == 0 {
            return Ok(());
        }
        self.load()?;
        self.rejects.clear();
        self.given += records.saturating_sub(self.rejected);
        let all = self.in_epoch() * u64::from(self.options.epochs);
        if self.given > all {
            let message = format!(
                "the source has {all} records, fewer than the {} to skip",
                self.given
            );
            return Err(option_error("bad-resume", "path", message));
        }
        Ok(())
    }

    fn next_batch(&mut self, rows: usize) -> Result<Option<SourceBatch>, Diagnostic> {
        self.next(rows.max(1))
    }
}
