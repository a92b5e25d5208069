//! The same graph on several devices: real processes, on ports of this machine.

mod agents;
mod differences;
mod failures;
mod files;
mod hello;
mod memory;
mod network;
mod place;
mod refusals;
mod same_bytes;
mod survivors;

use crate::fleet::{Device, cluster, signal};
use crate::harness::Project;
use crate::pace::{self, Leash, eventually};

/// A model in two segments.
const SENTIMENT: &str = "format = 1
[stream]
batch = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"model\"
with.max-tokens = 32
[stage.encoder]
plugin = \"bert\"
from = \"tokenize\"
with.model = \"model\"
split = 2
[stage.verdict]
plugin = \"aggregator\"
from = \"encoder\"
[stage.out]
plugin = \"write\"
from = \"verdict\"
with.path = \"out.jsonl\"
";

/// A stage that a leash may hold, and that can be placed.
const SLOW: &str = "format = 1
[stream]
batch = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.slow]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.out]
plugin = \"write\"
from = \"slow\"
with.path = \"out.jsonl\"
";

/// The first device reads, the second does the rest.
const SLOW_ON_HALL: &str = "[place]\nslow = \"hall\"\n";

/// A cluster whose devices go on without one that is gone for two seconds.
fn cluster_of_survivors(project: &Project, devices: &[&str], more: &str) {
    cluster(project, devices, more);
    let text = project.read("cluster.toml");
    let first = "format = 1\n";
    // The one that commits also waits so long for those who are to hear of the end.
    let mesh = "survivors-seconds = 2\n[mesh]\nconnect-seconds = 5\n";
    let text = text.replace(first, &format!("{first}{mesh}"));
    project.write("cluster.toml", text);
}

/// How many commits the journal has.
fn commits(project: &Project) -> usize {
    pace::commits(project, "out.jsonl")
}

/// Holds [`SLOW`] after some commits, which it waits for.
fn commit_some(project: &Project) -> Leash<'_> {
    let mut leash = Leash::new(project);
    leash.until("it commits", || commits(project) > 5);
    leash
}

/// The output of the graph on this device alone, which goes.
fn alone(project: &Project, output: &str, more: &[&str]) -> Vec<u8> {
    project.run_graph(&[&["--workers", "1", "--quiet"], more].concat());
    let bytes = project.bytes(output);
    for name in [output, "out.jsonl.journal"] {
        // Only the output is sure to be there.
        let _ = std::fs::remove_file(project.path(name));
    }
    assert!(!bytes.is_empty());
    bytes
}
