//! Stages that keep state: batches in order, and a crash that changes nothing.

use std::process::Stdio;
use std::time::Duration;

use crate::harness::{Project, Random, reviews};

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

/// Kills at random moments and resumes; gives how many of the killed runs left a commit. Every
/// other one is let live until there is one, if the stage ever saves.
fn kills(every: u32, seed: u64) -> usize {
    let expected = undisturbed();
    let project = project();
    let mut random = Random(seed);
    let option = format!("ledger.every={every}");
    let more = [
        "--set",
        &option,
        "--set",
        "ledger.sleep-ms=3",
        "--workers",
        "2",
    ];
    let commits = || {
        let journal = std::fs::read_to_string(project.path("out.jsonl.journal"));
        journal.unwrap_or_default().lines().count() > 1
    };
    let mut committed = 0;
    for time in 0..12 {
        let resume: &[&str] = if time == 0 { &[] } else { &["--resume"] };
        let arguments = [&["run", "graph.toml", "--quiet"], &more[..], resume].concat();
        let mut command = project.command(&arguments);
        let mut child = (command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()).unwrap();
        let waits = every > 0 && time % 2 == 1;
        while waits && !commits() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(random.below(150) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        committed += usize::from(commits());
    }
    project.run_graph(&[&more[..], &["--resume"]].concat());
    let out = project.bytes("out.jsonl");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        out == expected,
        "{committed} commits: {} is not {}",
        text(&out),
        text(&expected)
    );
    committed
}

#[test]
fn a_saved_state_goes_on_where_it_was() {
    assert!(kills(6, 21) > 0, "no run came far enough to be resumed");
}

#[test]
fn what_was_never_saved_starts_again() {
    assert_eq!(kills(0, 22), 0, "something was committed that nobody saved");
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
