//! Real files in temporary directories.

mod read_csv;
mod read_errors;
mod read_json;
mod read_kinds;
mod read_parquet;
mod read_types;
mod write_parquet;
mod write_text;

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch};
use tempfile::TempDir;

use super::{ReadOptions, Reject, Source, SourceBatch, open};
use crate::diagnostic::Diagnostic;

/// A file in a directory of its own, which goes when this does.
struct TempFile {
    dir: TempDir,
    path: PathBuf,
}

impl TempFile {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let file = Self::missing(name);
        std::fs::write(&file.path, content).unwrap();
        file
    }

    fn missing(name: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(name);
        Self { dir, path }
    }

    fn options(&self) -> ReadOptions {
        ReadOptions::new(&self.path)
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn open_error(options: &ReadOptions) -> Diagnostic {
    open(options).err().expect("it opened")
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

fn array(array: impl arrow_array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// All batches of `rows` rows.
fn batches(source: &mut dyn Source, rows: usize) -> Vec<SourceBatch> {
    std::iter::from_fn(|| source.next_batch(rows).unwrap()).collect()
}

/// A file's good records and its rejects, however they are batched.
fn read(options: &ReadOptions) -> (RecordBatch, Vec<Reject>) {
    let mut source = open(options).unwrap();
    let schema = source.schema();
    let all = batches(source.as_mut(), 3);
    let rows = all.iter().map(|read| &read.batch);
    let rows = arrow_select::concat::concat_batches(&schema, rows).unwrap();
    (
        rows,
        all.into_iter().flat_map(|read| read.rejects).collect(),
    )
}

fn reviews(batch: &RecordBatch) -> Vec<u64> {
    batch
        .column(0)
        .as_primitive::<UInt64Type>()
        .values()
        .to_vec()
}

fn strings<'a>(batch: &'a RecordBatch, name: &str) -> Vec<Option<&'a str>> {
    let column = batch.column_by_name(name).expect(name);
    column.as_string::<i32>().iter().collect()
}

fn columns(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    schema
        .fields()
        .iter()
        .map(|field| format!("{}: {}", field.name(), field.data_type()))
        .collect()
}

/// `record line code: reason`
fn shown(rejects: &[Reject]) -> Vec<String> {
    let line = |line: Option<u64>| line.map_or("-".into(), |line| line.to_string());
    rejects
        .iter()
        .map(|r| format!("{} {} {}: {}", r.record, line(r.line), r.code, r.reason))
        .collect()
}

/// However a source is cut into batches, and wherever it is resumed, the same
/// records come.
fn check_positions(options: &ReadOptions) {
    let whole = read(options);
    for rows in [1, 2, 5, 1000] {
        let all = batches(open(options).unwrap().as_mut(), rows);
        for (at, read) in all.iter().enumerate() {
            let last = all
                .iter()
                .skip(at + 1)
                .all(|read| read.batch.num_rows() == 0);
            assert!(
                read.batch.num_rows() == rows || last,
                "{rows} rows, batch {at}"
            );
            let mut resumed = open(options).unwrap();
            resumed.skip(read.next_record).unwrap();
            assert_eq!(
                batches(resumed.as_mut(), rows),
                all[at + 1..],
                "{rows} rows, batch {at}"
            );
        }
        let rejects: Vec<_> = all.iter().flat_map(|read| read.rejects.clone()).collect();
        let numbers: Vec<_> = all.iter().flat_map(|read| reviews(&read.batch)).collect();
        assert_eq!((numbers, rejects), (reviews(&whole.0), whole.1.clone()));
        assert_eq!(
            all.last().unwrap().next_record,
            (whole.0.num_rows() + whole.1.len()) as u64
        );
    }
}
