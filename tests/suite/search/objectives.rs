//! Several objectives, and constraints, by what an evaluator says besides the fitness.

use serde_json::Value;

use super::options::options;
use crate::harness::Project;

/// A search over options, weighing how well a model judges against its size: what a text means
/// only pairs of words tell, of which there are more.
fn weighed() -> Project {
    let project = options();
    let mut text = "label,text\n".to_owned();
    for number in 0..240 {
        let (denied, good) = (number % 2, number / 2 % 2);
        let words = [["so", "not"][denied], ["bad", "good"][good]];
        text += &format!("{},{}\n", denied ^ good, words.join(" "));
    }
    project.write("train.csv", &text);
    let graph = project.read("graph.toml");
    let graph = graph
        .replace("with.rungs = 3", "with.rungs = 1")
        .replace(
            "with.maximize = true",
            "with.objectives = [\"fitness = maximize\", \"parameters = minimize 1e-5\"]",
        )
        .replace(
            "with.measure = \"accuracy\"",
            "with.measure = \"accuracy\"\nwith.costs = [\"parameters\", \"bytes\"]",
        );
    project.write("graph.toml", &graph);
    project
}

/// Accuracy and parameters.
fn objectives(row: &Value) -> [f64; 2] {
    let (accuracy, parameters) = row["objectives"].as_str().unwrap().split_once(',').unwrap();
    let number = |pair: &str, name: &str| pair.strip_prefix(name).unwrap().parse().unwrap();
    [
        number(accuracy, "fitness="),
        number(parameters, "parameters="),
    ]
}

#[test]
fn the_front_has_what_nothing_beats_in_both() {
    let project = weighed();
    project.run_graph(&["--workers", "1"]);
    let front = project.lines("front.jsonl");
    assert!(front.len() > 1, "{front:?}");
    for a in &front {
        let [accuracy, parameters] = objectives(a);
        assert!((0.0..=1.0).contains(&accuracy) && parameters >= 1.0, "{a}");
        for b in front.iter().filter(|b| *b != a) {
            let other = objectives(b);
            assert!(other[0] < accuracy || other[1] > parameters, "{a} {b}");
        }
    }
    // The best is the one of the least weighted sum.
    let best = &project.lines("best.jsonl")[0];
    let sum = |row: &Value| 1e-5 * objectives(row)[1] - objectives(row)[0];
    let least = front.iter().map(sum).fold(f64::INFINITY, f64::min);
    assert!(
        (best["best"].as_f64().unwrap() - least).abs() < 1e-12,
        "{best}"
    );
    for score in project.lines("scores.jsonl") {
        let [parameters, bytes] = ["parameters", "bytes"].map(|name| score[name].as_f64().unwrap());
        assert_eq!(bytes, 4.0 * parameters);
    }
    let other = weighed();
    other.run_graph(&["--workers", "2"]);
    assert_eq!(other.read("front.jsonl"), project.read("front.jsonl"));
}

#[test]
fn a_model_is_as_large_at_a_part_of_the_effort() {
    let sizes = |rungs: &str| {
        let project = weighed();
        project.run_graph(&["--set", rungs]);
        let scores = project.lines("scores.jsonl").into_iter();
        let sizes = scores.filter_map(|score| score["parameters"].as_f64().map(f64::to_bits));
        sizes.collect::<std::collections::BTreeSet<_>>()
    };
    let (whole, rungs) = (sizes("search.rungs=1"), sizes("search.rungs=3"));
    assert!(
        whole.len() > 1 && rungs.is_subset(&whole),
        "{rungs:?} {whole:?}"
    );
}

#[test]
fn what_nothing_keeps_to_is_said() {
    let project = weighed();
    let limit = "search.constraints=[\"bytes <= 1\"]";
    let ran = project.run(&["run", "graph.toml", "--set", limit]);
    ran.failed_with(1, "no-best", &["no candidate keeps to all `constraints`"]);
}

#[test]
fn what_breaks_a_constraint_is_not_the_best() {
    let project = weighed();
    project.run_graph(&[]);
    let sizes = project.lines("scores.jsonl").into_iter();
    let sizes = sizes.filter_map(|score| score["parameters"].as_f64());
    let least = sizes.fold(f64::INFINITY, f64::min);
    let limit = format!("search.constraints=[\"parameters <= {least}\"]");
    let alone = "search.objectives=[\"fitness = maximize\"]";
    let parameters = |project: &Project| {
        let best = &project.lines("best.jsonl")[0];
        let named = best["options"].as_str().unwrap().to_owned();
        let scores = project.lines("scores.jsonl").into_iter();
        let fitness = best["best"].as_f64();
        let sizes = scores.filter(|score| score["fitness"].as_f64() == fitness);
        let sizes = sizes.filter_map(|score| score["parameters"].as_f64());
        (named, sizes.fold(f64::INFINITY, f64::min))
    };
    let free = weighed();
    free.run_graph(&["--set", alone]);
    let bound = weighed();
    bound.run_graph(&["--set", alone, "--set", &limit]);
    let (free, bound) = (parameters(&free), parameters(&bound));
    assert_ne!(free.0, bound.0);
    assert_eq!(bound.1, least, "{free:?} {bound:?}");
}

#[test]
fn objectives_that_nobody_gives_are_refused() {
    let project = weighed();
    let refused = |set: &str, said: &str| {
        let ran = project.run(&["check", "graph.toml", "--set", set]);
        assert_ne!(ran.code, Some(0), "{set}");
        assert!(ran.stderr.contains(said), "{set}: {}", ran.stderr);
    };
    refused("search.objectives=[\"loudness = minimize\"]", "loudness");
    refused(
        "search.objectives=[\"fitness\"]",
        "`parameters = minimize 1e-7`",
    );
    refused("search.constraints=[\"bytes = 3\"]", "`bytes <= 1e6`");
    refused("search.maximize=true", "left out where `objectives` say");
    refused("search.target=0.9", "left out where there are several");
    refused("search.population=99999999999", "a hundred million");
}
