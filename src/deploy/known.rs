//! What is known of a graph's units on devices, as numbers for the planner: what a profile has
//! measured, and where there is none a guess.

use segue_plugin::{Column, Scalar, Type};

use super::chain::transforms;
use super::memory::{column_bytes, longest, row_bytes};
use super::target::Target;
use crate::graph::{Graph, Role, Stage, Wire};
use crate::planner::{Device, Instance, Link, Objective, Unit};
use crate::profile::{DeviceProfile, Profile, unit_name};

/// Units of cost that a worker is guessed to do in a second: of operations, as a small board
/// does them.
const GUESSED_COST_PER_SECOND: f64 = 2e10;
/// What a row is guessed to take in a stage that cannot be cut, in seconds.
const GUESSED_SECONDS: f64 = 2e-5;
/// What reading and writing a row is guessed to take, in seconds.
const GUESSED_OTHER_SECONDS: f64 = 1e-5;
/// A link is guessed to be a wire of 1 Gbit/s.
const GUESSED_LINK: Link = Link {
    bytes_per_second: 117e6,
    delay: 3e-4,
};
/// What a text is guessed to take in a row, in bytes.
const GUESSED_TEXT: f64 = 500.0;
/// How many tokens a row is guessed to have, where it may have as many.
const GUESSED_TOKENS: u64 = 200;

/// What a plan is made from.
pub struct Known {
    /// As numbers.
    pub instance: Instance,
    /// What of them is a guess.
    pub guesses: Vec<String>,
}

/// What is known of `fine`, a chain that is cut wherever it may be, on the devices of `target`.
pub fn known(fine: &Graph, target: &Target, profile: Option<&Profile>) -> Known {
    let mut guesses = Vec::new();
    let profile = profile.filter(|profile| {
        let missing = missing(fine, profile);
        let note = |unit: &String| format!("the profile does not know `{unit}`, and is not used");
        guesses.extend(missing.as_ref().map(note));
        missing.is_none()
    });
    if profile.is_none() {
        let note = "what units and links take is a guess: `segue profile` measures it";
        guesses.push(note.to_owned());
    }
    let measured: Vec<Option<&DeviceProfile>> = (target.layout.devices.iter())
        .map(|(name, _)| device_profile(profile?, name, &mut guesses))
        .collect();
    let (kinds, kind_of) = kinds(&measured);
    let batch = fine.batch as f64;
    let [source, sink] = ends(fine, target);
    let other = |device: Option<&DeviceProfile>| {
        batch * device.map_or(GUESSED_OTHER_SECONDS, |one| one.other_seconds) / 2.0
    };
    let device = |at: usize| {
        let limits = target.cluster.as_ref().map(|cluster| &cluster.devices[at]);
        let times = [source, sink].iter().filter(|&&end| end == at).count();
        Device {
            kind: kind_of[at],
            memory: limits.and_then(|limits| limits.memory),
            workers: target.layout.devices[at].1,
            watts: limits.and_then(|limits| limits.watts).unwrap_or(0.0),
            base: times as f64 * other(measured[at]),
        }
    };
    let devices: Vec<Device> = (0..measured.len()).map(device).collect();
    let objective = target
        .cluster
        .as_ref()
        .map_or(Objective::Rate, |cluster| cluster.objective);
    let instance = Instance {
        units: units(fine, target, profile, &kinds),
        links: links(target, profile, &mut guesses),
        devices,
        source,
        sink,
        bytes_in: batch * bytes_behind(fine, 0, profile),
        queue_in: queue_behind(fine, 0),
        window: fine.window,
        objective,
    };
    Known { instance, guesses }
}

/// A unit of `fine` that `profile` does not know.
fn missing(fine: &Graph, profile: &Profile) -> Option<String> {
    let knows = |unit: &String| {
        profile.units.contains_key(unit)
            && !profile.devices.is_empty()
            && profile
                .devices
                .values()
                .all(|device| device.seconds.contains_key(unit))
    };
    let units = transforms(fine).map(name_of);
    let mut unknown = units.filter(|unit| !knows(unit));
    unknown.next()
}

/// What a profile calls a stage that is one unit.
pub fn name_of(stage: &Stage) -> String {
    let unit = stage.segment.as_ref().map(|segment| segment.range.start);
    unit_name(&stage.file_name, unit)
}

/// What was measured on the device `name`, or on another one.
fn device_profile<'a>(
    profile: &'a Profile,
    name: &str,
    guesses: &mut Vec<String>,
) -> Option<&'a DeviceProfile> {
    if let Some(device) = profile.devices.get(name) {
        return Some(device);
    }
    let (other, device) = profile.devices.iter().next()?;
    guesses.push(format!(
        "`{name}` was not measured, and is taken to be like `{other}`"
    ));
    Some(device)
}

type Kinds<'a> = Vec<Option<&'a DeviceProfile>>;

