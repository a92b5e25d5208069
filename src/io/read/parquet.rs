//! Parquet, a few rows at a time.
//!
//! String columns are read as bytes, so that one that is not UTF-8 costs its
//! row and not the file.

mod footer;
mod text;

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::LogicalType;

use super::batch::{Columns, Kind};
use super::columns::Layout;
use super::notes::Notes;
use super::records::{Cell, Checks, Fault, Row, utf8};
use super::source::{Opened, Record, Records};
use super::{no_records, unreadable};
use crate::diagnostic::Diagnostic;
use crate::io::ReadOptions;
use crate::io::error::option_error;
use footer::{bad_file, check_places, decode, load, not_parquet};

/// Rows decoded at once.
const DECODED_ROWS: usize = 256;

/// Opens a file.
pub fn open(file: File, options: &ReadOptions) -> Result<Opened, Diagnostic> {
    let path = &options.path;
    if let Some(error) = not_parquet(&file, path) {
        return Err(error);
    }
    let (metadata, strings) = decode(path, || load(&file))?;
    check_places(path, &file, &metadata)?;
    let total = metadata.metadata().file_metadata().num_rows();
    let total = u64::try_from(total).map_err(|_| bad_file(path, "its row count is negative"))?;
    if total == 0 {
        return Err(no_records(path));
    }
    let schema = metadata.schema();
    let layout = layout(schema, options)?;
    let others = layout.others.iter().filter_map(|other| {
        let field = schema.field(other.at);
        Some((other.name.clone(), kind(field.data_type())?))
    });
    let columns = Columns::new(layout.label.is_some(), others.collect());
    let records = ParquetRecords {
        path: path.clone(),
        places: Places::new(&layout, &metadata, &strings),
        checks: Checks::new(options),
        file,
        metadata,
        rows: None,
        batch: None,
        at: 0,
        position: 0,
        total,
        notes: Notes::default(),
    };
    Ok(Opened {
        path: options.path.clone(),
        records: Box::new(records),
        columns,
        notes: layout.notes,
    })
}

fn layout(schema: &Schema, options: &ReadOptions) -> Result<Layout, Diagnostic> {
    let fields = schema.fields();
    let names: Vec<_> = fields.iter().map(|field| field.name().clone()).collect();
    let mut layout = Layout::new(&names, options)?;
    let unsupported = |at: usize, option| -> Result<Layout, Diagnostic> {
        let (name, is) = (&names[at], fields[at].data_type());
        let message = format!("column `{name}` is of type {is}, which cannot be its {option}");
        Err(option_error("unsupported-column", option, message))
    };
    let type_at = |at: usize| fields[at].data_type();
    if *type_at(layout.text) != DataType::Binary {
        return unsupported(layout.text, "text");
    }
    if let Some(label) = layout
        .label
        .filter(|label| !serves_as_label(type_at(*label)))
    {
        return unsupported(label, "label");
    }
    let (others, left_out): (Vec<_>, Vec<_>) = (std::mem::take(&mut layout.others).into_iter())
        .partition(|other| kind(type_at(other.at)).is_some());
    layout.others = others;
    for other in left_out {
        let (path, name, is) = (options.path.display(), &names[other.at], type_at(other.at));
        layout.notes.push(format!(
            "`{path}`: its column `{name}` is left out: its type is {is}, which has no text"
        ));
    }
    Ok(layout)
}

fn serves_as_label(data_type: &DataType) -> bool {
    kind(data_type).is_some() && !needs_text(data_type) || data_type.is_decimal()
}

/// `None` for a type that is left out. Bytes are text here, and so is what [`text::texts`]
/// makes text of.
fn kind(data_type: &DataType) -> Option<Kind> {
    match data_type {
        DataType::Boolean => Some(Kind::Bool),
        DataType::Float16 | DataType::Float32 => Some(Kind::Float32),
        DataType::Float64 => Some(Kind::Float64),
        DataType::UInt64 => Some(Kind::UInt),
        integer if integer.is_integer() => Some(Kind::Int),
        other => (!needs_text(other) || text::has_text(other)).then_some(Kind::Text),
    }
}

