//! Records without a label, for what learns from a teacher: another file, less the texts that
//! are known already.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array, new_null_array};
use arrow_schema::{Field, Schema, SchemaRef};

use super::CHUNK;
use crate::diagnostic::Diagnostic;
use crate::io::error::option_error;
use crate::io::{ReadOptions, Reject, Source, SourceBatch};

/// Where records without a label come from.
#[derive(Debug)]
pub struct Unlabelled {
    options: ReadOptions,
    exclude: Option<PathBuf>,
}

/// What was read from it.
pub struct Found {
    /// Under the schema of [`Unlabelled::schema`].
    pub chunks: Vec<RecordBatch>,
    pub rejects: Vec<Reject>,
}

impl Unlabelled {
    /// The file that `options.epochs` names, if any, read as `options` say but for its label.
    ///
    /// # Errors
    /// Those of [`super::open`], with option `unlabelled` or `exclude`
    pub fn new(options: &ReadOptions) -> Result<Option<Self>, Diagnostic> {
        let Some(epochs) = &options.epochs else {
            return Ok(None);
        };
        let plain = |path: &Path| ReadOptions {
            path: path.to_owned(),
            label: Some(String::new()),
            role: None,
            epochs: None,
            ..options.clone()
        };
        let Some(path) = &epochs.unlabelled else {
            return Ok(None);
        };
        let found = Unlabelled {
            options: plain(path),
            exclude: epochs.exclude.clone(),
        };
        // Opened now, so that what is wrong with a file shows at the start.
        found.open()?;
        found.open_excluded()?;
        Ok(Some(found))
    }

    /// `schema`, whose truth may be missing.
    pub fn schema(schema: &Schema) -> SchemaRef {
        let fields = schema.fields().iter().map(|field| match field.name() {
            name if name == "truth" => Arc::new(Field::new(name, field.data_type().clone(), true)),
            _ => Arc::clone(field),
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn open(&self) -> Result<Box<dyn Source>, Diagnostic> {
        super::open(&self.options).map_err(|error| blame(error, "unlabelled"))
    }

    fn open_excluded(&self) -> Result<Option<Box<dyn Source>>, Diagnostic> {
        let open = |path: &PathBuf| {
            let options = ReadOptions {
                path: path.clone(),
                ..self.options.clone()
            };
            super::open(&options).map_err(|error| blame(error, "exclude"))
        };
        self.exclude.as_ref().map(open).transpose()
    }

    /// Every record whose text is neither in `known` nor in the excluded file nor earlier in
    /// the file itself. Numbers go on from `first`.
    ///
    /// # Errors
    /// Those of [`Source::next_batch`]
    pub fn read(
        &self,
        known: &[RecordBatch],
        schema: &SchemaRef,
        first: u64,
    ) -> Result<Found, Diagnostic> {
        let mut seen = HashSet::new();
        known.iter().for_each(|batch| remember(batch, &mut seen));
        let mut found = Found {
            chunks: Vec::new(),
            rejects: Vec::new(),
        };
        let mut reject = |rejects: Vec<Reject>, path: &Path| {
            let name = path.display();
            found
                .rejects
                .extend(rejects.into_iter().map(|reject| Reject {
                    record: first + reject.record,
                    reason: format!("in `{name}`: {}", reject.reason),
                    ..reject
                }));
        };
        if let (Some(mut source), Some(path)) = (self.open_excluded()?, &self.exclude) {
            while let Some(read) = next(&mut *source, "exclude")? {
                remember(&read.batch, &mut seen);
                // A text that cannot be read cannot be left out either.
                reject(read.rejects, path);
            }
        }
        let mut source = self.open()?;
        while let Some(read) = next(&mut *source, "unlabelled")? {
            reject(read.rejects, &self.options.path);
            let fresh: BooleanArray = texts(&read.batch)
                .map(|text| Some(seen.insert(text.to_owned())))
                .collect();
            let kept = arrow_select::filter::filter_record_batch(&read.batch, &fresh);
            let kept = kept.and_then(|kept| fit(&kept, schema, first));
            let kept =
                kept.map_err(|e| option_error("batch-too-large", "unlabelled", e.to_string()))?;
            found.chunks.push(kept);
        }
        Ok(found)
    }
}

fn next(source: &mut dyn Source, option: &'static str) -> Result<Option<SourceBatch>, Diagnostic> {
    source
        .next_batch(CHUNK)
        .map_err(|error| blame(error, option))
}

/// The same error, which blames the stage's `path`, for the file that `option` names.
fn blame(mut error: Diagnostic, option: &str) -> Diagnostic {
    if error.blamed_option() == Some("path") {
        error.labels.clear();
        error = error.option(option);
    }
    error
}

fn texts(batch: &RecordBatch) -> impl Iterator<Item = &str> {
    let column = batch.column_by_name("text");
    let texts = column.and_then(|column| column.as_string_opt::<i32>());
    texts.into_iter().flatten().flatten()
}

fn remember(batch: &RecordBatch, seen: &mut HashSet<String>) {
    seen.extend(texts(batch).map(str::to_owned));
}

/// `batch` under another file's `schema`: columns of the same name and type, or nulls.
fn fit(
    batch: &RecordBatch,
    schema: &SchemaRef,
    first: u64,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let rows = batch.num_rows();
    let column = |field: &Arc<Field>| -> ArrayRef {
        let found = batch
            .column_by_name(field.name())
            .filter(|column| column.data_type() == field.data_type());
        match (field.name().as_str(), found) {
            ("review", Some(numbers)) => {
                let numbers = numbers.as_primitive::<UInt64Type>().values();
                Arc::new(UInt64Array::from_iter_values(
                    numbers.iter().map(|number| first + number),
                ))
            }
            (_, Some(found)) => Arc::clone(found),
            (_, None) => new_null_array(field.data_type(), rows),
        }
    };
    let columns = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
}
