//! A cluster file as it was written: the known keys, their values and spans.

use std::time::Duration;

use serde_json::Value;

use super::address::check_address;
use super::file::Patience;
use super::fingerprint::Fingerprint;
use super::identity::is_name;
use super::size::parse_size;
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::planner::Objective;
use crate::toml_file::{At, Entry, Kind, Node, Reader, parse_file};

const TOP_KEYS: [&str; 6] = [
    "format",
    "survivors-seconds",
    "objective",
    "mesh",
    "device",
    "place",
];
const MESH_KEYS: [&str; 2] = ["connect-seconds", "failure-seconds"];
const DEVICE_KEYS: [&str; 5] = ["address", "workers", "memory", "watts", "identity"];
/// The names of objectives.
const OBJECTIVES: [(&str, Objective); 3] = [
    ("rate", Objective::Rate),
    ("latency", Objective::Latency),
    ("energy", Objective::Energy),
];
/// More threads on one device are a slip of the hand.
const WORKERS_MAX: u64 = 1024;

/// The whole file.
#[derive(Debug, Default)]
pub struct RawCluster {
    pub mesh: Patience,
    pub survivors: Option<At<Duration>>,
    pub objective: Option<At<Objective>>,
    pub devices: Vec<RawDevice>,
    pub place: Vec<RawPlace>,
}

/// One `[device.NAME]`.
#[derive(Debug)]
pub struct RawDevice {
    pub name: At<String>,
    pub address: Option<At<String>>,
    pub workers: Option<At<usize>>,
    pub memory: Option<At<u64>>,
    pub watts: Option<f64>,
    pub identity: Option<At<Fingerprint>>,
}

/// One line of `[place]`.
#[derive(Debug)]
pub struct RawPlace {
    pub stage: At<String>,
    pub devices: Vec<At<String>>,
}

/// Reads `text`, whose spans carry `source`. What can be read is, whatever else is wrong.
pub fn read(text: &str, source: usize) -> (RawCluster, Vec<Diagnostic>) {
    let (entries, errors) = parse_file(text, source);
    let mut reader = ClusterReader {
        toml: Reader::new(errors),
    };
    let raw = reader.file(&entries, source);
    (raw, reader.toml.errors)
}

struct ClusterReader {
    toml: Reader,
}

impl ClusterReader {
    fn file(&mut self, entries: &[Entry], source: usize) -> RawCluster {
        let mut raw = RawCluster::default();
        self.toml.has_format(entries, source);
        for entry in entries {
            match entry.key.as_str() {
                "format" => self.toml.format(&entry.node),
                "survivors-seconds" => {
                    let span = entry.node.span;
                    let value = self.seconds(entry, 1.0);
                    raw.survivors = value.map(|value| At { value, span });
                }
                "objective" => raw.objective = self.objective(entry),
                "mesh" => self.mesh(&mut raw.mesh, &entry.node),
                "device" => {
                    let devices = self.toml.table(&entry.node, "`device`").iter();
                    raw.devices = devices.map(|device| self.device(device)).collect();
                }
                "place" => {
                    let places = self.toml.table(&entry.node, "`place`").iter();
                    raw.place = places.map(|place| self.place(place)).collect();
                }
                _ => self
                    .toml
                    .unknown(entry, "keys of a cluster file", &TOP_KEYS),
            }
        }
        raw
    }

    fn mesh(&mut self, mesh: &mut Patience, node: &Node) {
        for entry in self.toml.table(node, "`mesh`") {
            match entry.key.as_str() {
                "connect-seconds" => {
                    mesh.connect = self.seconds(entry, 1.0).unwrap_or(mesh.connect);
                }
                "failure-seconds" => {
                    mesh.failure = self.seconds(entry, 0.5).unwrap_or(mesh.failure);
                }
                _ => self.toml.unknown(entry, "keys of `mesh`", &MESH_KEYS),
            }
        }
    }

    fn device(&mut self, entry: &Entry) -> RawDevice {
        let mut device = RawDevice {
            name: At::key(entry),
            address: None,
            workers: None,
            memory: None,
            watts: None,
            identity: None,
        };
        if !is_name(&entry.key) {
            let message = format!("`{}` cannot be the name of a device", entry.key);
            let error = Diagnostic::new("bad-name", message).at(entry.key_span);
            self.toml
                .errors
                .push(error.help("use letters, digits, `-` and `_`, at most 64"));
        }
        let keys = self
            .toml
            .table(&entry.node, &format!("`device.{}`", entry.key));
        for key in keys {
            match key.key.as_str() {
                "address" => device.address = self.address(key),
                "workers" => device.workers = self.toml.count(key, WORKERS_MAX),
                "memory" => device.memory = self.memory(key),
                "watts" => device.watts = self.watts(key),
                "identity" => device.identity = self.identity(key),
                _ => self.toml.unknown(key, "keys of a device", &DEVICE_KEYS),
            }
        }
        for (key, help) in [
            (
                "address",
                "where the others reach it, such as `address = \"192.168.1.10:7400\"`",
            ),
            (
                "identity",
                "`segue identity new NAME` on the device makes one and tells it",
            ),
        ] {
            if matches!(entry.node.kind, Kind::Table(_)) && !keys.iter().any(|k| k.key == key) {
                let message = format!("`{}` does not say its `{key}`", entry.key);
                let error = Diagnostic::new("missing-key", message).at(entry.key_span);
                self.toml.errors.push(error.help(help));
            }
        }
        device
    }

