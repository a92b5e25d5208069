//! Searches beside the paper's tables: every row on IMDB, one graph and one command each, the
//! 25,000 test reviews judged once.
//!
//! Rows whose search goes block by block stand beside the plain algorithm.
//!
//! `SEGUE_IMDB=FOLDER cargo bench --bench paper [GRAPH...]`, where the folder has
//! `train.parquet` and `test.parquet`; `SEGUE_BENCH_WORKERS` for more workers than one. What a
//! search over weights may not have is a gradient, but for Adam's steps in `pso-adam`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One row of the tables.
struct Row {
    /// The graph's name under `graphs/search`.
    graph: &'static str,
    /// What was searched.
    searched: &'static str,
    /// The paper's accuracy, in percent.
    paper: f64,
    /// What is set besides.
    sets: &'static [&'static str],
}

const fn row(graph: &'static str, searched: &'static str, paper: f64) -> Row {
    Row {
        graph,
        searched,
        paper,
        sets: &[],
    }
}

/// The same row by the plain algorithm, which moves all weights at once.
const fn plain(graph: &'static str, paper: f64) -> Row {
    Row {
        sets: &["search.block=0"],
        ..row(graph, "weights, all at once", paper)
    }
}

/// Options are chosen by reviews of films that nothing was learnt from.
const BY_FILM: &[&str] = &["train.hold-out-by=movie"];

const ROWS: [Row; 13] = [
    row("ga-ann", "weights", 56.0),
    plain("ga-ann", 56.0),
    row("ga-cnn", "weights", 51.0),
    row("bat-ann", "weights", 85.0),
    plain("bat-ann", 85.0),
    row("pso-ann", "weights", 87.49),
    plain("pso-ann", 87.49),
    Row {
        sets: BY_FILM,
        ..row("pso-cnn", "options", 74.0)
    },
    row("pso-svm", "options", 88.7),
    row("pso-tinybert", "options", 85.0),
    row("pso-adam-ann", "weights", 85.34),
    row("pso-ga-ann", "weights", 85.42),
    plain("pso-ga-ann", 85.42),
];

fn main() {
    let Some(folder) = std::env::var_os("SEGUE_IMDB").map(PathBuf::from) else {
        eprintln!("SEGUE_IMDB names no folder with `train.parquet` and `test.parquet`");
        return;
    };
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    println!("| graph | searched | seed | evaluations | minutes | paper, % | ours, % |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for row in &ROWS {
        if wanted.is_empty() || wanted.iter().any(|name| name == row.graph) {
            println!("{}", run(row, &folder));
        }
    }
}

/// Runs a row's graph, and gives its line of the table.
fn run(row: &Row, folder: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let graph = root.join(format!("graphs/search/{}.toml", row.graph));
    let out = tempfile::TempDir::new().expect("a folder for what is written");
    let plan = json(segue([
        OsStr::new("explain"),
        graph.as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ]));
    let report = out.path().join("report.json");
    let workers = std::env::var("SEGUE_BENCH_WORKERS").unwrap_or_else(|_| "1".to_owned());
    let mut command = vec!["run".to_owned(), graph.display().to_string()];
    command.extend(["--workers".to_owned(), workers]);
    command.extend(["--report".to_owned(), report.display().to_string()]);
    let own = row.sets.iter().map(|set| (*set).to_owned());
    for set in sets(folder, out.path(), &plan).into_iter().chain(own) {
        command.extend(["--set".to_owned(), set]);
    }
    segue(command.iter().map(OsStr::new));
    let report = json(std::fs::read_to_string(report).expect("a report"));
    let accuracy = report["accuracy"].as_f64().unwrap_or(f64::NAN);
    let minutes = report["seconds"].as_f64().unwrap_or(f64::NAN) / 60.0;
    let history = std::fs::read_to_string(out.path().join("history.jsonl")).unwrap_or_default();
    let last = history.lines().last().map(json).unwrap_or_default();
    format!(
        "| {} | {} | {} | {} | {minutes:.1} | {} | {:.2} |",
        row.graph,
        row.searched,
        stage(&plan, "search")["options"]["seed"],
        last["evaluations"],
        row.paper,
        100.0 * accuracy
    )
}

/// What a run is told besides its graph: the two files, and where to write.
fn sets(folder: &Path, out: &Path, plan: &Value) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut sets = vec![
        format!("train.path={}", file("train.parquet")),
        format!("test.path={}", file("test.parquet")),
    ];
    for stage in plan["stages"].as_array().into_iter().flatten() {
        let name = stage["name"].as_str().unwrap_or_default();
        let place = out.join(name).display().to_string();
        if stage["plugin"] == "write" {
            sets.push(format!("{name}.path={place}.jsonl"));
        } else if stage["options"]["output"].is_string() {
            sets.push(format!("{name}.output={place}"));
        }
    }
    sets
}

fn stage<'a>(plan: &'a Value, name: &str) -> &'a Value {
    let mut stages = plan["stages"].as_array().into_iter().flatten();
    stages
        .find(|stage| stage["name"] == name)
        .unwrap_or(&Value::Null)
}

fn json(text: impl AsRef<str>) -> Value {
    serde_json::from_str(text.as_ref()).expect("JSON")
}

/// Runs `segue`, and gives what it printed.
fn segue<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_segue"))
        .args(arguments)
        .output()
        .expect("segue starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
