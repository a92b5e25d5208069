//! Files of records: what was not touched comes out as before.

use serde_json::Value;

use super::{Kind, check, mutate, seeds};
use crate::harness::{Project, Ran, WORDS, reviews};

const RECORDS: usize = 40;
const RUN: [&str; 3] = ["run", "graph.toml", "--quiet"];
const OUTPUTS: [&str; 3] = ["out.jsonl", "out.jsonl.journal", "out.jsonl.rejects.jsonl"];

fn project(file: &str) -> Project {
    Project::with_graph(&seeds::copy(file))
}

/// A text that no other record has.
fn text(record: usize) -> String {
    format!(
        "{} {} n{record}",
        WORDS[record % 32],
        WORDS[record * 7 % 32]
    )
}

/// What is kept of a row: its text and its truth.
fn rows(project: &Project) -> Vec<(String, Value)> {
    let row = |row: &Value| Some((row["text"].as_str()?.to_owned(), row["truth"].clone()));
    project.lines("out.jsonl").iter().filter_map(row).collect()
}

/// The lines of `seed` that damage from it to `damaged` left alone: so many from the start, and
/// those from there.
fn untouched(seed: &[u8], damaged: &[u8]) -> (usize, usize) {
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    let same = |(a, b): &(&u8, &u8)| a == b;
    let before = seed.iter().zip(damaged).take_while(same).count();
    let most = seed.len().min(damaged.len()) - before;
    let ends = seed.iter().rev().zip(damaged.iter().rev()).take(most);
    let after = &seed[seed.len() - ends.take_while(same).count()..];
    // The line in which the same end begins may have another beginning.
    let whole = lines(after).saturating_sub(1);
    (lines(&seed[..before]), lines(seed) - whole)
}

/// Of the rows that were expected, those of untouched lines are there in their order.
fn kept(
    project: &Project,
    expected: &[(String, Value)],
    (head, tail): (usize, usize),
) -> Result<(), String> {
    let got = rows(project);
    let mut rest = got.iter();
    for row in expected[..head].iter().chain(&expected[tail.max(head)..]) {
        if !rest.any(|other| other == row) {
            return Err(format!("{row:?} is gone; {head} and from {tail} are whole"));
        }
    }
    let touched = tail.saturating_sub(head);
    if got.len() > expected.len() + touched + 1 && got.len() - expected.len() < 1_000 {
        return Err(format!("{} rows came out", got.len()));
    }
    Ok(())
}

/// The rows of the whole file.
fn expected(project: &Project, file: &str, seed: &[u8]) -> Vec<(String, Value)> {
    project.write(file, seed);
    project.run_graph(&[]);
    let rows = rows(project);
    assert_eq!(rows.len(), RECORDS);
    rows
}

#[test]
fn csv() {
    let project = project("a.csv");
    let seed = reviews(RECORDS).into_bytes();
    let expected = expected(&project, "a.csv", &seed);
    let kind = Kind {
        name: "csv",
        file: "a.csv",
        seed: &seed,
        damage: mutate::text,
        arguments: &RUN,
        outputs: &OUTPUTS,
    };
    check(&project, &kind, |ran, damaged| {
        let (head, tail) = untouched(&seed, damaged);
        // Another header has other columns, and a quote may go on over lines.
        if ran.code != Some(0) || head == 0 || damaged.contains(&b'"') {
            return Ok(());
        }
        kept(&project, &expected, (head - 1, tail - 1))
    });
}

#[test]
fn json_lines() {
    let project = project("a.jsonl");
    let seed = seeds::json_lines(RECORDS, text).into_bytes();
    let expected = expected(&project, "a.jsonl", &seed);
    let kind = Kind {
        name: "jsonl",
        file: "a.jsonl",
        seed: &seed,
        damage: mutate::text,
        arguments: &RUN,
        outputs: &OUTPUTS,
    };
    check(&project, &kind, |ran, damaged| match ran.code {
        Some(0) => kept(&project, &expected, untouched(&seed, damaged)),
        _ => Ok(()),
    });
}

/// No record is lost without a word. Its pages carry no sums, so a text may be another.
fn whole(project: &Project, ran: &Ran) -> Result<(), String> {
    let rejects = if project.has("out.jsonl.rejects.jsonl") {
        project.lines("out.jsonl.rejects.jsonl").len()
    } else {
        0
    };
    let rows = project.lines("out.jsonl").len();
    match ran.code {
        Some(0) if rows + rejects != RECORDS => Err(format!("{rows} rows, {rejects} rejects")),
        _ => Ok(()),
    }
}

#[test]
fn parquet() {
    let project = project("a.parquet");
    let seed = seeds::parquet(RECORDS, text);
    expected(&project, "a.parquet", &seed);
    let kind = Kind {
        name: "parquet",
        file: "a.parquet",
        seed: &seed,
        damage: mutate::binary,
        arguments: &RUN,
        outputs: &OUTPUTS,
    };
    check(&project, &kind, |ran, _| match ran.code {
        Some(0) => whole(&project, ran),
        _ => Ok(()),
    });
}
