//! What a run writes: never in the way of another, never over what is not its own, never
//! less than it says.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use crate::harness::{Project, ROOT, compile, compile_word_count, reviews};
use crate::pace::{Leash, commits, eventually, is_done, kill_after, start};

const GRAPH: &str = "format = 1
[stream]
batch = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.pass]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.out]
plugin = \"write\"
from = \"pass\"
with.path = \"out.jsonl\"
";

fn project() -> Project {
    Project::with_graph(GRAPH)
        .file("reviews.csv", reviews(100))
        .test_plugin()
}

const RUN: [&str; 3] = ["run", "graph.toml", "--quiet"];

#[test]
fn a_second_run_on_the_same_output_is_refused() {
    let project = project();
    let mut leash = Leash::new(&project);
    let mut first = start(&project, &[]);
    leash.until_in(&mut first, "it commits", || {
        commits(&project, "out.jsonl") > 1
    });
    for more in [&[][..], &["--resume"]] {
        let ran = project.run(&[&RUN, more].concat());
        ran.failed_with(1, "in-use", &["`out.jsonl.journal`", "another run"]);
    }
    leash.free();
    assert!(first.wait().unwrap().success());
    assert_eq!(project.lines("out.jsonl").len(), 100);
}

#[test]
fn a_second_output_that_another_run_writes_is_refused() {
    let second = "[stage.more]\nplugin = \"write\"\nfrom = \"pass\"\nwith.path = \"more.csv\"\n";
    let project = project().file("graph.toml", format!("{GRAPH}{second}"));
    let mut leash = Leash::new(&project);
    let mut first = start(&project, &[]);
    leash.until_in(&mut first, "it commits", || {
        commits(&project, "out.jsonl") > 1
    });
    // Nothing holds the second one: how far it comes before it fails is a matter of threads.
    let free = ["--set", "out.path=other.jsonl", "--set", "pass.leash="];
    let ran = project.run(&[&RUN[..], &free].concat());
    ran.failed_with(1, "in-use", &["`more.csv`"]);
    leash.free();
    assert!(first.wait().unwrap().success());
    assert_eq!(project.read("more.csv").lines().count(), 101);
}

#[test]
fn a_run_that_cannot_start_leaves_the_last_output() {
    let project = project();
    project.run(&RUN).ok();
    let before = [
        project.bytes("out.jsonl"),
        project.bytes("out.jsonl.journal"),
    ];
    let broken = GRAPH.replace(
        "\"pass\"\nfrom = \"reviews\"\nwith.leash = \"leash\"",
        "\"will-not-start\"\nfrom = \"reviews\"\nwith.blamed = true",
    );
    project.write("graph.toml", broken);
    project.run(&RUN).failed(1);
    let after = [
        project.bytes("out.jsonl"),
        project.bytes("out.jsonl.journal"),
    ];
    assert!(after == before);
}

/// Files that have the names of what a run keeps, and are none of its.
#[test]
fn files_of_others_are_left_alone() {
    for (name, code, path) in [
        ("out.jsonl.rejects.jsonl", "not-rejects", "out.jsonl"),
        ("out.jsonl.journal", "not-a-journal", "out.jsonl"),
        ("out.parquet.spool", "in-the-way", "out.parquet"),
        ("out.parquet.tmp", "in-the-way", "out.parquet"),
    ] {
        for content in ["dear diary\n", "{\"a\": 1}\n", "x"] {
            let project = project().file(name, content);
            let set = format!("out.path={path}");
            let ran = project.run(&[&RUN[..], &["--set", &set]].concat());
            ran.failed_with(1, code, &[name]);
            assert_eq!(project.read(name), content);
        }
    }
}

#[test]
fn what_is_kept_beside_an_output_is_no_input() {
    for (name, path) in [
        ("out.csv.rejects.jsonl", "out.csv"),
        ("out.parquet.spool.jsonl", "out.parquet.spool.jsonl"),
    ] {
        let project = project().file(name, "{\"text\": \"a fine film\"}\n");
        let [input, output] = [format!("reviews.path={name}"), format!("out.path={path}")];
        for command in ["check", "run"] {
            let ran = project.run(&[command, "graph.toml", "--set", &input, "--set", &output]);
            ran.failed_with(2, "duplicate", &[]);
        }
        assert_eq!(project.read(name), "{\"text\": \"a fine film\"}\n");
    }
}

