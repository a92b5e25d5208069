//! CSV and TSV.

use super::*;
use crate::io::read::{CsvReader, Dialect, Input, RawRecord};

#[test]
fn gives_columns_in_order() {
    let file = TempFile::new(
        "r.csv",
        "id,label,review,text,truth,movie\n1,1,x,Good,y,Alien\n2,0,x,Bad,y,\n",
    );
    let (rows, rejects) = read(&file.options());
    assert_eq!(rejects, []);
    assert_eq!(
        columns(&rows),
        [
            "review: UInt64",
            "text: Utf8",
            "truth: Utf8",
            "id: Utf8",
            "file_review: Utf8",
            "file_truth: Utf8",
            "movie: Utf8"
        ]
    );
    assert_eq!(reviews(&rows), [0, 1]);
    assert_eq!(strings(&rows, "text"), [Some("Good"), Some("Bad")]);
    assert_eq!(
        strings(&rows, "truth"),
        [Some("positive"), Some("negative")]
    );
    assert_eq!(strings(&rows, "movie"), [Some("Alien"), None]);
}

#[test]
fn text_and_label_go_by_the_options() {
    let file = TempFile::new("r.tsv", "body\ttext\tstars\tlabel\nok\tother\t2\t1\n");
    let mut options = ReadOptions {
        text: "body".into(),
        label: Some("stars".into()),
        labels: vec!["bad".into(), "fair".into(), "good".into()],
        ..file.options()
    };
    let (rows, _) = read(&options);
    assert_eq!(
        columns(&rows),
        [
            "review: UInt64",
            "text: Utf8",
            "truth: Utf8",
            "file_text: Utf8",
            "label: Utf8"
        ]
    );
    assert_eq!(strings(&rows, "text"), [Some("ok")]);
    assert_eq!(strings(&rows, "truth"), [Some("good")]);

    options.label = Some(String::new());
    let (rows, _) = read(&options);
    assert_eq!(
        columns(&rows),
        [
            "review: UInt64",
            "text: Utf8",
            "file_text: Utf8",
            "stars: Utf8",
            "label: Utf8"
        ]
    );
}

#[test]
fn mark_crlf_blank_lines_and_quotes() {
    let file = TempFile::new(
        "r.csv",
        "\u{feff}text,n\r\n\r\n\"a \"\"b\"\", \r\nc\",1\r\n\r\n\r\nd\r\n\"e\nf\ng\",2\r\nh",
    );
    let (rows, rejects) = read(&file.options());
    assert_eq!(
        strings(&rows, "text"),
        [Some("a \"b\", \r\nc"), Some("e\nf\ng")]
    );
    assert_eq!(
        shown(&rejects),
        [
            "1 7 malformed: the row has 1 fields, and the header 2",
            "3 11 malformed: the row has 1 fields, and the header 2"
        ]
    );
}

#[test]
fn every_reject() {
    let mut content = b"text,label,note\n".to_vec();
    content.extend(b"one,1\n"); // 0, line 2
    content.extend(b"caf\xe9,1,\n"); // 1
    content.extend(b"fine,1,ab\xff\n"); // 2, good
    content.extend(b",1,\n"); // 3
    content.extend("\" \t\n\u{a0}\",1,\n".bytes()); // 4, line 6 and 7
    content.extend(b"seventeen bytes!!,1,\n"); // 5, line 8
    content.extend(b"ok,2,\n"); // 6, good, and so are the next three
    content.extend(b"ok,-1,\n"); // 7
    content.extend(b"ok,,\n"); // 8
    content.extend(b"ok,99999999999999999999,\n"); // 9
    content.extend(b"ok, POSitive ,\n"); // 10, good
    content.extend(b"ok, 1 ,\n"); // 11, good
    content.extend(b"ok,1,\"open, \n\n"); // 12, line 15
    let file = TempFile::new("r.csv", content);
    let options = ReadOptions {
        max_bytes: 16,
        ..file.options()
    };
    let (rows, rejects) = read(&options);
    assert_eq!(reviews(&rows), [2, 6, 7, 8, 9, 10, 11]);
    let truths = strings(&rows, "truth");
    assert_eq!(truths[..4], [Some("positive"), Some("2"), None, None]);
    assert_eq!(truths[5..], [Some("positive"), Some("positive")]);
    assert_eq!(strings(&rows, "note")[0], Some("ab\u{fffd}"));
    assert_eq!(
        shown(&rejects),
        [
            "0 2 malformed: the row has 2 fields, and the header 3",
            "1 3 invalid-utf8: `text` is not UTF-8 at its byte 3",
            "3 5 no-text: `text` is empty",
            "4 6 no-text: `text` is empty",
            "5 8 too-long: `text` has 17 bytes, and the limit is 16",
            "12 15 malformed: a quote is never closed: it would take 2 lines; the lines after the first are read on their own",
        ]
    );
    check_positions(&options);
}

