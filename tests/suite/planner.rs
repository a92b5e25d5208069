//! What is left open is planned: by what was measured, with the same bytes, and it is told.

use serde_json::Value;

use crate::fleet::{Device, cluster};
use crate::harness::{Project, golden, reviews};
use crate::tiny::Tiny;

/// Nothing says where the model is cut, or where it runs.
const GRAPH: &str = "format = 1
[stream]
batch = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"model\"
with.max-tokens = 32
[stage.encoder]
plugin = \"bert\"
from = \"tokenize\"
with.model = \"model\"
[stage.verdict]
plugin = \"aggregator\"
from = \"encoder\"
[stage.out]
plugin = \"write\"
from = \"verdict\"
with.path = \"out.jsonl\"
";

const NAMES: [&str; 3] = ["kitchen", "hall", "attic"];
const EXPLAIN: [&str; 4] = ["explain", "graph.toml", "--cluster", "cluster.toml"];

fn project() -> Project {
    let tiny = Tiny {
        hidden: 128,
        inner: 512,
        ..Tiny::default()
    };
    Project::with_graph(GRAPH)
        .file("reviews.csv", reviews(60))
        .model("model", tiny)
}

/// A profile in which a unit of the model takes so many milliseconds a row on each device, and
/// every link carries so many bytes a second.
fn profile(devices: &[(&str, f64)], bytes_per_second: f64) -> String {
    let units = [
        "tokenize",
        "encoder/0",
        "encoder/1",
        "encoder/2",
        "encoder/3",
        "verdict",
    ];
    let mut text = "format = 1\n[unit.reviews]\nbytes-out = 150.0\n".to_owned();
    for unit in units {
        let bytes = if unit.contains('/') { 8000.0 } else { 100.0 };
        text += &format!("[unit.\"{unit}\"]\nbytes-out = {bytes:?}\n");
    }
    for (device, ms) in devices {
        text += &format!("[device.{device}]\nother-seconds = 0.00001\n[device.{device}.seconds]\n");
        for unit in units {
            let seconds = if unit.contains('/') {
                ms / 1000.0
            } else {
                0.00001
            };
            text += &format!("\"{unit}\" = {seconds:?}\n");
        }
    }
    for (from, _) in devices {
        for (to, _) in devices.iter().filter(|(to, _)| to != from) {
            text += &format!(
                "[[link]]\nfrom = \"{from}\"\nto = \"{to}\"\n\
                 bytes-per-second = {bytes_per_second:?}\ndelay-seconds = 0.0002\n"
            );
        }
    }
    text
}

/// The output of the whole graph on one worker of this device, which goes.
fn alone(project: &Project) -> Vec<u8> {
    project.run_graph(&["--workers", "1", "--quiet"]);
    let bytes = project.bytes("out.jsonl");
    for name in ["out.jsonl", "out.jsonl.journal"] {
        // Only the output is sure to be there.
        let _ = std::fs::remove_file(project.path(name));
    }
    bytes
}

/// Runs the graph on all devices, and gives what is written.
fn together(project: &Project, devices: &[&str], more: &[&str]) -> Vec<u8> {
    let run = |name: &&str| Device::start(project, "run", name, more);
    let devices: Vec<Device> = devices.iter().map(run).collect();
    devices
        .into_iter()
        .for_each(|device| drop(device.end().ok()));
    project.bytes("out.jsonl")
}

