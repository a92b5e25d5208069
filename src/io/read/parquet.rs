//! Parquet, a few rows at a time.
//!
//! String columns are read as bytes, so that one that is not UTF-8 costs its
//! row and not the file.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type};

use super::batch::{Columns, Kind};
use super::columns::Layout;
use super::records::{Cell, Checks, Fault, Row, utf8};
use super::source::{Record, RecordSource, Records};
use super::{no_records, unreadable};
use crate::io::{IoError, ReadOptions, Source};

/// Rows decoded at once.
const DECODED_ROWS: usize = 256;

/// Opens a file.
pub fn open(file: File, options: &ReadOptions) -> Result<Box<dyn Source>, IoError> {
    let path = &options.path;
    let metadata = decode(path, || load(&file))?;
    let total = metadata.metadata().file_metadata().num_rows();
    let total = u64::try_from(total).map_err(|_| bad_file(path, "its row count is negative"))?;
    if total == 0 {
        return Err(no_records(path));
    }
    let schema = metadata.schema();
    let layout = layout(schema, options)?;
    let others = layout.others.iter().filter_map(|at| {
        let field = schema.field(*at);
        Some((field.name().clone(), kind(field.data_type())?))
    });
    let columns = Columns::new(layout.label.is_some(), others.collect());
    let records = ParquetRecords {
        path: path.clone(),
        places: Places::new(&layout, schema),
        checks: Checks::new(options),
        file,
        metadata,
        rows: None,
        batch: None,
        at: 0,
        position: 0,
        total,
    };
    Ok(Box::new(RecordSource::new(records, columns)))
}

/// Reads the footer, then reads it again with strings declared as bytes. The
/// Arrow schema that the writer may have left beside the Parquet one is
/// skipped: it would bring back dictionaries and other shapes of a string.
fn load(file: &File) -> Result<ArrowReaderMetadata, ParquetError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let found = ArrowReaderMetadata::load(file, options.clone())?;
    let root = found.parquet_schema().root_schema();
    let fields = root.get_fields().iter().zip(found.schema().fields());
    let fields = fields.map(|(field, arrow)| match arrow.data_type() {
        DataType::Utf8 => as_bytes(field).map(Arc::new),
        _ => Ok(field.clone()),
    });
    let root = Type::group_type_builder(root.name())
        .with_fields(fields.collect::<Result<_, _>>()?)
        .build()?;
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
    ArrowReaderMetadata::load(file, options.with_parquet_schema(schema))
}

fn as_bytes(field: &Type) -> Result<Type, ParquetError> {
    let info = field.get_basic_info();
    Type::primitive_type_builder(field.name(), field.get_physical_type())
        .with_repetition(info.repetition())
        .with_id(info.has_id().then(|| info.id()))
        .build()
}

fn layout(schema: &Schema, options: &ReadOptions) -> Result<Layout, IoError> {
    let fields = schema.fields();
    let names: Vec<_> = fields.iter().map(|field| field.name().clone()).collect();
    let mut layout = Layout::new(&names, options)?;
    let unsupported = |at: usize, option| {
        let (name, is) = (&names[at], fields[at].data_type());
        let message = format!("column `{name}` is of type {is}, which cannot be its {option}");
        Err(IoError::new("unsupported-column", option, message))
    };
    let kind_at = |at: usize| kind(fields[at].data_type());
    if kind_at(layout.text) != Some(Kind::Text) {
        return unsupported(layout.text, "text");
    }
    if let Some(label) = layout.label.filter(|label| kind_at(*label).is_none()) {
        return unsupported(label, "label");
    }
    layout.others.retain(|at| kind_at(*at).is_some());
    Ok(layout)
}

/// `None` for a type that is left out. Bytes are text here.
fn kind(data_type: &DataType) -> Option<Kind> {
    match data_type {
        DataType::Boolean => Some(Kind::Bool),
        DataType::Float16 | DataType::Float32 => Some(Kind::Float32),
        DataType::Float64 => Some(Kind::Float64),
        DataType::Binary => Some(Kind::Text),
        integer if integer.is_integer() => Some(Kind::Int),
        _ => None,
    }
}

