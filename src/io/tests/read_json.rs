//! JSON Lines.

use arrow_array::types::{Float64Type, Int64Type};

use super::*;

#[test]
fn types_come_from_the_first_records() {
    let file = TempFile::new(
        "r.jsonl",
        concat!(
            "\u{feff}{\"z\":1,\"text\":\"a\",\"f\":1,\"label\":0,\"b\":true,\"s\":\"x\",\"n\":null}\r\n",
            "\r\n  \n",
            "{\"text\":\"b\",\"z\":null,\"f\":0.98,\"label\":1,\"tags\":[\"q\",{\"k\":1.5,\"a\":null}],\"m\":1}\n",
            "{\"text\":\"c\",\"label\":\"Mixed\",\"m\":\"one\",\"tags\":{},\"n\":{\"x\":[]}}",
        ),
    );
    let (rows, rejects) = read(&file.options());
    assert_eq!(rejects, []);
    assert_eq!(
        columns(&rows),
        [
            "review: UInt64",
            "text: Utf8",
            "truth: Utf8",
            "z: Int64",
            "f: Float64",
            "b: Boolean",
            "s: Utf8",
            "n: Utf8",
            "tags: Utf8",
            "m: Utf8"
        ]
    );
    assert_eq!(
        strings(&rows, "truth"),
        [Some("negative"), Some("positive"), Some("Mixed")]
    );
    let z = rows
        .column_by_name("z")
        .unwrap()
        .as_primitive::<Int64Type>();
    assert_eq!(z.iter().collect::<Vec<_>>(), [Some(1), None, None]);
    let f = rows
        .column_by_name("f")
        .unwrap()
        .as_primitive::<Float64Type>();
    assert_eq!(f.iter().collect::<Vec<_>>(), [Some(1.0), Some(0.98), None]);
    assert_eq!(
        strings(&rows, "tags"),
        [None, Some(r#"["q",{"k":1.5,"a":null}]"#), Some("{}")]
    );
    assert_eq!(strings(&rows, "m"), [None, Some("1"), Some("one")]);
    assert_eq!(strings(&rows, "n"), [None, None, Some(r#"{"x":[]}"#)]);
}

#[test]
fn every_reject() {
    let first = "{\"text\":\"fine\",\"label\":1,\"n\":1,\"s\":\"x\",\"b\":true}\n".repeat(100);
    let mut content = first.into_bytes();
    let lines: [&[u8]; 18] = [
        b"{\"text\":\"cut", // 100
        b"[1]",             // 101
        b"{\"text\":\"caf\xe9\"}",
        b"{\"label\":1}",
        b"{\"text\":null,\"label\":1}",
        b"{\"text\":\" \\n\",\"label\":1}",
        b"{\"text\":7,\"label\":1}",
        b"{\"text\":\"seventeen bytes!!\",\"label\":1}",
        b"{\"text\":\"ok\",\"label\":2}",
        b"{\"text\":\"ok\",\"label\":null}",
        b"{\"text\":\"ok\",\"label\":[1]}",
        b"{\"text\":\"ok\",\"label\":0.5}",
        b"{\"text\":\"ok\",\"label\":1,\"n\":\"1\"}",
        b"{\"text\":\"ok\",\"label\":1,\"n\":18446744073709551615}",
        b"{\"text\":\"ok\",\"label\":1,\"s\":{}}",
        b"{\"text\":\"ok\",\"label\":1.0,\"late\":1}", // 115, good
        b"{\"text\":\"no\",\"text\":\"ok\",\"label\":true}", // 116, good
        b"{\"text\":\"\\ud800\",\"label\":1}",
    ];
    content.extend(lines.join(&b'\n'));
    let file = TempFile::new("r.ndjson", content);
    let options = ReadOptions {
        max_bytes: 16,
        ..file.options()
    };
    let (rows, rejects) = read(&options);
    assert_eq!(
        reviews(&rows)[99..],
        [99, 108, 109, 110, 111, 112, 113, 114, 115, 116]
    );
    let truths = strings(&rows, "truth");
    assert_eq!(
        truths[100..104],
        [Some("2"), None, Some("[1]"), Some("0.5")]
    );
    let n = strings(&rows, "n");
    assert_eq!(n[104..106], [Some("1"), Some("18446744073709551615")]);
    assert_eq!(strings(&rows, "s")[106], Some("{}"));
    assert_eq!(
        rows.column_by_name("late").unwrap().null_count(),
        rows.num_rows() - 1
    );
    assert_eq!(
        shown(&rejects),
        [
            "100 101 malformed: the line is not a JSON object: EOF while parsing a string at column 12",
            "101 102 malformed: the line is not a JSON object: invalid type: sequence, expected a map at column 0",
            "102 103 invalid-utf8: the line is not UTF-8 at its byte 12",
            "103 104 no-text: `text` is missing",
            "104 105 no-text: `text` is missing",
            "105 106 no-text: `text` is empty",
            "106 107 bad-value: `text` is an integer, and a text is a string",
            "107 108 too-long: `text` has 17 bytes, and the limit is 16",
            "117 118 malformed: `text` has an escape that is none",
        ]
    );
    check_positions(&options);
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let long = "x".repeat(17 << 20);
    let file = TempFile::new(
        "r.jsonl",
        format!("{{\"text\":\"a\"}}\n\n{long}\n{{\"text\":\"b\"}}\n{long}"),
    );
    let (rows, rejects) = read(&file.options());
    assert_eq!(strings(&rows, "text"), [Some("a"), Some("b")]);
    assert_eq!(
        shown(&rejects),
        [
            "1 3 record-too-large: the line is longer than 16777216 bytes",
            "3 5 record-too-large: the line is longer than 16777216 bytes"
        ]
    );
}

#[test]
fn deep_nesting_is_a_reject() {
    let deep = "{\"text\":\"b\",\"x\":".to_owned() + &"[".repeat(100_000) + "\n";
    let file = TempFile::new("r.jsonl", "{\"text\":\"a\"}\n".to_owned() + &deep);
    let (rows, rejects) = read(&file.options());
    assert_eq!(rows.num_rows(), 1);
    assert_eq!(rejects[0].code, "malformed");
}
