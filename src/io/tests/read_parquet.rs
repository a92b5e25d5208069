//! Parquet.

use arrow_array::types::{Float32Type, Int32Type, UInt64Type};
use arrow_array::{
    BinaryArray, BooleanArray, Date32Array, DictionaryArray, Float32Array, Float64Array, Int8Array,
    Int64Array, LargeStringArray, ListArray, StringArray, StringViewArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

fn parquet(batch: &RecordBatch, group_rows: usize) -> TempFile {
    let file = TempFile::missing("r.parquet");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let out = std::fs::File::create(&file.path).unwrap();
    let mut writer = ArrowWriter::try_new(out, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    file
}

#[test]
fn every_type_passes_or_is_text() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), None]);
    let words: DictionaryArray<Int32Type> = [Some("x"), None].into_iter().collect();
    let rows = batch(vec![
        ("label", array(Int8Array::from(vec![1, 0]))),
        ("list", array(lists)),
        ("word", array(words)),
        ("text", array(LargeStringArray::from(vec!["good", "bad"]))),
        ("view", array(StringViewArray::from(vec!["v", "w"]))),
        ("day", array(Date32Array::from(vec![1, 2]))),
        ("u", array(UInt64Array::from(vec![Some(7), None]))),
        ("f", array(Float32Array::from(vec![0.98, f32::NAN]))),
        ("d", array(Float64Array::from(vec![0.98, 1.0]))),
        ("b", array(BooleanArray::from(vec![true, false]))),
        ("review", array(Int8Array::from(vec![5, 5]))),
    ]);
    let (rows, rejects) = read(&parquet(&rows, 100).options());
    assert_eq!(rejects, []);
    assert_eq!(
        columns(&rows),
        [
            "review: UInt64",
            "text: Utf8",
            "truth: Utf8",
            "list: Utf8",
            "word: Utf8",
            "view: Utf8",
            "day: Utf8",
            "u: UInt64",
            "f: Float32",
            "d: Float64",
            "b: Boolean",
            "file_review: Int64"
        ]
    );
    assert_eq!(
        strings(&rows, "truth"),
        [Some("positive"), Some("negative")]
    );
    assert_eq!(strings(&rows, "word"), [Some("x"), None]);
    let u = rows
        .column_by_name("u")
        .unwrap()
        .as_primitive::<UInt64Type>();
    assert_eq!(u.iter().collect::<Vec<_>>(), [Some(7), None]);
    assert_eq!(strings(&rows, "list"), [Some("[1]"), None]);
    assert_eq!(
        strings(&rows, "day"),
        [Some("1970-01-02"), Some("1970-01-03")]
    );
    let f = rows
        .column_by_name("f")
        .unwrap()
        .as_primitive::<Float32Type>();
    assert_eq!(f.value(0), 0.98);
}

#[test]
fn every_reject() {
    let texts = [Some("fine"), None, Some(" "), Some("seventeen bytes!!")];
    let texts = texts.into_iter().chain([Some("ok"); 5]);
    let labels = [1, 1, 1, 1, 2, -1, 0, 1, 0]
        .map(Some)
        .into_iter()
        .enumerate();
    let labels = labels.map(|(at, label)| label.filter(|_| at != 6));
    let large = [0, 0, 0, 0, 0, 0, 0, u64::MAX, 0];
    let rows = batch(vec![
        ("text", array(texts.collect::<StringArray>())),
        ("label", array(labels.collect::<Int64Array>())),
        ("u", array(UInt64Array::from(large.to_vec()))),
    ]);
    let file = parquet(&rows, 4);
    let options = ReadOptions {
        max_bytes: 16,
        ..file.options()
    };
    let (rows, rejects) = read(&options);
    assert_eq!(reviews(&rows), [0, 4, 5, 6, 7, 8]);
    assert_eq!(strings(&rows, "truth")[1..4], [Some("2"), None, None]);
    let u = rows
        .column_by_name("u")
        .unwrap()
        .as_primitive::<UInt64Type>();
    assert_eq!(u.value(4), u64::MAX);
    assert_eq!(
        shown(&rejects),
        [
            "1 - no-text: `text` is missing",
            "2 - no-text: `text` is empty",
            "3 - too-long: `text` has 17 bytes, and the limit is 16",
        ]
    );
    check_positions(&options);
}

