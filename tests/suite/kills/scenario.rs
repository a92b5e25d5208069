//! The runs that are killed: a fraction of a second long, one of each kind.

use crate::fleet::cluster;
use crate::harness::{Project, Random, WORDS, reviews};
use crate::tiny::Tiny;

/// A kind of run.
pub struct Scenario {
    /// What tells it from the others.
    pub name: &'static str,
    /// A folder with all that it needs.
    pub project: fn() -> Project,
    /// The output that its journal is named after.
    pub output: &'static str,
    /// Options, of which each run of one process takes one lot, whichever.
    pub more: &'static [&'static [&'static str]],
    /// The devices it runs on; none where one process does it all.
    pub devices: &'static [&'static str],
}

impl Scenario {
    /// One lot of options, whichever.
    pub fn any_more(&self, random: &mut Random) -> &'static [&'static str] {
        self.more[random.below(self.more.len())]
    }
}

const ONE_OR_TWO_WORKERS: &[&[&str]] = &[
    &[],
    &["--workers", "2", "--set", "pass.replicas=2"],
    &["--set", "stream.batch=7"],
];
/// Batches of a stage that keeps state, and of several sources, are part of the output.
const WITH_THE_SAME_BATCHES: &[&[&str]] = &[&[], &["--workers", "2", "--set", "pass.replicas=2"]];
/// Candidates are scored wherever there is room.
const ON_ONE_OR_TWO: &[&[&str]] = &[&[], &["--workers", "2"]];

/// All kinds.
pub const SCENARIOS: [Scenario; 12] = [
    Scenario {
        name: "one sink",
        project: one_sink,
        output: "out.jsonl",
        more: ONE_OR_TWO_WORKERS,
        devices: &[],
    },
    Scenario {
        name: "two sinks around a stage that keeps state",
        project: two_sinks,
        output: "rows.csv",
        more: WITH_THE_SAME_BATCHES,
        devices: &[],
    },
    Scenario {
        name: "Parquet",
        project: parquet,
        output: "out.parquet",
        more: ONE_OR_TWO_WORKERS,
        devices: &[],
    },
    Scenario {
        name: "rejects",
        project: rejects,
        output: "out.jsonl",
        more: WITH_THE_SAME_BATCHES,
        devices: &[],
    },
    Scenario {
        name: "finetune",
        project: finetune,
        output: "log.jsonl",
        more: ON_ONE_OR_TWO,
        devices: &[],
    },
    Scenario {
        name: "svm",
        project: svm,
        output: "out.jsonl",
        more: ON_ONE_OR_TWO,
        devices: &[],
    },
    Scenario {
        name: "a loop",
        project: around,
        output: "out.jsonl",
        more: WITH_THE_SAME_BATCHES,
        devices: &[],
    },
    Scenario {
        name: "a search with a swarm",
        project: swarm,
        output: "scores.jsonl",
        more: ON_ONE_OR_TWO,
        devices: &[],
    },
    Scenario {
        name: "a search with bats in blocks",
        project: bats,
        output: "scores.jsonl",
        more: ON_ONE_OR_TWO,
        devices: &[],
    },
    Scenario {
        name: "a search for options, with halving",
        project: options,
        output: "scores.jsonl",
        more: ON_ONE_OR_TWO,
        devices: &[],
    },
    Scenario {
        name: "2 devices under agents",
        project: two_devices,
        output: "out.jsonl",
        more: &[&[]],
        devices: &["kitchen", "hall"],
    },
    Scenario {
        name: "3 devices under agents",
        project: three_devices,
        output: "rows.csv",
        more: &[&[]],
        devices: &["kitchen", "hall", "attic"],
    },
];

/// The graph of `stages` behind a source and a stage that takes a while for each batch.
fn graph(stages: &str) -> Project {
    let text = format!(
        "format = 1
[stream]
batch = 4
window = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.pass]
plugin = \"pass\"
from = \"reviews\"
with.sleep-ms = 2
{stages}"
    );
    let project = Project::with_graph(&text).test_plugin();
    project.file("reviews.csv", reviews(160))
}

/// A stage that writes what `from` gives to `path`.
fn write(name: &str, from: &str, path: &str) -> String {
    format!("[stage.{name}]\nplugin = \"write\"\nfrom = \"{from}\"\nwith.path = \"{path}\"\n")
}

fn one_sink() -> Project {
    graph(&write("out", "pass", "out.jsonl"))
}

fn parquet() -> Project {
    graph(&write("out", "pass", "out.parquet"))
}

fn two_sinks() -> Project {
    let sum = "[stage.sum]\nplugin = \"running-sum\"\nfrom = \"pass\"\n";
    let sinks = write("rows", "pass", "rows.csv") + &write("sums", "sum", "sums.jsonl");
    graph(&format!("{sum}{sinks}"))
}

/// Two sources with records that cannot be used; one output has rows of these too.
fn rejects() -> Project {
    let more = "[stage.more]\nplugin = \"read\"\nwith.path = \"more.csv\"\n";
    let all = write("all", "pass", "all.csv") + "with.rejects = \"keep\"\n";
    let project = graph(&(write("out", "pass", "out.jsonl") + &all + more));
    let text = project.read("graph.toml");
    let merged = text.replace("from = \"reviews\"", "from = [\"more\", \"reviews\"]");
    project.write("graph.toml", merged);
    let line = |(i, line): (usize, &str)| match i % 7 {
        6 => format!("{i},\n"),
        _ => format!("{line}\n"),
    };
    for (name, count) in [("reviews.csv", 120), ("more.csv", 70)] {
        let text: String = reviews(count).lines().enumerate().map(line).collect();
        project.write(name, text);
    }
    project
}