/// Which columns are read, and where each lies in a decoded batch.
struct Places {
    roots: Vec<usize>,
    text: usize,
    label: Option<usize>,
    others: Vec<usize>,
    names: Vec<String>,
}

impl Places {
    fn new(layout: &Layout, schema: &Schema) -> Self {
        let mut roots = layout.others.clone();
        roots.push(layout.text);
        roots.extend(layout.label);
        roots.sort_unstable();
        roots.dedup();
        // Decoded batches keep the order of the file: a column's place is the
        // number of columns read before it.
        let place = |at: usize| roots.partition_point(|root| *root < at);
        Self {
            text: place(layout.text),
            label: layout.label.map(place),
            others: layout.others.iter().map(|at| place(*at)).collect(),
            names: roots
                .iter()
                .map(|at| format!("`{}`", schema.field(*at).name()))
                .collect(),
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
}

impl Records for ParquetRecords {
    fn next(&mut self) -> Result<Option<Record>, IoError> {
        if self
            .batch
            .as_ref()
            .is_none_or(|batch| self.at == batch.num_rows())
        {
            self.decode_batch()?;
        }
        let Some(batch) = &self.batch else {
            return Ok(None);
        };
        let row = self.row(batch, self.at);
        self.at += 1;
        self.position += 1;
        Ok(Some(Record { line: None, row }))
    }

    fn skip(&mut self, records: u64) -> Result<u64, IoError> {
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
}

impl ParquetRecords {
    fn decode_batch(&mut self) -> Result<(), IoError> {
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
                self.batch = Some(batch);
                Ok(())
            }
            _ => {
                let what = format!("its footer promises {} rows and it has others", self.total);
                Err(bad_file(&self.path, what))
            }
        }
    }

    /// A reader of the rows from `position` on.
    fn reader(&self) -> Result<ParquetRecordBatchReader, IoError> {
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

    fn row(&self, batch: &RecordBatch, at: usize) -> Result<Row, Fault> {
        let cell = |place: usize| cell(batch.column(place), at, &self.places.names[place]);
        let text = cell(self.places.text)?;
        let label = self.places.label.map(cell).transpose()?;
        let others = self.places.others.iter().map(|place| cell(*place));
        let others = others.collect::<Result<_, _>>()?;
        Ok(Row {
            text: self.checks.text(text.text())?,
            truth: label.map(|label| self.checks.truth(&label)).transpose()?,
            others,
        })
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
        DataType::UInt64 => signed(column.as_primitive::<UInt64Type>().value(at), name)?,
        DataType::Float16 => Cell::Float(column.as_primitive::<Float16Type>().value(at).into()),
        DataType::Float32 => Cell::Float(column.as_primitive::<Float32Type>().value(at).into()),
        DataType::Float64 => Cell::Float(column.as_primitive::<Float64Type>().value(at)),
        DataType::Binary => Cell::Text(utf8(name, column.as_binary::<i32>().value(at))?.into()),
        // Columns of other types are not read.
        _ => Cell::Null,
    })
}

fn signed(value: u64, name: &str) -> Result<Cell, Fault> {
    i64::try_from(value).map(Cell::Int).map_err(|_| {
        let reason = format!("{name} is {value}, and the limit is {}", i64::MAX);
        Fault::new("bad-value", reason)
    })
}

/// Runs the decoder, which may panic on a corrupt file.
fn decode<T>(path: &Path, run: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, IoError> {
    // What a panic leaves half done is dropped with the error.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(error)) => Err(bad_file(path, error)),
        Err(_) => Err(bad_file(path, "the decoder gave up on it")),
    }
}

fn bad_file(path: &Path, why: impl std::fmt::Display) -> IoError {
    IoError::file(
        "bad-file",
        path,
        format_args!("is not a whole Parquet file: {why}"),
    )
}
