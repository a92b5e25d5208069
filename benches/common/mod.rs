//! What the benches share: reviews, plans, runs, medians.
#![allow(dead_code, reason = "each bench uses its part")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use segue::dataflow::{self, Report, RunOptions};
use segue::diagnostic::Sources;
use segue::graph::{self, Layout, Plan};
use segue::operators::Operators;

/// The root of the repository.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .ancestors()
        .nth(2)
        .expect("the package is `src/cli`")
}

/// The graph that is measured.
pub fn sentiment() -> PathBuf {
    root().join("graphs/sentiment.toml")
}

/// Copies of the repository's reviews in the file that is measured: enough batches for
/// a pipeline to fill.
const COPIES: usize = 12;

/// The file of reviews: `SEGUE_BENCH_REVIEWS`, or else the repository's own, repeated,
/// in `folder`.
pub fn reviews(folder: &Path) -> PathBuf {
    if let Some(named) = std::env::var_os("SEGUE_BENCH_REVIEWS") {
        return named.into();
    }
    let path = folder.join("reviews.csv");
    let own = root().join("graphs/reviews.csv");
    let text = std::fs::read_to_string(own).expect("the reviews are in the repository");
    let (header, rows) = text.split_once('\n').expect("they have a header");
    let repeated = format!("{header}\n{}", rows.repeat(COPIES));
    std::fs::write(&path, repeated).expect("the folder can be written");
    path
}

/// How often each side is measured: `SEGUE_BENCH_ROUNDS`, or else 7.
pub fn rounds() -> usize {
    let rounds = std::env::var("SEGUE_BENCH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok());
    rounds.unwrap_or(7)
}

/// Plans [`sentiment`] with `sets` on `workers`, reading [`reviews`] and writing, both in
/// `folder`.
pub fn plan(operators: &Operators, sets: &[&str], workers: usize, folder: &Path) -> Plan {
    plan_over(operators, sets, Layout::local(workers), folder)
}

/// The same on the devices of `layout`.
pub fn plan_over(operators: &Operators, sets: &[&str], layout: Layout, folder: &Path) -> Plan {
    let path = sentiment();
    let mut sources = Sources::new();
    let text = std::fs::read_to_string(&path).expect("the graph is in the repository");
    let number = sources.add(path.to_string_lossy(), text);
    let mut all: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    all.push(format!("reviews.path={}", reviews(folder).display()));
    all.push(format!("out.path={}", folder.join("out.jsonl").display()));
    let base = root().join("graphs");
    let graph =
        graph::check(&mut sources, number, &all, &base, operators).unwrap_or_else(|errors| {
            let texts: Vec<String> = errors.iter().map(|error| error.render(&sources)).collect();
            panic!("{}", texts.join("\n"))
        });
    graph::plan(graph, layout)
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
