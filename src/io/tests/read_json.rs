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
        [Some("negative"), Some("positive"), Some("mixed")]
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
    assert_eq!(reviews(&rows)[99..], [99, 115, 116]);
    assert_eq!(strings(&rows, "text")[101], Some("ok"));
    assert_eq!(
        shown(&rejects),
        [
            "100 101 malformed: the line is not a JSON object: EOF while parsing a string at column 12",
            "101 102 malformed: the line is not a JSON object: invalid type: sequence, expected an object at column 0",
            "102 103 invalid-utf8: the line is not UTF-8 at its byte 12",
            "103 104 no-text: `text` is missing",
            "104 105 no-text: `text` is missing",
            "105 106 no-text: `text` is empty",
            "106 107 bad-value: `text` is an integer, and the column holds strings",
            "107 108 too-long: `text` has 17 bytes, and the limit is 16",
            "108 109 bad-label: label 2 is outside 0 to 1",
            "109 110 bad-label: the label is missing",
            "110 111 bad-label: the label is an object or an array",
            "111 112 bad-label: label 0.5 is not an integer",
            "112 113 bad-value: `n` is a string, and the column holds integers",
            "113 114 bad-value: `n` is a number that is no 64-bit integer, and the column holds integers",
            "114 115 bad-value: `s` is an array or object, and the column holds strings",
            "117 118 malformed: the line is not a JSON object: unexpected end of hex escape at column 16",
        ]
    );
    check_positions(&options);
}

#[test]
fn a_line_without_end_is_an_error() {
    let content = "{\"text\":\"a\"}\n".repeat(150) + "\n" + &"x".repeat(17 << 20);
    let file = TempFile::new("r.jsonl", content);
    let mut source = open(&file.options()).unwrap();
    source.skip(150).unwrap();
    let error = source.next_batch(8).unwrap_err();
    assert_eq!(
        (error.code, error.option),
        ("record-too-large", Some("path"))
    );
    assert!(error.message.contains("at line 152"), "{error}");
}

#[test]
fn deep_nesting_is_a_reject() {
    let deep = "{\"text\":\"b\",\"x\":".to_owned() + &"[".repeat(100_000) + "\n";
    let file = TempFile::new("r.jsonl", "{\"text\":\"a\"}\n".to_owned() + &deep);
    let (rows, rejects) = read(&file.options());
    assert_eq!(rows.num_rows(), 1);
    assert_eq!(rejects[0].code, "malformed");
}