/// A file as other tools write it: declared UTF-8, and not checked.
#[test]
fn invalid_utf8_costs_its_row_only_where_it_is_the_text() {
    let file = TempFile::missing("r.parquet");
    let schema = parse_message_type(
        "message m { required binary text (UTF8); required binary note (STRING); }",
    );
    let out = std::fs::File::create(&file.path).unwrap();
    let mut writer =
        SerializedFileWriter::new(out, Arc::new(schema.unwrap()), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for values in [["good", "caf\u{fffd}", "x"], ["n", "n", "ab\u{fffd}"]] {
        // Cut behind the first byte of what stands for a bad character.
        let length = |text: &str| text.find('\u{fffd}').map_or(text.len(), |at| at + 1);
        let values = values.map(|text| ByteArray::from(text.as_bytes()[..length(text)].to_vec()));
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, None, None)
            .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let (rows, rejects) = read(&file.options());
    assert_eq!(strings(&rows, "text"), [Some("good"), Some("x")]);
    assert_eq!(strings(&rows, "note"), [Some("n"), Some("ab\u{fffd}")]);
    assert_eq!(
        shown(&rejects),
        ["1 - invalid-utf8: `text` is not UTF-8 at its byte 3"]
    );
}

#[test]
fn text_may_be_plain_bytes() {
    let rows = batch(vec![(
        "text",
        array(BinaryArray::from_vec(vec![b"ok", b"caf\xe9"])),
    )]);
    let (rows, rejects) = read(&parquet(&rows, 100).options());
    assert_eq!(strings(&rows, "text"), [Some("ok")]);
    assert_eq!(rejects[0].code, "invalid-utf8");
}

#[test]
fn columns_that_cannot_serve() {
    let rows = batch(vec![
        ("text", array(Int64Array::from(vec![1]))),
        ("day", array(Date32Array::from(vec![1]))),
        ("body", array(StringArray::from(vec!["a"]))),
    ]);
    let file = parquet(&rows, 100);
    let error = open_error(&file.options());
    assert_eq!(
        (error.code.as_str(), error.blamed_option()),
        ("unsupported-column", Some("text"))
    );
    let message = "column `text` is of type Int64, which cannot be its text";
    assert_eq!(error.message, message);
    let options = ReadOptions {
        text: "body".into(),
        label: Some("day".into()),
        ..file.options()
    };
    let error = open_error(&options);
    assert_eq!(
        (error.code.as_str(), error.blamed_option()),
        ("unsupported-column", Some("label"))
    );
    let error = open_error(&ReadOptions {
        text: "txt".into(),
        ..file.options()
    });
    assert_eq!(
        (error.code.as_str(), error.help.as_deref()),
        ("missing-column", Some("did you mean `text`?"))
    );
}

#[test]
fn no_rows_is_an_error() {
    let rows = batch(vec![("text", array(StringArray::new_null(0)))]);
    assert_eq!(
        open_error(&parquet(&rows, 100).options()).code,
        "no-records"
    );
}

fn many_rows() -> RecordBatch {
    let texts = (0..1000).map(|at| (at % 10 != 3).then(|| format!("review {at}")));
    batch(vec![("text", array(texts.collect::<StringArray>()))])
}

#[test]
fn row_groups_and_batches_do_not_show() {
    let file = parquet(&many_rows(), 300);
    let mut source = open(&file.options()).unwrap();
    assert_eq!(source.total_records(), Some(1000));
    source.skip(700).unwrap();
    assert_eq!(source.progress(), Some(0.7));
    let next = source.next_batch(500).unwrap().unwrap();
    assert_eq!(
        (next.batch.num_rows(), next.rejects.len(), next.next_record),
        (270, 30, 1000)
    );
    assert_eq!(next.rejects[0].record, 703);
    assert_eq!(source.next_batch(1).unwrap(), None);
    assert_eq!(source.skip(1).unwrap_err().code, "bad-resume");

    let mut whole = open(&file.options()).unwrap();
    let mut parts = open(&file.options()).unwrap();
    for rows in [1, 7, 400] {
        let next = whole.next_batch(rows).unwrap().unwrap();
        let mut resumed = open(&file.options()).unwrap();
        resumed.skip(next.next_record).unwrap();
        parts.next_batch(rows).unwrap();
        assert_eq!(
            resumed.next_batch(100).unwrap(),
            parts.next_batch(100).unwrap()
        );
        whole.next_batch(100).unwrap();
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let whole = parquet(&many_rows(), 300).bytes();
    for length in [1, 4, 11, whole.len() / 2, whole.len() - 1] {
        let file = TempFile::new("r.parquet", &whole[..length]);
        let error = open_error(&file.options());
        assert_eq!(
            (error.code.as_str(), error.blamed_option()),
            ("bad-file", Some("path")),
            "{length}"
        );
    }
    let mut failed = 0;
    for at in (0..whole.len()).step_by(whole.len() / 200 + 1) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let file = TempFile::new("r.parquet", damaged);
        let read = open(&file.options()).and_then(|mut source| {
            while source.next_batch(100)?.is_some() {}
            Ok(())
        });
        failed += usize::from(read.is_err());
    }
    assert!(failed > 10, "{failed}");
}
