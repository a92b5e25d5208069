//! Training in a graph: a crash changes nothing, nor do threads; and it learns.

use serde_json::Value;

use crate::harness::{Project, Random};
use crate::pace::{Leash, kill_after};
use crate::tiny::Tiny;

const EPOCHS: usize = 12;

/// A graph that trains with operator `plugin` and these options.
fn graph(plugin: &str, options: &str, upstream: &str) -> String {
    let from = if upstream.is_empty() {
        "tokenize"
    } else {
        "teacher"
    };
    format!(
        "format = 1
[stream]
batch = 8
window = 3
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
with.epochs = {EPOCHS}
with.shuffle = 3
with.hold-out = 0.25
[stage.pace]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"pace\"
with.model = \"base\"
with.max-tokens = 24
{upstream}
[stage.train]
plugin = \"{plugin}\"
from = \"{from}\"
{options}
with.output = \"made\"
with.learning-rate = 3e-3
with.patience = 100
[stage.log]
plugin = \"write\"
from = \"train\"
with.path = \"log.jsonl\"
"
    )
}

fn finetune() -> String {
    graph("finetune", "with.model = \"base\"", "")
}

fn distill() -> String {
    let teacher = "[stage.teacher]\nplugin = \"bert\"\nfrom = \"tokenize\"\n\
                   with.model = \"base\"\nwith.states = \"0,1,3,4\"\nsplit = 2\n";
    let student = "with.teacher = \"base\"\nwith.layers = \"0,3\"\nwith.hidden = 12\n\
                   with.inner = 16\nwith.half-precision = true";
    graph("distill", student, teacher)
}

/// Reviews that are good or bad by one word.
fn reviews() -> String {
    let mut random = Random(9);
    let mut text = "label,text\n".to_owned();
    for _ in 0..200 {
        let label = random.below(2);
        let word = ["boring", "lovely"][label];
        let before = ["the film was", "i was in it", "a plot and"][random.below(3)];
        text += &format!("{label},{before} {word} at the end\n");
    }
    text
}

fn project(graph: &str) -> Project {
    let project = Project::with_graph(graph).file("reviews.csv", reviews());
    project.model("base", Tiny::default()).test_plugin()
}

/// The weights and the log that a run leaves.
fn made(project: &Project) -> (Vec<u8>, Vec<u8>) {
    (
        project.bytes("made/model.safetensors"),
        project.bytes("log.jsonl"),
    )
}

fn undisturbed(graph: &str, more: &[&str]) -> Project {
    let project = project(graph);
    project.run_graph(more);
    project
}

/// The held-out accuracy at the end.
fn accuracy(project: &Project) -> f64 {
    let log = project.read("log.jsonl");
    let end: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(end["event"], "end");
    end["held_out_accuracy"].as_f64().unwrap()
}

/// Kills and resumes, and compares with a run that nothing disturbed.
fn kills(graph: &str, seed: u64) {
    let expected = made(&undisturbed(graph, &[]));
    let project = project(graph);
    let mut random = Random(seed);
    let mut leash = Leash::new(&project);
    // Often, but not at every batch: some are learnt again.
    let often = ["--set", "train.checkpoint-minutes=0.0002"];
    let again = [&often[..], &["--resume"]].concat();
    for time in 0..5 {
        let more = if time == 0 { &often[..] } else { &again };
        kill_after(&mut leash, "log.jsonl", 1, random.below(8) as u64, more);
    }
    leash.free();
    project.run_graph(&again);
    let (weights, log) = made(&project);
    assert!(log == expected.1, "{}", String::from_utf8_lossy(&log));
    assert!(weights == expected.0, "the weights are others");
}

#[test]
fn a_killed_finetune_gives_the_same_weights() {
    kills(&finetune(), 31);
}

#[test]
fn a_killed_distill_gives_the_same_weights() {
    kills(&distill(), 32);
}

#[test]
fn threads_and_workers_change_nothing() {
    for graph in [finetune(), distill()] {
        let expected = made(&undisturbed(&graph, &["--set", "train.threads=1"]));
        for more in [
            &["--set", "train.threads=2"][..],
            &["--workers", "2"],
            &["--devices", "2"],
        ] {
            assert!(
                made(&undisturbed(&graph, more)) == expected,
                "with {more:?}"
            );
        }
        let other = made(&undisturbed(&graph, &["--set", "train.seed=2"]));
        assert!(other.0 != expected.0, "the seed changes nothing");
    }
}

/// A graph that trains with two files, which take turns, and that chooses by a third.
fn merged() -> String {
    let source = |name: &str, more: &str| {
        format!("[stage.{name}]\nplugin = \"read\"\nwith.path = \"{name}.csv\"\n{more}\n")
    };
    let (start, rest) = finetune()
        .split_once("[stage.reviews]")
        .map(|(start, rest)| (start.to_owned(), rest.to_owned()))
        .unwrap();
    let rest = rest.split_once("[stage.pace]").unwrap().1;
    let rest = rest.replace(
        "from = \"reviews\"",
        "from = [\"long\", \"short\", \"chosen\"]",
    );
    let epochs = "with.epochs = 6\nwith.shuffle = 5";
    start
        + &source("long", epochs)
        + &source("short", epochs)
        + &source("chosen", "with.role = \"validation\"")
        + "[stage.pace]"
        + &rest
}

