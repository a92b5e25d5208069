//! Which input port each edge of a stage leads to.

use std::collections::BTreeSet;

use segue_plugin::{Column, OperatorManifest, Rows};

use super::catalog::Role;
use super::raw::RawStage;
use super::stage::{Graph, Stage};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::toml_file::At;

/// The ports of the edges of one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// For each stage of `from`, its place among the operator's ports, or where it names none
    /// the place of the edge.
    pub inputs: Vec<usize>,
    /// For each stage of `loop`.
    pub loops: Vec<usize>,
}

/// Gives each edge of `stage` its port: the one it names, or else the next that no edge
/// leads to.
pub fn resolve(
    stage: &RawStage,
    manifest: &OperatorManifest,
    errors: &mut Vec<Diagnostic>,
) -> Ports {
    let edges = || stage.from.iter().zip(&stage.from_ports);
    let round = || stage.loop_from.iter().zip(&stage.loop_ports);
    let named = edges().chain(round()).filter_map(|(_, port)| port.as_ref());
    let known = |name: &str| manifest.ports.iter().position(|port| port.name == name);
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    for name in named {
        match known(&name.value) {
            Some(port) => drop(taken.insert(port)),
            None => errors.push(unknown(name, manifest)),
        }
    }
    let mut place = 0;
    let mut next = |(from, named): (&At<String>, &Option<At<String>>)| {
        if let Some(name) = named {
            // One that is unknown is no port, and has been told.
            return known(&name.value).unwrap_or(usize::MAX);
        }
        while taken.contains(&place) {
            place += 1;
        }
        let port = place;
        place += 1;
        if !manifest.ports.is_empty() && port >= manifest.ports.len() {
            let message = format!(
                "`{}` has no input port left for `{}`",
                stage.name.value, from.value
            );
            let names: Vec<&str> = manifest.ports.iter().map(|p| p.name.as_str()).collect();
            let help = format!("the ports of `{}`: {}", manifest.name, names.join(", "));
            let error = Diagnostic::new("bad-edge", message).at(from.span);
            errors.push(error.help(help));
        }
        port
    };
    Ports {
        inputs: edges().map(&mut next).collect(),
        loops: round().map(&mut next).collect(),
    }
}

fn unknown(name: &At<String>, manifest: &OperatorManifest) -> Diagnostic {
    let message = format!("`{}` has no input port `{}`", manifest.name, name.value);
    let known = manifest.ports.iter().map(|port| port.name.as_str());
    let help = if manifest.ports.is_empty() {
        Some("name only the stage: `from = \"STAGE\"`".to_owned())
    } else {
        did_you_mean(&name.value, "ports", known)
    };
    let error = Diagnostic::new("unknown-port", message).at(name.span);
    error.help_some(help)
}

impl Stage {
    /// Whether what comes by `port` is a side input.
    pub fn is_whole(&self, port: usize) -> bool {
        let port = self.operator.manifest.ports.get(port);
        port.is_some_and(|port| port.whole)
    }

    /// The columns that it reads of what comes by `port`.
    pub fn reads_at(&self, port: usize) -> impl Iterator<Item = &Column> {
        let name = self.operator.manifest.ports.get(port);
        let name = name.map_or("", |port| port.name.as_str());
        let reads = self.columns.reads.iter();
        reads.filter(move |column| column.port == name)
    }

    /// Its edges, those round loops last: the stage that gives, and the port.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        let inputs = self.inputs.iter().zip(&self.ports.inputs);
        let loops = self.loops.iter().zip(&self.ports.loops);
        inputs.chain(loops).map(|(&stage, &port)| (stage, port))
    }
}

impl Stage {
    /// Whether each part of a time is for itself, so that parts may go to different workers.
    pub fn deals_parts(&self) -> bool {
        let columns = &self.columns;
        let alone = columns.rows != Rows::New || columns.spreads;
        self.operator.role == Role::Transform && !columns.stateful && alone
    }
}

impl Graph {
    /// For each stage, whether it may give several parts of one time.
    pub fn many_parts(&self) -> Vec<bool> {
        let mut many = vec![false; self.stages.len()];
        for _ in 0..self.stages.len() {
            for (at, stage) in self.stages.iter().enumerate() {
                let edges = || stage.edges().filter(|(_, port)| !stage.is_whole(*port));
                let given = stage.columns.rows != Rows::Same || edges().count() > 1;
                let is_source = stage.operator.role == Role::Source;
                many[at] = !is_source && (given || edges().any(|(from, _)| many[from]));
            }
        }
        many
    }

