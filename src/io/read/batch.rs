//! Rows to columns.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, Int64Builder, StringBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::records::{Cell, Row};
use crate::diagnostic::Diagnostic;
use crate::io::error::option_error;
use crate::io::number_field;

/// Type of a column that passes through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bool,
    Int,
    UInt,
    Float32,
    Float64,
    Text,
    /// Numbers as the file writes them, see [`number_field`].
    Number,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Kind::Bool => DataType::Boolean,
            Kind::Int => DataType::Int64,
            Kind::Float32 => DataType::Float32,
            Kind::Float64 => DataType::Float64,
            Kind::UInt => DataType::UInt64,
            Kind::Text | Kind::Number => DataType::Utf8,
        }
    }

    /// The type of a column that is of this type in one file and of `other` in another.
    pub fn with(self, other: Kind) -> Kind {
        match (self, other) {
            (one, other) if one == other => one,
            (Kind::Float32, Kind::Float64) | (Kind::Float64, Kind::Float32) => Kind::Float64,
            (Kind::Int | Kind::UInt | Kind::Number, Kind::Int | Kind::UInt | Kind::Number) => {
                Kind::Number
            }
            _ => Kind::Text,
        }
    }

    fn field(self, name: &str) -> Field {
        match self {
            Kind::Number => number_field(name),
            _ => Field::new(name, self.data_type(), true),
        }
    }
}

/// The columns of a source's batches.
pub struct Columns {
    schema: SchemaRef,
    truth: bool,
    others: Vec<(String, Kind)>,
}

impl Columns {
    /// `review`, `text`, `truth` if there is one, then `others`.
    pub fn new(truth: bool, others: Vec<(String, Kind)>) -> Self {
        let mut fields = vec![
            Field::new("review", DataType::UInt64, false),
            Field::new("text", DataType::Utf8, false),
        ];
        if truth {
            fields.push(Field::new("truth", DataType::Utf8, true));
        }
        fields.extend(others.iter().map(|(name, kind)| kind.field(name)));
        Self {
            schema: Arc::new(Schema::new(fields)),
            truth,
            others,
        }
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    pub fn truth(&self) -> bool {
        self.truth
    }

    /// The columns that pass through.
    pub fn others(&self) -> &[(String, Kind)] {
        &self.others
    }
}

/// A batch in the making.
pub struct BatchBuilder {
    schema: SchemaRef,
    review: UInt64Builder,
    text: StringBuilder,
    truth: Option<StringBuilder>,
    others: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl BatchBuilder {
    pub fn new(columns: &Columns) -> Self {
        Self {
            schema: columns.schema(),
            review: UInt64Builder::new(),
            text: StringBuilder::new(),
            truth: columns.truth.then(StringBuilder::new),
            others: columns
                .others
                .iter()
                .map(|(_, kind)| Column::new(*kind))
                .collect(),
            rows: 0,
            bytes: 0,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends record number `review`.
    ///
    /// # Errors
    /// `batch-too-large`: the builders panic when a column passes 2 GiB.
    pub fn push(&mut self, review: u64, row: Row) -> Result<(), Diagnostic> {
        self.bytes += row.bytes();
        if self.bytes > i32::MAX as usize {
            return Err(too_large(self.rows));
        }
        self.review.append_value(review);
        self.text.append_value(row.text);
        if let Some(truth) = &mut self.truth {
            truth.append_option(row.truth);
        }
        for (column, cell) in self.others.iter_mut().zip(row.others) {
            column.push(cell);
        }
        self.rows += 1;
        Ok(())
    }

    pub fn finish(mut self) -> Result<RecordBatch, Diagnostic> {
        let mut arrays: Vec<ArrayRef> =
            vec![Arc::new(self.review.finish()), Arc::new(self.text.finish())];
        if let Some(truth) = &mut self.truth {
            arrays.push(Arc::new(truth.finish()));
        }
        arrays.extend(self.others.iter_mut().map(Column::finish));
        RecordBatch::try_new(self.schema, arrays)
            .map_err(|error| option_error("bad-file", "path", error.to_string()))
    }
}

fn too_large(rows: usize) -> Diagnostic {
    let message = format!("the strings of one batch pass 2 GiB after {rows} records");
    option_error("batch-too-large", "path", message).help("take fewer records to a batch")
}

enum Column {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    UInt(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
}

impl Column {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Column::Bool(BooleanBuilder::new()),
            Kind::Int => Column::Int(Int64Builder::new()),
            Kind::Float32 => Column::Float32(Float32Builder::new()),
            Kind::Float64 => Column::Float64(Float64Builder::new()),
            Kind::UInt => Column::UInt(UInt64Builder::new()),
            Kind::Text | Kind::Number => Column::Text(StringBuilder::new()),
        }
    }

    /// A format gives cells of the kinds that it declared; any other is null.
    fn push(&mut self, cell: Cell) {
        match self {
            Column::Bool(column) => column.append_option(cell.bool()),
            Column::Int(column) => column.append_option(cell.int()),
            Column::UInt(column) => column.append_option(cell.uint()),
            // Written so by the format from an f32: nothing is lost.
            Column::Float32(column) => column.append_option(cell.float().map(|v| v as f32)),
            Column::Float64(column) => column.append_option(cell.float()),
            Column::Text(column) => column.append_option(cell.text()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Bool(column) => Arc::new(column.finish()),
            Column::Int(column) => Arc::new(column.finish()),
            Column::UInt(column) => Arc::new(column.finish()),
            Column::Float32(column) => Arc::new(column.finish()),
            Column::Float64(column) => Arc::new(column.finish()),
            Column::Text(column) => Arc::new(column.finish()),
        }
    }
}
