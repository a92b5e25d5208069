//! Devices that do not have the same files do not run together, and say which file it is.

use std::fs;

use super::{Device, SENTIMENT, SLOW, SLOW_ON_HALL, alone, cluster, eventually};
use crate::harness::{Project, Ran, beside_this, reviews};
use crate::tiny::Tiny;

const NAMES: [&str; 2] = ["kitchen", "hall"];

/// A project with `model` and `other`, which differ in what `change` does to a file.
fn project(graph: &str, file: &str, change: impl Fn(&mut Vec<u8>)) -> Project {
    let project = Project::with_graph(graph)
        .file("reviews.csv", reviews(20))
        .model("model", Tiny::default())
        .model("other", Tiny::default());
    let mut bytes = project.bytes(&format!("other/{file}"));
    change(&mut bytes);
    project.write(&format!("other/{file}"), bytes);
    project
}

fn last_bit(bytes: &mut [u8]) {
    *bytes.last_mut().unwrap() ^= 1;
}

const OTHER: [&str; 4] = [
    "--set",
    "encoder.model=other",
    "--set",
    "tokenize.model=other",
];

/// Starts hall with `more` while kitchen waits; then as it should be, and both end.
fn refused(project: &Project, more: &[&str], difference: &str) -> Ran {
    let expected = alone(project, "out.jsonl", &[]);
    cluster(project, &NAMES, "");
    let mut kitchen = Device::start(project, "run", "kitchen", &[]);
    let hall = Device::start(project, "run", "hall", more).end();
    assert_eq!(hall.code, Some(1), "{hall}");
    assert_eq!(hall.stderr.matches("error[").count(), 1, "{hall}");
    let start = "error[different-files]: `kitchen` at ";
    assert!(hall.stderr.starts_with(start), "{hall}");
    assert!(
        hall.stderr.contains(difference),
        "no `{difference}` in {hall}"
    );
    assert!(kitchen.runs() && !project.has("out.jsonl"));
    Device::start(project, "run", "hall", &[]).end().ok();
    let kitchen = kitchen.end().ok();
    let note = "a connection from 127.0.0.1 was refused: ";
    assert_eq!(kitchen.stderr.matches(note).count(), 1, "{kitchen}");
    assert!(project.bytes("out.jsonl") == expected);
    hall
}

#[test]
fn weights_of_a_split_stage() {
    let project = project(SENTIMENT, "model.safetensors", |bytes| last_bit(bytes));
    let line = "refuses: `encoder`: other/model.safetensors differs: device `kitchen` has ";
    let hall = refused(&project, &OTHER, line);
    // One file, one line.
    assert_eq!(hall.stderr.matches(" differs: ").count(), 1, "{hall}");
}

#[test]
fn weights_of_replicas() {
    let graph = SENTIMENT.replace("split = 2", "replicas = 2");
    let project = project(&graph, "model.safetensors", |bytes| last_bit(bytes));
    let line = "`encoder`: other/model.safetensors differs: ";
    refused(&project, &OTHER[..2], line);
}

/// Neither device runs both stages, but they are of one model.
#[test]
fn a_tokenizer_and_weights_of_two_models() {
    let graph = SENTIMENT.replace("split = 2\n", "");
    let change = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replace("boring", "BORING").into_bytes();
    };
    let project = project(&graph, "vocab.txt", change);
    cluster(
        &project,
        &NAMES,
        "[place]\nencoder = \"hall\"\ntokenize = \"kitchen\"\n",
    );
    let _kitchen = Device::start(&project, "run", "kitchen", &[]);
    let hall = Device::start(&project, "run", "hall", &OTHER).end();
    assert_eq!(hall.code, Some(1), "{hall}");
    assert!(
        hall.stderr.contains(": other/vocab.txt differs: "),
        "{hall}"
    );
}

#[test]
fn a_file_that_only_one_has() {
    let project = project(SENTIMENT, "vocab.txt", |_| {});
    project.write("other/tokenizer_config.json", "{\"do_lower_case\": true}");
    let line = "`encoder`: other/tokenizer_config.json is missing on device `kitchen`";
    refused(&project, &OTHER, line);
}

#[test]
fn what_no_stage_reads_may_differ() {
    let project = project(SENTIMENT, "vocab.txt", |_| {});
    project.write("other/README.md", "of last week");
    project.write("other/.cache/x.json", "{}");
    let expected = alone(&project, "out.jsonl", &[]);
    cluster(&project, &NAMES, "");
    let kitchen = Device::start(&project, "run", "kitchen", &[]);
    Device::start(&project, "run", "hall", &OTHER).end().ok();
    kitchen.end().ok();
    assert!(project.bytes("out.jsonl") == expected);
}

/// A device that runs none of its stages may have any model.
#[test]
fn weights_that_are_not_used() {
    let graph = SENTIMENT.replace("split = 2\n", "");
    let project = project(&graph, "model.safetensors", |bytes| last_bit(bytes));
    let expected = alone(&project, "out.jsonl", &[]);
    let place = "[place]\ntokenize = \"kitchen\"\nencoder = \"kitchen\"\nverdict = \"hall\"\n";
    cluster(&project, &NAMES, place);
    let kitchen = Device::start(&project, "run", "kitchen", &[]);
    Device::start(&project, "run", "hall", &OTHER).end().ok();
    kitchen.end().ok();
    assert!(project.bytes("out.jsonl") == expected);
}

#[test]
fn two_builds_of_a_plugin() {
    let graph = SLOW.replace("with.leash = \"leash\"\n", "replicas = 2\n");
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(20))
        .test_plugin();
    let place = SLOW_ON_HALL.replace("\"hall\"", "[\"kitchen\", \"hall\"]");
    cluster(&project, &NAMES, &place);
    fs::create_dir(project.path("newer")).unwrap();
    let mut library = fs::read(beside_this("libtest_plugin.so")).unwrap();
    library.push(0);
    fs::write(project.path("newer/libtest_plugin.so"), library).unwrap();
    let mut kitchen = Device::start(&project, "agent", "kitchen", &[]);
    let arguments = [
        "agent",
        "graph.toml",
        "--cluster",
        "cluster.toml",
        "--device",
        "hall",
    ];
    let mut command = project.command(&arguments);
    command.env("SEGUE_PLUGIN_PATH", project.path("newer"));
    let hall = Device::run(&project, command).end();
    assert_eq!(hall.code, Some(1), "{hall}");
    let line = format!(
        "`slow`: {} differs: ",
        project.path("newer/libtest_plugin.so").display()
    );
    assert!(hall.stderr.contains(&line), "no `{line}` in {hall}");
    eventually("kitchen says so", || {
        kitchen.stderr().contains("libtest_plugin.so differs: ")
    });
    assert!(kitchen.runs());
}
