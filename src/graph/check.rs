//! Raw -> checked: every error of a file in one run.

use std::ops::Range;
use std::path::Path;

use segue_plugin::Units;
use serde_json::Value;

use super::catalog::{Catalog, Operator, Role};
use super::ports::{self, Ports};
use super::raw::{self, RawStage, Wire};
use super::split::{self, Cuts, Splitting};
use super::stage::{Graph, Segment, Spans, Stage};
use super::{clash, edges, flow, options};
use crate::diagnostic::{Diagnostic, Place, Sources, Span};
use crate::toml_file::At;

/// Checks the graph in `sources` number `graph`, with the `--set` arguments
/// applied. Paths in it are relative to `base`.
///
/// # Errors
/// Every error there is, in the order of the file
pub fn check(
    sources: &mut Sources,
    graph: usize,
    sets: &[String],
    base: &Path,
    catalog: &dyn Catalog,
) -> Result<Graph, Vec<Diagnostic>> {
    check_cut(sources, graph, sets, base, catalog, &Cuts::Whole)
}

/// The same with stages cut by `cuts` where the file leaves that open.
///
/// # Errors
/// The same
pub fn check_cut(
    sources: &mut Sources,
    graph: usize,
    sets: &[String],
    base: &Path,
    catalog: &dyn Catalog,
    cuts: &Cuts,
) -> Result<Graph, Vec<Diagnostic>> {
    let (raw, errors) = raw::read(sources, graph, sets);
    let unreadable = raw.stages.is_empty() && !errors.is_empty();
    let mut checker = Checker {
        base,
        catalog,
        cuts,
        errors,
        stages: Vec::new(),
    };
    if !unreadable {
        checker.stages(&raw.stages);
    }
    let Checker {
        mut errors, stages, ..
    } = checker;
    if errors.is_empty() {
        return Ok(Graph {
            batch: raw.batch,
            window: raw.window,
            stages,
        });
    }
    errors.sort_by_key(Diagnostic::span);
    errors.dedup();
    Err(errors)
}

pub(super) struct Checker<'a> {
    base: &'a Path,
    pub(super) catalog: &'a dyn Catalog,
    cuts: &'a Cuts,
    pub(super) errors: Vec<Diagnostic>,
    pub(super) stages: Vec<Stage>,
}

