//! What a Parquet file says of itself, and whether that can be.

use std::collections::HashSet;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type};

use crate::diagnostic::Diagnostic;
use crate::io::error::file_error;

/// What a file is that does not begin as Parquet does, where that can be told.
pub fn not_parquet(mut file: &File, path: &Path) -> Option<Diagnostic> {
    use std::io::{Read, Seek};
    let mut start = Vec::new();
    let read = file.take(1024).read_to_end(&mut start);
    file.rewind().ok()?;
    read.ok()?;
    if start.starts_with(b"PAR1") {
        return None;
    }
    let packed = crate::io::read::sniff::packed(&start)
        .map(|_| ("packed with gzip or zstd", "unpack it".to_owned()));
    let encrypted = start
        .starts_with(b"PARE")
        .then(|| ("encrypted", "decrypt it first".to_owned()));
    let text =
        crate::io::read::sniff::not_text(&start).filter(|(what, _)| !what.starts_with("binary"));
    let (what, help) = packed.or(encrypted).or(text)?;
    let what = format_args!("is not Parquet but {what}");
    Some(file_error("bad-file", path, what).help(help))
}

/// Reads the footer, then reads it again with strings declared as bytes; gives which columns
/// were declared strings. The Arrow schema that the writer may have left beside the Parquet one
/// is skipped: it would bring back dictionaries and other shapes of a string.
pub fn load(file: &File) -> Result<(ArrowReaderMetadata, HashSet<usize>), ParquetError> {
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
    let fields = found.schema().fields().iter().enumerate();
    let strings = fields.filter(|(_, field)| *field.data_type() == DataType::Utf8);
    let strings = strings.map(|(at, _)| at).collect();
    Ok((
        ArrowReaderMetadata::load(file, options.with_parquet_schema(schema))?,
        strings,
    ))
}

fn as_bytes(field: &Type) -> Result<Type, ParquetError> {
    let info = field.get_basic_info();
    Type::primitive_type_builder(field.name(), field.get_physical_type())
        .with_repetition(info.repetition())
        .with_id(info.has_id().then(|| info.id()))
        .build()
}

/// Runs the decoder, which may panic on a corrupt file.
pub fn decode<T>(
    path: &Path,
    run: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, Diagnostic> {
    // What a panic leaves half done is dropped with the error.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(error)) => Err(bad_file(path, error)),
        Err(_) => Err(bad_file(path, "the decoder gave up on it")),
    }
}

/// That every column of every row group lies in the file, as its footer says: the decoder
/// takes that for granted.
pub fn check_places(
    path: &Path,
    file: &File,
    metadata: &ArrowReaderMetadata,
) -> Result<(), Diagnostic> {
    let length = file.metadata().map_or(0, |found| found.len());
    for group in metadata.metadata().row_groups() {
        for column in group.columns() {
            let start = column.dictionary_page_offset();
            let start = start.unwrap_or(column.data_page_offset());
            let end = u64::try_from(start)
                .ok()
                .zip(u64::try_from(column.compressed_size()).ok());
            let end = end.and_then(|(start, bytes)| start.checked_add(bytes));
            if column.data_page_offset() < 0 || end.is_none_or(|end| end > length) {
                let name = column.column_path().string();
                let what = format!("the column `{name}` lies outside of it");
                return Err(bad_file(path, what));
            }
        }
    }
    Ok(())
}

/// A file that is not what it should be.
pub fn bad_file(path: &Path, why: impl std::fmt::Display) -> Diagnostic {
    file_error(
        "bad-file",
        path,
        format_args!("is not a whole Parquet file: {why}"),
    )
}
