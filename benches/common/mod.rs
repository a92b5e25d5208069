//! What the benches share: reviews, plans, runs, medians.
#![allow(dead_code, reason = "each bench uses its part")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use segue::dataflow::{self, Report, RunOptions};
use segue::diagnostic::Sources;
use segue::graph::{self, Plan};
use segue::operators::Operators;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The graph that is measured.
pub fn sentiment() -> PathBuf {
    root().join("graphs/sentiment.toml")
}

/// The file of reviews: `SEGUE_BENCH_REVIEWS`, or else the reviews of the repository.
pub fn reviews() -> PathBuf {
    let named = std::env::var_os("SEGUE_BENCH_REVIEWS").map(PathBuf::from);
    named.unwrap_or_else(|| root().join("graphs/reviews.csv"))
}

/// How often each side is measured: `SEGUE_BENCH_ROUNDS`, or else 7.
pub fn rounds() -> usize {
    let rounds = std::env::var("SEGUE_BENCH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok());
    rounds.unwrap_or(7)
}

/// Plans `path` with `sets` on `workers`, reading [`reviews`] and writing to `out`.
pub fn plan(operators: &Operators, sets: &[&str], workers: usize, out: &Path) -> Plan {
    let path = sentiment();
    let mut sources = Sources::new();
    let text = std::fs::read_to_string(&path).expect("the graph is in the repository");
    let number = sources.add(path.to_string_lossy(), text);
    let mut all: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    all.push(format!("reviews.path={}", reviews().display()));
    all.push(format!("out.path={}", out.display()));
    let base = root().join("graphs");
    let graph =
        graph::check(&mut sources, number, &all, &base, operators).unwrap_or_else(|errors| {
            let texts: Vec<String> = errors.iter().map(|error| error.render(&sources)).collect();
            panic!("{}", texts.join("\n"))
        });
    graph::plan(graph, Some(workers))
}

/// Runs a plan.
pub fn run(operators: &Operators, plan: Plan) -> Report {
    dataflow::run(plan, operators, &RunOptions::default(), &mut |_| {})
        .unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// Seconds that `work` takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median of `a[i] / b[i]`: each pair was measured one after the other, so that a
/// slow moment of the machine falls on both.
pub fn median_ratio(a: &[f64], b: &[f64]) -> f64 {
    median(a.iter().zip(b).map(|(a, b)| a / b).collect())
}

/// Prints one measured ratio beside what it should reach.
pub fn show(what: &str, ratio: f64, goal: &str) {
    println!("{what:<58} {ratio:>6.3}  (goal: {goal})");
}
