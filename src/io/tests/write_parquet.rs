//! Parquet by way of the spool.

use std::fs::File;

use arrow_array::types::UInt32Type;
use arrow_array::{Float32Array, ListArray, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::diagnostic::Diagnostic;
use crate::io::{Position, Sink, WriteOptions, create};

fn rows(count: u32) -> RecordBatch {
    let texts = (0..count).map(|at| (at % 9 != 0).then(|| format!("review {}", at % 3000)));
    let scores = (0..count).map(|at| (at % 5 != 0).then_some(at as f32 / 7.0));
    let lists = (0..count).map(|at| (at % 4 != 0).then(|| (0..at % 3).map(Some)));
    batch(vec![
        ("text", array(texts.collect::<StringArray>())),
        ("score", array(scores.collect::<Float32Array>())),
        (
            "ids",
            array(ListArray::from_iter_primitive::<UInt32Type, _, _>(lists)),
        ),
    ])
}

fn sink(file: &TempFile, at: Option<Position>) -> Result<Box<dyn Sink>, Diagnostic> {
    let path = file.path.clone();
    create(&WriteOptions { path }, rows(1).schema(), at)
}

fn write(sink: &mut dyn Sink, rows: &RecordBatch, step: usize) {
    for at in (0..rows.num_rows()).step_by(step) {
        sink.write(&rows.slice(at, step.min(rows.num_rows() - at)))
            .unwrap();
    }
}

fn written(rows: &RecordBatch, step: usize) -> TempFile {
    let file = TempFile::missing("o.parquet");
    let mut sink = sink(&file, None).unwrap();
    write(sink.as_mut(), rows, step);
    let end = sink.finish().unwrap();
    assert_eq!(sink.finish().unwrap(), end);
    assert_eq!(file.names(), ["o.parquet", "o.parquet.spool"]);
    sink.sweep();
    assert_eq!(file.names(), ["o.parquet"]);
    file
}

fn read_back(file: &TempFile) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap());
    let builder = builder.unwrap();
    let schema = builder.schema().clone();
    let batches: Result<Vec<_>, _> = builder.build().unwrap().collect();
    arrow_select::concat::concat_batches(&schema, &batches.unwrap()).unwrap()
}

#[test]
fn bytes_do_not_depend_on_batches() {
    let rows = rows(20_000);
    let file = written(&rows, 100);
    assert_eq!(read_back(&file), rows);
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap());
    let groups = builder.unwrap().metadata().row_groups().to_vec();
    let groups: Vec<_> = groups.iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [8192, 8192, 3616]);
    for step in [1, 7, 256, 20_000] {
        assert!(
            written(&rows, step).bytes() == file.bytes(),
            "batches of {step}"
        );
    }
}

#[test]
fn no_rows_make_a_file_too() {
    assert_eq!(read_back(&written(&rows(0), 1)), rows(0));
}

#[test]
fn resumes_at_a_synced_position() {
    let all = rows(1000);
    let whole = written(&all, 32).bytes();
    let file = TempFile::new("o.parquet", "an older run");
    let mut first = sink(&file, None).unwrap();
    write(first.as_mut(), &all.slice(0, 320), 32);
    first.sync().unwrap();
    let position = first.position();
    write(first.as_mut(), &all, 100);
    drop(first);
    assert_eq!(file.names(), ["o.parquet", "o.parquet.spool"]);
    assert_eq!(file.text(), "an older run");

    let mut second = sink(&file, Some(position)).unwrap();
    assert_eq!(second.position(), position);
    write(second.as_mut(), &all.slice(320, 680), 32);
    second.finish().unwrap();
    second.sweep();
    assert!(file.bytes() == whole);
    assert_eq!(file.names(), ["o.parquet"]);
}

/// It may be of an earlier run.
#[test]
fn a_complete_file_without_a_spool_cannot_be_resumed() {
    let file = written(&rows(10), 10);
    let whole = file.bytes();
    let at = Position {
        bytes: 1234,
        crc32: 5,
    };
    assert_eq!(sink(&file, Some(at)).err().unwrap().code, "bad-resume");
    assert_eq!(file.names(), ["o.parquet"]);
    assert!(file.bytes() == whole);
}

/// The process died behind `finish`, before anyone noted that it was done, or afterwards.
#[test]
fn finishing_twice_gives_the_same() {
    let file = TempFile::missing("o.parquet");
    let spool = file.dir.path().join("o.parquet.spool");
    let mut first = sink(&file, None).unwrap();
    write(first.as_mut(), &rows(50), 8);
    first.sync().unwrap();
    let position = first.position();
    first.finish().unwrap();
    let whole = file.bytes();
    drop(first);
    let unfinished = file.dir.path().join("o.parquet.tmp");
    std::fs::write(&unfinished, "a file of someone else").unwrap();
    let error = sink(&file, Some(position)).err().unwrap();
    assert_eq!(error.code, "in-the-way");
    std::fs::write(unfinished, "PAR1 and half of a file").unwrap();
    sink(&file, Some(position)).unwrap().finish().unwrap();
    assert!(file.bytes() == whole);
    assert_eq!(file.names(), ["o.parquet", "o.parquet.spool"]);
    crate::io::sweep(&file.path);
    assert_eq!(file.names(), ["o.parquet"]);
    std::fs::write(&spool, "dear diary").unwrap();
    crate::io::sweep(&file.path);
    assert_eq!(file.names(), ["o.parquet", "o.parquet.spool"]);
}

#[test]
fn bad_positions() {
    let file = TempFile::missing("o.parquet");
    let error = |at| sink(&file, Some(at)).err().unwrap();
    let at = |bytes| Position { bytes, crc32: 5 };
    assert_eq!(error(at(5)).code, "bad-resume");
    let mut first = sink(&file, None).unwrap();
    write(first.as_mut(), &rows(50), 8);
    first.sync().unwrap();
    let position = first.position();
    drop(first);
    let bytes = position.bytes;
    for bytes in [1, 8, bytes - 1, bytes, bytes + 1] {
        assert_eq!(error(at(bytes)).code, "bad-resume", "{bytes}");
    }
    let other = rows(1).project(&[0]).unwrap();
    let path = file.path.clone();
    let error = create(&WriteOptions { path }, other.schema(), Some(position))
        .err()
        .unwrap();
    assert!(
        error
            .message
            .ends_with("holds other columns than those to write"),
        "{error}"
    );
    sink(&file, Some(position)).unwrap();
}

#[test]
fn a_damaged_spool_is_an_error_and_never_a_panic() {
    let file = TempFile::missing("o.parquet");
    let spool = file.dir.path().join("o.parquet.spool");
    let finish = |damage: &dyn Fn(&mut Vec<u8>)| {
        let mut sink = sink(&file, None).unwrap();
        write(sink.as_mut(), &rows(10), 5);
        sink.sync().unwrap();
        let mut bytes = std::fs::read(&spool).unwrap();
        damage(&mut bytes);
        std::fs::write(&spool, &bytes).unwrap();
        sink.finish()
    };
    let error = finish(&|bytes| bytes.truncate(bytes.len() - 1)).unwrap_err();
    assert_eq!(error.code, "output-lost");
    assert!(!file.path.exists());
    for at in (0..1500).step_by(11) {
        finish(&|bytes| bytes[at] ^= 0x55).unwrap_err();
    }
}
