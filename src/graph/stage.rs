//! A graph in which everything fits.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use segue_plugin::{Column, Columns, Unit};
use serde_json::Value;

use super::catalog::{Operator, Role};
use super::flow;
use super::ports::Ports;
use super::raw::Wire;
use super::split::Splitting;
use crate::diagnostic::Span;

/// A graph in which everything fits.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Reviews in a micro-batch.
    pub batch: usize,
    /// Micro-batches in flight.
    pub window: usize,
    /// Each after those it reads. A split stage appears once a segment.
    pub stages: Vec<Stage>,
}

impl Graph {
    /// The columns that reach stage `stage`, as its operator is told of them.
    pub fn input_columns(&self, stage: usize) -> Vec<Column> {
        let stage = &self.stages[stage];
        let ports = &stage.ports.inputs;
        flow::reaching_columns(&stage.operator.manifest, &stage.inputs, ports, &self.stages)
    }

    /// Whether a loop leads from stage `a` over stage `b` back to `a`.
    pub fn on_one_loop(&self, a: usize, b: usize) -> bool {
        self.leads(a, b) && self.leads(b, a)
    }

    /// Whether rows of stage `from` reach stage `to`, loops included.
    fn leads(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.stages.len()];
        let mut next = vec![to];
        while let Some(stage) = next.pop() {
            let stage = &self.stages[stage];
            for &input in stage.inputs.iter().chain(&stage.loops) {
                if input == from {
                    return true;
                }
                if !std::mem::replace(&mut seen[input], true) {
                    next.push(input);
                }
            }
        }
        false
    }
}

/// A stage, or one segment of one.
#[derive(Clone, Debug)]
pub struct Stage {
    /// `encoder`, or `encoder/0` for a segment.
    pub name: String,
    /// The name in the graph file.
    pub file_name: String,
    /// What runs it.
    pub operator: Operator,
    /// Its options, an object.
    pub options: Value,
    /// The stages it reads, by number.
    pub inputs: Vec<usize>,
    /// The stages that come back to it one generation later.
    pub loops: Vec<usize>,
    /// The input port of each of these.
    pub ports: Ports,
    /// Which part of the stage this is; `None` for a whole one.
    pub segment: Option<Segment>,
    /// Who says where it is cut.
    pub splitting: Splitting,
    /// On how many workers its batches are spread, if the file says so.
    pub replicas: Option<usize>,
    /// How hidden states reach it.
    pub wire: Wire,
    /// What it reads and writes.
    pub columns: Columns,
    /// Every column there is after it.
    pub available: Vec<Column>,
    /// Those that it sends on.
    pub sends: Vec<Column>,
    /// Where it stands in the file.
    pub spans: Spans,
}

impl Stage {
    /// Each option that names a file or folder it reads, and what that is.
    pub fn reads(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.operator.reads(&self.options)
    }

    /// Where the option is set, or else where the stage is.
    pub fn place_of(&self, option: &str) -> Span {
        let place = self.spans.options.get(option).copied();
        place.unwrap_or(self.spans.name)
    }

    /// Each option that names a file or folder it, neither source nor sink, writes, and what
    /// that is.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &Path)> {
        let is_own = self.operator.role == Role::Transform;
        let all = self.operator.writes(&self.options);
        all.filter(move |_| is_own)
    }

    /// Each option that names a file it, a source or a sink, reads or writes, and what that is.
    pub fn own_files(&self) -> Vec<(&str, &Path)> {
        match self.operator.role {
            Role::Source => self.reads().collect(),
            Role::Transform => Vec::new(),
            Role::Sink => {
                let path = self.options["path"].as_str();
                path.map(|path| ("path", Path::new(path)))
                    .into_iter()
                    .collect()
            }
        }
    }
}

/// A part of a divisible stage.
#[derive(Clone, Debug)]
pub struct Segment {
    /// From 0.
    pub index: usize,
    /// How many segments the stage has.
    pub count: usize,
    /// Its units' numbers.
    pub range: Range<usize>,
    /// Its units.
    pub units: Vec<Unit>,
}

/// Where a stage's parts stand in the file.
#[derive(Clone, Debug)]
pub struct Spans {
    /// The name.
    pub name: Span,
    /// The name of the plugin.
    pub plugin: Span,
    /// The edges: those of `from`, then those of `loop`.
    pub edges: Vec<Span>,
    /// The value of each option that the file gives.
    pub options: BTreeMap<String, Span>,
}

impl Spans {
    /// Edge number `at`; of a segment behind another the first, or else the name.
    pub fn edge(&self, at: usize) -> Span {
        let edge = self.edges.get(at).or(self.edges.first());
        edge.copied().unwrap_or(self.name)
    }
}
