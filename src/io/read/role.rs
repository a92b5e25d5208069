//! What a record is for, as the column `role`.

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::diagnostic::Diagnostic;
use crate::io::error::option_error;
use crate::io::{Source, SourceBatch};

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To learn from.
    Train,
    /// To choose by, such as when to stop.
    Validation,
    /// To measure with, once, at the end.
    Test,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Train, Role::Validation, Role::Test];

    /// As the column has it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Train => "train",
            Role::Validation => "validation",
            Role::Test => "test",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `schema` and `more` columns, which replace those of the same name.
pub fn with_fields(schema: &Schema, more: &[(&str, DataType)]) -> SchemaRef {
    let kept = (schema.fields().iter())
        .filter(|field| more.iter().all(|(name, _)| name != field.name()))
        .cloned();
    let added = (more.iter()).map(|(name, kind)| Arc::new(Field::new(*name, kind.clone(), true)));
    Arc::new(Schema::new(kept.chain(added).collect::<Vec<_>>()))
}

/// `batch` under `schema`, which [`with_fields`] made of its own: `added` at the end.
pub fn with_columns(
    batch: &RecordBatch,
    schema: &SchemaRef,
    added: Vec<ArrayRef>,
) -> Result<RecordBatch, Diagnostic> {
    let kept = schema.fields().len() - added.len();
    let columns = (schema.fields().iter().take(kept))
        .filter_map(|field| batch.column_by_name(field.name()).cloned())
        .chain(added)
        .collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|e| option_error("batch-too-large", "path", e.to_string()))
}

/// As many times `role` as `rows`.
pub fn role_column(role: Role, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
        role.name(),
        rows,
    )))
}

/// A source whose records are all for the same. Those for validation have the columns that a
/// file read in epochs has, so that both can be merged; they are of no epoch, but of all.
pub struct OneRole {
    inner: Box<dyn Source>,
    role: Role,
    schema: SchemaRef,
}

impl OneRole {
    pub fn new(inner: Box<dyn Source>, role: Role) -> Self {
        let more = [
            ("role", DataType::Utf8),
            ("epoch", DataType::UInt32),
            ("progress", DataType::Float32),
        ];
        let more = match role {
            Role::Validation => &more[..],
            Role::Train | Role::Test => &more[..1],
        };
        let schema = with_fields(&inner.schema(), more);
        OneRole {
            inner,
            role,
            schema,
        }
    }
}

impl Source for OneRole {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn total_records(&self) -> Option<u64> {
        self.inner.total_records()
    }

    fn progress(&self) -> Option<f64> {
        self.inner.progress()
    }

    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }

    fn skip(&mut self, records: u64) -> Result<(), Diagnostic> {
        self.inner.skip(records)
    }

    fn next_batch(&mut self, rows: usize) -> Result<Option<SourceBatch>, Diagnostic> {
        let Some(read) = self.inner.next_batch(rows)? else {
            return Ok(None);
        };
        let rows = read.batch.num_rows();
        let mut added = vec![role_column(self.role, rows)];
        if self.role == Role::Validation {
            added.push(new_null_array(&DataType::UInt32, rows));
            added.push(new_null_array(&DataType::Float32, rows));
        }
        let batch = with_columns(&read.batch, &self.schema, added)?;
        Ok(Some(SourceBatch { batch, ..read }))
    }
}