#[test]
fn hard_links_are_one_file() {
    let project = project();
    fs::hard_link(project.path("reviews.csv"), project.path("out.csv")).unwrap();
    let ran = project.run(&["check", "graph.toml", "--set", "out.path=out.csv"]);
    ran.failed_with(2, "duplicate", &["writes a file that another stage reads"]);
    let second = "[stage.more]\nplugin = \"write\"\nfrom = \"pass\"\nwith.path = \"more.jsonl\"\n";
    project.write("graph.toml", format!("{GRAPH}{second}"));
    project.write("out.jsonl", "");
    fs::hard_link(project.path("out.jsonl"), project.path("more.jsonl")).unwrap();
    let ran = project.run(&["check", "graph.toml"]);
    ran.failed_with(2, "duplicate", &["writes a file that another stage writes"]);
}

#[test]
fn an_output_that_goes_during_the_run_is_noticed() {
    type Damage = fn(&Path);
    let damage: [(&str, Damage); 3] = [
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("replaced", |path| {
            fs::rename(path, path.with_extension("old")).unwrap();
            fs::write(path, "").unwrap();
        }),
        ("cut off", |path| fs::write(path, "{}\n").unwrap()),
    ];
    for (what, damage) in damage {
        let project = project();
        let mut leash = Leash::new(&project);
        let mut child = start(&project, &[]);
        leash.until_in(&mut child, "it commits", || {
            commits(&project, "out.jsonl") > 1
        });
        damage(&project.path("out.jsonl"));
        leash.free();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{what}");
        assert!(!is_done(&project, "out.jsonl"), "{what}");
    }
}

#[test]
fn a_complete_output_is_looked_at_again() {
    for path in ["out.jsonl", "out.csv", "out.parquet"] {
        let project = project();
        let set = format!("out.path={path}");
        let run = [&RUN[..], &["--set", &set]].concat();
        let resume = [&run[..], &["--resume"]].concat();
        project.run(&run).ok();
        project.run(&resume).ok();
        let whole = project.bytes(path);
        project.write(path, &whole[..whole.len() - 1]);
        let ran = project.run(&resume);
        ran.failed_with(1, "output-lost", &[path, "were written"]);
        let mut other = whole.clone();
        other[20] ^= 1;
        project.write(path, other);
        let ran = project.run(&resume);
        ran.failed_with(1, "output-lost", &[path, "was changed since"]);
        fs::remove_file(project.path(path)).unwrap();
        let ran = project.run(&resume);
        ran.failed_with(1, "output-lost", &[path, "cannot be read"]);
        project.run(&run).ok();
        assert!(project.bytes(path) == whole);
    }
}

/// What an earlier run completed is not taken for what this one had.
#[test]
fn a_complete_file_of_an_earlier_run_is_not_taken_for_this_ones() {
    let project = project();
    let set = ["--set", "out.path=out.parquet"];
    project.run(&[&RUN[..], &set].concat()).ok();
    let earlier = project.bytes("out.parquet");
    project.write("reviews.csv", reviews(60));
    fs::remove_file(project.path("out.parquet.journal")).unwrap();
    let mut leash = Leash::new(&project);
    kill_after(&mut leash, "out.parquet", 2, 0, &set);
    leash.free();
    fs::remove_file(project.path("out.parquet.spool")).unwrap();
    let ran = project.run(&[&RUN[..], &set, &["--resume"]].concat());
    let parts = [
        "out.parquet.spool` is gone, and cannot be resumed",
        "run again from the start",
    ];
    ran.failed_with(1, "bad-resume", &parts);
    assert!(project.bytes("out.parquet") == earlier);
}

