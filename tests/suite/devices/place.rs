//! What a cluster file places is there, and nowhere else.

use std::collections::BTreeSet;

use super::{Device, SENTIMENT, SLOW, alone, cluster};
use crate::harness::{Project, reviews};
use crate::tiny::Tiny;

const NAMES: [&str; 2] = ["kitchen", "hall"];

/// The devices that run a stage, as the report of a run says, and what `second` holds.
fn devices_of(project: &Project, stages: &[&str]) -> Vec<BTreeSet<String>> {
    let kitchen = Device::start(project, "run", "kitchen", &["--report", "report.json"]);
    let hall = Device::start(project, "run", "hall", &["--report", "report2.json"]);
    for device in [kitchen, hall] {
        device.end().ok();
    }
    let name = ["report.json", "report2.json"]
        .into_iter()
        .find(|name| project.has(name));
    let report = project.json(name.unwrap());
    let of = |stage: &&str| {
        let all = report["stages"].as_array().unwrap().iter();
        let its = all.filter(|one| one["name"] == **stage);
        its.map(|one| one["device"].as_str().unwrap().to_owned())
            .collect()
    };
    stages.iter().map(of).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn replicas_beyond_a_devices_workers() {
    let graph = SENTIMENT.replace("split = 2", "split = 2\nreplicas = 3");
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(20))
        .model("model", Tiny::default());
    let expected = alone(&project, "out.jsonl", &[]);
    let place = "[place]\n\"encoder/0\" = \"hall\"\n\"encoder/1\" = [\"hall\", \"kitchen\"]\n";
    cluster(&project, &NAMES, place);
    let found = devices_of(&project, &["encoder/0", "encoder/1"]);
    assert_eq!(found, [set(&["hall"]), set(&NAMES)]);
    assert!(project.bytes("out.jsonl") == expected);
}

/// One that is not divided has a replica on each device of its list.
#[test]
fn a_list_is_a_replica_on_each() {
    let graph = SLOW.replace("with.leash = \"leash\"\n", "");
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    let expected = alone(&project, "out.jsonl", &[]);
    cluster(
        &project,
        &NAMES,
        "[place]\nslow = [\"hall\", \"kitchen\"]\nout = \"hall\"\n",
    );
    assert_eq!(devices_of(&project, &["slow"]), [set(&NAMES)]);
    assert!(project.bytes("out.jsonl") == expected);
}

const SECOND: &str = "[stage.second]
plugin = \"write\"
from = \"slow\"
with.path = \"second.jsonl\"
";

fn with_two_sinks() -> Project {
    let graph = SLOW.replace("with.leash = \"leash\"\n", "") + SECOND;
    Project::with_graph(&graph)
        .file("reviews.csv", reviews(8))
        .test_plugin()
}

#[test]
fn a_second_sink_takes_all_results_with_it() {
    let project = with_two_sinks();
    cluster(&project, &NAMES, "[place]\nsecond = \"hall\"\n");
    let explain = ["explain", "graph.toml", "--cluster", "cluster.toml"];
    let text = project.run(&explain).ok().stdout;
    for sink in ["out", "second"] {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(sink));
        let line = line.unwrap_or_else(|| panic!("no `{sink}` in {text}"));
        assert!(line.contains("hall") && !line.contains("kitchen"), "{text}");
    }
}

#[test]
fn sinks_cannot_be_apart_nor_on_two_devices() {
    let project = with_two_sinks();
    cluster(&project, &NAMES, "");
    let devices = project.read("cluster.toml");
    let check = ["check", "graph.toml", "--cluster", "cluster.toml"];
    let apart = "[place]\nsecond = \"hall\"\nout = \"kitchen\"\n";
    project.write("cluster.toml", devices.clone() + apart);
    let parts = [
        "`second` and `out` are placed on two devices",
        "`second` is here",
    ];
    project.run(&check).failed_with(2, "sinks-apart", &parts);
    for (place, why) in [
        (
            "out = [\"hall\", \"kitchen\"]",
            "results are written on one device",
        ),
        (
            "reviews = [\"hall\", \"kitchen\"]",
            "a file is read on one device",
        ),
    ] {
        let file = devices.clone() + &format!("[place]\n{place}\n");
        project.write("cluster.toml", file);
        project
            .run(&check)
            .failed_with(2, "too-many-devices", &[why]);
    }
    let both = "[place]\nslow = [\"hall\", \"kitchen\"]\n";
    project.write("cluster.toml", devices + both);
    let set = ["--set", "slow.replicas=1"];
    let failed = project.run(&[&check[..], &set].concat());
    failed.failed_with(2, "too-many-devices", &["it has `replicas = 1`"]);
}