    fn address(&mut self, entry: &Entry) -> Option<At<String>> {
        let text = self.toml.string(entry)?;
        if let Err(problem) = check_address(&text.value) {
            let message = format!("`{}` is not an address: {problem}", text.value);
            let error = Diagnostic::new("bad-address", message).at(text.span);
            self.toml
                .errors
                .push(error.help("write host and port, such as `192.168.1.10:7400`"));
        }
        Some(text)
    }

    fn objective(&mut self, entry: &Entry) -> Option<At<Objective>> {
        let name = self.toml.string(entry)?;
        let known = OBJECTIVES.iter().find(|(known, _)| *known == name.value);
        if known.is_none() {
            let names = OBJECTIVES.iter().map(|(known, _)| *known);
            let help = did_you_mean(&name.value, "objectives", names);
            let message = format!("`objective` cannot be `{}`", name.value);
            let error = Diagnostic::new("bad-value", message).at(name.span);
            self.toml.errors.push(error.help_some(help));
        }
        known.map(|(_, value)| At {
            value: *value,
            span: name.span,
        })
    }

    fn watts(&mut self, entry: &Entry) -> Option<f64> {
        let Kind::Plain(Value::Number(number)) = &entry.node.kind else {
            self.toml.wrong(entry, "a number", &entry.node);
            return None;
        };
        let watts = number
            .as_f64()
            .filter(|watts| *watts > 0.0 && watts.is_finite());
        if watts.is_none() {
            let error = Diagnostic::new("bad-value", "`watts` must be more than 0");
            self.toml.errors.push(error.at(entry.node.span));
        }
        watts
    }

    fn memory(&mut self, entry: &Entry) -> Option<At<u64>> {
        let text = self.toml.string(entry)?;
        let value = parse_size(&text.value);
        if value.is_none() {
            let message = format!("`{}` is not a size", text.value);
            let error = Diagnostic::new("bad-size", message).at(text.span);
            self.toml
                .errors
                .push(error.help("write a number and a unit, such as `512 MiB`"));
        }
        value.map(|value| At {
            value,
            span: text.span,
        })
    }

    fn identity(&mut self, entry: &Entry) -> Option<At<Fingerprint>> {
        let text = self.toml.string(entry)?;
        match text.value.parse() {
            Ok(value) => Some(At {
                value,
                span: text.span,
            }),
            Err(problem) => {
                let message = format!("this is not a fingerprint: {problem}");
                self.toml.error("bad-identity", message, text.span);
                None
            }
        }
    }

    fn place(&mut self, entry: &Entry) -> RawPlace {
        let stage = At::key(entry);
        let devices = match &entry.node.kind {
            Kind::Array(items) if items.is_empty() => {
                let message = format!("`{}` is placed on no device", entry.key);
                self.toml.error("bad-value", message, entry.node.span);
                Vec::new()
            }
            Kind::Array(items) => items
                .iter()
                .filter_map(|item| self.device_name(entry, item))
                .collect(),
            _ => self.device_name(entry, &entry.node).into_iter().collect(),
        };
        RawPlace { stage, devices }
    }

    fn device_name(&mut self, entry: &Entry, node: &Node) -> Option<At<String>> {
        let name = node.as_str();
        if name.is_none() {
            self.toml
                .wrong(entry, "the name of a device, or a list of them", node);
        }
        name.map(|name| At {
            value: name.to_owned(),
            span: node.span,
        })
    }

    fn seconds(&mut self, entry: &Entry, least: f64) -> Option<Duration> {
        let number = match &entry.node.kind {
            Kind::Plain(Value::Number(number)) => number.as_f64(),
            _ => None,
        };
        let Some(number) = number else {
            self.toml.wrong(entry, "a number", &entry.node);
            return None;
        };
        if !(least..=86_400.0).contains(&number) {
            let message = format!("`{}` must be from {least} to 86400", entry.key);
            self.toml.error("bad-value", message, entry.node.span);
            return None;
        }
        Some(Duration::from_secs_f64(number))
    }
}