/// Devices that differ, and for each device which of them it is like.
fn kinds<'a>(measured: &[Option<&'a DeviceProfile>]) -> (Kinds<'a>, Vec<usize>) {
    let mut kinds: Vec<Option<&DeviceProfile>> = Vec::new();
    let mut of = Vec::new();
    for device in measured {
        let known = kinds.iter().position(|kind| kind == device);
        of.push(known.unwrap_or(kinds.len()));
        if known.is_none() {
            kinds.push(*device);
        }
    }
    (kinds, of)
}

/// Where batches come from, and where results go: with the source, unless they are placed.
fn ends(graph: &Graph, target: &Target) -> [usize; 2] {
    let placed = |role: Role| {
        let mut stages = graph.stages.iter().filter(|one| one.operator.role == role);
        let devices = stages.find_map(|stage| target.layout.placed(stage))?;
        devices.first().copied()
    };
    let source = placed(Role::Source).unwrap_or(0);
    [source, placed(Role::Sink).unwrap_or(source)]
}

fn units(fine: &Graph, target: &Target, profile: Option<&Profile>, kinds: &Kinds) -> Vec<Unit> {
    let batch = fine.batch as f64;
    let unit = |(at, stage): (usize, &Stage)| {
        let name = name_of(stage);
        let seconds = |kind: &Option<&DeviceProfile>| {
            let measured = kind.and_then(|kind| kind.seconds.get(&name).copied());
            batch * measured.unwrap_or_else(|| guessed_seconds(stage))
        };
        // The source comes before the first unit.
        let behind = at + 1;
        let next = fine.stages.get(behind + 1);
        let only = target.layout.placed(stage).cloned();
        Unit {
            seconds: kinds.iter().map(seconds).collect(),
            bytes_out: batch * bytes_behind(fine, behind, profile),
            queue: queue_behind(fine, behind),
            weights: weights(stage),
            working: 0,
            ends_stage: next.is_none_or(|next| next.file_name != stage.file_name),
            single: stage.columns.stateful,
            only,
        }
    };
    transforms(fine).enumerate().map(unit).collect()
}

fn weights(stage: &Stage) -> u64 {
    let units = stage.segment.iter().flat_map(|segment| &segment.units);
    units.map(|unit| unit.bytes).sum()
}

fn guessed_seconds(stage: &Stage) -> f64 {
    let Some(segment) = &stage.segment else {
        return GUESSED_SECONDS;
    };
    let cost: f64 = segment.units.iter().map(|unit| unit.cost).sum();
    cost / GUESSED_COST_PER_SECOND
}

/// What a row takes over a link behind stage `from`.
fn bytes_behind(graph: &Graph, from: usize, profile: Option<&Profile>) -> f64 {
    let wire = graph
        .stages
        .get(from + 1)
        .map_or(Wire::F32, |next| next.wire);
    let stage = &graph.stages[from];
    let guess = |wire: Wire| -> f64 {
        let tokens = longest(graph, from).min(GUESSED_TOKENS);
        stage
            .sends
            .iter()
            .map(|column| guessed_bytes(column, tokens, wire))
            .sum()
    };
    let name = match stage.operator.role {
        Role::Transform => name_of(stage),
        Role::Source | Role::Sink => stage.file_name.clone(),
    };
    match profile.and_then(|profile| profile.units.get(&name)) {
        // It was measured before it was rounded for the wire.
        Some(unit) if unit.bytes_out > 0.0 => {
            unit.bytes_out * guess(wire) / guess(Wire::F32).max(1.0)
        }
        _ => guess(wire),
    }
}

fn guessed_bytes(column: &Column, tokens: u64, wire: Wire) -> f64 {
    match column.column_type {
        Type::Scalar(Scalar::Utf8) => GUESSED_TEXT,
        _ => column_bytes(column, tokens, wire) as f64,
    }
}

/// The most that all batches in flight take behind stage `from`.
fn queue_behind(graph: &Graph, from: usize) -> u64 {
    let wire = graph
        .stages
        .get(from + 1)
        .map_or(Wire::F32, |next| next.wire);
    let batches = (graph.batch as u64).saturating_mul(graph.window as u64);
    row_bytes(graph, from, wire).saturating_mul(batches)
}

fn links(target: &Target, profile: Option<&Profile>, guesses: &mut Vec<String>) -> Vec<Vec<Link>> {
    let names: Vec<&str> = target
        .layout
        .devices
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let mut unknown = false;
    let mut link = |from: &str, to: &str| {
        let measured = profile.and_then(|profile| profile.link(from, to));
        unknown |= measured.is_none() && from != to;
        measured.map_or(GUESSED_LINK, |link| Link {
            bytes_per_second: link.bytes_per_second,
            delay: link.delay_seconds,
        })
    };
    let all = names
        .iter()
        .map(|from| names.iter().map(|to| link(from, to)).collect());
    let all = all.collect();
    if unknown && profile.is_some() {
        let note = "not every link was measured; the others are guessed to have 1 Gbit/s";
        guesses.push(note.to_owned());
    }
    all
}
