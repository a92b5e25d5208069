//! What a run may touch: its own outputs, when it has started, and nothing else.

use crate::harness::{Project, ROOT, Ran, reviews};
use crate::pace::{Leash, commits, is_done};
use crate::tiny::Tiny;

const GRAPH: &str = "format = 1
[stream]
batch = 4
window = 2
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.held]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.out]
plugin = \"write\"
from = \"held\"
with.path = \"out.jsonl\"
";

fn project() -> Project {
    Project::with_graph(GRAPH)
        .file("reviews.csv", reviews(40))
        .test_plugin()
}

/// It was refused, with one error and in plain words.
fn refused(ran: Ran) -> String {
    assert!(matches!(ran.code, Some(1 | 2)), "{ran}");
    assert_eq!(ran.stderr.matches("error[").count(), 1, "{ran}");
    assert!(!ran.stderr.contains("panicked"), "{ran}");
    ran.stderr
}

#[test]
fn a_file_of_someone_else_beside_the_output() {
    for name in ["out.jsonl.rejects.jsonl", "out.jsonl.journal"] {
        let project = project();
        let other = "{\"text\": \"not of a run\"}\n";
        project.write(name, other);
        // Whether it is read or only lies there.
        for input in ["reviews.csv", name] {
            let set = format!("reviews.path={input}");
            refused(project.run(&["run", "graph.toml", "--quiet", "--set", &set]));
            assert_eq!(project.read(name), other, "with {input}");
            assert!(!project.has("out.jsonl"), "with {input}");
        }
    }
}

#[test]
fn a_run_that_cannot_start_leaves_the_last_output() {
    let project = project();
    project.run_graph(&[]);
    let before = project.bytes("out.jsonl");
    let graph = GRAPH.replace("\"pass\"", "\"will-not-start\"");
    project.write("graph.toml", graph.replace("with.leash = \"leash\"\n", ""));
    refused(project.run(&["run", "graph.toml", "--quiet"]));
    assert!(project.bytes("out.jsonl") == before);
}

#[test]
fn an_output_that_is_another_name_of_an_input() {
    let project = project();
    let before = project.bytes("reviews.csv");
    std::fs::hard_link(project.path("reviews.csv"), project.path("out.csv")).unwrap();
    let ran = project.run(&["run", "graph.toml", "--set", "out.path=out.csv"]);
    refused(ran);
    assert!(project.bytes("reviews.csv") == before);
}

#[test]
fn two_outputs_that_are_one_file() {
    let second = "[stage.more]\nplugin = \"write\"\nfrom = \"reviews\"\nwith.path = \"b.jsonl\"\n";
    let project = project().file("graph.toml", format!("{GRAPH}{second}"));
    project.write("out.jsonl", "");
    std::fs::hard_link(project.path("out.jsonl"), project.path("b.jsonl")).unwrap();
    refused(project.run(&["run", "graph.toml"]));
}

#[test]
fn an_output_that_goes_during_the_run_is_missed() {
    for ending in ["csv", "jsonl", "parquet"] {
        let project = project();
        let output = format!("out.{ending}");
        let set = format!("out.path={output}");
        let mut leash = Leash::new(&project);
        let mut command = project.command(&["run", "graph.toml", "--quiet", "--set", &set]);
        let stderr = std::fs::File::create(project.path("stderr")).unwrap();
        let mut child = command.stderr(stderr).spawn().unwrap();
        leash.until_in(&mut child, "it commits", || commits(&project, &output) > 1);
        let spool = format!("{output}.spool");
        let file = if project.has(&spool) { &spool } else { &output };
        std::fs::remove_file(project.path(file)).unwrap();
        leash.free();
        let status = child.wait().unwrap();
        let text = project.read("stderr");
        assert_eq!(status.code(), Some(1), "{ending}: {text}");
        assert!(text.contains("error["), "{text}");
    }
}

#[test]
fn an_output_that_is_not_whole_any_more_is_missed_by_a_resume() {
    for ending in ["csv", "jsonl", "parquet"] {
        let project = project();
        let output = format!("out.{ending}");
        let set = format!("out.path={output}");
        let run = ["run", "graph.toml", "--quiet", "--set", &set];
        project.run(&run).ok();
        let whole = project.bytes(&output);
        let resume = [&run[..], &["--resume"]].concat();
        project.write(&output, &whole[..whole.len() / 2]);
        refused(project.run(&resume));
        std::fs::remove_file(project.path(&output)).unwrap();
        refused(project.run(&resume));
        project.write(&output, &whole);
        project.run(&resume).ok();
        assert!(project.bytes(&output) == whole, "{ending}");
    }
}

/// The state in which a kill just before the end leaves a run: all but its last word.
fn without_the_end(project: &Project, output: &str) {
    let name = format!("{output}.journal");
    let journal = project.read(&name);
    let lines: Vec<&str> = journal.split_inclusive('\n').collect();
    assert!(lines.len() > 2, "{journal}");
    let mut kept = &lines[..lines.len() - 1];
    // A state that a line names is gone with the end.
    while kept.last().is_some_and(|line| line.contains("\"state\":{")) {
        kept = &kept[..kept.len() - 1];
    }
    project.write(&name, kept.concat());
}

#[test]
fn a_training_that_was_killed_just_before_its_end() {
    let graph = "format = 1
[stream]
batch = 8
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
with.epochs = 2
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"base\"
with.max-tokens = 24
[stage.train]
plugin = \"finetune\"
from = \"tokenize\"
with.model = \"base\"
with.output = \"made\"
[stage.log]
plugin = \"write\"
from = \"train\"
with.path = \"log.jsonl\"
";
    // With the state of the first step alone, and with others.
    for minutes in ["3", "0.0002"] {
        let project = Project::with_graph(graph)
            .file("reviews.csv", reviews(60))
            .model("base", Tiny::default());
        let set = format!("train.checkpoint-minutes={minutes}");
        project.run_graph(&["--set", &set]);
        let made = |name| project.bytes(name);
        let before = ["made/model.safetensors", "log.jsonl"].map(made);
        without_the_end(&project, "log.jsonl");
        project.run_graph(&["--set", &set, "--resume"]);
        let after = ["made/model.safetensors", "log.jsonl"].map(made);
        assert!(before == after, "with a state every {minutes} minutes");
    }
}

#[test]
fn other_models_that_were_killed_just_before_their_end() {
    for model in ["svm", "ann", "cnn"] {
        let project = Project::new();
        let graph = format!("{ROOT}/graphs/models/{model}.toml");
        let folder = format!("{model}.output=made");
        let set = ["--set", &folder, "--set", "out.path=out.jsonl"];
        let run = [&["run", &graph, "--quiet"], &set[..]].concat();
        project.run(&run).ok();
        let before = project.bytes("out.jsonl");
        without_the_end(&project, "out.jsonl");
        project.run(&[&run[..], &["--resume"]].concat()).ok();
        assert!(project.bytes("out.jsonl") == before, "{model}");
    }
}

/// Nothing is left over that would go into the next run.
#[test]
fn what_a_run_leaves_beside_its_output() {
    let project = project();
    project.run_graph(&[]);
    let mut names: Vec<String> = std::fs::read_dir(project.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("out."))
        .collect();
    names.sort();
    assert_eq!(names, ["out.jsonl", "out.jsonl.journal"]);
    assert!(is_done(&project, "out.jsonl"));
}
