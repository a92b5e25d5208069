//! Stages that keep state: batches in order, and a crash that changes nothing.

use crate::harness::{Project, Random, reviews};
use crate::pace::{Leash, commits, kill_after, start};

const GRAPH: &str = "format = 1
[stream]
batch = 4
window = 3
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.pass]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.ledger]
plugin = \"ledger\"
from = \"pass\"
with.state = \"state.txt\"
[stage.out]
plugin = \"write\"
from = \"ledger\"
with.path = \"out.jsonl\"
";

const REVIEWS: usize = 400;

fn project() -> Project {
    Project::with_graph(GRAPH)
        .file("reviews.csv", reviews(REVIEWS))
        .test_plugin()
}

/// What a run gives that is disturbed by nothing: a line a batch, and two at the end.
fn undisturbed() -> Vec<u8> {
    let project = project();
    project.run_graph(&[]);
    let out = project.bytes("out.jsonl");
    let lines = out.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, REVIEWS / 4 + 2);
    out
}

#[test]
fn order_does_not_depend_on_workers_or_devices() {
    let expected = undisturbed();
    for more in [
        &["--workers", "2", "--set", "pass.replicas=2"][..],
        &[
            "--workers",
            "3",
            "--set",
            "pass.replicas=3",
            "--set",
            "ledger.every=7",
        ],
        &["--devices", "2", "--set", "pass.replicas=2"],
        &["--devices", "2", "--set", "ledger.every=5"],
    ] {
        let project = project();
        project.run_graph(more);
        assert!(project.bytes("out.jsonl") == expected, "with {more:?}");
    }
}

/// Runs to the end, and compares with a run that nothing disturbed.
fn resume(project: &Project, more: &[&str]) {
    project.run_graph(&[more, &["--resume"]].concat());
    let [out, expected] = [project.bytes("out.jsonl"), undisturbed()]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(out == expected, "{out} is not {expected}");
}

#[test]
fn a_saved_state_goes_on_where_it_was() {
    let project = project();
    let more = ["--set", "ledger.every=6", "--workers", "2"];
    let again = [&more[..], &["--resume"]].concat();
    let mut random = Random(21);
    let mut leash = Leash::new(&project);
    for time in 0..6 {
        let more = if time == 0 { &more[..] } else { &again };
        let further = random.below(6) as u64;
        kill_after(&mut leash, "out.jsonl", 1, further, more);
    }
    leash.free();
    resume(&project, &more);
}

#[test]
fn what_was_never_saved_starts_again() {
    let project = project();
    let more = ["--workers", "2"];
    let again = [&more[..], &["--resume"]].concat();
    let mut leash = Leash::new(&project);
    for time in 0..4 {
        let mut child = start(&project, if time == 0 { &more } else { &again });
        leash.walk(10);
        child.kill().unwrap();
        child.wait().unwrap();
        let journal = commits(&project, "out.jsonl");
        assert_eq!(journal, 0, "something was committed that nobody saved");
    }
    leash.free();
    resume(&project, &more);
}

#[test]
fn it_cannot_have_replicas() {
    let ran = project().run(&["check", "graph.toml", "--set", "ledger.replicas=2"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("error[bad-replicas]"), "{ran}");
    assert!(
        ran.stderr.contains("one instance must get them all"),
        "{ran}"
    );
}

#[test]
fn its_progress_is_shown() {
    let ran = project().run_graph(&["--set", "ledger.sleep-ms=110"]);
    assert!(ran.stderr.contains("ledger: "), "{ran}");
}
