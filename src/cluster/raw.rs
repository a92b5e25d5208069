//! A cluster file as it was written: the known keys, their values and spans.

use std::time::Duration;

use serde_json::Value;

use super::address::check_address;
use super::file::Patience;
use super::fingerprint::Fingerprint;
use super::identity::is_name;
use super::size::parse_size;
use crate::diagnostic::{Diagnostic, Span};
use crate::graph::did_you_mean;
use crate::graph::node::{Entry, Kind, Node, parse_file};

/// The one version of the format there is.
const FORMAT: i64 = 1;
const TOP_KEYS: [&str; 5] = ["format", "survivors-seconds", "mesh", "device", "place"];
const MESH_KEYS: [&str; 2] = ["connect-seconds", "failure-seconds"];
const DEVICE_KEYS: [&str; 4] = ["address", "workers", "memory", "identity"];
/// More threads on one device are a slip of the hand.
const WORKERS_MAX: u64 = 1024;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    pub value: T,
    pub span: Span,
}

/// The whole file.
#[derive(Debug, Default)]
pub struct RawCluster {
    pub mesh: Patience,
    pub survivors: Option<At<Duration>>,
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
    let mut reader = Reader { errors };
    let raw = reader.file(&entries, source);
    (raw, reader.errors)
}

struct Reader {
    errors: Vec<Diagnostic>,
}

impl Reader {
    fn file(&mut self, entries: &[Entry], source: usize) -> RawCluster {
        let mut raw = RawCluster::default();
        if self.errors.is_empty() && !entries.iter().any(|entry| entry.key == "format") {
            let start = Span {
                source,
                start: 0,
                end: 0,
            };
            let missing = Diagnostic::new("missing-format", "the file does not say its format");
            self.errors
                .push(missing.at(start).help("begin it with `format = 1`"));
        }
        for entry in entries {
            match entry.key.as_str() {
                "format" => self.format(&entry.node),
                "survivors-seconds" => {
                    let span = entry.node.span;
                    let value = self.seconds(entry, 1.0);
                    raw.survivors = value.map(|value| At { value, span });
                }
                "mesh" => self.mesh(&mut raw.mesh, &entry.node),
                "device" => {
                    let devices = self.table(&entry.node, "`device`").iter();
                    raw.devices = devices.map(|device| self.device(device)).collect();
                }
                "place" => {
                    let places = self.table(&entry.node, "`place`").iter();
                    raw.place = places.map(|place| self.place(place)).collect();
                }
                _ => self.unknown(entry, "a cluster file", &TOP_KEYS),
            }
        }
        raw
    }

    fn format(&mut self, node: &Node) {
        if node.to_json() != FORMAT {
            let message = format!("this is not format {FORMAT}, the only one known");
            self.errors
                .push(Diagnostic::new("bad-format", message).at(node.span));
        }
    }

    fn mesh(&mut self, mesh: &mut Patience, node: &Node) {
        for entry in self.table(node, "`mesh`") {
            match entry.key.as_str() {
                "connect-seconds" => {
                    mesh.connect = self.seconds(entry, 1.0).unwrap_or(mesh.connect);
                }
                "failure-seconds" => {
                    mesh.failure = self.seconds(entry, 0.5).unwrap_or(mesh.failure);
                }
                _ => self.unknown(entry, "`mesh`", &MESH_KEYS),
            }
        }
    }

    fn device(&mut self, entry: &Entry) -> RawDevice {
        let mut device = RawDevice {
            name: At {
                value: entry.key.clone(),
                span: entry.key_span,
            },
            address: None,
            workers: None,
            memory: None,
            identity: None,
        };
        if !is_name(&entry.key) {
            let message = format!("`{}` cannot be the name of a device", entry.key);
            let error = Diagnostic::new("bad-name", message).at(entry.key_span);
            self.errors
                .push(error.help("use letters, digits, `-` and `_`, at most 64"));
        }
        let keys = self.table(&entry.node, &format!("`device.{}`", entry.key));
        for key in keys {
            match key.key.as_str() {
                "address" => device.address = self.address(key),
                "workers" => device.workers = self.workers(key),
                "memory" => device.memory = self.memory(key),
                "identity" => device.identity = self.identity(key),
                _ => self.unknown(key, "a device", &DEVICE_KEYS),
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
                self.errors.push(error.help(help));
            }
        }
        device
    }