/// All is committed, and the run is killed before it has said so.
#[test]
fn what_is_committed_is_only_completed() {
    for path in ["out.jsonl", "out.csv"] {
        let graph = GRAPH.replace("[stage.out]\nplugin = \"write\"\nfrom = \"pass\"", "[stage.ledger]\nplugin = \"ledger\"\nfrom = \"pass\"\nwith.state = \"state.txt\"\n[stage.out]\nplugin = \"write\"\nfrom = \"ledger\"");
        let project = project().file("graph.toml", graph);
        let set = format!("out.path={path}");
        let run = [&RUN[..], &["--set", &set]].concat();
        project.run(&run).ok();
        let whole = project.bytes(path);
        let journal = format!("{path}.journal");
        let text = project.read(&journal);
        let mut lines: Vec<&str> = text.lines().collect();
        assert!(lines.pop().unwrap().contains("\"done\":true"));
        assert!(lines.last().unwrap().contains("\"ended\":true"));
        project.write(&journal, lines.join("\n") + "\n");
        let ran = project.run(&[&run[..], &["--resume"]].concat()).ok();
        assert!(project.bytes(path) == whole, "{ran}");
        assert!(is_done(&project, path));
        // The ledger would have left its state once more.
        assert!(!project.has("state.txt"));
    }
}

/// Two stages save at different times, one behind a sink and one before another.
#[test]
fn stages_that_save_at_different_times_commit_in_step() {
    let graph = "format = 1
[stream]
batch = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.pass]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.three]
plugin = \"ledger\"
from = \"pass\"
with.state = \"three.txt\"
with.every = 3
[stage.five]
plugin = \"ledger\"
from = \"pass\"
with.state = \"five.txt\"
with.every = 5
[stage.before]
plugin = \"write\"
from = \"pass\"
with.path = \"before.jsonl\"
[stage.behind]
plugin = \"write\"
from = [\"three\", \"five\"]
with.path = \"behind.csv\"
";
    let text = reviews(200);
    let line = |(i, line): (usize, &str)| match i % 7 {
        6 => format!("{i},\n"),
        _ => format!("{line}\n"),
    };
    let records: String = text.lines().enumerate().map(line).collect();
    let project = || {
        let project = Project::with_graph(graph).test_plugin();
        project.file("reviews.csv", &records)
    };
    let files = ["before.jsonl", "before.jsonl.rejects.jsonl", "behind.csv"];
    let undisturbed = project();
    undisturbed.run(&RUN).ok();
    let project = project();
    let mut leash = Leash::new(&project);
    for more in [&[][..], &["--resume"], &["--resume"]] {
        kill_after(&mut leash, "before.jsonl", 2, 2, more);
    }
    leash.free();
    project.run(&[&RUN[..], &["--resume"]].concat()).ok();
    for file in files {
        assert!(project.bytes(file) == undisturbed.bytes(file), "{file}");
    }
    let last = |project: &Project| {
        let journal = project.read("before.jsonl.journal");
        let last: serde_json::Value =
            serde_json::from_str(journal.lines().last().unwrap()).unwrap();
        (last["counts"].clone(), last["sources"].clone())
    };
    assert_eq!(last(&project), last(&undisturbed));
}

#[test]
fn a_stage_that_keeps_state_on_a_loop_ends() {
    let graph = "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.keeper]
plugin = \"keeper\"
from = \"reviews\"
loop = \"copy\"
[stage.copy]
plugin = \"copy\"
from = \"keeper\"
[stage.out]
plugin = \"write\"
from = \"copy\"
with.path = \"out.jsonl\"
";
    for (save, workers) in [("0", "1"), ("1", "1"), ("1", "2")] {
        let project = Project::with_graph(graph).file("reviews.csv", reviews(2));
        let project = project.look_in("");
        let source = Path::new(ROOT).join("tests/suite/outputs/keeper.c");
        compile(&source, &project.path("libkeeper.so"), &[]);
        let set = format!("keeper.save={save}");
        let mut child = start(&project, &["--set", &set, "--workers", workers]);
        eventually("the loop ends", || child.try_wait().unwrap().is_some());
        assert!(child.wait().unwrap().success());
        assert_eq!(project.lines("out.jsonl").len(), 6, "save = {save}");
        assert!(is_done(&project, "out.jsonl"));
    }
}

