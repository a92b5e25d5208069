//! The first bytes that devices exchange, damaged: what the fuzz target does with an
//! engine, here over a few thousand bytes that are the same each time.

#[path = "../../../fuzz/check.rs"]
mod check;

use std::path::Path;

use segue::cluster::{parse_answer, parse_hello};

use crate::harness::{ROOT, Random};

/// As many inputs are made from each seed.
const MUTANTS: usize = 5_000;

#[test]
fn damaged_hellos_are_refused_or_read_as_they_are() {
    let seeds = std::fs::read_dir(Path::new(ROOT).join("fuzz/seeds/hello")).unwrap();
    let mut random = Random(11);
    let (mut accepted, mut count) = ([0, 0], 0);
    for seed in seeds.map(|seed| std::fs::read(seed.unwrap().path()).unwrap()) {
        accepted[0] += usize::from(check::check(&seed));
        for _ in 0..MUTANTS {
            let mut bytes = seed.clone();
            mutate(&mut bytes, &mut random);
            accepted[1] += usize::from(check::check(&bytes));
        }
        count += 1;
    }
    // All but that of another version; and damage does not always hit what is checked.
    assert_eq!((accepted[0], count), (5, 6));
    let mutants = MUTANTS * count;
    assert!((100..mutants / 2).contains(&accepted[1]), "{accepted:?}");
}

/// Changes, adds or removes a few bytes.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len().max(1));
        let byte = random.below(256) as u8;
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), byte),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0xff][random.below(4)],
            4 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            _ if !bytes.is_empty() => bytes[at] = byte,
            _ => bytes.push(byte),
        }
    }
}
