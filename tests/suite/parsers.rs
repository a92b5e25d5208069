//! Damaged files, given to the parsers themselves: what the fuzz targets do with an engine,
//! here over a few hundred files that are the same each time.

#[path = "../../fuzz/parsers.rs"]
mod targets;

use std::path::Path;

use crate::harness::{ROOT, Random};
use crate::mutations::mutate;

/// As many files are made from each seed.
const MUTANTS: usize = 300;

#[test]
fn damaged_files_are_refused_or_read() {
    for (name, parse) in targets::PARSERS {
        let folder = Path::new(ROOT).join("fuzz/seeds").join(name);
        let mut seeds: Vec<_> = (std::fs::read_dir(folder).unwrap())
            .map(|seed| seed.unwrap().path())
            .collect();
        seeds.sort();
        assert!(!seeds.is_empty(), "no seeds for {name}");
        let mut random = Random(23);
        for seed in seeds {
            let bytes = std::fs::read(&seed).unwrap();
            assert!(parse(&bytes), "{} is refused", seed.display());
            for _ in 0..MUTANTS {
                parse(&mutate::text(&bytes, &mut random));
                parse(&mutate::binary(&bytes, &mut random));
            }
        }
    }
}
