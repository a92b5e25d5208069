//! Options are searched: of what learns quickly, and on a ladder of three rungs.

use serde_json::Value;

use super::{compare, history, kill_twice};
use crate::harness::Project;

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
[stage.front]
plugin = \"search-front\"
from = \"search\"
[stage.points]
plugin = \"write\"
from = \"front\"
with.path = \"front.jsonl\"
";

/// What a search over options writes besides its history.
const FILES: [&str; 6] = [
    "scores.jsonl",
    "front.jsonl",
    "best.jsonl",
    "out.jsonl",
    "plot.svg",
    "made/model.safetensors",
];

/// A search over options, of whose reviews one word in six tells what they are.
pub(super) fn options() -> Project {
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
    // Of one objective only the best is beaten by none.
    let front = expected.lines("front.jsonl");
    assert_eq!(front.len(), 1, "{front:?}");
    assert_eq!(front[0]["options"], best["options"]);
    assert_eq!(best["objectives"], format!("fitness={}", best["best"]));
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
        compare(&other, &expected, &FILES, &more.join(" "));
    }
}

#[test]
fn a_search_over_options_that_is_killed_goes_on_to_the_same_end() {
    let expected = options();
    expected.run_graph(&[]);
    let project = options();
    kill_twice(&project, &["--workers", "2"], &["--devices", "2"]);
    compare(&project, &expected, &FILES, "killed");
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
