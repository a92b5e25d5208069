//! Files as people have them: other encodings and delimiters, quotes that are text, names that
//! clash.

use std::io::Write;

use super::*;
use crate::io::{WriteOptions, create, files};

/// What `options` give, written as JSON Lines.
pub fn json(options: &ReadOptions) -> Vec<serde_json::Value> {
    let out = TempFile::missing("out.jsonl");
    let mut source = open(options).unwrap();
    let write = WriteOptions {
        path: out.path.clone(),
    };
    let mut sink = create(&write, source.schema(), None).unwrap();
    for read in batches(source.as_mut(), 7) {
        sink.write(&read.batch).unwrap();
    }
    sink.finish().unwrap();
    out.text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What is said of the file.
pub fn notes(options: &ReadOptions) -> Vec<String> {
    let mut source = open(options).unwrap();
    batches(source.as_mut(), 3);
    source.notes()
}

#[test]
fn tsv_without_quotes_keeps_its_lines() {
    let content = "text\tlabel\none\t1\n\"Dull\", he said\t0\n\"A quote\tthat ends\t1\n\"twice\t1\nover\"\t0\n\"proper\"\t1\n";
    let file = TempFile::new("r.tsv", content);
    let (rows, rejects) = read(&file.options());
    assert_eq!(
        shown(&rejects),
        ["2 4 malformed: the row has 3 fields, and the header 2"]
    );
    assert_eq!(
        strings(&rows, "text"),
        [
            Some("one"),
            Some("\"Dull\", he said"),
            Some("\"twice"),
            Some("over\""),
            Some("proper")
        ]
    );
    assert_eq!(
        notes(&file.options()).len(),
        1,
        "{:?}",
        notes(&file.options())
    );
    check_numbers(&file.options());
    let literal = ReadOptions {
        quote: Some(None),
        ..file.options()
    };
    assert_eq!(strings(&read(&literal).0, "text")[4], Some("\"proper\""));
    assert_eq!(notes(&literal), [""; 0]);
    let quoted = TempFile::new("r.tsv", "text\tn\n\"over\ntwo lines\"\t1\nb\t2\n");
    assert_eq!(
        strings(&read(&quoted.options()).0, "text"),
        [Some("over\ntwo lines"), Some("b")]
    );
    assert!(notes(&quoted.options())[0].contains("lines 2 to 3"));
}

/// As `check_positions`, but for what is said once.
fn check_numbers(options: &ReadOptions) {
    let whole = reviews(&read(options).0);
    for (at, review) in whole.iter().enumerate() {
        let mut resumed = open(options).unwrap();
        resumed.skip(*review).unwrap();
        let rest: Vec<u64> = batches(resumed.as_mut(), 2)
            .iter()
            .flat_map(|read| reviews(&read.batch))
            .collect();
        assert_eq!(rest, whole[at..]);
    }
}

#[test]
fn a_stray_quote_costs_one_line() {
    let line = |at: usize| format!("{at},1,\"fine, {at}\"\n");
    let lines = |from: usize, to: usize| (from..to).map(line).collect::<String>();
    // Closed by the quote of a later line; by another stray one, far behind; never.
    for stray in ["3,1,\"open\n", "3,1,\"open \"\" twice\n"] {
        let content = format!("id,label,text\n{}{stray}{}", lines(0, 3), lines(4, 40));
        let file = TempFile::new("r.csv", content);
        let (rows, rejects) = read(&file.options());
        assert_eq!(rows.num_rows(), 39, "{stray}");
        assert_eq!((rejects.len(), rejects[0].line), (1, Some(5)));
        check_positions(&file.options());
    }
    let plain = |from: usize, to: usize| {
        (from..to)
            .map(|at| format!("{at},0,dull {at}\n"))
            .collect::<String>()
    };
    let two = format!(
        "id,label,text\n{}5,1,\"open\n{}30,0,end\"\n31,0,last\n",
        plain(0, 5),
        plain(6, 30)
    );
    let file = TempFile::new("r.csv", two);
    let (rows, rejects) = read(&file.options());
    assert_eq!((rows.num_rows(), rejects.len()), (31, 1));
    assert!(
        rejects[0].reason.contains("would take 26 lines"),
        "{}",
        rejects[0].reason
    );
}

/// Quotes in all places: no record is read twice or lost, however it is cut.
#[test]
fn whatever_quotes_there_are_each_line_counts_once() {
    let mut seed = 3_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    let pieces = [
        "\"",
        "\"\"",
        "a",
        ",",
        "b\"",
        "\n",
        "x,y\n",
        "\"p, q\",r\n",
        "\r\n",
    ];
    for ending in ["csv", "tsv"] {
        for _ in 0..300 {
            let mut content =
                String::from("text,other\n").replace(',', if ending == "tsv" { "\t" } else { "," });
            for _ in 0..next(40) {
                content += pieces[next(pieces.len() as u64) as usize];
            }
            content += "a";
            let content = if ending == "tsv" {
                content.replace(',', "\t")
            } else {
                content
            };
            let file = TempFile::new(&format!("r.{ending}"), &content);
            check_numbers(&file.options());
            let (rows, rejects) = read(&file.options());
            let mut numbers: Vec<u64> = reviews(&rows);
            numbers.extend(rejects.iter().map(|reject| reject.record));
            numbers.sort_unstable();
            assert_eq!(
                numbers,
                (0..numbers.len() as u64).collect::<Vec<_>>(),
                "{content:?}"
            );
        }
    }
}

#[test]
fn other_delimiters_and_quotes() {
    let file = TempFile::new("r.csv", "id;text;label\n1;'a; b';1\n2;it is \"so\";0\n");
    let error = open_error(&file.options());
    assert_eq!(error.code, "missing-column");
    assert!(error.help.unwrap().contains("with.delimiter = \";\""));
    let options = ReadOptions {
        delimiter: Some(b';'),
        quote: Some(Some(b'\'')),
        ..file.options()
    };
    let (rows, rejects) = read(&options);
    assert_eq!(rejects, []);
    assert_eq!(strings(&rows, "text"), [Some("a; b"), Some("it is \"so\"")]);
}

fn utf16(text: &str, mark: bool, little: bool) -> Vec<u8> {
    let units = mark
        .then_some(0xfeff)
        .into_iter()
        .chain(text.encode_utf16());
    let bytes = |unit: u16| {
        if little {
            unit.to_le_bytes()
        } else {
            unit.to_be_bytes()
        }
    };
    units.flat_map(bytes).collect()
}

#[test]
fn encodings() {
    let text = "text,label\ncafé ≠ 😀,1\nplain,0\n"
        .repeat(3000)
        .replacen("text,label", "TEXT", 0);
    let text = format!("text,label\n{}", text.replace("text,label\n", ""));
    let wanted = read(&TempFile::new("r.csv", &text).options());
    for little in [true, false] {
        let marked = TempFile::new("r.csv", utf16(&text, true, little));
        assert_eq!(read(&marked.options()), wanted);
        let bare = TempFile::new("r.csv", utf16("id,text\n1,plain\n", false, little));
        let error = open_error(&bare.options());
        let name = if little { "utf-16le" } else { "utf-16be" };
        assert!(error.message.contains("is UTF-16"), "{}", error.message);
        assert!(error.help.unwrap().contains(name));
        let options = ReadOptions {
            encoding: encoding_rs::Encoding::for_label(name.as_bytes()),
            ..bare.options()
        };
        assert_eq!(strings(&read(&options).0, "text"), [Some("plain")]);
    }
    let file = TempFile::new("r.jsonl", b"{\"text\":\"caf\xe9 \x80\"}\n");
    let options = ReadOptions {
        encoding: Some(encoding_rs::WINDOWS_1252),
        ..file.options()
    };
    assert_eq!(strings(&read(&options).0, "text"), [Some("café €")]);
    let odd = TempFile::new("r.csv", b"text\n\x83\x41\nfine\n\x83\n");
    let options = ReadOptions {
        encoding: Some(encoding_rs::SHIFT_JIS),
        ..odd.options()
    };
    let (rows, rejects) = read(&options);
    assert_eq!(strings(&rows, "text"), [Some("ア"), Some("fine")]);
    assert_eq!(
        shown(&rejects),
        ["2 4 invalid-utf8: `text` is not Shift_JIS"]
    );
}

#[test]
fn packed_files() {
    let text = "text\tn\na\t1\nb\t2\n".to_owned() + &"c\t3\n".repeat(50_000);
    let wanted = read(&TempFile::new("r.tsv", &text).options());
    let mut gzip = Vec::new();
    // Two members, as `cat a.gz b.gz` makes.
    for half in [&text[..100], &text[100..]] {
        let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        member.write_all(half.as_bytes()).unwrap();
        gzip.extend(member.finish().unwrap());
    }
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (name, bytes) in [("r.tsv.gz", &gzip), ("r.tsv", &gzip), ("r.tsv.ZST", &zstd)] {
        let file = TempFile::new(name, bytes);
        assert_eq!(read(&file.options()), wanted, "{name}");
        check_numbers(&ReadOptions::new(TempFile::new("r.tsv", "text\na\n").path));
        let mut source = open(&file.options()).unwrap();
        while source.next_batch(1000).unwrap().is_some() {}
        assert_eq!(source.progress(), Some(1.0));
    }
    let cut = TempFile::new("r.tsv.gz", &gzip[..gzip.len() / 2]);
    let read = open(&cut.options()).and_then(|mut source| {
        while source.next_batch(1000)?.is_some() {}
        Ok(())
    });
    assert_eq!(read.unwrap_err().code, "unreadable");
}

#[test]
fn what_is_no_table_is_named() {
    let zip = |name: &str| [b"PK\x03\x04\x14\x00\x00\x00", name.as_bytes(), &[0; 40]].concat();
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n".to_vec();
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("r.csv", lfs.clone(), "a Git LFS pointer"),
        ("r.parquet", lfs, "a Git LFS pointer"),
        ("r.csv", zip("[Content_Types].xml"), "an Excel workbook"),
        ("r.jsonl", zip("reviews.jsonl"), "a ZIP archive"),
        ("r.csv", b"<!DOCTYPE html><html>".to_vec(), "an HTML page"),
        ("r.csv", b"PAR1\x15\x00".to_vec(), "Parquet"),
        ("r.tsv", b"BZh91AY&SY\x00".to_vec(), "packed with bzip2"),
        ("r.csv", b"\x00\x01\x02\x03\x04binary".to_vec(), "binary"),
        (
            "r.parquet",
            b"\x1f\x8b\x08\x00".to_vec(),
            "packed with gzip",
        ),
    ];
    for (name, bytes, what) in cases {
        let error = open_error(&TempFile::new(name, bytes).options());
        assert_eq!(error.code, "bad-file");
        assert!(error.message.contains(what), "{}", error.message);
        assert!(error.help.is_some() && !error.message.contains(char::is_control));
    }
    let array = open_error(&TempFile::new("r.jsonl", "[{\"text\":\"a\"}]").options());
    assert!(array.help.unwrap().contains("one array"));
}

