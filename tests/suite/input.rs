//! Files that are not what they should be: refused before anything runs, or set aside
//! record by record.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::bad_models::with_model;
use crate::harness::Project;

/// `file` through to `out.jsonl`.
fn copy(file: &str, rest: &str) -> String {
    format!(
        "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"{file}\"
{rest}
[stage.out]
plugin = \"write\"
from = \"reviews\"
with.path = \"out.jsonl\"
"
    )
}

fn project(file: &str, content: impl AsRef<[u8]>) -> Project {
    Project::with_graph(&copy(file, "")).file(file, content)
}

/// `check` and `run` refuse the file, at the option that names it, and write nothing.
fn refused(project: &Project, code: &str, message: &str) {
    for command in ["check", "run"] {
        let ran = project.run(&[command, "graph.toml"]);
        ran.failed_with(2, code, &[message, "--> graph.toml:4:13\n"]);
    }
    assert!(!project.has("out.jsonl"));
}

#[test]
fn a_file_that_cannot_be_read_at_all() {
    refused(&project("a.csv", ""), "empty-file", "`a.csv` is empty");
    let header_only = project("a.csv", "label,text\n");
    refused(&header_only, "no-records", "`a.csv` has no records");
    let blank = project("a.jsonl", "\n\n");
    refused(&blank, "no-records", "`a.jsonl` has no records");
    let folder = project("a.csv/b.csv", "text\nfine\n");
    folder.write("graph.toml", copy("a.csv", ""));
    refused(&folder, "is-directory", "`a.csv` is a directory");
    let other = project("a.txt", "text\nfine\n");
    refused(&other, "unknown-format", "`a.txt` has none of the endings");
    let no_json = project("a.jsonl", "text\nfine\n");
    refused(
        &no_json,
        "bad-file",
        "`a.jsonl` has no JSON object in its first 2 lines",
    );
}

#[test]
fn a_file_without_the_text_column() {
    let project = project("a.csv", "label,txt\n1,fine\n");
    let message = "`a.csv` has no column `text`; its columns are `label`, `txt`";
    for command in ["check", "run"] {
        let ran = project.run(&[command, "graph.toml"]);
        ran.failed_with(2, "missing-column", &[message, "did you mean `txt`?"]);
    }
}