/// Text has no word for them, and Parquet has.
#[test]
fn numbers_that_are_not_finite_are_told_of() {
    let rows: [(&str, ArrayRef); 2] = [
        (
            "text",
            Arc::new(StringArray::from(vec!["a", "b", "c", "d"])),
        ),
        (
            "score",
            Arc::new(Float64Array::from(vec![
                Some(1.5),
                Some(f64::NAN),
                None,
                Some(f64::NEG_INFINITY),
            ])),
        ),
    ];
    let rows = RecordBatch::try_from_iter(rows).unwrap();
    let mut file = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    file.write(&rows).unwrap();
    let file = file.into_inner().unwrap();
    let graph = "format = 1\nstream.batch = 1\n[stage.rows]\nplugin = \"read\"\nwith.path = \"rows.parquet\"\n[stage.out]\nplugin = \"write\"\nfrom = \"rows\"\nwith.path = \"out.jsonl\"\n";
    let note = "2 numbers of `score` are not finite: they are not written";
    for (path, told) in [
        ("out.jsonl", true),
        ("out.csv", true),
        ("out.parquet", false),
    ] {
        let project = Project::with_graph(graph).file("rows.parquet", &file);
        let set = format!("out.path={path}");
        let ran = project.run_graph(&["--set", &set, "--report", "report.json"]);
        assert_eq!(ran.stderr.contains(note), told, "{path}: {ran}");
        let report = project.read("report.json");
        assert_eq!(report.contains(note), told, "{path}: {report}");
    }
}

/// A column that two sources have, as a number and as a text, reaches nobody.
#[test]
fn a_column_that_merging_loses_is_told_of() {
    let source =
        |name: &str| format!("[stage.{name}]\nplugin = \"read\"\nwith.path = \"{name}.jsonl\"\n");
    let graph = format!(
        "format = 1\n{}{}[stage.out]\nplugin = \"write\"\nfrom = [\"first\", \"second\"]\nwith.path = \"out.jsonl\"\n",
        source("first"),
        source("second")
    );
    let project = Project::with_graph(&graph)
        .file("first.jsonl", "{\"text\": \"fine\", \"stars\": true}\n")
        .file("second.jsonl", "{\"text\": \"dull\", \"stars\": \"two\"}\n");
    let note =
        "note: `out`: `stars` does not reach it: `first` gives `bool`, `second` gives `utf8`";
    let checked = project.run(&["check", "graph.toml"]).ok();
    assert!(checked.stdout.contains(note), "{checked}");
    let ran = project.run_graph(&[]);
    assert_eq!(ran.stderr.matches(note).count(), 1, "{ran}");
    let columns = project.lines("out.jsonl")[0].as_object().unwrap().len();
    assert_eq!(columns, 2);
}

/// What a run reads is not where its report or its rejects may go.
#[test]
fn a_report_does_not_replace_what_is_read() {
    let second = "[stage.words]\nplugin = \"lib/libsegue_word_count.so\"\nfrom = \"pass\"\n[stage.more]\nplugin = \"write\"\nfrom = \"words\"\nwith.path = \"more.csv\"\n";
    let project = project().file("graph.toml", format!("{GRAPH}{second}"));
    compile_word_count(&project.path("lib"));
    fs::hard_link(project.path("graph.toml"), project.path("linked.json")).unwrap();
    for name in [
        "graph.toml",
        "linked.json",
        "reviews.csv",
        "lib/libsegue_word_count.so",
    ] {
        let before = project.bytes(name);
        for flag in ["--report", "--rejects"] {
            let ran = project.run(&[&RUN[..], &[flag, name]].concat());
            ran.failed_with(2, "duplicate", &[flag]);
        }
        assert!(project.bytes(name) == before, "{name}");
    }
    let ran = project.run(&[&RUN[..], &["--report", "nowhere/report.json"]].concat());
    ran.failed_with(1, "write-failed", &["nowhere", "its folder does not exist"]);
    let ran = project.run(&[&RUN[..], &["--report", "lib"]].concat());
    ran.failed_with(1, "write-failed", &["lib", "it is a folder"]);
    assert!(!project.has("out.jsonl"));
}
