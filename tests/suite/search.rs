//! Searches as loops of a dataflow: what they find does not depend on where they run, nor on
//! how often they were killed.

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

fn compare(project: &Project, expected: &Project, how: &str) {
    for file in ["scores.jsonl", "out.jsonl"] {
        let (is, must) = (project.read(file), expected.read(file));
        assert!(is == must, "{how}: {file}\n{is}\n--\n{must}");
    }
    assert_eq!(history(project), history(expected), "{how}");
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
            compare(&other, &expected, &format!("{search} {more:?}"));
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
        let mut leash = Leash::new(&project);
        for resume in [&[][..], &["--resume"]] {
            kill_after(&mut leash, "scores.jsonl", 2, 1, &[more, resume].concat());
        }
        leash.free();
        let done = project.run_graph(&[last, &["--resume"]].concat());
        assert!(done.stderr.contains(" committed before"), "{done}");
        compare(&project, &expected, search);
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

/// Options are searched: of what learns quickly, and on a ladder of three rungs.
const OPTIONS: &str = "format = 1
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
plugin = \"pso\"
loop = \"trial\"
with.space = [\"cost = 0.01..10.0 log\", \"ngrams = 1..3\", \"naive-bayes = false | true\"]
with.start = \"cost=1.0,ngrams=2\"
with.maximize = true
with.rungs = 3
with.eta = 2
with.population = 8
with.generations = 24
[stage.hold]
plugin = \"hold\"
from = \"search\"
with.leash = \"leash\"
[stage.trial]
plugin = \"svm-trial\"
from = { candidates = \"hold\", rows = \"train\" }
with.measure = \"accuracy\"
[stage.scores]
plugin = \"write\"
from = \"trial\"
with.path = \"scores.jsonl\"
[stage.best]
plugin = \"search-best\"
from = \"search\"
[stage.options]
plugin = \"write\"
from = \"best\"
with.path = \"best.jsonl\"
[stage.svm]
plugin = \"svm-chosen\"
from = { options = \"best\", rows = [\"train\", \"test\"] }
with.output = \"made\"
[stage.out]
plugin = \"write\"
from = \"svm\"
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

/// The weights of a perceptron, or of a convolutional network, are searched.
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

fn compare_weights(project: &Project, expected: &Project, how: &str) {
    for file in [
        "scores.jsonl",
        "out.jsonl",
        "plot.svg",
        "made/model.safetensors",
    ] {
        assert!(project.bytes(file) == expected.bytes(file), "{how}: {file}");
    }
    assert_eq!(history(project), history(expected), "{how}");
}

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
            compare_weights(&other, &expected, &format!("{network:?} {more:?}"));
        }
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
        let mut leash = Leash::new(&project);
        for resume in [&[][..], &["--resume"]] {
            let more = [&["--workers", "2"][..], resume].concat();
            kill_after(&mut leash, "scores.jsonl", 2, 1, &more);
        }
        leash.free();
        let done = project.run_graph(&["--devices", "2", "--resume"]);
        assert!(done.stderr.contains(" committed before"), "{done}");
        compare_weights(&project, &expected, &format!("{network:?}"));
    }
}

#[test]
fn candidates_of_another_size_than_the_network_are_refused() {
    let project = weights(("ga", "ann", "10", "inputs = 8"));
    let ran = project.run(&["run", "graph.toml"]);
    ran.failed_with(1, "bad-position", &["with.dimensions = 9"]);
}

/// A search over options, of whose reviews one word in six tells what they are.
fn options() -> Project {
    let mut random = crate::harness::Random(5);
    let mut text = "label,text\n".to_owned();
    for _ in 0..240 {
        let label = random.below(2);
        let told = random.below(4) > 0;
        let word = ["dull", "fine", "long"][if told { label } else { 2 }];
        let word = [word, ["fine", "dull", "long"][label]][random.below(6) / 5];
        text += &format!(
            "{label},the {} was {word}\n",
            crate::harness::WORDS[random.below(8)]
        );
    }
    Project::with_graph(OPTIONS)
        .file(
            "test.csv",
            text.lines().take(80).collect::<Vec<_>>().join("\n"),
        )
        .file("train.csv", &text)
        .test_plugin()
}

fn compare_options(project: &Project, expected: &Project, how: &str) {
    for file in [
        "scores.jsonl",
        "best.jsonl",
        "out.jsonl",
        "plot.svg",
        "made/model.safetensors",
    ] {
        assert!(project.bytes(file) == expected.bytes(file), "{how}: {file}");
    }
    assert_eq!(history(project), history(expected), "{how}");
}

#[test]
fn options_are_searched_alike_wherever_that_is() {
    let expected = options();
    expected.run_graph(&["--workers", "1"]);
    let best = &expected.lines("best.jsonl")[0];
    let history = history(&expected);
    assert_eq!(history.len(), 24);
    // 8 on the first rung, 4 on the second, 2 on the third, unless some were scored before.
    let most = 8 * (8 + 4 + 2);
    assert!(best["evaluations"].as_u64() <= Some(most), "{best}");
    assert!(history[2]["best"].as_f64() <= history[23]["best"].as_f64());
    assert_eq!(history[23]["best"], best["best"]);
    // What the best names goes to another graph as it is.
    let named = best["options"].as_str().unwrap();
    assert!(
        named.starts_with("cost=") && named.contains(",naive-bayes="),
        "{named}"
    );
    let again = options();
    let graph = "format = 1
[stage.train]
plugin = \"read\"
with.path = \"train.csv\"
with.shuffle = 3
[stage.test]
plugin = \"read\"
with.path = \"test.csv\"
with.role = \"test\"
[stage.svm]
plugin = \"svm\"
from = [\"train\", \"test\"]
[stage.out]
plugin = \"write\"
from = \"svm\"
with.path = \"out.jsonl\"
";
    again.write("graph.toml", graph);
    again.run_graph(&["--set", &format!("svm.options={named}")]);
    let labels = |project: &Project| -> Vec<Value> {
        let lines = project.lines("out.jsonl");
        lines.iter().map(|line| line["label"].clone()).collect()
    };
    // It learns from the same rows in another order.
    let (is, must) = (labels(&again), labels(&expected));
    let same = is.iter().zip(&must).filter(|(is, must)| is == must).count();
    assert!(must.len() == 79 && same >= 75, "{same}");
    for more in [
        &["--workers", "2"][..],
        &["--devices", "2"],
        &["--set", "search.chunk=3", "--workers", "3"],
    ] {
        let other = options();
        other.run_graph(more);
        compare_options(&other, &expected, &more.join(" "));
    }
}

#[test]
fn a_search_over_options_that_is_killed_goes_on_to_the_same_end() {
    let expected = options();
    expected.run_graph(&[]);
    let project = options();
    let mut leash = Leash::new(&project);
    for resume in [&[][..], &["--resume"]] {
        let more = [&["--workers", "2"][..], resume].concat();
        kill_after(&mut leash, "scores.jsonl", 2, 1, &more);
    }
    leash.free();
    let done = project.run_graph(&["--devices", "2", "--resume"]);
    assert!(done.stderr.contains(" committed before"), "{done}");
    compare_options(&project, &expected, "killed");
}

#[test]
fn spaces_and_candidates_that_cannot_be_are_refused() {
    for (line, with, code, says) in [
        (
            "\"ngrams = 1..3\"",
            "\"ngrams = 3..1\"",
            "bad-option",
            "not a range of whole numbers",
        ),
        (
            "cost=1.0,ngrams=2",
            "cost=99.0",
            "bad-option",
            "`cost=99.0` is not among what is searched",
        ),
        (
            "with.measure = \"accuracy\"",
            "with.output = \"ignored\"",
            "bad-option",
            "`output` must be left out: a trial learns from the rows, and keeps nothing",
        ),
        (
            "with.output = \"made\"",
            "with.model = \".\"",
            "bad-option",
            "`model` must be left out: it learns from the rows",
        ),
    ] {
        let project = options();
        let graph = project.read("graph.toml").replace(line, with);
        project.write("graph.toml", graph);
        let checked = project.run(&["check", "graph.toml"]);
        checked.failed_with(2, code, &[says]);
    }
    for (line, with, code, says) in [
        (
            "cost = 0.01",
            "cots = 0.01",
            "bad-candidate",
            "`cots` of the searched options is none",
        ),
        (
            "with.hold-out = 0.25\n",
            "",
            "no-held-out",
            "no row has the role `validation`",
        ),
        (
            "with.rungs = 3",
            "with.rungs = 9",
            "too-few-rows",
            "none is left at an effort of 0.0039",
        ),
        (
            "with.space = [\"cost = 0.01..10.0 log\", \"ngrams = 1..3\", \"naive-bayes = false | true\"]
with.start = \"cost=1.0,ngrams=2\"",
            "with.dimensions = 3",
            "no-options",
            "the search needs a `space`",
        ),
    ] {
        let project = options();
        let graph = project.read("graph.toml").replace(line, with);
        project.write("graph.toml", graph.replace("cost=1.0,", ""));
        let ran = project.run(&["run", "graph.toml"]);
        ran.failed_with(1, code, &[says]);
    }
}