fn parquet(texts: &[&str]) -> Vec<u8> {
    let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let batch = RecordBatch::try_from_iter([("text", column)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn truncated_parquet() {
    let whole = parquet(&["fine", "dull", "a great end"]);
    let project = project("a.parquet", &whole);
    project.run_graph(&[]);
    assert_eq!(project.lines("out.jsonl").len(), 3);
    std::fs::remove_file(project.path("out.jsonl")).unwrap();
    for length in [1, 8, whole.len() / 2, whole.len() - 1] {
        project.write("a.parquet", &whole[..length]);
        refused(
            &project,
            "bad-file",
            "`a.parquet` is not a whole Parquet file: ",
        );
    }
    // The footer is whole and the pages are not.
    let mut damaged = whole.clone();
    damaged[8..40].fill(0xff);
    project.write("a.parquet", damaged);
    let ran = project.run(&["run", "graph.toml", "--quiet"]);
    ran.failed_with(
        1,
        "bad-file",
        &["`a.parquet` is not a whole Parquet file: "],
    );
}

/// Five good records among one of each kind of bad one.
fn mixed() -> Vec<u8> {
    let long = "very ".repeat(1 << 18);
    let mut text = b"label,text\n1,fine\n0,dull,extra\n1,\n0,caf\xe9 noir\n".to_vec();
    text.extend(format!("1,{long}\n").into_bytes());
    text.extend(b"0,poor\n7,odd\n1,\"two\nlines\"\nshort\n0,bad\n1,   \n1,good\n0,\"open\n");
    text
}

fn mixed_rejects() -> Vec<Value> {
    let reject = |record: u64, line: u64, code: &str, reason: &str| json!({"source": "reviews", "record": record, "line": line, "code": code, "reason": reason});
    vec![
        reject(1, 3, "malformed", "the row has 3 fields, and the header 2"),
        reject(2, 4, "no-text", "`text` is empty"),
        reject(3, 5, "invalid-utf8", "`text` is not UTF-8 at its byte 3"),
        reject(
            4,
            6,
            "too-long",
            "`text` has 1310720 bytes, and the limit is 262144",
        ),
        reject(8, 11, "malformed", "the row has 1 fields, and the header 2"),
        reject(10, 13, "no-text", "`text` is empty"),
        reject(12, 15, "malformed", "a quote is never closed"),
    ]
}

#[test]
fn bad_records_are_set_aside_and_counted() {
    let project = project("a.csv", mixed());
    for (batch, workers) in [("1", "1"), ("2", "2"), ("32", "1")] {
        let set = format!("stream.batch={batch}");
        let ran = project.run_graph(&[
            "--set",
            &set,
            "--workers",
            workers,
            "--report",
            "report.json",
        ]);
        assert!(ran.stderr.contains(", 7 records rejected\n"), "{ran}");
        let report = project.json("report.json");
        assert_eq!(
            (&report["reviews"], &report["rejected"]),
            (&6.into(), &7.into())
        );
        assert_eq!(project.lines("out.jsonl.rejects.jsonl"), mixed_rejects());
        let rows = project.lines("out.jsonl");
        let expected = [
            (0, "fine", "positive"),
            (5, "poor", "negative"),
            (6, "odd", "7"),
            (7, "two\nlines", "positive"),
            (9, "bad", "negative"),
            (11, "good", "positive"),
        ];
        let expected: Vec<Value> = (expected.iter())
            .map(|(review, text, truth)| json!({"review": review, "text": text, "truth": truth}))
            .collect();
        assert_eq!(rows, expected);
    }
}

#[test]
fn rejects_go_where_the_user_says() {
    let project = project("a.csv", mixed());
    project.run_graph(&["--rejects", "set-aside.jsonl"]);
    assert_eq!(project.lines("set-aside.jsonl"), mixed_rejects());
    assert!(!project.has("out.jsonl.rejects.jsonl"));
    let clean = self::project("a.csv", "text\nfine\n");
    clean.run_graph(&["--rejects", "set-aside.jsonl"]);
    assert_eq!(clean.read("set-aside.jsonl"), "");
    let nowhere = clean.run(&["run", "graph.toml", "--rejects", "none/set-aside.jsonl"]);
    nowhere.failed_with(1, "write-failed", &["cannot write `none/set-aside.jsonl`"]);
}

#[test]
fn what_the_graph_reads_or_writes_is_no_place_for_rejects_or_report() {
    let project = project("a.csv", mixed());
    for flag in ["--rejects", "--report"] {
        for (file, stage) in [("./a.csv", "reviews"), ("out.jsonl", "out")] {
            let ran = project.run(&["run", "graph.toml", flag, file]);
            let part = format!("`{flag}` names the file of `{stage}`");
            ran.failed_with(2, "duplicate", &[&part]);
        }
    }
    assert_eq!(project.bytes("a.csv"), mixed());
    assert!(!project.has("out.jsonl"));
}

#[test]
fn a_rejects_file_of_an_earlier_run_does_not_stay() {
    let project = project("a.csv", mixed());
    project.run_graph(&[]);
    assert!(project.has("out.jsonl.rejects.jsonl"));
    project.write("a.csv", "text\nfine\n");
    project.run_graph(&[]);
    assert!(!project.has("out.jsonl.rejects.jsonl"));
}

#[test]
fn strict_ends_at_the_first_bad_record() {
    let project = project("a.csv", mixed());
    for batch in ["1", "32"] {
        let set = format!("stream.batch={batch}");
        let ran = project.run(&["run", "graph.toml", "--strict", "--quiet", "--set", &set]);
        let text = ran.failed(1);
        let expected = "\
error[malformed]: record 1 (line 3) of `reviews`: the row has 3 fields, and the header 2
  --> graph.toml:2:8
2 | [stage.reviews]
  |        ^^^^^^^
help: without `--strict` such records are set aside and counted
";
        assert_eq!(text, expected);
    }
    project.write("a.csv", "text\nfine\n");
    project.run_graph(&["--strict"]);
}

#[test]
fn a_file_with_no_good_record_fails_with_the_commonest_reason() {
    let project = project("a.csv", "label,text\n1,\n0,\n1,a,b\n");
    let said = "no record can be used: of 3 every one was rejected, 2 of them for `no-text`";
    for more in [&[][..], &["--resume"], &["--set", "stream.batch=1"]] {
        let ran = project.run(&[&["run", "graph.toml", "--quiet"], more].concat());
        ran.failed_with(1, "all-rejected", &[said, "out.jsonl.rejects.jsonl"]);
        assert_eq!(project.read("out.jsonl"), "");
        assert_eq!(project.lines("out.jsonl.rejects.jsonl").len(), 3);
    }
    // One good record, and it is a run like any other.
    project.write("a.csv", "label,text\n1,\n0,\n1,a,b\n1,fine\n");
    project.run_graph(&["--quiet"]);
    assert_eq!(project.lines("out.jsonl").len(), 1);
}

#[test]
fn a_source_with_no_good_record_is_told_of_where_another_has_some() {
    let graph = "format = 1
stage.good = { plugin = \"read\", with.path = \"good.csv\" }
stage.bad = { plugin = \"read\", with.path = \"bad.csv\" }
stage.out = { plugin = \"write\", from = [\"good\", \"bad\"], with.path = \"out.jsonl\" }
";
    let project = Project::with_graph(graph)
        .file("good.csv", "text\nfine\nbetter\n")
        .file("bad.csv", "text\n\"\"\n\"\"\n\"\"\n");
    let said = project.run(&["run", "graph.toml"]).ok().stderr;
    assert!(
        said.contains("note: `bad`: not one of its 3 records can be used, such as: "),
        "{said}"
    );
    assert!(!said.contains("note: `good`"), "{said}");
    assert_eq!(project.lines("out.jsonl").len(), 2);
}

#[test]
fn rejected_records_are_rows_where_they_are_kept() {
    let project = project("a.csv", "label,text,n\n1,one,1\n0,,2\n1,three,3\n0,x\n");
    let row = |review: u64, text: Value, truth: Value, n: Value| json!({"review": review, "text": text, "truth": truth, "n": n});
    let none = || Value::Null;
    let expected = [
        row(0, "one".into(), "positive".into(), 1.into()),
        row(1, none(), none(), none()),
        row(2, "three".into(), "positive".into(), 3.into()),
        row(3, none(), none(), none()),
    ];
    let keep = ["--set", "out.rejects=keep", "--report", "report.json"];
    for batch in ["1", "2", "32"] {
        let set = format!("stream.batch={batch}");
        project.run_graph(&[&keep[..], &["--set", &set]].concat());
        assert_eq!(project.lines("out.jsonl"), expected);
        let report = project.json("report.json");
        assert_eq!(
            (&report["reviews"], &report["rejected"]),
            (&2.into(), &2.into())
        );
        assert_eq!(project.lines("out.jsonl.rejects.jsonl").len(), 2);
    }
    project.run_graph(&[&keep[..], &["--set", "out.columns=[\"text\"]"]].concat());
    let texts = project.lines("out.jsonl");
    assert_eq!(
        texts,
        ["one".into(), none(), "three".into(), none()].map(|text| json!({ "text": text }))
    );
    let ran = project.run(&["run", "graph.toml", "--set", "out.rejects=drop"]);
    ran.failed_with(2, "bad-value", &["`rejects` cannot be `drop`"]);
}

#[test]
fn columns_that_clash_with_the_graphs_own() {
    let project = with_model();
    project.write(
        "reviews.csv",
        "Review Body,score,stars,label\nfine film,7,5,x\ndull,3,1,y\n",
    );
    let sets = [
        "--set",
        "reviews.text=Review Body",
        "--set",
        "reviews.label=stars",
        "--set",
        "reviews.labels={ positive = [4, 5], negative = [\"1\"] }",
        "--set",
        "out.columns=[\"Review Body\", \"file_score\", \"file_label\", \"truth\", \"label\", \"stars\"]",
    ];
    let said = project.run(&[&["check", "graph.toml"], &sets[..]].concat());
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(
        text.contains("its column `score` is called `file_score`"),
        "{text}"
    );
    project.run_graph(&sets);
    let rows = project.lines("out.jsonl");
    assert_eq!(rows[0]["Review Body"], "fine film");
    assert_eq!(
        (&rows[0]["file_score"], &rows[1]["file_label"]),
        (&7.into(), &"y".into())
    );
    assert_eq!(
        (&rows[0]["truth"], &rows[1]["truth"]),
        (&"positive".into(), &"negative".into())
    );
    assert!(rows[0]["label"].is_string() && rows[0]["stars"] == 5);
}

#[test]
fn labels_that_no_verdict_can_be_give_no_accuracy() {
    let project = with_model();
    for labels in [["happy", "sad"], ["1", "2"], ["happy", "happy"]] {
        let [one, two] = labels;
        project.write(
            "reviews.csv",
            format!("text,label\nfine,{one}\ndull,{two}\npoor,{two}\n"),
        );
        let ran = project.run_graph(&["--report", "report.json"]);
        assert!(
            !ran.stderr.contains("accuracy 0") && ran.stderr.contains("there is no accuracy"),
            "{ran}"
        );
        let report = project.json("report.json");
        assert_eq!(report["accuracy"], Value::Null);
        let notes = report["notes"].to_string();
        assert!(notes.contains("with.labels"), "{notes}");
    }
    project.write(
        "reviews.csv",
        "text,label\nfine,1.0\ndull,0.0\npoor,\nodd,-1\n",
    );
    project.run_graph(&["--report", "report.json"]);
    let report = project.json("report.json");
    assert!(report["accuracy"].is_number());
    assert_eq!(report["notes"], json!([]));
    assert_eq!(project.lines("out.jsonl").len(), 4);
}

#[test]
fn a_pattern_that_fits_the_output_is_refused() {
    let project =
        project("part-1.jsonl", "{\"text\":\"a\"}\n").file("part-2.jsonl", "{\"text\":\"b\"}\n");
    project.run_graph(&["--set", "reviews.path=part-*.jsonl"]);
    assert_eq!(project.lines("out.jsonl").len(), 2);
    let fits = project.run(&[
        "check",
        "graph.toml",
        "--set",
        "reviews.path=*.jsonl",
        "--set",
        "out.path=new.jsonl",
    ]);
    fits.failed_with(
        2,
        "duplicate",
        &["writes a file that another stage would read the next time"],
    );
}

#[test]
fn bad_lines_of_json() {
    let lines =
        "{\"text\": \"fine\", \"stars\": 4}\nnonsense\n{\"text\": 5}\n[1]\n{\"text\": \"dull\"}\n";
    let project = project("a.jsonl", lines);
    project.run_graph(&[]);
    let rejects = project.lines("out.jsonl.rejects.jsonl");
    let told: Vec<_> = (rejects.iter())
        .map(|r| (r["line"].as_u64().unwrap(), r["code"].as_str().unwrap()))
        .collect();
    let expected = [(2, "malformed"), (3, "bad-value"), (4, "malformed")];
    assert_eq!(told, expected);
    assert_eq!(project.lines("out.jsonl").len(), 2);
}

#[test]
fn an_output_that_cannot_be_written() {
    let project = project("a.csv", "text\nfine\n").file("out.jsonl/x", "");
    let ran = project.run(&["run", "graph.toml"]);
    ran.failed_with(
        2,
        "is-directory",
        &["`out.jsonl` is a directory", "graph.toml:9:13"],
    );
}
