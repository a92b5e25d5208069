//! Numbers and types that must come through.

use arrow_array::builder::{FixedSizeBinaryBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    BinaryArray, Decimal128Array, ListArray, StringArray, StructArray, Time64MicrosecondArray,
    TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;

use super::read_kinds::{json, notes};
use super::*;

#[test]
fn numbers_stay_as_they_are_written() {
    let content = "text,id,big,price,code,late,exp,plus,mixed,gap\n\
        a,1,18446744073709551615,1.50,007,4,1e5,+1,4,\n\
        b,-20,3,0.1,010,4.5,2,2,x,7\n";
    let file = TempFile::new("r.csv", content);
    let rows = json(&file.options());
    let shown: Vec<String> = rows.iter().map(ToString::to_string).collect();
    for part in [
        "\"id\":1,",
        "\"big\":18446744073709551615",
        "\"code\":\"007\"",
        "\"exp\":\"1e5\"",
        "\"plus\":\"+1\"",
        "\"mixed\":\"4\"",
        "\"gap\":null",
    ] {
        assert!(shown[0].contains(part), "{part} in {}", shown[0]);
    }
    assert_eq!(
        (&rows[0]["price"], &rows[1]["late"], &rows[1]["gap"]),
        (&1.5.into(), &4.5.into(), &7.into())
    );
    // As text they come back to the last digit.
    let mut source = open(&file.options()).unwrap();
    let batch = source.next_batch(9).unwrap().unwrap().batch;
    assert_eq!(strings(&batch, "price"), [Some("1.50"), Some("0.1")]);
    // What is not a number, far behind those that were looked at is a string, and is not lost.
    let many = format!("text,n\n{}last,n/a\n", "a,12345678\n".repeat(500_000));
    let last = json(&TempFile::new("r.csv", many).options()).pop().unwrap();
    assert_eq!(last["n"], "n/a");
}

#[test]
fn json_numbers_and_types() {
    let long = "123456789012345678901234567890";
    let mut content = format!(
        "{{\"text\":\"a\",\"id\":42,\"n\":1,\"x\":NaN,\"t\":\"s\",\"deep\":{{\"a\": [1, \"b c\"]}},\"long\":{long}}}\n"
    );
    content += &"{\"text\":\"b\",\"id\":7,\"n\":2,\"x\":0.5}\n".repeat(150);
    content += "{\"text\":\"c\",\"id\":9223372036854775813,\"n\":\"two\",\"x\":-Infinity,\"t\":{},\"new\":true}\n";
    let file = TempFile::new("r.jsonl", content);
    let (rows, rejects) = read(&file.options());
    assert_eq!((rows.num_rows(), rejects.len()), (152, 0));
    let rows = json(&file.options());
    let (first, last) = (&rows[0], rows.last().unwrap());
    assert_eq!(
        (&first["id"], &last["id"]),
        (&42.into(), &9_223_372_036_854_775_813_u64.into())
    );
    assert_eq!((&first["n"], &last["n"]), (&"1".into(), &"two".into()));
    assert_eq!(
        (&first["x"], &rows[1]["x"]),
        (&serde_json::Value::Null, &0.5.into())
    );
    assert_eq!(
        (&first["deep"], &last["t"], &last["new"]),
        (&"{\"a\":[1,\"b c\"]}".into(), &"{}".into(), &true.into())
    );
    let raw = strings(
        &open(&file.options())
            .unwrap()
            .next_batch(1)
            .unwrap()
            .unwrap()
            .batch,
        "long",
    )[0]
    .map(str::to_owned);
    assert_eq!(raw.as_deref(), Some(long));
    assert!(notes(&file.options())[0].contains("`x` is not a finite number"));
}

#[test]
fn parquet_types_as_text() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
    let user = StructArray::from(vec![
        (
            Arc::new(Field::new("name", DataType::Utf8, true)),
            array(StringArray::from(vec!["A \"b\""])),
        ),
        (
            Arc::new(Field::new("age", DataType::Int32, true)),
            array(arrow_array::Int32Array::from(vec![7])),
        ),
    ]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("k");
    map.values().append_value("v");
    map.append(true).unwrap();
    let mut fixed = FixedSizeBinaryBuilder::new(2);
    fixed.append_value([0, 255]).unwrap();
    let rows = batch(vec![
        ("text", array(StringArray::from(vec!["good"]))),
        (
            "id",
            array(
                Decimal128Array::from(vec![12_345_678_901_234_567_890])
                    .with_precision_and_scale(20, 0)
                    .unwrap(),
            ),
        ),
        (
            "price",
            array(
                Decimal128Array::from(vec![1250])
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ),
        ),
        (
            "when",
            array(TimestampMillisecondArray::from(vec![1_709_211_600_123]).with_timezone("UTC")),
        ),
        (
            "local",
            array(TimestampMillisecondArray::from(vec![1_709_211_600_000])),
        ),
        (
            "at",
            array(Time64MicrosecondArray::from(vec![45_000_000_000])),
        ),
        ("tags", array(lists)),
        ("user", array(user)),
        ("map", array(map.finish())),
        ("fixed", array(fixed.finish())),
        ("blob", array(BinaryArray::from_vec(vec![b"\xff\x00"]))),
        (
            "half",
            array(arrow_array::Float16Array::from(vec![half::f16::from_f32(
                0.5,
            )])),
        ),
    ]);
    let file = TempFile::missing("r.parquet");
    let mut writer = ArrowWriter::try_new(
        std::fs::File::create(&file.path).unwrap(),
        rows.schema(),
        None,
    )
    .unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let (rows, rejects) = read(&file.options());
    assert_eq!(rejects, []);
    let text = |name: &str| strings(&rows, name)[0].unwrap().to_owned();
    assert_eq!(text("id"), "12345678901234567890");
    assert_eq!(text("price"), "12.50");
    assert_eq!(text("when"), "2024-02-29T13:00:00.123Z");
    assert_eq!(text("local"), "2024-02-29T13:00:00");
    assert_eq!(text("at"), "12:30:00");
    assert_eq!(text("tags"), "[1,null]");
    assert_eq!(text("user"), "{\"name\":\"A \\\"b\\\"\",\"age\":7}");
    assert_eq!(text("map"), "{\"k\":\"v\"}");
    assert_eq!(text("fixed"), "\\x00ff");
    assert_eq!(text("blob"), "\\xff00");
    assert_eq!(json(&file.options())[0]["half"], 0.5);
    assert!(notes(&file.options())[0].contains("`blob` has bytes"));
}