/// Its project: files of 90, 30 and 40 reviews.
fn merged_project() -> Project {
    let project = project(&merged());
    let all = reviews();
    let mut lines = all.lines().skip(1);
    for (name, count) in [("long", 90), ("short", 30), ("chosen", 40)] {
        let some: Vec<&str> = lines.by_ref().take(count).collect();
        project.write(
            &format!("{name}.csv"),
            format!("label,text\n{}\n", some.join("\n")),
        );
    }
    project
}

#[test]
fn files_that_are_merged_are_learnt_from_whole() {
    let project = merged_project();
    project.run_graph(&[]);
    let log = project.lines("log.jsonl");
    let of = |event: &str| -> Vec<Value> {
        let rows = log.iter().filter(|row| row["event"] == event);
        rows.cloned().collect()
    };
    // Batches of 8: 12 and 4 in each of six epochs.
    let steps: Vec<u64> = of("step")
        .iter()
        .map(|row| row["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (1..=96).collect::<Vec<_>>());
    assert_eq!(of("validation").len(), 6, "{log:?}");
    assert_eq!(log.last().unwrap()["event"], "end");
    for more in [&["--workers", "2"][..], &["--devices", "2"]] {
        let again = merged_project();
        again.run_graph(more);
        assert!(made(&again) == made(&project), "with {more:?}");
    }
}

#[test]
fn a_killed_finetune_of_merged_files_gives_the_same_weights() {
    let expected = merged_project();
    expected.run_graph(&[]);
    let project = merged_project();
    let mut leash = Leash::new(&project);
    let often = ["--set", "train.checkpoint-minutes=0.0002"];
    let again = [&often[..], &["--resume"]].concat();
    for time in 0..3 {
        let more = if time == 0 { &often[..] } else { &again };
        kill_after(&mut leash, "log.jsonl", 1, time, more);
    }
    leash.free();
    project.run_graph(&again);
    assert!(
        made(&project) == made(&expected),
        "{}",
        project.read("log.jsonl")
    );
}

#[test]
fn it_learns_and_what_it_made_runs() {
    for graph in [finetune(), distill()] {
        let project = undisturbed(&graph, &[]);
        let held_out = accuracy(&project);
        // Half of the reviews are of either kind; the word that tells is in every one.
        if graph.contains("\"finetune\"") {
            assert!(held_out > 0.9, "{held_out}");
        }
        project.write(
            "judge.toml",
            "format = 1\n[stage.reviews]\nplugin = \"read\"\nwith.path = \"reviews.csv\"\n\
             [stage.tokenize]\nplugin = \"tokenizer\"\nfrom = \"reviews\"\nwith.model = \"made\"\nwith.max-tokens = 24\n\
             [stage.encoder]\nplugin = \"bert\"\nfrom = \"tokenize\"\nwith.model = \"made\"\n\
             [stage.verdict]\nplugin = \"aggregator\"\nfrom = \"encoder\"\n\
             [stage.out]\nplugin = \"write\"\nfrom = \"verdict\"\nwith.path = \"out.jsonl\"\n",
        );
        project
            .run(&["run", "judge.toml", "--report", "report.json"])
            .ok();
        let all = project.json("report.json")["accuracy"].as_f64().unwrap();
        assert!(
            (all - held_out).abs() < 0.15,
            "{all} of all, {held_out} held out"
        );
    }
}

/// The names in `folder` that begin with `start`.
fn names(project: &Project, folder: &str, start: &str) -> Vec<String> {
    let entries = std::fs::read_dir(project.path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(start)).collect();
    names.sort();
    names
}

#[test]
fn a_trainer_goes_on_on_another_device_and_leaves_no_state() {
    let graph = finetune();
    let expected = made(&undisturbed(&graph, &[]));
    let project = project(&graph);
    let always = ["--set", "train.checkpoint-minutes=0"];
    let mut leash = Leash::new(&project);
    kill_after(&mut leash, "log.jsonl", 1, 3, &always);
    leash.free();
    assert_eq!(names(&project, "", "log.jsonl.state-").len(), 1);
    assert_eq!(names(&project, "made", ""), [""; 0]);
    let ran = project.run_graph(&["--set", always[1], "--devices", "2", "--resume"]);
    assert!(ran.stderr.contains(" committed before"), "{ran}");
    assert!(made(&project) == expected);
    assert_eq!(names(&project, "", "log.jsonl.state-"), [""; 0]);
    let model = ["config.json", "model.safetensors", "vocab.txt"];
    assert_eq!(names(&project, "made", ""), model);
}

#[test]
fn a_base_without_a_tokenizer_is_refused_at_the_start() {
    let project = project(&finetune()).model("bare", Tiny::default());
    std::fs::remove_file(project.path("bare/vocab.txt")).unwrap();
    let ran = project.run(&["run", "graph.toml", "--set", "train.model=bare"]);
    ran.failed_with(
        2,
        "model-missing",
        &["neither `tokenizer.json` nor `vocab.txt`"],
    );
}
