//! A model's files.

use serde_json::Value;

use super::{Kind, check, mutate, seeds};
use crate::harness::{Project, Random, reviews};
use crate::tiny::Tiny;

const REVIEWS: usize = 6;
const RUN: [&str; 3] = ["run", "graph.toml", "--quiet"];
const OUTPUTS: [&str; 3] = ["out.jsonl", "out.jsonl.journal", "out.jsonl.rejects.jsonl"];

fn project() -> Project {
    let tiny = Tiny {
        layers: 2,
        ..Tiny::default()
    };
    // The encoder's own files are whole where the tokenizer's are damaged.
    let graph = seeds::GRAPH.replace("wire = \"f16\"\n", "");
    let project = Project::with_graph(&graph).file("reviews.csv", reviews(REVIEWS));
    project.model("model", tiny)
}

/// Each verdict is a label and its probability, and none is lost without a word.
fn verdicts(project: &Project) -> Result<(), String> {
    let rows = project.lines("out.jsonl");
    for row in &rows {
        let score = row["score"].as_f64();
        let decent = score.is_some_and(|score| (0.0..=1.0).contains(&score));
        if !decent || !row["label"].is_string() {
            return Err(format!("a verdict is {row}"));
        }
    }
    let rejects = if project.has("out.jsonl.rejects.jsonl") {
        project.lines("out.jsonl.rejects.jsonl").len()
    } else {
        0
    };
    match rows.len() + rejects {
        REVIEWS => Ok(()),
        count => Err(format!("{count} reviews came out")),
    }
}

#[test]
fn config() {
    let project = project();
    let seed = project.bytes("model/config.json");
    let kind = Kind {
        name: "config",
        file: "model/config.json",
        seed: &seed,
        damage: mutate::json,
        arguments: &RUN,
        outputs: &OUTPUTS,
    };
    check(&project, &kind, |ran, _| match ran.code {
        Some(0) => verdicts(&project),
        _ => Ok(()),
    });
}

#[test]
fn tokenizer() {
    let project = project();
    let seed = seeds::tokenizer();
    let kind = Kind {
        name: "tokenizer",
        file: "model/tokenizer.json",
        seed: seed.as_bytes(),
        damage: mutate::json,
        arguments: &RUN,
        outputs: &OUTPUTS,
    };
    check(&project, &kind, |ran, _| match ran.code {
        Some(0) => verdicts(&project),
        _ => Ok(()),
    });
}

/// The length of the header is right in most cases, so that the header is read.
fn header(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let (header, data) = bytes[8..].split_at(length_of(bytes));
    if random.below(5) == 0 {
        return [&mutate::binary(&bytes[..40], random), &bytes[40..]].concat();
    }
    let header = mutate::json(header, random);
    [&(header.len() as u64).to_le_bytes(), &header[..], data].concat()
}

/// The weights as they are, under a header that says what a key is in each line.
fn weights(whole: &[u8]) -> Vec<u8> {
    let (header, data) = whole[8..].split_at(length_of(whole));
    let header: Value = serde_json::from_slice(header).unwrap();
    let header = format!("{header:#}");
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), data].concat()
}

/// The length of the header of a file's weights.
fn length_of(whole: &[u8]) -> usize {
    u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize
}

#[test]
fn safetensors() {
    let project = project();
    project.run_graph(&[]);
    let expected = project.bytes("out.jsonl");
    let seed = weights(&project.bytes("model/model.safetensors"));
    let kind = Kind {
        name: "safetensors",
        file: "model/model.safetensors",
        seed: &seed,
        damage: header,
        arguments: &RUN,
        outputs: &OUTPUTS,
    };
    check(&project, &kind, |ran, _| {
        let same = ran.code != Some(0) || project.bytes("out.jsonl") == expected;
        // The numbers are what they were, so either all is or nothing comes.
        same.then_some(())
            .ok_or_else(|| "other verdicts".to_owned())
    });
}
