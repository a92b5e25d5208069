//! A handful of kills of each kind, at events, whatever the time is.

use std::collections::BTreeMap;

use super::left::difference;
use super::trial::trial;
use super::{Expected, Moment, SCENARIOS, Tally};
use crate::harness::Random;

/// After its first commits, in the middle, and when all is committed.
const MOMENTS: [Moment; 4] = [
    Moment::Commits(1),
    Moment::Commits(4),
    Moment::Ended(std::time::Duration::ZERO),
    Moment::Ended(std::time::Duration::from_millis(1)),
];
/// A run that has ended before it could be killed is tried again so often.
const TRIES: usize = 20;

fn check(name: &str, moments: &[Moment]) {
    let scenario = SCENARIOS.iter().find(|one| one.name == name).unwrap();
    let expected = Expected::measure(scenario);
    let (mut tally, mut random) = (Tally::default(), Random(17));
    for (i, moment) in moments.iter().enumerate() {
        for _ in 0..TRIES {
            if tally.kills <= i {
                trial(scenario, &expected, *moment, &mut random, &mut tally);
            }
        }
    }
    println!("{tally:?}");
    assert!(tally.is_clean(), "{}", tally.complaints.join("\n"));
    assert!(tally.kills >= moments.len(), "{tally:?}");
}

/// What would be told of a run that is not as it should be.
#[test]
fn what_is_lost_and_repeated_is_counted() {
    let files = |all: &[(&str, &str)]| -> BTreeMap<String, Vec<u8>> {
        let file = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
        all.iter().map(file).collect()
    };
    let want = files(&[
        ("a.csv", "x\n1\n2\n3\n"),
        ("m.bin", "abc"),
        ("r.jsonl", "{}\n"),
    ]);
    let same = difference(&want, &want);
    assert!(same.files.is_empty() && same.lost + same.repeated == 0);
    let have = files(&[("a.csv", "x\n1\n3\n3\n3\n"), ("m.bin", "abd"), ("left", "")]);
    let found = difference(&want, &have);
    let expected = [
        "`a.csv` has 10 bytes, not the 8 it should",
        "`left` is too many",
        "`m.bin` has 3 bytes, not the 3 it should",
        "`r.jsonl` is missing",
    ];
    assert_eq!(found.files, expected);
    assert_eq!((found.lost, found.repeated), (2, 2));
}

#[test]
fn one_sink() {
    check("one sink", &MOMENTS);
}

#[test]
fn two_sinks_around_a_stage_that_keeps_state() {
    check("two sinks around a stage that keeps state", &MOMENTS);
}

#[test]
fn parquet() {
    check("Parquet", &MOMENTS);
}

#[test]
fn rejects() {
    check("rejects", &MOMENTS);
}

#[test]
fn finetune() {
    check("finetune", &MOMENTS);
}

#[test]
fn svm() {
    check("svm", &MOMENTS[2..]);
}

#[test]
fn a_loop() {
    check("a loop", &MOMENTS);
}

#[test]
fn two_devices() {
    check("2 devices under agents", &MOMENTS[1..3]);
}

#[test]
fn three_devices() {
    check("3 devices under agents", &MOMENTS[1..3]);
}
