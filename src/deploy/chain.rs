//! Which graphs the planner takes: a chain from one source to one sink in which something is
//! left for it to cut.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::graph::{Graph, Layout, Role, Splitting, Stage};
use crate::planner::Schedule;

/// Whether the planner is asked to cut or place anything.
pub enum Left {
    /// Nothing is left open.
    Nothing,
    /// Something is, but the graph says or is what the planner does not know; why.
    ByRule(String),
    /// The whole chain.
    Chain,
}

/// What `graph`, in which nothing open is cut, leaves to the planner on `layout`.
pub fn left(graph: &Graph, layout: &Layout) -> Left {
    let several = layout.devices.len() > 1;
    let open = |stage: &Stage| match (stage.splitting, &stage.segment) {
        (Splitting::Auto, _) => true,
        (Splitting::Unsaid, Some(_)) => several,
        _ => false,
    };
    if !graph.stages.iter().any(open) {
        return Left::Nothing;
    }
    match obstacle(graph) {
        Some(why) => Left::ByRule(why),
        None => Left::Chain,
    }
}

/// Why the planner leaves a graph alone.
fn obstacle(graph: &Graph) -> Option<String> {
    let fixed = |stage: &Stage| match (stage.splitting, stage.replicas) {
        (Splitting::Fixed, _) => Some("where it is cut"),
        (_, Some(_)) => Some("how many replicas it has"),
        _ => None,
    };
    for stage in &graph.stages {
        if let Some(what) = fixed(stage) {
            return Some(format!("`{}` says {what}", stage.file_name));
        }
    }
    let one = |role: Role| {
        graph
            .stages
            .iter()
            .filter(|one| one.operator.role == role)
            .count()
            == 1
    };
    let inputs = |stage: &Stage| match stage.operator.role {
        Role::Source => 0,
        Role::Transform | Role::Sink => 1,
    };
    let linear = |(at, stage): (usize, &Stage)| {
        let before = at.checked_sub(1);
        stage.inputs.len() == inputs(stage)
            && stage.inputs.first().copied() == before
            && stage.loops.is_empty()
    };
    let chain = one(Role::Source) && one(Role::Sink) && graph.stages.iter().enumerate().all(linear);
    (!chain).then(|| "it is not a chain from one source to one sink".to_owned())
}

/// The unit that a stage begins with, among all units of all stages.
type Begins<'a> = BTreeMap<(&'a str, usize), usize>;

/// By a stage's name in the file and its first unit, which unit of the chain that is; `fine` is
/// the graph with everything cut that is open.
fn begins(fine: &Graph) -> Begins<'_> {
    let transforms = transforms(fine).enumerate();
    transforms
        .map(|(unit, stage)| ((stage.file_name.as_str(), first_unit(stage)), unit))
        .collect()
}

fn first_unit(stage: &Stage) -> usize {
    stage
        .segment
        .as_ref()
        .map_or(0, |segment| segment.range.start)
}

/// The stages between source and sink.
pub fn transforms(graph: &Graph) -> impl Iterator<Item = &Stage> {
    let stages = graph.stages.iter();
    stages.filter(|stage| stage.operator.role == Role::Transform)
}

/// Where `schedule`, over the units of `fine`, cuts stages; those that it leaves whole are not
/// named.
pub fn cuts(fine: &Graph, schedule: &Schedule) -> BTreeMap<String, Vec<Range<usize>>> {
    let mut cuts: BTreeMap<String, Vec<Range<usize>>> = BTreeMap::new();
    let stages: Vec<&Stage> = transforms(fine).collect();
    for group in &schedule.groups {
        let mut begins = true;
        let mut before: Option<&str> = None;
        for stage in &stages[group.units.clone()] {
            let Some(segment) = &stage.segment else {
                before = None;
                continue;
            };
            let ranges = cuts.entry(stage.file_name.clone()).or_default();
            let goes_on = !begins && before == Some(stage.file_name.as_str());
            match ranges.last_mut().filter(|_| goes_on) {
                Some(last) => last.end = segment.range.end,
                None => ranges.push(segment.range.clone()),
            }
            (begins, before) = (false, Some(stage.file_name.as_str()));
        }
    }
    cuts.retain(|_, ranges| ranges.len() > 1);
    cuts
}

/// The group of `schedule` that runs `stage`, one of a graph that is cut as the schedule has it.
pub fn group_of(fine: &Graph, schedule: &Schedule, stage: &Stage) -> usize {
    let unit = begins(fine)
        .get(&(stage.file_name.as_str(), first_unit(stage)))
        .copied();
    let unit = unit.unwrap_or_default();
    let group = schedule
        .groups
        .iter()
        .position(|group| group.units.contains(&unit));
    group.unwrap_or_default()
}