#[test]
fn names_that_clash_and_names_that_are_missing() {
    let file = TempFile::new(
        "r.csv",
        "review,score,,a,a,file_score,text,text2\n5,6,7,8,9,10,good,x\n",
    );
    let options = ReadOptions {
        taken: vec!["score".into(), "label".into()],
        ..file.options()
    };
    let (rows, _) = read(&options);
    let names: Vec<String> = columns(&rows).into_iter().skip(2).collect();
    assert_eq!(
        names,
        [
            "file_review: Utf8",
            "file_file_score: Utf8",
            "column_3: Utf8",
            "a: Utf8",
            "a_5: Utf8",
            "file_score: Utf8",
            "text2: Utf8"
        ]
    );
    assert_eq!(strings(&rows, "file_file_score"), [Some("6")]);
    assert_eq!(notes(&options).len(), 4);
    let own = ReadOptions {
        text: "text2".into(),
        label: Some("a".into()),
        asked: vec!["text2".into(), "a".into()],
        ..TempFile::new("x.csv", "").options()
    };
    let file = TempFile::new("r.jsonl", "{\"text2\":\"good\",\"a\":1,\"role\":\"x\"}\n");
    let (rows, _) = read(&ReadOptions {
        path: file.path.clone(),
        ..own
    });
    assert_eq!(
        (strings(&rows, "text2"), strings(&rows, "text")),
        (vec![Some("good")], vec![Some("good")])
    );
    assert!(rows.column_by_name("a").is_some() && rows.column_by_name("role").is_some());
}

#[test]
fn several_files_are_one() {
    let dir = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("p-10.csv", "text,n\nten,x\n");
    write("p-2.csv", "n,text\n1,two\n,\n");
    write("p-1.jsonl", "{\"text\":\"one\",\"n\":7,\"only\":true}\n");
    let options = ReadOptions::new(dir.path().join("p-*"));
    assert_eq!(files(&options.path).len(), 3);
    let (rows, rejects) = read(&options);
    assert_eq!(
        strings(&rows, "text"),
        [Some("one"), Some("two"), Some("ten")]
    );
    assert_eq!(strings(&rows, "n"), [Some("7"), Some("1"), Some("x")]);
    assert_eq!(rejects.len(), 1);
    assert!(rejects[0].reason.starts_with("in `") && rejects[0].reason.contains("p-2.csv`: "));
    check_positions(&options);
    let none = ReadOptions::new(dir.path().join("q-*.csv"));
    assert_eq!(open_error(&none).code, "missing-file");
}