    fn address(&mut self, entry: &Entry) -> Option<At<String>> {
        let text = self.string(entry)?;
        if let Err(problem) = check_address(&text.value) {
            let message = format!("`{}` is not an address: {problem}", text.value);
            let error = Diagnostic::new("bad-address", message).at(text.span);
            self.errors
                .push(error.help("write host and port, such as `192.168.1.10:7400`"));
        }
        Some(text)
    }

    fn workers(&mut self, entry: &Entry) -> Option<At<usize>> {
        let Kind::Plain(Value::Number(number)) = &entry.node.kind else {
            self.wrong(entry, "an integer", &entry.node);
            return None;
        };
        match number.as_u64().filter(|n| (1..=WORKERS_MAX).contains(n)) {
            Some(n) => Some(At {
                value: usize::try_from(n).ok()?,
                span: entry.node.span,
            }),
            None if number.is_f64() => {
                self.wrong(entry, "an integer", &entry.node);
                None
            }
            None => {
                let message = format!("`workers` must be from 1 to {WORKERS_MAX}");
                self.errors
                    .push(Diagnostic::new("bad-value", message).at(entry.node.span));
                None
            }
        }
    }

    fn memory(&mut self, entry: &Entry) -> Option<At<u64>> {
        let text = self.string(entry)?;
        let value = parse_size(&text.value);
        if value.is_none() {
            let message = format!("`{}` is not a size", text.value);
            let error = Diagnostic::new("bad-size", message).at(text.span);
            self.errors
                .push(error.help("write a number and a unit, such as `512 MiB`"));
        }
        value.map(|value| At {
            value,
            span: text.span,
        })
    }

    fn identity(&mut self, entry: &Entry) -> Option<At<Fingerprint>> {
        let text = self.string(entry)?;
        match text.value.parse() {
            Ok(value) => Some(At {
                value,
                span: text.span,
            }),
            Err(problem) => {
                let message = format!("this is not a fingerprint: {problem}");
                self.errors
                    .push(Diagnostic::new("bad-identity", message).at(text.span));
                None
            }
        }
    }

    fn place(&mut self, entry: &Entry) -> RawPlace {
        let stage = At {
            value: entry.key.clone(),
            span: entry.key_span,
        };
        let devices = match &entry.node.kind {
            Kind::Array(items) if items.is_empty() => {
                let message = format!("`{}` is placed on no device", entry.key);
                self.errors
                    .push(Diagnostic::new("bad-value", message).at(entry.node.span));
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
            self.wrong(entry, "the name of a device, or a list of them", node);
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
            self.wrong(entry, "a number", &entry.node);
            return None;
        };
        if !(least..=86_400.0).contains(&number) {
            let message = format!("`{}` must be from {least} to 86400", entry.key);
            self.errors
                .push(Diagnostic::new("bad-value", message).at(entry.node.span));
            return None;
        }
        Some(Duration::from_secs_f64(number))
    }

    fn table<'a>(&mut self, node: &'a Node, name: &str) -> &'a [Entry] {
        match &node.kind {
            Kind::Table(entries) => entries,
            _ => {
                let message = format!("{name} must be a table, not {}", node.what());
                self.errors
                    .push(Diagnostic::new("wrong-type", message).at(node.span));
                &[]
            }
        }
    }

    fn string(&mut self, entry: &Entry) -> Option<At<String>> {
        let value = entry.node.as_str().map(str::to_owned);
        if value.is_none() {
            self.wrong(entry, "a string", &entry.node);
        }
        value.map(|value| At {
            value,
            span: entry.node.span,
        })
    }

    fn wrong(&mut self, entry: &Entry, wanted: &str, node: &Node) {
        let message = format!("`{}` must be {wanted}, not {}", entry.key, node.what());
        self.errors
            .push(Diagnostic::new("wrong-type", message).at(node.span));
    }

    fn unknown(&mut self, entry: &Entry, of: &str, known: &[&str]) {
        let help = did_you_mean(&entry.key, &format!("keys of {of}"), known.iter().copied());
        let error = Diagnostic::new("unknown-key", format!("unknown key `{}`", entry.key));
        self.errors.push(error.at(entry.key_span).help_some(help));
    }
}
