//! A search's loop: generations of candidates, each scored by itself. How much do two
//! workers gain over one, and what does a generation cost beside its scoring?
//!
//! `cargo bench --bench loops`

mod common;

use std::path::Path;

use common::{median, median_ratio, rounds, show};
use segue::dataflow::{self, RunOptions};
use segue::diagnostic::Sources;
use segue::graph::{self, Layout};
use segue::operators::Operators;

/// Trips round the loop: `SEGUE_BENCH_GENERATIONS`, or else 1,000.
fn generations() -> u64 {
    let asked = std::env::var("SEGUE_BENCH_GENERATIONS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(1000)
}

const CANDIDATES: u64 = 40;
/// Candidates that share a batch: what crosses to a plugin and back is batches.
const TOGETHER: u64 = 5;

/// Seconds that the loop takes on `workers`, with `sleep_ms` a candidate and batches of
/// `together`.
fn seconds(
    operators: &Operators,
    folder: &Path,
    workers: usize,
    sleep_ms: u64,
    together: u64,
) -> f64 {
    let here = std::env::current_exe().expect("this program has a path");
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = here.with_file_name(format!("{prefix}test_plugin{suffix}"));
    let (library, generations) = (library.display(), generations());
    let text = format!(
        "format = 1
[stage.rows]
plugin = \"read\"
with.path = \"rows.csv\"
[stage.search]
plugin = \"{library}#propose\"
loop = \"score\"
with.generations = {generations}
with.candidates = {CANDIDATES}
with.together = {together}
[stage.score]
plugin = \"{library}#score\"
from = {{ candidates = \"search\", rows = \"rows\" }}
with.sleep-ms = {sleep_ms}
[stage.out]
plugin = \"write\"
from = \"search\"
with.path = \"out.jsonl\"
"
    );
    let mut sources = Sources::new();
    let number = sources.add("loop.toml", text);
    let graph = graph::check(&mut sources, number, &[], folder, operators);
    let graph = graph.unwrap_or_else(|errors| panic!("{}", errors[0].render(&sources)));
    let plan = graph::plan(graph, Layout::local(workers));
    let started = std::time::Instant::now();
    dataflow::run(plan, operators, &RunOptions::default(), &mut |_| {})
        .unwrap_or_else(|failure| panic!("{failure:?}"));
    started.elapsed().as_secs_f64()
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = folder.path().join("rows.csv");
    std::fs::write(rows, "text\na film\n").expect("the folder can be written");
    let operators = Operators::default();
    let run = |workers, sleep_ms, together| {
        seconds(&operators, folder.path(), workers, sleep_ms, together)
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let (mut bare, mut single) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        one.push(run(1, 1, TOGETHER));
        two.push(run(2, 1, TOGETHER));
        bare.push(run(1, 0, TOGETHER));
        single.push(run(1, 0, 1));
    }
    let generations = generations();
    println!("{generations} generations of {CANDIDATES} candidates, 1 ms each");
    println!(
        "1 worker {:.2} s, 2 workers {:.2} s",
        median(one.clone()),
        median(two.clone())
    );
    show(
        "2 workers / 1 worker, rate",
        median_ratio(&one, &two),
        "1.9 or more",
    );
    let ms = |seconds: Vec<f64>| median(seconds) * 1e3 / generations as f64;
    show("ms a generation that scores nothing", ms(bare), "1 or less");
    show(
        "the same, each candidate a batch of its own",
        ms(single),
        "none",
    );
}
