//! CSV and JSON Lines.

use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{
    Array, BooleanArray, Date32Array, FixedSizeListArray, Float32Array, Float64Array, Int64Array,
    ListArray, StringArray, UInt8Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema};

use super::*;
use crate::diagnostic::Diagnostic;
use crate::io::{Position, Sink, WriteOptions, check_write_path, create, verify};

fn create_at(
    file: &TempFile,
    rows: &RecordBatch,
    at: Option<Position>,
) -> Result<Box<dyn Sink>, Diagnostic> {
    let path = file.path.clone();
    create(&WriteOptions { path }, rows.schema(), at)
}

fn write(file: &TempFile, rows: &RecordBatch) {
    let mut sink = create_at(file, rows, None).unwrap();
    sink.write(rows).unwrap();
    sink.finish().unwrap();
}

fn scalars() -> RecordBatch {
    batch(vec![
        (
            "text",
            array(StringArray::from(vec![
                Some("a, \"b\"\r\nc"),
                Some(""),
                None,
            ])),
        ),
        (
            "b",
            array(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            "i",
            array(Int64Array::from(vec![Some(i64::MIN), Some(0), None])),
        ),
        ("u", array(UInt8Array::from(vec![1, 2, 3]))),
        ("f", array(Float32Array::from(vec![0.98, f32::NAN, 1e-40]))),
        (
            "d",
            array(Float64Array::from(vec![0.1 + 0.2, 1e300, f64::INFINITY])),
        ),
    ])
}

#[test]
fn csv() {
    let file = TempFile::missing("o.csv");
    write(&file, &scalars());
    assert_eq!(
        file.text(),
        concat!(
            "text,b,i,u,f,d\n",
            "\"a, \"\"b\"\"\r\nc\",true,-9223372036854775808,1,0.98,0.30000000000000004\n",
            ",,0,2,,1e+300\n",
            ",false,,3,1e-40,\n",
        )
    );
    let file = TempFile::missing("o.tsv");
    write(&file, &scalars().project(&[3, 0]).unwrap());
    assert_eq!(file.text(), "u\ttext\n1\t\"a, \"\"b\"\"\r\nc\"\n2\t\n3\t\n");
}

#[test]
fn csv_with_one_column_has_no_blank_lines() {
    let file = TempFile::missing("o.csv");
    write(&file, &scalars().project(&[0]).unwrap());
    assert_eq!(file.text(), "text\n\"a, \"\"b\"\"\r\nc\"\n\"\"\n\"\"\n");
}

#[test]
fn json_lines() {
    let file = TempFile::missing("o.jsonl");
    write(&file, &scalars());
    assert_eq!(
        file.text(),
        concat!(
            r#"{"text":"a, \"b\"\r\nc","b":true,"i":-9223372036854775808,"u":1,"f":0.98,"d":0.30000000000000004}"#,
            "\n",
            r#"{"text":"","b":null,"i":0,"u":2,"f":null,"d":1e+300}"#,
            "\n",
            r#"{"text":null,"b":false,"i":null,"u":3,"f":1e-40,"d":null}"#,
            "\n",
        )
    );
}

#[test]
fn floats_read_back_the_same() {
    let mut bits = 1_u32;
    let values = std::iter::from_fn(|| {
        bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(f32::from_bits(bits))
    });
    let values: Vec<_> = values
        .filter(|value| value.is_finite())
        .take(5000)
        .collect();
    let file = TempFile::missing("o.csv");
    write(
        &file,
        &batch(vec![("f", array(Float32Array::from(values.clone())))]),
    );
    let text = file.text();
    let read: Vec<f32> = text
        .lines()
        .skip(1)
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(read, values);
}

/// Two rows: a list of integers, vectors of two, and a list of such vectors.
fn lists() -> RecordBatch {
    let ids = [Some(vec![Some(101), None]), Some(vec![])];
    let ids = ListArray::from_iter_primitive::<UInt32Type, _, _>(ids);
    let pairs = |pairs: Vec<Option<Vec<Option<f32>>>>| {
        FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(pairs, 2)
    };
    let pair = |a, b| Some(vec![Some(a), Some(b)]);
    let hidden = pairs(vec![pair(0.98, 1.0), pair(f32::NAN, -2.5), pair(3.0, 4.0)]);
    let field = Arc::new(Field::new("item", hidden.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([1, 2]);
    let hidden = ListArray::new(field, offsets, array(hidden), None);
    batch(vec![
        ("ids", array(ids)),
        ("vector", array(pairs(vec![pair(0.5, 0.25), None]))),
        ("hidden", array(hidden)),
    ])
}

#[test]
fn lists_in_json_lines() {
    let file = TempFile::missing("o.ndjson");
    write(&file, &lists());
    assert_eq!(
        file.text(),
        concat!(
            r#"{"ids":[101,null],"vector":[0.5,0.25],"hidden":[[0.98,1.0]]}"#,
            "\n",
            r#"{"ids":[],"vector":null,"hidden":[[null,-2.5],[3.0,4.0]]}"#,
            "\n",
        )
    );
}

#[test]
fn unsupported_columns() {
    let error = create_at(&TempFile::missing("o.csv"), &lists(), None)
        .err()
        .unwrap();
    assert_eq!(
        (error.code.as_str(), error.blamed_option()),
        ("unsupported-column", Some("path"))
    );
    assert!(
        error.message.contains("cannot hold column `ids`"),
        "{error}"
    );
    assert_eq!(error.help.as_deref(), Some("write `.jsonl` to keep lists"));
    let days = batch(vec![("day", array(Date32Array::from(vec![1])))]);
    for name in ["o.csv", "o.jsonl", "o.parquet"] {
        let file = TempFile::missing(name);
        let error = create_at(&file, &days, None).err().unwrap();
        assert_eq!(
            (error.code.as_str(), error.help),
            ("unsupported-column", None)
        );
        assert_eq!(file.names(), [""; 0]);
    }
}

#[test]
fn resumes_at_a_synced_position() {
    for name in ["o.csv", "o.jsonl"] {
        let file = TempFile::new(name, "an older run, longer than the new one".repeat(99));
        write(&file, &scalars());
        let whole = file.bytes();

        let mut sink = create_at(&file, &scalars(), None).unwrap();
        sink.write(&scalars().slice(0, 2)).unwrap();
        sink.sync().unwrap();
        let position = sink.position();
        assert_eq!(position.bytes, file.bytes().len() as u64);
        sink.write(&scalars()).unwrap();
        drop(sink);
        assert!(file.bytes().len() as u64 > position.bytes);

        let mut sink = create_at(&file, &scalars(), Some(position)).unwrap();
        assert_eq!(sink.position(), position);
        sink.write(&scalars().slice(2, 1)).unwrap();
        let error = create_at(&file, &scalars(), None).err().unwrap();
        assert_eq!(error.code, "in-use");
        let end = sink.finish().unwrap();
        drop(sink);
        assert_eq!(file.bytes(), whole, "{name}");
        verify(&file.path, end).unwrap();
        std::fs::write(&file.path, [&whole[1..], b"x"].concat()).unwrap();
        let error = verify(&file.path, end).unwrap_err();
        assert!(error.message.ends_with("was changed since it was written"));

        let mut sink = create_at(&file, &scalars(), Some(Position::default())).unwrap();
        sink.write(&scalars()).unwrap();
        sink.finish().unwrap();
        assert_eq!(file.bytes(), whole, "{name}");
    }
}

#[test]
fn bad_positions() {
    let file = TempFile::missing("o.csv");
    let at = |bytes, crc32| Position { bytes, crc32 };
    let error = |bytes| {
        let sink = create_at(&file, &scalars(), Some(at(bytes, 7)));
        sink.err().unwrap()
    };
    assert_eq!(error(5).code, "bad-resume");
    assert_eq!(file.names(), [""; 0]);
    write(&file, &scalars());
    let whole = file.bytes();
    let length = whole.len() as u64;
    assert!(
        error(length + 1)
            .message
            .ends_with("fewer than the 114 to resume at"),
        "{length}"
    );
    assert_eq!(error(length - 1).code, "bad-resume");
    assert_eq!(error(3).code, "bad-resume");
    assert!(error(length).message.contains("was changed since"));
    let other = scalars().project(&[0, 1]).unwrap();
    let end = at(length, crc32fast::hash(&whole));
    let error = create_at(&file, &other, Some(end)).err().unwrap();
    assert!(error.message.contains("columns to write"), "{error}");
    assert_eq!(file.bytes(), whole);
}

#[test]
fn other_columns_are_refused() {
    let file = TempFile::missing("o.jsonl");
    let mut sink = create_at(&file, &scalars(), None).unwrap();
    let error = sink.write(&lists()).unwrap_err();
    assert_eq!(error.code, "schema-mismatch");
    drop(sink);
    let strict = Schema::new(vec![Field::new("text", DataType::Utf8, false)]);
    let path = file.path.clone();
    let mut sink = create(&WriteOptions { path }, Arc::new(strict), None).unwrap();
    let error = sink.write(&scalars().project(&[0]).unwrap()).unwrap_err();
    assert_eq!(error.code, "schema-mismatch");
    assert!(
        error.message.ends_with("was given nulls in column `text`"),
        "{error}"
    );
}

#[test]
fn paths() {
    let file = TempFile::new("old.csv", "text\na\n");
    let dir = file.dir.path();
    let check = |path: PathBuf, code: &str| {
        let rows = scalars();
        let created = create(&WriteOptions { path: path.clone() }, rows.schema(), None).err();
        assert_eq!(check_write_path(&path).unwrap_err().code, code);
        assert_eq!(created.unwrap().code, code);
    };
    check(dir.join("o.txt"), "unknown-format");
    check(dir.join("none/o.csv"), "missing-directory");
    check(file.path.join("o.csv"), "missing-directory");
    std::fs::create_dir(dir.join("d.csv")).unwrap();
    check(dir.join("d.csv"), "is-directory");
    check_write_path(&dir.join("new.parquet")).unwrap();
    check_write_path(&file.path).unwrap();
    assert_eq!(file.text(), "text\na\n");
    assert_eq!(file.names(), ["d.csv", "old.csv"]);
}

#[cfg(unix)]
#[test]
fn unwritable() {
    use std::os::unix::fs::PermissionsExt;
    let file = TempFile::new("old.csv", "text\na\n");
    let device = file.dir.path().join("null.csv");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    assert_eq!(check_write_path(&device).unwrap_err().code, "unwritable");
    std::fs::set_permissions(&file.path, PermissionsExt::from_mode(0o444)).unwrap();
    std::fs::set_permissions(file.dir.path(), PermissionsExt::from_mode(0o555)).unwrap();
    let new = check_write_path(&file.dir.path().join("new.csv"));
    assert_eq!(new.unwrap_err().code, "unwritable");
    // Root writes it all the same.
    if std::fs::OpenOptions::new()
        .write(true)
        .open(&file.path)
        .is_err()
    {
        assert_eq!(check_write_path(&file.path).unwrap_err().code, "unwritable");
    }
    std::fs::set_permissions(file.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
}
