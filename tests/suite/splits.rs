//! However a model is cut, spread and batched, the same bytes come out.

use crate::harness::{Project, reviews};
use crate::tiny::Tiny;

const REVIEWS: usize = 60;

/// A graph with `encoders`, the last of which is `encoder`.
fn graph(encoders: &str) -> String {
    format!(
        "format = 1
stage.reviews = {{ plugin = \"read\", with.path = \"reviews.csv\" }}
stage.tokenize = {{ plugin = \"tokenizer\", from = \"reviews\", with.model = \"model\", with.max-tokens = 32 }}
{encoders}
stage.verdict = {{ plugin = \"aggregator\", from = \"encoder\" }}
stage.out = {{ plugin = \"write\", from = \"verdict\", with.path = \"out.jsonl\" }}
"
    )
}

fn whole() -> String {
    graph("stage.encoder = { plugin = \"bert\", from = \"tokenize\", with.model = \"model\" }")
}

/// One `bert` stage a range, each reading the one before.
fn chain(ranges: &[&str]) -> String {
    let last = ranges.len() - 1;
    let name = |i: usize| match i {
        i if i == last => "encoder".to_owned(),
        i => format!("part{i}"),
    };
    let stage = |(i, range): (usize, &&str)| {
        let from = if i == 0 {
            "tokenize".to_owned()
        } else {
            name(i - 1)
        };
        format!(
            "stage.{} = {{ plugin = \"bert\", from = \"{from}\", with.model = \"model\", with.layers = \"{range}\" }}",
            name(i)
        )
    };
    let stages: Vec<_> = ranges.iter().enumerate().map(stage).collect();
    graph(&stages.join("\n"))
}

fn project(tiny: Tiny) -> Project {
    Project::with_graph(&whole())
        .file("reviews.csv", reviews(REVIEWS))
        .model("model", tiny)
}

/// Runs with `more`, and gives the output, which goes.
fn output(project: &Project, more: &[&str]) -> String {
    project.run_graph(&[more, &["--quiet"]].concat());
    let output = project.read("out.jsonl");
    std::fs::remove_file(project.path("out.jsonl")).unwrap();
    output
}

fn check(project: &Project, expected: &str, more: &[&str]) {
    let output = output(project, more);
    assert!(output == expected, "{more:?} changes the output");
}

/// The output of the whole model on one worker, one review at a time. It must not be
/// the same for every review, or nothing would be shown by comparing it.
fn expected(project: &Project) -> String {
    let expected = output(project, &["--workers", "1", "--set", "stream.batch=1"]);
    assert_eq!(expected.lines().count(), REVIEWS);
    let score = |line: &str| line.split("\"score\":").nth(1).unwrap().to_owned();
    let scores: std::collections::BTreeSet<_> = expected.lines().map(score).collect();
    assert!(scores.len() > REVIEWS / 2, "{scores:?}");
    expected
}

#[test]
fn no_split_changes_the_output() {
    for half in [false, true] {
        let project = project(Tiny {
            half,
            ..Tiny::default()
        });
        let expected = expected(&project);
        for split in [
            "1",
            "2",
            "3",
            "4",
            "[\"..1\", \"1..\"]",
            "[\"..2\", \"2..\"]",
            "[\"..3\", \"3..\"]",
            "[\"..1\", \"1..3\", \"3..\"]",
            "[\"0..1\", \"1..2\", \"2..3\", \"3..4\"]",
            "[\"..\"]",
        ] {
            check(
                &project,
                &expected,
                &["--set", &format!("encoder.split={split}")],
            );
        }
    }
}

#[test]
fn separate_stages_are_the_same_as_segments() {
    let project = project(Tiny::default());
    let expected = expected(&project);
    for ranges in [
        &["..1", "1.."][..],
        &["..2", "2.."],
        &["..3", "3.."],
        &["0..2", "2..3", "3..4"],
    ] {
        project.write("graph.toml", chain(ranges));
        check(&project, &expected, &["--workers", "1"]);
        check(&project, &expected, &["--workers", "2"]);
    }
}

#[test]
fn no_number_of_workers_or_replicas_changes_the_output() {
    let project = project(Tiny::default());
    let expected = expected(&project);
    let small = "stream.batch=7";
    for workers in ["1", "2", "3", "4"] {
        for (split, replicas) in [(2, 1), (1, 2), (1, 3), (2, 2), (4, 3)] {
            let split = format!("encoder.split={split}");
            let replicas = format!("encoder.replicas={replicas}");
            let sets = ["--set", &split, "--set", &replicas, "--set", small];
            check(
                &project,
                &expected,
                &[&sets[..], &["--workers", workers]].concat(),
            );
        }
    }
    let replicated = [
        "--set",
        "tokenize.replicas=2",
        "--set",
        "verdict.replicas=3",
    ];
    check(
        &project,
        &expected,
        &[&replicated[..], &["--set", small]].concat(),
    );
}

#[test]
fn no_batch_size_or_window_changes_the_output() {
    let project = project(Tiny::default());
    let expected = expected(&project);
    for batch in ["1", "7", "32"] {
        for window in ["1", "8"] {
            let batch = format!("stream.batch={batch}");
            let window = format!("stream.window={window}");
            let sets = ["--set", &batch, "--set", &window];
            check(
                &project,
                &expected,
                &[&sets[..], &["--set", "encoder.split=2"]].concat(),
            );
        }
    }
}

#[test]
fn windows_of_one_text_become_one_verdict_however_they_are_spread() {
    let project = project(Tiny::default());
    let windows = [
        "--set",
        "tokenize.truncation=windows",
        "--set",
        "tokenize.max-tokens=10",
        "--set",
        "tokenize.overlap=2",
    ];
    let expected = output(&project, &[&windows[..], &["--workers", "1"]].concat());
    assert_eq!(expected.lines().count(), REVIEWS);
    for more in [
        &["--set", "encoder.split=2"][..],
        &["--set", "encoder.replicas=2", "--set", "stream.batch=7"],
    ] {
        check(&project, &expected, &[&windows[..], more].concat());
    }
}

#[test]
fn merged_branches_keep_their_order() {
    let graph = "format = 1
[stage.first]
plugin = \"read\"
with.path = \"first.csv\"
[stage.second]
plugin = \"read\"
with.path = \"second.csv\"
[stage.half]
plugin = \"every-other\"
from = \"first\"
[stage.all]
plugin = \"pass\"
from = [\"second\", \"half\", \"first\"]
[stage.out]
plugin = \"write\"
from = \"all\"
with.path = \"out.jsonl\"
";
    let project = Project::with_graph(graph)
        .file("first.csv", reviews(40))
        .file("second.csv", reviews(13))
        .test_plugin();
    // Of each batch of 7 that is not the last, 4 rows are every other one.
    for (batch, half) in [(7, 23), (64, 20)] {
        let batch = format!("stream.batch={batch}");
        let expected = output(&project, &["--workers", "1", "--set", &batch]);
        assert_eq!(expected.lines().count(), 13 + half + 40);
        for more in [
            &["--workers", "2"][..],
            &["--workers", "3", "--set", "half.replicas=2"],
            &["--workers", "2", "--set", "all.replicas=2"],
            &[
                "--workers",
                "2",
                "--set",
                "half.replicas=2",
                "--set",
                "stream.window=1",
            ],
        ] {
            check(&project, &expected, &[more, &["--set", &batch]].concat());
        }
    }
}
