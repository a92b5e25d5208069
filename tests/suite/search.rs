//! Searches as loops of a dataflow: what they find does not depend on where they run, nor on
//! how often they were killed.

mod objectives;
mod options;
mod weights;

use serde_json::Value;

use crate::harness::Project;
use crate::pace::{Leash, kill_after};

const GRAPH: &str = "format = 1
[stage.search]
plugin = \"SEARCH\"
loop = \"function\"
with.dimensions = 6
with.generations = 60
with.population = 9
with.seed = 3
[stage.hold]
plugin = \"hold\"
from = \"search\"
with.leash = \"leash\"
[stage.function]
plugin = \"function\"
from = \"hold\"
with.function = \"griewank\"
[stage.scores]
plugin = \"write\"
from = \"function\"
with.path = \"scores.jsonl\"
[stage.best]
plugin = \"search-best\"
from = \"search\"
[stage.out]
plugin = \"write\"
from = \"best\"
with.path = \"out.jsonl\"
[stage.generations]
plugin = \"search-history\"
from = \"search\"
[stage.history]
plugin = \"write\"
from = \"generations\"
with.path = \"history.jsonl\"
";

/// What a search writes besides its history.
const FILES: [&str; 2] = ["scores.jsonl", "out.jsonl"];

const ALL: [&str; 8] = [
    "pso", "ga", "bat", "cuckoo", "cma-es", "pso-ga", "pso-cs", "pso-adam",
];

fn project(search: &str) -> Project {
    Project::with_graph(&GRAPH.replace("SEARCH", search)).test_plugin()
}

/// The lines of a history without what may differ: how long it took.
fn history(project: &Project) -> Vec<Value> {
    let mut lines = project.lines("history.jsonl");
    for line in &mut lines {
        let seconds = line.as_object_mut().unwrap().remove("seconds");
        assert!(seconds.is_some_and(|seconds| seconds.as_f64() >= Some(0.0)));
    }
    lines
}

/// Both have the same history and the same bytes in `files`.
fn compare(project: &Project, expected: &Project, files: &[&str], how: &str) {
    for file in files {
        assert!(project.bytes(file) == expected.bytes(file), "{how}: {file}");
    }
    assert_eq!(history(project), history(expected), "{how}");
}

/// Kills a run twice, with `more`, and lets it end, with `last`.
fn kill_twice(project: &Project, more: &[&str], last: &[&str]) {
    let mut leash = Leash::new(project);
    for resume in [&[][..], &["--resume"]] {
        kill_after(&mut leash, "scores.jsonl", 2, 1, &[more, resume].concat());
    }
    leash.free();
    let done = project.run_graph(&[last, &["--resume"]].concat());
    assert!(done.stderr.contains(" committed before"), "{done}");
}

#[test]
fn what_a_search_finds_does_not_depend_on_where_it_runs() {
    for search in ALL {
        let expected = project(search);
        let ran = expected.run_graph(&["--workers", "1"]);
        assert!(ran.stderr.contains(" a second"), "{ran}");
        let best = expected.lines("out.jsonl");
        let [best] = best.as_slice() else {
            panic!("{search}: {best:?}")
        };
        let history = history(&expected);
        assert_eq!(history.len(), 60, "{search}");
        let first = history[0]["best"].as_f64();
        assert!(best["best"].as_f64() < first, "{search}: {best} {first:?}");
        assert_eq!(history[59]["best"], best["best"], "{search}");
        assert_eq!(best["evaluations"], 60 * 9, "{search}");
        assert_eq!(expected.lines("scores.jsonl").len(), 60 * 9, "{search}");
        for more in [
            &["--workers", "2"][..],
            &["--workers", "4"],
            &["--devices", "2"],
            &["--devices", "3", "--workers", "2"],
            &["--set", "search.chunk=4", "--workers", "3"],
        ] {
            let other = project(search);
            other.run_graph(more);
            compare(&other, &expected, &FILES, &format!("{search} {more:?}"));
        }
    }
}

#[test]
fn a_search_that_is_killed_goes_on_to_the_same_end() {
    for (search, more, last) in [
        ("pso", &["--workers", "1"][..], &["--workers", "3"][..]),
        ("ga", &["--workers", "2"], &["--devices", "2"]),
        ("bat", &["--workers", "3"], &["--workers", "1"]),
        ("cma-es", &["--workers", "2"], &["--devices", "3"]),
        ("pso-adam", &["--workers", "2"], &["--workers", "2"]),
    ] {
        let expected = project(search);
        expected.run_graph(&[]);
        let project = project(search);
        kill_twice(&project, more, last);
        compare(&project, &expected, &FILES, search);
    }
}

#[test]
fn blocks_and_other_ends_are_options() {
    let blocks = project("cuckoo");
    blocks.run_graph(&["--set", "search.block=2"]);
    assert_eq!(blocks.lines("history.jsonl").len(), 60);
    let plain = project("cuckoo");
    plain.run_graph(&["--set", "search.target=1000", "--set", "search.seed=4"]);
    assert_eq!(plain.lines("history.jsonl").len(), 1);
    let counted = project("ga");
    counted.run_graph(&["--set", "search.evaluations=20"]);
    assert_eq!(counted.lines("out.jsonl")[0]["evaluations"], 27);
    let most = project("ga");
    most.run_graph(&["--set", "search.maximize=true"]);
    let least = project("ga");
    least.run_graph(&[]);
    let best = |project: &Project| project.lines("out.jsonl")[0]["best"].as_f64();
    assert!(best(&most) > best(&least));
}

#[test]
fn options_that_cannot_be_are_refused_before_anything_runs() {
    for (search, option, says) in [
        ("pso", "with.population = 1", "`particles` is 1"),
        ("bat", "with.most-frequency = 9.0", "`frequency` is"),
        ("pso-adam", "with.block = 2", "needs whole vectors"),
        ("ga", "with.tournament = 0", "`tournament` is 0"),
    ] {
        let project = project(search);
        let graph = project.read("graph.toml");
        let graph = graph.replace("with.population = 9", option);
        project.write("graph.toml", graph);
        let checked = project.run(&["check", "graph.toml"]);
        checked.failed_with(2, "bad-option", &[says]);
    }
}
