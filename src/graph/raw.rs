//! A graph file as it was written: the known keys, their values and spans.

use super::plan::WORKERS_MAX;
use crate::diagnostic::{Diagnostic, Sources, Span, did_you_mean};
use crate::toml_file::{At, Entry, Kind, Node, Reader, parse_file, parse_value};

const TOP_KEYS: [&str; 3] = ["format", "stream", "stage"];
const STREAM_KEYS: [&str; 2] = ["batch", "window"];
const STAGE_KEYS: [&str; 7] = [
    "plugin", "from", "loop", "split", "replicas", "wire", "with",
];
/// More rows to a batch, or batches in flight, are a slip of the hand.
const COUNT_MAX: u64 = 1 << 20;

/// The whole file.
#[derive(Debug)]
pub struct RawGraph {
    pub batch: usize,
    pub window: usize,
    pub stages: Vec<RawStage>,
}

/// One `[stage.NAME]`.
#[derive(Debug)]
pub struct RawStage {
    pub name: At<String>,
    pub plugin: Option<At<String>>,
    pub from: Vec<At<String>>,
    /// The port that each of `from` names, if it does.
    pub from_ports: Vec<Option<At<String>>>,
    pub loop_from: Vec<At<String>>,
    /// The port that each of `loop_from` names, if it does.
    pub loop_ports: Vec<Option<At<String>>>,
    pub split: Option<At<RawSplit>>,
    pub replicas: Option<At<usize>>,
    pub wire: Wire,
    pub options: Vec<RawOption>,
}

/// How hidden states (columns of type `ragged f32[N]`) cross the edges to a stage and
/// between its segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// As they are.
    #[default]
    F32,
    /// In half the bytes.
    F16,
    /// In a quarter of the bytes, with a scale for each vector.
    Int8,
}

/// The names of [`Wire`]s in a graph file.
const WIRES: [(&str, Wire); 3] = [("f32", Wire::F32), ("f16", Wire::F16), ("int8", Wire::Int8)];

/// `split = "auto"`, `split = 2` or `split = ["..2", "2.."]`
#[derive(Clone, Debug)]
pub enum RawSplit {
    Auto,
    Count(usize),
    Ranges(Vec<At<String>>),
}

/// One `with.NAME = VALUE`.
#[derive(Debug)]
pub struct RawOption {
    pub name: At<String>,
    pub node: Node,
    /// Given by `--set`: a path in it is relative to the working directory.
    pub typed: bool,
    /// What `--set` gave, as it was typed.
    pub text: Option<String>,
}

/// Reads the graph in `sources` number `graph`, with the `--set` arguments applied.
/// What can be read is, whatever else is wrong.
pub fn read(sources: &mut Sources, graph: usize, sets: &[String]) -> (RawGraph, Vec<Diagnostic>) {
    let (entries, errors) = parse_file(sources.text(graph), graph);
    let mut reader = GraphReader {
        toml: Reader::new(errors),
    };
    let mut raw = reader.file(&entries, graph);
    for set in sets {
        let source = sources.add("--set", set.as_str());
        reader.set(&mut raw, set, source);
    }
    (raw, reader.toml.errors)
}

struct GraphReader {
    toml: Reader,
}

impl GraphReader {
    fn file(&mut self, entries: &[Entry], graph: usize) -> RawGraph {
        let mut raw = RawGraph {
            batch: 32,
            window: 8,
            stages: Vec::new(),
        };
        self.toml.has_format(entries, graph);
        for entry in entries {
            match entry.key.as_str() {
                "format" => self.toml.format(&entry.node),
                "stream" => self.stream(&mut raw, &entry.node),
                "stage" => {
                    for stage in self.toml.table(&entry.node, "`stage`") {
                        let read = self.stage(stage);
                        raw.stages.push(read);
                    }
                }
                _ => self.toml.unknown(entry, "keys of a graph file", &TOP_KEYS),
            }
        }
        raw
    }

    fn stream(&mut self, raw: &mut RawGraph, node: &Node) {
        for entry in self.toml.table(node, "`stream`") {
            self.stream_key(raw, entry);
        }
    }

    fn stream_key(&mut self, raw: &mut RawGraph, entry: &Entry) {
        match entry.key.as_str() {
            "batch" => raw.batch = self.count(entry).unwrap_or(raw.batch),
            "window" => raw.window = self.count(entry).unwrap_or(raw.window),
            _ => self.toml.unknown(entry, "keys of `stream`", &STREAM_KEYS),
        }
    }

    fn stage(&mut self, entry: &Entry) -> RawStage {
        let mut stage = RawStage {
            name: At::key(entry),
            plugin: None,
            from: Vec::new(),
            from_ports: Vec::new(),
            loop_from: Vec::new(),
            loop_ports: Vec::new(),
            split: None,
            replicas: None,
            wire: Wire::F32,
            options: Vec::new(),
        };
        self.stage_name(&stage.name);
        let keys = self
            .toml
            .table(&entry.node, &format!("`stage.{}`", entry.key));
        for key in keys {
            self.stage_key(&mut stage, key, false);
        }
        if !keys.iter().any(|key| key.key == "plugin") {
            let message = format!("`{}` does not say its `plugin`", entry.key);
            self.toml.error("missing-key", message, entry.key_span);
        }
        stage
    }

    fn stage_name(&mut self, name: &At<String>) {
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.value.is_empty() || !name.value.chars().all(fine) || name.value == "stream" {
            let message = format!("`{}` cannot be the name of a stage", name.value);
            let error = Diagnostic::new("bad-name", message).at(name.span);
            self.toml
                .errors
                .push(error.help("use letters, digits, `-` and `_`; `stream` is taken"));
        }
    }

