//! What a device is about to run: graph and plan item by item, and a digest of each file
//! that its stages read and of each library that they are in. Two devices compare theirs
//! before they come together, so that a difference is refused by its name.
//!
//! A device that does not run a stage needs none of its files; where files lie may differ.

mod compare;
mod digest;
mod files;

use std::path::Path;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::graph::{Plan, Stage};
pub use compare::differences;
pub use digest::{Digest, Digests};

/// An item's value that is longer is told as its digest.
const VALUE_BYTES_MAX: usize = 400;

/// What one device tells of what it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Processor and system, such as `x86_64-linux`: libraries of two kinds cannot be the
    /// same.
    pub platform: String,
    /// What all devices must have, in the order in which differences are told.
    pub plan: Vec<Item>,
    /// Of the stages that run here, and of those that read the same files.
    pub files: Vec<File>,
}

/// A part of graph or plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The stage's name in the graph file, or `stream`, or `cluster`.
    pub of: String,
    /// What it is, such as `split`.
    pub name: String,
    /// What it is here.
    pub value: String,
}

/// A file that a stage reads, or the library that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The stage's name in the graph file.
    pub stage: String,
    /// The option that names it or its folder; none for the library.
    pub option: Option<String>,
    /// Its path in the folder that the option names; empty where it names the file.
    pub inside: String,
    /// Where it is on this device.
    pub path: String,
    /// Whether the stage itself runs here, and not only another one that reads the file.
    pub runs: bool,
    /// What is in it, or why that is not known.
    pub content: Result<Digest, String>,
}

impl Account {
    /// What device number `device` is about to run of `plan`.
    pub fn of(plan: &Plan, device: usize, digests: &Digests) -> Self {
        Account {
            files: files::files(plan, device, digests),
            ..Account::of_plan(plan)
        }
    }

    /// The same without any files.
    pub fn of_plan(plan: &Plan) -> Self {
        Account {
            platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            plan: items(plan),
            files: Vec::new(),
        }
    }

    /// Of all that every device must have.
    pub fn plan_hash(&self) -> [u8; 32] {
        // Strings and lists of them can always be written.
        let text = serde_json::to_vec(&self.plan).unwrap_or_default();
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &text).as_ref());
        hash
    }
}

fn items(plan: &Plan) -> Vec<Item> {
    let graph = &plan.graph;
    let mut items = Items(Vec::new());
    items.add("segue", "version", env!("CARGO_PKG_VERSION"));
    items.add("stream", "batch", graph.batch.to_string());
    items.add("stream", "window", graph.window.to_string());
    let devices = plan.layout.devices.iter();
    let devices = devices.map(|(name, workers)| format!("{name} ({workers})"));
    let devices = devices.collect::<Vec<_>>().join(", ");
    items.add("cluster", "devices and workers", devices);
    items.add(
        "cluster",
        "profile",
        plan.profile.clone().unwrap_or_default(),
    );
    for stage in &graph.stages {
        if stage.segment.as_ref().is_none_or(|one| one.index == 0) {
            items.stage(stage);
        }
    }
    for (stage, replicas) in graph.stages.iter().zip(&plan.replicas) {
        let names = |numbers: &[usize]| {
            let names = numbers.iter().map(|&i| graph.stages[i].name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        items.add(&stage.name, "input", names(&stage.inputs));
        items.add(&stage.name, "loop", names(&stage.loops));
        items.add(&stage.name, "ports", format!("{:?}", stage.ports));
        let range = stage.segment.as_ref().map(|one| &one.range);
        let range = range.map(|range| format!("{}..{}", range.start, range.end));
        items.add(&stage.name, "part", range.unwrap_or_default());
        items.add(&stage.name, "columns", format!("{:?}", stage.sends));
        let workers = replicas.iter().map(|one| {
            let device = plan.layout.device(one.worker);
            let name = &plan.layout.devices[device].0;
            let worker = one.worker % plan.layout.threads;
            match one.weight {
                1 => format!("{name}:{worker}"),
                weight => format!("{weight} of {name}:{worker}"),
            }
        });
        let workers = workers.collect::<Vec<_>>().join(", ");
        items.add(&stage.name, "place", workers);
    }
    items.0
}

struct Items(Vec<Item>);

impl Items {
    fn add(&mut self, of: &str, name: &str, value: impl Into<String>) {
        let value = value.into();
        let value = match value.len() {
            0..=VALUE_BYTES_MAX => value,
            _ => Digest::of(value.as_bytes()).to_string(),
        };
        self.0.push(Item {
            of: of.to_owned(),
            name: name.to_owned(),
            value,
        });
    }

    /// What the graph file says of a stage, but for paths.
    fn stage(&mut self, stage: &Stage) {
        let (name, manifest) = (&stage.file_name, &stage.operator.manifest);
        let plugin = format!("{} {}", manifest.name, manifest.version);
        self.add(name, "plugin", plugin);
        let split = stage.segment.as_ref().map_or(1, |one| one.count);
        self.add(name, "split", split.to_string());
        let replicas = stage.replicas.map(|count| count.to_string());
        self.add(name, "replicas", replicas.unwrap_or_default());
        let wire = format!("{:?}", stage.wire).to_lowercase();
        self.add(name, "wire", wire);
        let range = stage.segment.as_ref().filter(|one| one.count > 1);
        let range = range.map(|one| format!("{}..{}", one.range.start, one.range.end));
        for (option, value) in stage.options.as_object().into_iter().flatten() {
            let known = manifest.options.iter().find(|one| one.name == *option);
            let is_path = known.is_some_and(|one| one.option_type.is_path());
            // A segment's own range is told with the segment.
            let is_range = range.is_some() && value.as_str() == range.as_deref();
            if !is_path && !is_range && !value.is_null() {
                self.add(name, option, shown(value));
            }
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A path as people are shown it.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
