//! What says how to run: graph, cluster and journal.

use std::fs;

use super::{Kind, check, mutate, seeds};
use crate::harness::{Project, Random, reviews};
use crate::pace::{Leash, kill_after};
use crate::tiny::Tiny;

fn project() -> Project {
    let tiny = Tiny {
        layers: 2,
        ..Tiny::default()
    };
    let project = Project::with_graph(seeds::GRAPH).file("reviews.csv", reviews(12));
    project.model("model", tiny)
}

#[test]
fn graph() {
    let project = project();
    let inputs = ["reviews.csv", "model/config.json", "model/vocab.txt"];
    let before = inputs.map(|name| project.bytes(name));
    let kind = Kind {
        name: "graph",
        file: "graph.toml",
        seed: seeds::GRAPH.as_bytes(),
        damage: mutate::toml,
        arguments: &["run", "graph.toml", "--quiet"],
        outputs: &["out.jsonl", "out.jsonl.journal", "out.jsonl.rejects.jsonl"],
    };
    check(&project, &kind, |ran, _| {
        if inputs.map(|name| project.bytes(name)) != before {
            return Err("an input is another".to_owned());
        }
        let rows = if ran.code == Some(0) && project.has("out.jsonl") {
            project.lines("out.jsonl")
        } else {
            Vec::new()
        };
        let decent = |score: Option<f64>| score.is_some_and(|s| (0.0..=1.0).contains(&s));
        match rows.iter().find(|row| !decent(row["score"].as_f64())) {
            Some(row) => Err(format!("a verdict is {row}")),
            None => Ok(()),
        }
    });
}

#[test]
fn cluster() {
    let project = project();
    let kind = Kind {
        name: "cluster",
        file: "cluster.toml",
        seed: seeds::CLUSTER.as_bytes(),
        damage: mutate::toml,
        arguments: &["explain", "graph.toml", "--cluster", "cluster.toml"],
        outputs: &[],
    };
    check(&project, &kind, |ran, _| match ran.code {
        Some(0) if ran.stdout.is_empty() => Err("it explains nothing".to_owned()),
        Some(1) => Err("a wrong cluster file is not a failed run".to_owned()),
        _ => Ok(()),
    });
}

const HELD: &str = "format = 1
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

/// The first line says what is run, and it is long: most damage is of the others, of which
/// the last counts.
fn journal(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let ends: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i] == b'\n').collect();
    let start = match random.below(4) {
        0 => 0,
        1 => ends[0] + 1,
        _ => ends[ends.len() - 2] + 1,
    };
    let damage = [mutate::text, mutate::binary][random.below(2)];
    [&bytes[..start], &damage(&bytes[start..], random)].concat()
}

/// A damaged journal is refused, and nothing is written; or what comes out is what would have
/// come without a crash.
#[test]
fn journals() {
    let records: String = (reviews(60).lines().enumerate())
        .map(|(i, line)| match i % 9 {
            8 => format!("{i},\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let project = Project::with_graph(HELD)
        .file("reviews.csv", records)
        .test_plugin();
    let files = ["out.jsonl", "out.jsonl.rejects.jsonl"];
    project.run_graph(&[]);
    let expected = files.map(|name| project.bytes(name));
    fs::remove_file(project.path("out.jsonl.journal")).unwrap();
    let mut leash = Leash::new(&project);
    kill_after(&mut leash, "out.jsonl", 6, 1, &[]);
    leash.free();
    let seed = project.bytes("out.jsonl.journal");
    let cut = files.map(|name| project.bytes(name));
    let kind = Kind {
        name: "journal",
        file: "out.jsonl.journal",
        seed: &seed,
        damage: journal,
        arguments: &["run", "graph.toml", "--quiet", "--resume"],
        outputs: &[],
    };
    check(&project, &kind, |ran, _| {
        let now = files.map(|name| fs::read(project.path(name)).unwrap_or_default());
        // As they were, for the next case.
        for (name, bytes) in files.iter().zip(&cut) {
            project.write(name, bytes);
        }
        match ran.code {
            Some(0) if now != expected => Err("other rows came out".to_owned()),
            Some(0) => Ok(()),
            _ if now != cut => Err("it is refused, and the files are others".to_owned()),
            _ => Ok(()),
        }
    });
}