#[test]
fn markup_becomes_a_space() {
    let file = TempFile::new(
        "r.csv",
        "text\na<br />b<BR/>c<Br>d<br/ >e<é<\n<br />\n12345678<br />\n",
    );
    let mut options = ReadOptions {
        strip_markup: true,
        ..file.options()
    };
    let (rows, rejects) = read(&options);
    assert_eq!(
        strings(&rows, "text"),
        [Some("a b c d<br/ >e<é<"), Some("12345678 ")]
    );
    assert_eq!(shown(&rejects), ["1 3 no-text: `text` is empty"]);

    options.strip_markup = false;
    let (rows, _) = read(&options);
    assert_eq!(strings(&rows, "text")[1], Some("<br />"));
}

#[test]
fn positions() {
    let rows = (0..40).map(|at| match at % 7 {
        3 => "\n,x\n".to_owned(),
        5 => "a,b,c\n".to_owned(),
        _ => format!("\"text\n{at}\",x\r\n"),
    });
    let content = String::from("text,other\n") + &rows.collect::<String>() + ",\n,\n";
    let file = TempFile::new("r.csv", content);
    check_positions(&file.options());

    let mut source = open(&file.options()).unwrap();
    assert_eq!(source.total_records(), None);
    assert_eq!(source.skip(43).unwrap_err().code, "bad-resume");
    let message = "the source has 42 records, fewer than the 43 to skip";
    assert_eq!(source.next_batch(1).unwrap_err().message, message);
}

#[test]
fn skipping_all_leaves_nothing() {
    let file = TempFile::new("r.csv", "text\na\nb\n");
    let mut source = open(&file.options()).unwrap();
    source.skip(2).unwrap();
    assert_eq!(source.next_batch(8).unwrap(), None);
    assert_eq!(source.progress(), Some(1.0));
}

#[test]
fn an_open_quote_costs_its_line_however_long_the_rest() {
    let line = "x".repeat(1000) + "\n";
    let file = TempFile::new(
        "r.csv",
        "text\nfine\n\"open".to_owned() + &line.repeat(18_000),
    );
    let mut source = open(&file.options()).unwrap();
    let first = source.next_batch(8).unwrap().unwrap();
    assert_eq!(first.rejects.len(), 1);
    assert_eq!(
        (first.rejects[0].line, first.rejects[0].code.as_str()),
        (Some(3), "malformed")
    );
    let rest = batches(source.as_mut(), 1000);
    let rows: usize = rest.iter().map(|read| read.batch.num_rows()).sum();
    assert_eq!(rows + first.batch.num_rows(), 18_000);
}

#[test]
fn a_line_without_end_is_passed_over() {
    let long = "x".repeat(17 << 20);
    let file = TempFile::new("r.csv", format!("text\na\n{long}\nb\n\"{long}"));
    let (rows, rejects) = read(&file.options());
    assert_eq!(strings(&rows, "text"), [Some("a"), Some("b")]);
    assert_eq!(
        shown(&rejects),
        [
            "1 3 record-too-large: the record is longer than 16777216 bytes",
            "3 5 record-too-large: the record is longer than 16777216 bytes"
        ]
    );
}

/// The `csv` crate is the reference for what a record is.
#[test]
fn agrees_with_the_csv_crate() {
    let alphabet = [b'a', b'"', b',', b'\n', b'\r', b' ', 0xc3];
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut content = vec![b'h', b'\n'];
        for _ in 0..seed % 23 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            content.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
        }
        seed = seed.wrapping_add(1);
        let mut reference = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(content.as_slice());
        let wanted: Vec<Vec<Vec<u8>>> = reference
            .byte_records()
            .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
            .collect();
        assert_eq!(
            own_records(&content),
            wanted,
            "{:?}",
            content.escape_ascii().to_string()
        );
    }
}

fn own_records(content: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, content).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let input = Input::new(file, &ReadOptions::new("x.csv")).unwrap();
    let dialect = Dialect {
        delimiter: b',',
        quote: Some(b'"'),
        lenient: false,
    };
    let mut reader = CsvReader::new(input, dialect);
    let mut record = RawRecord::default();
    let mut records = Vec::new();
    while reader.read(&mut record).unwrap() {
        records.push(record.fields().map(<[u8]>::to_vec).collect());
    }
    records
}
