//! Stages that give their state to the host: a crash changes nothing, on whichever device
//! they go on.

use crate::harness::{Project, reviews};
use crate::pace::{Leash, kill_after};

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
[stage.sum]
plugin = \"running-sum\"
from = \"pass\"
[stage.again]
plugin = \"running-sum\"
from = \"pass\"
with.ballast = 3000001
[stage.rows]
plugin = \"write\"
from = \"pass\"
with.path = \"rows.jsonl\"
[stage.out]
plugin = \"write\"
from = [\"sum\", \"again\"]
with.path = \"out.parquet\"
";

const FILES: [&str; 2] = ["rows.jsonl", "out.parquet"];

fn project() -> Project {
    Project::with_graph(GRAPH)
        .file("reviews.csv", reviews(200))
        .test_plugin()
}

/// Kills at three commits, resumes with `last`, and compares.
fn check(more: &[&str], last: &[&str]) {
    let undisturbed = project();
    undisturbed.run_graph(&[]);
    let project = project();
    let mut leash = Leash::new(&project);
    for resume in [&[][..], &["--resume"], &["--resume"]] {
        let more = [more, resume].concat();
        kill_after(&mut leash, "rows.jsonl", 2, 3, &more);
    }
    leash.free();
    let done = project.run_graph(&[last, &["--resume"]].concat());
    assert!(done.stderr.contains(" committed before"), "{done}");
    for file in FILES {
        assert!(project.bytes(file) == undisturbed.bytes(file), "{file}");
    }
    assert_eq!(left(&project), [""; 0]);
}

/// The files of states.
fn left(project: &Project) -> Vec<String> {
    let names = std::fs::read_dir(project.path("")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".state-")).collect()
}

#[test]
fn on_one_worker() {
    check(&[], &[]);
}

#[test]
fn on_other_workers_than_before() {
    check(
        &["--workers", "2", "--set", "pass.replicas=2"],
        &["--workers", "3"],
    );
}

#[test]
fn on_other_devices_than_before() {
    let cluster = ["--devices", "2", "--set", "pass.replicas=2"];
    check(&["--workers", "2"], &cluster);
}

#[test]
fn the_order_does_not_depend_on_workers_or_devices() {
    let expected = project();
    expected.run_graph(&[]);
    for more in [
        &["--workers", "2", "--set", "pass.replicas=2"][..],
        &["--devices", "2", "--set", "pass.replicas=2"],
        &["--set", "sum.pause-ms=100000"],
    ] {
        let project = project();
        project.run_graph(more);
        for file in FILES {
            assert!(
                project.bytes(file) == expected.bytes(file),
                "{file} {more:?}"
            );
        }
    }
}

#[test]
fn a_state_that_is_damaged_is_refused() {
    let project = project();
    let mut leash = Leash::new(&project);
    kill_after(&mut leash, "rows.jsonl", 2, 0, &[]);
    leash.free();
    let journal = project.read("rows.jsonl.journal");
    let last: serde_json::Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    let name = last["state"]["file"].as_str().unwrap();
    let whole = project.bytes(name);
    let mut other = whole.clone();
    other[whole.len() / 2] ^= 4;
    for damaged in [&whole[1..], &other] {
        project.write(name, damaged);
        let ran = project.run(&["run", "graph.toml", "--quiet", "--resume"]);
        ran.failed_with(1, "bad-resume", &[name, "is not as it was written"]);
    }
    project.write(name, &whole);
    project.run_graph(&["--resume"]);
}