/// Whether values are made text of when they are decoded.
fn needs_text(data_type: &DataType) -> bool {
    use DataType::{Binary, Boolean, Null};
    !(matches!(data_type, Binary | Boolean | Null)
        || data_type.is_integer()
        || data_type.is_floating())
}

/// Which columns are read, and where each lies in a decoded batch.
struct Places {
    roots: Vec<usize>,
    text: usize,
    label: Option<usize>,
    others: Vec<usize>,
    names: Vec<String>,
    /// Which are declared strings.
    strings: Vec<bool>,
    /// Which are UUIDs.
    uuids: Vec<bool>,
}

impl Places {
    fn new(layout: &Layout, metadata: &ArrowReaderMetadata, strings: &HashSet<usize>) -> Self {
        let mut roots: Vec<usize> = layout.others.iter().map(|other| other.at).collect();
        roots.push(layout.text);
        roots.extend(layout.label);
        roots.sort_unstable();
        roots.dedup();
        // Decoded batches keep the order of the file: a column's place is the
        // number of columns read before it.
        let place = |at: usize| roots.partition_point(|root| *root < at);
        let types = metadata.parquet_schema().root_schema().get_fields();
        let is_uuid = |at: &usize| {
            let info = types[*at].get_basic_info();
            matches!(info.logical_type_ref(), Some(LogicalType::Uuid))
        };
        let schema = metadata.schema();
        Self {
            text: place(layout.text),
            label: layout.label.map(place),
            others: layout.others.iter().map(|other| place(other.at)).collect(),
            names: roots
                .iter()
                .map(|at| format!("`{}`", schema.field(*at).name()))
                .collect(),
            strings: roots.iter().map(|at| strings.contains(at)).collect(),
            uuids: roots.iter().map(is_uuid).collect(),
            roots,
        }
    }
}

/// The rows of a file.
struct ParquetRecords {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    places: Places,
    checks: Checks,
    /// Made when first needed, and again after a skip.
    rows: Option<ParquetRecordBatchReader>,
    batch: Option<RecordBatch>,
    /// Next row of `batch`.
    at: usize,
    /// Next row of the file.
    position: u64,
    total: u64,
    notes: Notes,
}

impl Records for ParquetRecords {
    fn next(&mut self) -> Result<Option<Record>, Diagnostic> {
        if self
            .batch
            .as_ref()
            .is_none_or(|batch| self.at == batch.num_rows())
        {
            self.decode_batch()?;
        }
        // Counted by reference: nothing is copied.
        let Some(batch) = self.batch.clone() else {
            return Ok(None);
        };
        let row = self.row(&batch, self.at);
        self.at += 1;
        self.position += 1;
        Ok(Some(Record { line: None, row }))
    }

    fn skip(&mut self, records: u64) -> Result<u64, Diagnostic> {
        let passed = records.min(self.total - self.position);
        self.position += passed;
        self.rows = None;
        self.batch = None;
        Ok(passed)
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }

    fn progress(&self) -> Option<f64> {
        Some(self.position as f64 / self.total as f64)
    }

    fn notes(&mut self) -> Vec<String> {
        self.notes.take()
    }
}

