//! The weights of a perceptron, or of a convolutional network, are searched.

use serde_json::Value;

use super::options::options;
use super::{compare, history, kill_twice};
use crate::harness::Project;

const WEIGHTS: &str = "format = 1
[stage.train]
plugin = \"read\"
with.path = \"train.csv\"
with.shuffle = 3
with.hold-out = 0.25
[stage.test]
plugin = \"read\"
with.path = \"test.csv\"
with.role = \"test\"
[stage.search]
plugin = \"SEARCH\"
loop = \"fitness\"
with.dimensions = COUNT
with.generations = 40
with.population = 9
with.spread = 0.2
[stage.hold]
plugin = \"hold\"
from = \"search\"
with.leash = \"leash\"
[stage.fitness]
plugin = \"KIND-fitness\"
from = { candidates = \"hold\", rows = \"train\" }
with.SHAPE
[stage.scores]
plugin = \"write\"
from = \"fitness\"
with.path = \"scores.jsonl\"
[stage.verdicts]
plugin = \"KIND-verdicts\"
from = { best = \"search\", rows = [\"train\", \"test\"] }
with.output = \"made\"
with.SHAPE
[stage.out]
plugin = \"write\"
from = \"verdicts\"
with.path = \"out.jsonl\"
[stage.generations]
plugin = \"search-history\"
from = \"search\"
with.output = \"plot.svg\"
[stage.history]
plugin = \"write\"
from = \"generations\"
with.path = \"history.jsonl\"
";

/// Searches over weights: plain, in blocks, with a hidden layer and a gradient, and of filters.
const NETWORKS: [(&str, &str, &str, &str); 4] = [
    ("ga", "ann", "9", "inputs = 8"),
    ("bat", "ann", "9\nwith.block = 4", "inputs = 8"),
    ("pso-adam", "ann", "41", "inputs = 8\nwith.hidden = 4"),
    ("pso-ga", "cnn", "145", "embedding = 4\nwith.widest = 2"),
];

fn weights((search, kind, count, shape): (&str, &str, &str, &str)) -> Project {
    let graph = WEIGHTS
        .replace("SEARCH", search)
        .replace("KIND", kind)
        .replace("COUNT", count)
        .replace("SHAPE", shape);
    let project = options();
    project.write("graph.toml", graph);
    project
}

/// What a search over weights writes besides its history.
const FILES: [&str; 4] = [
    "scores.jsonl",
    "out.jsonl",
    "plot.svg",
    "made/model.safetensors",
];

#[test]
fn weights_are_searched_alike_wherever_that_is() {
    for network in NETWORKS {
        let expected = weights(network);
        expected.run_graph(&["--workers", "1"]);
        let history = history(&expected);
        let loss = |generation: usize| history[generation]["best"].as_f64().unwrap();
        assert!(loss(39) < loss(0), "{network:?}: {history:?}");
        let out = expected.lines("out.jsonl");
        let right = |row: &&Value| row["label"] == row["truth"];
        let right = out.iter().filter(right).count();
        assert!(out.len() == 79 && right > 42, "{network:?}: {right}");
        for more in [
            &["--workers", "2"][..],
            &["--workers", "4"],
            &["--devices", "2"],
            &["--set", "search.chunk=4", "--workers", "3"],
        ] {
            let other = weights(network);
            other.run_graph(more);
            compare(&other, &expected, &FILES, &format!("{network:?} {more:?}"));
        }
    }
}

#[test]
fn verdicts_of_another_network_than_was_scored_are_refused() {
    for (network, set) in [
        (NETWORKS[0], "radius=7.0"),
        (NETWORKS[0], "seed=9"),
        (NETWORKS[3], "texts=10"),
    ] {
        let project = weights(network);
        let set = format!("verdicts.{set}");
        let ran = project.run(&["run", "graph.toml", "--set", &set]);
        ran.failed_with(
            1,
            "other-network",
            &["give this stage the options of the one"],
        );
    }
}

#[test]
fn what_a_search_over_weights_found_judges_again() {
    for (network, kind) in [(NETWORKS[2], "ann"), (NETWORKS[3], "cnn")] {
        let project = weights(network);
        project.run_graph(&[]);
        let graph = format!(
            "format = 1
[stage.test]
plugin = \"read\"
with.path = \"test.csv\"
with.role = \"test\"
[stage.judge]
plugin = \"{kind}\"
from = \"test\"
with.model = \"made\"
[stage.out]
plugin = \"write\"
from = \"judge\"
with.path = \"again.jsonl\"
"
        );
        project.write("graph.toml", graph);
        project.run_graph(&[]);
        assert_eq!(
            project.read("again.jsonl"),
            project.read("out.jsonl"),
            "{kind}"
        );
    }
}

#[test]
fn a_search_over_weights_that_is_killed_goes_on_to_the_same_end() {
    for network in [NETWORKS[1], NETWORKS[2]] {
        let expected = weights(network);
        expected.run_graph(&[]);
        let project = weights(network);
        kill_twice(&project, &["--workers", "2"], &["--devices", "2"]);
        compare(&project, &expected, &FILES, &format!("{network:?}"));
    }
}

#[test]
fn candidates_of_another_size_than_the_network_are_refused() {
    let project = weights(("ga", "ann", "10", "inputs = 8"));
    let ran = project.run(&["run", "graph.toml"]);
    ran.failed_with(1, "bad-position", &["with.dimensions = 9"]);
}