impl Checker<'_> {
    fn stages(&mut self, raw: &[RawStage]) {
        let mut known: Vec<Option<(Operator, Value)>> =
            raw.iter().map(|stage| self.operator(stage)).collect();
        clash::tell_asked(&mut known);
        let roles: Vec<Option<Role>> = known
            .iter()
            .map(|one| one.as_ref().map(|(operator, _)| operator.role))
            .collect();
        let starts: Vec<bool> = known
            .iter()
            .map(|one| (one.as_ref()).is_some_and(|(operator, _)| operator.manifest.starts))
            .collect();
        let edges = edges::check(raw, &roles, &starts, &mut self.errors);
        let before = self.errors.len();
        let mut ends = self.pass(raw, &known, &edges);
        let taken = clash::taken(&self.stages);
        clash::tell_taken(&mut known, &mut self.stages, &taken);
        if clash::in_files(&self.stages, &taken) {
            // Once more, with the file's columns out of the way.
            self.errors.truncate(before);
            self.stages.clear();
            self.catalog.again();
            ends = self.pass(raw, &known, &edges);
        }
        self.close_loops(raw, &edges.loops, &ends);
        self.outputs_differ();
        self.outputs_lose_nothing();
        if self.errors.is_empty() {
            let graph = Graph {
                batch: 0,
                window: 0,
                stages: std::mem::take(&mut self.stages),
            };
            if !graph.check_ports(&mut self.errors) {
                graph.check_sides(&mut self.errors);
            }
            self.stages = graph.stages;
        }
        if self.errors.is_empty() {
            flow::drop_unread(&mut self.stages, &mut self.errors);
        }
    }

    /// Adds every stage; gives the last segment of each whose columns are known, by its number in
    /// the file.
    fn pass(
        &mut self,
        raw: &[RawStage],
        known: &[Option<(Operator, Value)>],
        edges: &edges::Edges,
    ) -> Vec<Option<usize>> {
        let mut ends: Vec<Option<usize>> = vec![None; raw.len()];
        for &i in &edges.order {
            let inputs: Option<Vec<usize>> = edges.inputs[i].iter().map(|&at| ends[at]).collect();
            let role = known[i].as_ref().map(|(operator, _)| operator.role);
            let starts = (known[i].as_ref()).is_some_and(|(one, _)| one.manifest.starts);
            let reads_none = raw[i].from.is_empty() && role != Some(Role::Source) && !starts;
            let lost = reads_none || raw[i].from.len() != edges.inputs[i].len();
            if let (Some((operator, options)), Some(inputs), false) = (&known[i], inputs, lost) {
                ends[i] = self.stage(&raw[i], operator, options, inputs);
            }
        }
        ends
    }

    fn operator(&mut self, stage: &RawStage) -> Option<(Operator, Value)> {
        let plugin = stage.plugin.as_ref()?;
        match self.catalog.operator(&plugin.value, self.base) {
            Ok(operator) => {
                let before = self.errors.len();
                let options =
                    options::check(stage, &operator, self.base, self.catalog, &mut self.errors);
                let usable = self.errors.len() == before;
                // A stage with wrong options still has a role; its columns stay unknown.
                Some((operator, if usable { options } else { Value::Null }))
            }
            Err(error) => {
                self.errors.push(error.at(plugin.span));
                None
            }
        }
    }

    /// Adds the segments of a stage; gives the number of the last.
    fn stage(
        &mut self,
        raw: &RawStage,
        operator: &Operator,
        options: &Value,
        mut inputs: Vec<usize>,
    ) -> Option<usize> {
        if options.is_null() {
            return None;
        }
        self.replicable(raw, operator);
        let mut ports = ports::resolve(raw, &operator.manifest, &mut self.errors);
        let (units, ranges) = self.segments(raw, operator, options)?;
        let count = ranges.len();
        if count > 1 && !operator.manifest.ports.is_empty() {
            let span = raw.split.as_ref().map_or(raw.name.span, |split| split.span);
            let message = format!("`{}` has input ports, and cannot be split", raw.name.value);
            self.errors
                .push(Diagnostic::new("bad-split", message).at(span));
        }
        for (index, range) in ranges.into_iter().enumerate() {
            let mut options = options.clone();
            let segment = segment_of(&units, range.clone(), index, count);
            if let (Some(units), true) = (&units, count > 1) {
                let text = format!("{}..{}", range.start, range.end);
                options[units.option.as_str()] = Value::String(text);
            }
            let name = match count {
                1 => raw.name.value.clone(),
                _ => format!("{}/{index}", raw.name.value),
            };
            let part = Part {
                name,
                options,
                segment,
                ports: std::mem::take(&mut ports),
            };
            inputs = vec![self.segment(raw, operator, part, inputs)?];
            ports.inputs = vec![0];
        }
        inputs.first().copied()
    }

    fn segment(
        &mut self,
        raw: &RawStage,
        operator: &Operator,
        part: Part,
        inputs: Vec<usize>,
    ) -> Option<usize> {
        let (manifest, ports) = (&operator.manifest, &part.ports.inputs);
        let reach = flow::reaching_columns(manifest, &inputs, ports, &self.stages);
        let passing = flow::passing_columns(manifest, &inputs, ports, &self.stages);
        let columns = match self.catalog.columns(operator, &part.options, &reach) {
            Ok(columns) => columns,
            Err(error) => {
                self.blame(raw, error);
                return None;
            }
        };
        let stage = Stage {
            name: part.name,
            file_name: raw.name.value.clone(),
            operator: operator.clone(),
            options: part.options,
            inputs,
            loops: Vec::new(),
            ports: part.ports,
            segment: part.segment,
            wire: raw.wire,
            splitting: Splitting::of(raw.split.as_ref()),
            replicas: raw.replicas.as_ref().map(|replicas| replicas.value),
            available: flow::output_columns(&passing, &columns),
            columns,
            sends: Vec::new(),
            spans: spans(raw),
        };
        flow::check_reads(&stage, &self.stages, &mut self.errors);
        if stage.operator.manifest.starts && !stage.columns.stateful {
            let message = format!("`{}` starts by itself but keeps no state", manifest.name);
            self.blame(raw, Diagnostic::new("bad-plugin", message));
        }
        flow::check_labels(&stage, &self.stages, &mut self.errors);
        if stage.columns.stateful && stage.replicas.is_some_and(|replicas| replicas > 1) {
            let help = "its batches build on each other, so one instance must get them all";
            self.no_replicas(raw, help);
        }
        self.stages.push(stage);
        Some(self.stages.len() - 1)
    }

    fn segments(
        &mut self,
        raw: &RawStage,
        operator: &Operator,
        options: &Value,
    ) -> Option<(Option<Units>, Vec<Range<usize>>)> {
        let units = match self.catalog.units(operator, options) {
            Ok(units) => units,
            Err(error) => {
                self.blame(raw, error);
                return None;
            }
        };
        let own_range = |units: &Units| raw.options.iter().find(|o| o.name.value == units.option);
        let splitting = Splitting::of(raw.split.as_ref());
        // Where an edge rounds, every cut would change what comes out.
        let exact = raw.wire == Wire::F32;
        let Some(asked) = &raw.split else {
            let free = operator.manifest.ports.is_empty() && exact;
            let ranges = match &units {
                Some(all) if free && own_range(all).is_none() => {
                    self.cuts.ranges(&raw.name.value, false, all.units.len())
                }
                all => split::one_range(all.as_ref().map_or(1, |all| all.units.len())),
            };
            return Some((units, ranges));
        };
        let ranges = match &units {
            None => {
                let message = format!("`{}` cannot be split", operator.manifest.name);
                Err(Diagnostic::new("bad-split", message).at(asked.span))
            }
            Some(units) => match own_range(units) {
                Some(option) => Err(both(asked, units, option.node.span)),
                None if splitting == Splitting::Auto && exact => {
                    Ok(self.cuts.ranges(&raw.name.value, true, units.units.len()))
                }
                None => split::ranges(asked, &units.units),
            },
        };
        ranges
            .map_err(|error| self.errors.push(error))
            .ok()
            .map(|ranges| (units, ranges))
    }

    fn replicable(&mut self, raw: &RawStage, operator: &Operator) {
        let several = (raw.replicas.as_ref()).is_some_and(|replicas| replicas.value > 1);
        if several && operator.role != Role::Transform {
            self.no_replicas(raw, "sources and sinks run once");
        }
    }

    fn no_replicas(&mut self, raw: &RawStage, help: &str) {
        let span = (raw.replicas.as_ref()).map_or(raw.name.span, |replicas| replicas.span);
        let message = format!("`{}` cannot have replicas", raw.name.value);
        let error = Diagnostic::new("bad-replicas", message).at(span);
        self.errors.push(error.help(help));
    }

    /// Points an error of the stage at its place in the file.
    fn blame(&mut self, raw: &RawStage, error: Diagnostic) {
        let whole = (raw.plugin.as_ref()).map_or(raw.name.span, |plugin| plugin.span);
        let find = |place: &Place| match place {
            Place::Option(name) => {
                (raw.options.iter().find(|o| o.name.value == *name)).map(|option| option.node.span)
            }
            Place::Stage(_) => Some(whole),
            Place::Port(_) | Place::Span(_) => None,
        };
        let error = error.stage(&raw.name.value).resolve(find);
        self.errors.push(error);
    }

    fn close_loops(&mut self, raw: &[RawStage], loops: &[Vec<usize>], ends: &[Option<usize>]) {
        for (i, edges) in loops.iter().enumerate() {
            let first = self
                .stages
                .iter()
                .position(|s| s.file_name == raw[i].name.value);
            if let Some(first) = first {
                self.stages[first].loops = edges.iter().filter_map(|&from| ends[from]).collect();
            }
        }
    }
}

/// What sets one segment of a stage apart.
struct Part {
    name: String,
    options: Value,
    segment: Option<Segment>,
    ports: Ports,
}

fn segment_of(
    units: &Option<Units>,
    range: Range<usize>,
    index: usize,
    count: usize,
) -> Option<Segment> {
    let units = units.as_ref()?.units.get(range.clone())?.to_vec();
    Some(Segment {
        index,
        count,
        range,
        units,
    })
}

fn both(asked: &At<raw::RawSplit>, units: &Units, option: Span) -> Diagnostic {
    let message = format!(
        "`split` and `with.{}` say the same thing twice",
        units.option
    );
    let error = Diagnostic::new("bad-split", message)
        .at(asked.span)
        .label(option, "");
    error.help("keep one of them")
}

fn spans(raw: &RawStage) -> Spans {
    let name = raw.name.span;
    Spans {
        name,
        plugin: raw.plugin.as_ref().map_or(name, |plugin| plugin.span),
        edges: (raw.from.iter().chain(&raw.loop_from))
            .map(|from| from.span)
            .collect(),
        options: raw
            .options
            .iter()
            .map(|o| (o.name.value.clone(), o.node.span))
            .collect(),
    }
}