    fn stage_key(&mut self, stage: &mut RawStage, entry: &Entry, typed: bool) {
        match entry.key.as_str() {
            "plugin" => stage.plugin = self.toml.string(entry).or(stage.plugin.take()),
            "from" => (stage.from_ports, stage.from) = self.edges(entry),
            "loop" => (stage.loop_ports, stage.loop_from) = self.edges(entry),
            "split" => stage.split = self.split(entry),
            "wire" => stage.wire = self.wire(entry).unwrap_or_default(),
            "replicas" => stage.replicas = self.toml.count(entry, WORKERS_MAX as u64),
            "with" => {
                for option in self.toml.table(&entry.node, "`with`") {
                    stage.set_option(option, typed);
                }
            }
            _ => {
                self.toml.unknown(entry, "keys of a stage", &STAGE_KEYS);
                if let Some(error) = self.toml.errors.last_mut().filter(|e| !is_suggestion(e)) {
                    error.help = Some(format!(
                        "an option of the plugin is written `with.{} = ...`",
                        entry.key
                    ));
                }
            }
        }
    }

    /// `STAGE.OPTION=VALUE`, where OPTION is an option of the stage's plugin, or one
    /// of the stage's own keys, and STAGE may be `stream`.
    fn set(&mut self, raw: &mut RawGraph, set: &str, source: usize) {
        let whole = Span {
            source,
            start: 0,
            end: set.len(),
        };
        let parts = set.split_once('=').and_then(|(path, value)| {
            let (stage, option) = path.split_once('.')?;
            Some((
                stage,
                option.strip_prefix("with.").unwrap_or(option),
                path,
                value,
            ))
        });
        let Some((stage, option, path, value)) = parts else {
            let error = Diagnostic::new("bad-set", format!("`{set}` does not set anything"));
            self.toml.errors.push(
                error
                    .at(whole)
                    .help("write it as `--set STAGE.OPTION=VALUE`"),
            );
            return;
        };
        let key_span = Span {
            source,
            start: path.len() - option.len(),
            end: path.len(),
        };
        let node = parse_value(value, source, path.len() + 1);
        let entry = Entry {
            key: option.to_owned(),
            key_span,
            node,
        };
        if stage == "stream" {
            return self.stream_key(raw, &entry);
        }
        match raw
            .stages
            .iter_mut()
            .find(|known| known.name.value == stage)
        {
            Some(known) if STAGE_KEYS.contains(&option) => self.stage_key(known, &entry, true),
            Some(known) => {
                known.set_option(&entry, true);
                if let Some(option) = known.options.last_mut() {
                    option.text = Some(value.trim().to_owned());
                }
            }
            None => {
                let span = Span {
                    source,
                    start: 0,
                    end: stage.len(),
                };
                let names = raw.stages.iter().map(|known| known.name.value.as_str());
                let help = did_you_mean(stage, "stages", names);
                let error =
                    Diagnostic::new("unknown-stage", format!("there is no stage `{stage}`"));
                self.toml.errors.push(error.at(span).help_some(help));
            }
        }
    }

    fn wire(&mut self, entry: &Entry) -> Option<Wire> {
        let name = self.toml.string(entry)?;
        let known = WIRES.iter().find(|(known, _)| *known == name.value);
        if known.is_none() {
            let names = WIRES.iter().map(|(known, _)| *known);
            let help = did_you_mean(&name.value, "wires", names);
            let message = format!("`wire` cannot be `{}`", name.value);
            let error = Diagnostic::new("bad-value", message).at(name.span);
            self.toml.errors.push(error.help_some(help));
        }
        known.map(|(_, wire)| *wire)
    }

    fn split(&mut self, entry: &Entry) -> Option<At<RawSplit>> {
        let value = match &entry.node.kind {
            Kind::Array(_) => RawSplit::Ranges(self.toml.strings(entry)),
            Kind::Plain(_) if entry.node.as_str() == Some("auto") => RawSplit::Auto,
            _ => RawSplit::Count(self.count(entry)?),
        };
        Some(At {
            value,
            span: entry.node.span,
        })
    }

    fn count(&mut self, entry: &Entry) -> Option<usize> {
        self.toml.count(entry, COUNT_MAX).map(|count| count.value)
    }

    /// Names of stages: one, a list of them, or a table of input ports with such.
    fn edges(&mut self, entry: &Entry) -> (Vec<Option<At<String>>>, Vec<At<String>>) {
        let Kind::Table(ports) = &entry.node.kind else {
            let stages = self.toml.strings(entry);
            return (vec![None; stages.len()], stages);
        };
        let mut all = (Vec::new(), Vec::new());
        if ports.is_empty() {
            let message = format!("`{}` is an empty table", entry.key);
            self.toml.error("bad-value", message, entry.node.span);
        }
        for port in ports {
            let name = At::key(port);
            for stage in self.toml.strings(port) {
                all.0.push(Some(name.clone()));
                all.1.push(stage);
            }
        }
        all
    }
}

fn is_suggestion(error: &Diagnostic) -> bool {
    error
        .help
        .as_deref()
        .is_some_and(|help| help.starts_with("did you mean"))
}

impl RawStage {
    fn set_option(&mut self, entry: &Entry, typed: bool) {
        self.options.retain(|known| known.name.value != entry.key);
        let name = At::key(entry);
        self.options.push(RawOption {
            name,
            node: entry.node.clone(),
            typed,
            text: None,
        });
    }
}