fn explained(project: &Project, more: &[&str]) -> Value {
    let ran = project
        .run(&[&EXPLAIN[..], &["--format", "json"], more].concat())
        .ok();
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Device, and the part of all batches that it gets.
fn shares(plan: &Value) -> Vec<(String, f64)> {
    let devices = plan["planned"]["devices"].as_array().unwrap().iter();
    devices
        .map(|one| {
            (
                one["device"].as_str().unwrap().to_owned(),
                one["share"].as_f64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_faster_device_gets_more_batches() {
    let project = project();
    let expected = alone(&project);
    cluster(&project, &NAMES[..2], "");
    project.write(
        "cluster.profile.toml",
        profile(&[("kitchen", 1.0), ("hall", 2.5)], 1e8),
    );
    let plan = explained(&project, &[]);
    let shares = shares(&plan);
    assert!((shares[0].1 - 5.0 / 7.0).abs() < 0.01, "{shares:?}");
    assert!((shares[1].1 - 2.0 / 7.0).abs() < 0.01, "{shares:?}");
    let text = project.run(&EXPLAIN).ok().stdout;
    golden("planner/unequal.txt", &text);
    assert!(together(&project, &NAMES[..2], &[]) == expected);
}

#[test]
fn where_fewer_devices_are_faster_fewer_are_used() {
    let project = project();
    let expected = alone(&project);
    cluster(&project, &NAMES[..2], "");
    // To send a batch takes longer than to do without.
    project.write(
        "slow.toml",
        profile(&[("kitchen", 0.1), ("hall", 0.1)], 1e4),
    );
    let text = project
        .run(&[&EXPLAIN[..], &["--profile", "slow.toml"]].concat())
        .ok()
        .stdout;
    golden("planner/alone.txt", &text);
    assert!(together(&project, &NAMES[..2], &["--profile", "slow.toml"]) == expected);
}

#[test]
fn where_none_has_the_memory_for_all_each_has_a_segment() {
    let project = project();
    let expected = alone(&project);
    cluster(&project, &NAMES, "");
    // A half of the model, and what may be queued before it.
    let text = project
        .read("cluster.toml")
        .replace("address", "memory = \"2.3 MiB\"\naddress");
    project.write("cluster.toml", text);
    project.write(
        "cluster.profile.toml",
        profile(&[("kitchen", 1.0), ("hall", 1.0), ("attic", 2.0)], 1e8),
    );
    let plan = explained(&project, &[]);
    let stages = plan["stages"].as_array().unwrap().iter();
    let segments = stages.filter(|one| one["stage"] == "encoder").count();
    assert!(segments > 1, "{plan:#}");
    for device in plan["planned"]["devices"].as_array().unwrap() {
        assert!(
            device["memory_bytes"].as_f64().unwrap() <= 2.3 * 1024.0 * 1024.0,
            "{device}"
        );
    }
    assert!(together(&project, &NAMES, &[]) == expected);
}

#[test]
fn what_is_placed_stays_there() {
    let project = project();
    let expected = alone(&project);
    let place = "[place]\nencoder = \"hall\"\nout = \"attic\"\n";
    cluster(&project, &NAMES, place);
    project.write(
        "cluster.profile.toml",
        profile(&[("kitchen", 1.0), ("hall", 9.0), ("attic", 1.0)], 1e8),
    );
    let plan = explained(&project, &[]);
    for stage in plan["stages"].as_array().unwrap() {
        let devices: Vec<&str> = stage["devices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        match stage["stage"].as_str().unwrap() {
            "encoder" => assert_eq!(devices, ["hall"]),
            "out" => assert_eq!(devices, ["attic"]),
            _ => {}
        }
    }
    assert!(together(&project, &NAMES, &[]) == expected);
}

#[test]
fn auto_is_the_same_as_nothing_and_leaves_the_bytes_as_they_are() {
    let project = project();
    let expected = alone(&project);
    for set in ["encoder.split=auto", "encoder.split=1"] {
        for more in [&["--devices", "3"][..], &["--workers", "2"]] {
            project.run_graph(&[more, &["--quiet", "--set", set]].concat());
            assert!(project.bytes("out.jsonl") == expected, "{set} {more:?}");
        }
    }
}

#[test]
fn devices_with_two_profiles_do_not_run_together() {
    let project = project();
    cluster(&project, &NAMES[..2], "[mesh]\nconnect-seconds = 5\n");
    project.write("one.toml", profile(&[("kitchen", 1.0), ("hall", 3.0)], 1e8));
    project.write(
        "other.toml",
        profile(&[("kitchen", 1.0), ("hall", 3.01)], 1e8),
    );
    let kitchen = Device::start(&project, "run", "kitchen", &["--profile", "one.toml"]);
    let hall = Device::start(&project, "run", "hall", &["--profile", "other.toml"]);
    let said = [kitchen, hall].map(|device| device.end().failed(1));
    for text in said {
        assert!(
            text.contains("it runs a different graph or plan: `cluster`: profile "),
            "{text}"
        );
    }
}

#[test]
fn what_is_measured_is_what_is_planned_by() {
    let project = project();
    cluster(&project, &NAMES[..2], "");
    let guess = "is a guess: `segue profile` measures it";
    assert!(project.run(&EXPLAIN).ok().stdout.contains(guess));
    let profile = [
        "profile",
        "graph.toml",
        "--cluster",
        "cluster.toml",
        "--records",
        "40",
    ];
    for name in &NAMES[..2] {
        project
            .run(&[&profile[..], &["--device", name]].concat())
            .ok();
    }
    assert!(!project.has("out.jsonl"), "measuring writes no result");
    let measured = project.read("cluster.profile.toml");
    for part in [
        "[device.\"hall\".seconds]",
        "[device.\"kitchen\".seconds]",
        "[unit.\"encoder/3\"]",
    ] {
        assert!(measured.contains(part), "no `{part}` in {measured}");
    }
    // Rows of 1 to 32 tokens of 128 numbers each.
    let bytes = measured.split("[unit.\"encoder/0\"]").nth(1).unwrap();
    let bytes = bytes
        .split("bytes-out = ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let bytes: f64 = bytes.parse().unwrap();
    assert!((512.0..=32.0 * 512.0 + 200.0).contains(&bytes), "{bytes}");
    let text = project.run(&EXPLAIN).ok().stdout;
    assert!(
        !text.contains(guess) && text.contains("not every link was measured"),
        "{text}"
    );
    project.write("cluster.profile.toml", "format = 1\n[nuit]\n");
    project.run(&EXPLAIN).failed_with(
        2,
        "unknown-key",
        &["cluster.profile.toml", "did you mean `unit`?"],
    );
}

#[test]
fn measuring_takes_the_place_of_no_model() {
    let project = Project::new().model("model", Tiny::default());
    let graph = "format = 1
[stage.smaller]
plugin = \"quantize\"
with.model = \"model\"
with.output = \"made\"
[stage.log]
plugin = \"write\"
from = \"smaller\"
with.path = \"log.jsonl\"
";
    project.write("graph.toml", graph);
    project.run(&["profile", "graph.toml"]).ok();
    assert!(project.has("graph.profile.toml"));
    assert!(!project.has("made") && !project.has("log.jsonl"));
}

#[test]
fn a_graph_that_says_how_much_of_a_start_it_keeps_is_measured() {
    let project = project();
    let set = [
        "--set",
        "tokenize.max-tokens=64",
        "--set",
        "tokenize.head-tokens=62",
    ];
    project
        .run(&[&["profile", "graph.toml", "--records", "8"], &set[..]].concat())
        .ok();
    let measured = project.read("graph.profile.toml");
    assert!(measured.contains(".at.32]"), "{measured}");
}