/// Rows that go round a few times before they are written.
fn around() -> Project {
    let stages = "[stage.zero]
plugin = \"zero\"
from = \"pass\"
[stage.step]
plugin = \"add-one\"
from = \"zero\"
loop = \"again\"
[stage.again]
plugin = \"reached\"
from = \"step\"
with.most = 5
with.keep = false
";
    graph(&(stages.to_owned() + &write("out", "step", "out.jsonl")))
}

/// Reviews that are good or bad by one word.
fn told_by_a_word(count: usize) -> String {
    let mut random = Random(9);
    let mut text = "label,text\n".to_owned();
    for _ in 0..count {
        let label = random.below(2);
        let [before, behind] = [0; 2].map(|_| WORDS[random.below(WORDS.len())]);
        let word = ["boring", "lovely"][label];
        text += &format!("{label},the {before} was {word} {behind}\n");
    }
    text
}

fn finetune() -> Project {
    let text = "format = 1
[stream]
batch = 8
window = 3
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
with.epochs = 3
with.shuffle = 3
with.hold-out = 0.25
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"base\"
with.max-tokens = 16
[stage.train]
plugin = \"finetune\"
from = \"tokenize\"
with.model = \"base\"
with.output = \"made\"
with.learning-rate = 3e-3
with.checkpoint-minutes = 0.0002
[stage.log]
plugin = \"write\"
from = \"train\"
with.path = \"log.jsonl\"
";
    let project = Project::with_graph(text).file("reviews.csv", told_by_a_word(96));
    let layers = 2;
    project.model(
        "base",
        Tiny {
            layers,
            ..Tiny::default()
        },
    )
}

fn svm() -> Project {
    let text = "format = 1
[stream]
batch = 16
[stage.train]
plugin = \"read\"
with.path = \"train.csv\"
with.role = \"train\"
[stage.test]
plugin = \"read\"
with.path = \"test.csv\"
with.role = \"test\"
[stage.pass]
plugin = \"pass\"
from = [\"train\", \"test\"]
with.sleep-ms = 2
[stage.svm]
plugin = \"svm\"
from = \"pass\"
with.output = \"made\"
[stage.out]
plugin = \"write\"
from = \"svm\"
with.path = \"out.jsonl\"
";
    let project = Project::with_graph(text).test_plugin();
    let project = project.file("train.csv", told_by_a_word(400));
    project.file("test.csv", reviews(100))
}

/// A search by `lines` whose evaluator takes a while for each candidate. Its history is left
/// out: it says how long things took.
fn search(lines: &str) -> Project {
    let text = format!(
        "format = 1
[stage.search]
loop = \"function\"
with.dimensions = 6
with.population = 8
with.seed = 3
{lines}
[stage.function]
plugin = \"function\"
from = \"search\"
with.function = \"rastrigin\"
with.sleep-ms = 1
[stage.best]
plugin = \"search-best\"
from = \"search\"
{}{}",
        write("scores", "function", "scores.jsonl"),
        write("out", "best", "best.jsonl")
    );
    Project::with_graph(&text).test_plugin()
}

fn swarm() -> Project {
    search("plugin = \"pso\"\nwith.generations = 30")
}

fn bats() -> Project {
    search("plugin = \"bat\"\nwith.generations = 30\nwith.block = 2")
}

fn options() -> Project {
    let text = "format = 1
[stage.train]
plugin = \"read\"
with.path = \"train.csv\"
with.shuffle = 3
with.hold-out = 0.25
[stage.test]
plugin = \"read\"
with.path = \"test.csv\"
with.role = \"test\"
[stage.search]
plugin = \"pso\"
loop = \"trial\"
with.space = [\"cost = 0.01..10.0 log\", \"ngrams = 1..3\", \"naive-bayes = false | true\"]
with.maximize = true
with.rungs = 2
with.population = 8
with.generations = 20
[stage.trial]
plugin = \"svm-trial\"
from = { candidates = \"search\", rows = \"train\" }
with.measure = \"accuracy\"
[stage.best]
plugin = \"search-best\"
from = \"search\"
[stage.svm]
plugin = \"svm-chosen\"
from = { options = \"best\", rows = [\"train\", \"test\"] }
with.output = \"made\"
";
    let sinks = [
        write("scores", "trial", "scores.jsonl"),
        write("options", "best", "best.jsonl"),
        write("out", "svm", "out.jsonl"),
    ];
    let project = Project::with_graph(&(text.to_owned() + &sinks.concat()));
    let project = project.file("train.csv", told_by_a_word(300));
    project.file("test.csv", reviews(60))
}

/// Where another process is waited for: a killed one is back sooner.
const MESH: &str = "[mesh]\nconnect-seconds = 20\n";

fn two_devices() -> Project {
    let project = one_sink();
    let place = "[place]\npass = \"hall\"\nout = \"kitchen\"\n";
    cluster(&project, &["kitchen", "hall"], &format!("{MESH}{place}"));
    project
}

fn three_devices() -> Project {
    let project = two_sinks();
    let place = "[place]\npass = \"hall\"\nsum = \"attic\"\nrows = \"attic\"\nsums = \"attic\"\n";
    let devices = ["kitchen", "hall", "attic"];
    cluster(&project, &devices, &format!("{MESH}{place}"));
    project
}