    /// For each stage, whether its rows are a side input wherever they lead: then what reads
    /// it needs all of them, in each run from the beginning.
    pub fn side(&self) -> Vec<bool> {
        let mut side = vec![false; self.stages.len()];
        // Each stage comes after those it reads, so readers are known first from behind.
        for at in (0..self.stages.len()).rev() {
            side[at] = self.readers(at).next().is_some()
                && self
                    .readers(at)
                    .all(|(reader, port)| self.stages[reader].is_whole(port) || side[reader]);
        }
        side
    }

    /// The stages that read stage `at`, each with the port.
    fn readers(&self, at: usize) -> impl Iterator<Item = (usize, usize)> {
        let all = self.stages.iter().enumerate();
        all.flat_map(move |(reader, stage)| {
            let edges = stage.edges().filter(move |(from, _)| *from == at);
            edges.map(move |(_, port)| (reader, port))
        })
    }

    /// The sources whose rows reach no sink but over stages of `ended`, which need no more.
    pub fn unneeded(&self, ended: &BTreeSet<String>) -> BTreeSet<String> {
        let mut needed = vec![false; self.stages.len()];
        // Along loops it takes more than one pass.
        for _ in 0..self.stages.len() {
            for at in (0..self.stages.len()).rev() {
                let is_sink = self.stages[at].operator.role == Role::Sink;
                let read = self.readers(at).any(|(reader, _)| needed[reader]);
                needed[at] = (is_sink || read) && !ended.contains(&self.stages[at].name);
            }
        }
        let stages = self.stages.iter().zip(needed);
        let unneeded =
            stages.filter(|(stage, needed)| stage.operator.role == Role::Source && !needed);
        unneeded.map(|(stage, _)| stage.name.clone()).collect()
    }

    /// Reports ports that are read though no edge leads to them, and side inputs round a loop;
    /// gives whether there is one of these.
    pub(super) fn check_ports(&self, errors: &mut Vec<Diagnostic>) -> bool {
        let mut looped = false;
        for stage in &self.stages {
            let manifest = &stage.operator.manifest;
            for (number, port) in manifest.ports.iter().enumerate() {
                let led = stage.edges().any(|(_, at)| at == number);
                let reads = stage.reads_at(number).next().filter(|_| !led);
                if let Some(column) = reads {
                    let (name, column) = (&stage.name, &column.name);
                    let message = format!(
                        "`{name}` reads `{column}` by its port `{}`, to which no edge leads",
                        port.name
                    );
                    let error = Diagnostic::new("missing-key", message).at(stage.spans.name);
                    let help = format!("name a stage: `from = {{ {} = \"STAGE\" }}`", port.name);
                    errors.push(error.help(help));
                }
                if port.whole && stage.ports.loops.contains(&number) {
                    looped = true;
                    let message = format!(
                        "the port `{}` of `{}` is a side input, which cannot come round a loop",
                        port.name, stage.name
                    );
                    errors.push(Diagnostic::new("bad-edge", message).at(stage.spans.name));
                }
            }
        }
        looped
    }

    /// Reports stages that a side input cannot come from.
    pub(super) fn check_sides(&self, errors: &mut Vec<Diagnostic>) {
        let side = self.side();
        for (at, stage) in self.stages.iter().enumerate() {
            if side[at] && stage.edges().any(|(_, port)| stage.is_whole(port)) {
                let message = format!(
                    "`{}` has a side input, and its own rows are one: neither could begin",
                    stage.name
                );
                errors.push(Diagnostic::new("bad-edge", message).at(stage.spans.name));
            }
            let leads =
                |(reader, port): (usize, usize)| self.stages[reader].is_whole(port) || side[reader];
            let mut readers = self.readers(at);
            let into = self.readers(at).find(|edge| leads(*edge));
            let (Some((into, _)), Some((other, _))) = (into, readers.find(|edge| !leads(*edge)))
            else {
                if side[at] && (stage.columns.stateful || !stage.loops.is_empty()) {
                    let message = format!(
                        "`{}` keeps state, and its rows are a side input, which is read anew after a crash",
                        stage.name
                    );
                    errors.push(Diagnostic::new("bad-edge", message).at(stage.spans.name));
                }
                continue;
            };
            let (into, other) = (&self.stages[into].name, &self.stages[other].name);
            let message = format!(
                "the rows of `{}` are a side input of `{into}`, but `{other}` reads them too",
                stage.name
            );
            let error = Diagnostic::new("bad-edge", message).at(stage.spans.name);
            errors.push(error.help("read the file once more, by a stage of its own"));
        }
    }
}