impl ParquetRecords {
    fn decode_batch(&mut self) -> Result<(), Diagnostic> {
        self.at = 0;
        self.batch = None;
        if self.position == self.total {
            return Ok(());
        }
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => self.reader()?,
        };
        let batch = decode(&self.path, || Ok(rows.next().transpose()?))?;
        match batch {
            Some(batch) if batch.num_rows() as u64 <= self.total - self.position => {
                self.rows = Some(rows);
                let batch = self.with_texts(&batch);
                self.batch = Some(batch.map_err(|error| bad_file(&self.path, error))?);
                Ok(())
            }
            _ => {
                let what = format!("its footer promises {} rows and it has others", self.total);
                Err(bad_file(&self.path, what))
            }
        }
    }

    /// `batch` with text in place of what no stage knows.
    fn with_texts(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = batch.columns().iter().zip(&self.places.uuids);
        let columns = columns.map(|(column, uuid)| {
            if needs_text(column.data_type()) {
                text::texts(column, *uuid)
            } else {
                Ok(Arc::clone(column))
            }
        });
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        let names = self.places.names.iter().zip(columns);
        RecordBatch::try_from_iter_with_nullable(names.map(|(name, column)| (name, column, true)))
    }

    /// A reader of the rows from `position` on.
    fn reader(&self) -> Result<ParquetRecordBatchReader, Diagnostic> {
        let file = self.file.try_clone();
        let file = file.map_err(|error| unreadable(&self.path, &error))?;
        let offset = usize::try_from(self.position)
            .map_err(|_| bad_file(&self.path, "it has more rows than fit in memory"))?;
        let roots = self.places.roots.iter().copied();
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        decode(&self.path, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_projection(mask)
                .with_batch_size(DECODED_ROWS)
                .with_offset(offset)
                .build()
        })
    }

    fn row(&mut self, batch: &RecordBatch, at: usize) -> Result<Row, Fault> {
        let name = |place: usize| self.places.names[place].as_str();
        let text = cell(batch.column(self.places.text), at, name(self.places.text))?;
        let label = self.places.label;
        let label = label
            .map(|place| cell(batch.column(place), at, name(place)))
            .transpose()?;
        let text = self.checks.text(text.text())?;
        let truth = label.map(|label| self.checks.truth(&label)).transpose()?;
        let mut others = Vec::with_capacity(self.places.others.len());
        for other in 0..self.places.others.len() {
            let place = self.places.others[other];
            let column = batch.column(place);
            others.push(match cell(column, at, &self.places.names[place]) {
                Ok(cell) => cell,
                Err(_) => self.not_utf8(column.as_binary::<i32>().value(at), place),
            });
        }
        Ok(Row {
            text,
            truth: truth.flatten(),
            others,
        })
    }

    /// The text of bytes that have none.
    fn not_utf8(&mut self, bytes: &[u8], place: usize) -> Cell {
        let (name, row) = (&self.places.names[place], self.position);
        if self.places.strings[place] {
            self.notes.once(("not-utf8", place), || {
                format!("row {row}: {name} is not UTF-8; here and below, what is not is replaced by U+FFFD")
            });
            return Cell::Text(String::from_utf8_lossy(bytes).into_owned());
        }
        self.notes.once(("bytes", place), || {
            format!("row {row}: {name} has bytes that are not text; here and below, they are hexadecimal: `\\x00ff`")
        });
        Cell::Text(text::hexadecimal(bytes))
    }
}

/// The value in row `at` of `column`, named `name` in what is said of it.
fn cell(column: &dyn Array, at: usize, name: &str) -> Result<Cell, Fault> {
    if column.is_null(at) {
        return Ok(Cell::Null);
    }
    Ok(match column.data_type() {
        DataType::Boolean => Cell::Bool(column.as_boolean().value(at)),
        DataType::Int8 => Cell::Int(column.as_primitive::<Int8Type>().value(at).into()),
        DataType::Int16 => Cell::Int(column.as_primitive::<Int16Type>().value(at).into()),
        DataType::Int32 => Cell::Int(column.as_primitive::<Int32Type>().value(at).into()),
        DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(at)),
        DataType::UInt8 => Cell::Int(column.as_primitive::<UInt8Type>().value(at).into()),
        DataType::UInt16 => Cell::Int(column.as_primitive::<UInt16Type>().value(at).into()),
        DataType::UInt32 => Cell::Int(column.as_primitive::<UInt32Type>().value(at).into()),
        DataType::UInt64 => Cell::UInt(column.as_primitive::<UInt64Type>().value(at)),
        DataType::Float16 => Cell::Float(column.as_primitive::<Float16Type>().value(at).into()),
        DataType::Float32 => Cell::Float(column.as_primitive::<Float32Type>().value(at).into()),
        DataType::Float64 => Cell::Float(column.as_primitive::<Float64Type>().value(at)),
        DataType::Binary => Cell::Text(utf8(name, column.as_binary::<i32>().value(at))?.into()),
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(at).into()),
        // Columns of nothing but nulls.
        _ => Cell::Null,
    })
}
