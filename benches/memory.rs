//! Does memory stay flat? The resident memory of a run, sampled while it goes: after
//! the first 1,000 reviews against the end. And what one segment takes against all.
//!
//! `SEGUE_BENCH_REVIEWS=test.parquet cargo bench --bench memory` for a long run

mod common;

use std::sync::atomic::Ordering;

use common::{plan, show};
use segue::dataflow::{self, RunOptions};
use segue::operators::Operators;
use segue_encoder::{Layers, Segment};

/// Resident bytes of this process now.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) * 1024.0
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    segments();
    let operators = Operators::default();
    let plan = plan(&operators, &["encoder.split=2"], 2, folder.path());
    let mut samples: Vec<(u64, f64)> = Vec::new();
    let report = dataflow::run(plan, &operators, &RunOptions::default(), &mut |progress| {
        samples.push((progress.committed.load(Ordering::Relaxed), resident()));
    });
    let report = report.unwrap_or_else(|failure| panic!("{failure:?}"));
    println!("{} reviews", report.reviews);
    let warm = samples
        .iter()
        .filter(|(done, _)| *done >= 1000)
        .map(|(_, bytes)| *bytes);
    let warm: Vec<f64> = warm.collect();
    match (warm.first(), warm.last()) {
        (Some(first), Some(last)) if warm.len() > 10 => {
            let largest = warm.iter().copied().fold(0.0, f64::max);
            println!(
                "resident: {:.1} MiB after 1,000 reviews, {:.1} at the end",
                first / mib(),
                last / mib()
            );
            show(
                "largest after the first 1,000 / after 1,000",
                largest / first,
                "near 1",
            );
        }
        _ => println!("too few reviews to tell: set SEGUE_BENCH_REVIEWS to a larger file"),
    }
}

fn mib() -> f64 {
    f64::from(1 << 20)
}

/// What loading the second half of the layers takes, against loading all of them.
fn segments() {
    let model = common::root().join("models/tinybert-imdb");
    let config = segue_encoder::ModelConfig::read(&model).expect("the model that ships");
    let count = config.num_hidden_layers;
    let load = |layers: Layers| {
        let before = resident();
        let segment = Segment::load(&model, layers).expect("the model that ships");
        let taken = resident() - before;
        drop(segment);
        taken
    };
    let half = load(Layers {
        start: count / 2,
        end: count,
    });
    let whole = load(Layers::all(count));
    println!(
        "resident: second half {:.1} MiB, all {:.1} MiB",
        half / mib(),
        whole / mib()
    );
}
