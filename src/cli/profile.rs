//! `segue profile`: what each unit of a graph takes on this device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::fetch::shown;
use super::load::{render_failure, wrong};
use super::say::say;
use super::{Failed, GraphArgs, Outcome};
use segue::dataflow::{self, Report, RunOptions, StageReport};
use segue::deploy::{self, Loaded, lengths, name_of, profile_beside, read_profile};
use segue::diagnostic::{Diagnostic, Sources};
use segue::graph::{LOCAL, Role, Stage};
use segue::operators::Operators;
use segue::profile::{DeviceProfile, Profile, UnitProfile};

/// `segue profile`
#[derive(Args)]
pub struct ProfileArgs {
    /// The graph file
    graph: PathBuf,
    /// Set an option of a stage, or one of `stream`; may be repeated
    #[arg(long, value_name = "STAGE.OPTION=VALUE")]
    set: Vec<String>,
    /// The cluster file that this device is in
    #[arg(long, value_name = "FILE", requires = "device")]
    cluster: Option<PathBuf>,
    /// Which device of the cluster file this is
    #[arg(long, value_name = "NAME", requires = "cluster")]
    device: Option<String>,
    /// Write the profile here, to what others have measured; left out, NAME.profile.toml beside
    /// the cluster file NAME.toml, or beside the graph
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How many records to measure with
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    records: u32,
}

/// Each is measured so often; the median counts.
const ROUNDS: usize = 3;
/// Rows of no more tokens than each of these are measured too.
const LENGTHS: [u64; 3] = [32, 64, 128];

/// Runs the graph with each unit by itself on one worker, and writes down what it took. What the
/// graph would write goes to a folder that is removed.
pub fn profile(arguments: &ProfileArgs) -> Outcome {
    let folder = tempfile::tempdir().map_err(|e| failed(Path::new("a folder"), &e))?;
    let apart = load(arguments, &[], folder.path())?;
    let mut device = DeviceProfile::default();
    let mut units = BTreeMap::new();
    let rounds = (0..ROUNDS).map(|_| measure(arguments, &[], folder.path()));
    let rounds = rounds.collect::<Result<Vec<_>, _>>()?;
    for stage in apart
        .plan
        .graph
        .stages
        .iter()
        .filter(|one| one.operator.role != Role::Sink)
    {
        units.insert(name_of(stage), unit(stage, &rounds[0]));
    }
    for stage in transforms(&apart) {
        let all = rounds.iter().map(|round| round.seconds[&name_of(stage)]);
        device.seconds.insert(name_of(stage), median(all.collect()));
    }
    device.other_seconds = median(rounds.iter().map(|round| round.other).collect());
    for (stage, option, longest) in lengths(&apart.plan.graph) {
        for length in LENGTHS.into_iter().filter(|length| *length < longest) {
            let sets = shortened(&apart, (stage, option), (length, longest));
            let round = measure(arguments, &sets, folder.path())?;
            device.at.insert(length, round.seconds);
        }
    }
    let name = arguments.device.clone().unwrap_or_else(|| LOCAL.to_owned());
    let measured = Profile {
        units,
        devices: [(name, device)].into(),
        links: Vec::new(),
    };
    write(&out(arguments), measured)
}

/// Special tokens that a text has at most.
const SPECIAL: u64 = 2;

/// Settings with which rows of `stage` are cut to `length` tokens instead of `longest`: as much of
/// them from the start as before, and windows that overlap as much.
fn shortened(
    loaded: &Loaded,
    (stage, option): (&str, &str),
    (length, longest): (u64, u64),
) -> Vec<String> {
    let mut sets = vec![format!("{stage}.{option}={length}")];
    let mut stages = loaded.plan.graph.stages.iter();
    let Some(found) = stages.find(|one| one.file_name == stage) else {
        return sets;
    };
    for part in ["head-tokens", "overlap"] {
        if let Some(tokens) = found.options[part].as_u64() {
            let room = |tokens: u64| tokens.saturating_sub(SPECIAL).max(1);
            let scaled = tokens * room(length) / room(longest);
            sets.push(format!("{stage}.{part}={}", scaled.min(room(length) - 1)));
        }
    }
    sets
}

/// What one run took for a row of the source.
struct Round {
    seconds: BTreeMap<String, f64>,
    other: f64,
    report: Report,
    rows: f64,
}

fn request(arguments: &ProfileArgs, sets: &[String]) -> deploy::Request {
    let arguments = GraphArgs {
        graph: arguments.graph.clone(),
        set: [&arguments.set, sets].concat(),
        workers: Some(1),
        devices: None,
        cluster: None,
        device: None,
        profile: None,
    };
    arguments.request()
}

/// The graph with `sets` too, which writes into `folder`.
fn load(arguments: &ProfileArgs, sets: &[String], folder: &Path) -> Result<Loaded, Failed> {
    let load = |sets: &[String]| {
        deploy::load_units(&request(arguments, sets), shown(Operators::default())).map_err(wrong)
    };
    let graph = load(sets)?.plan.graph;
    let mut elsewhere = Vec::new();
    for stage in &graph.stages {
        let sunk = stage.own_files().into_iter();
        let sunk = sunk.filter(|_| stage.operator.role == Role::Sink);
        for (option, written) in sunk.chain(stage.outputs()) {
            let file = written.file_name().unwrap_or_default().to_string_lossy();
            let path = folder.join(format!("{}-{file}", stage.file_name));
            elsewhere.push(format!("{}.{option}={}", stage.file_name, path.display()));
        }
    }
    load(&[sets, &elsewhere].concat())
}

fn measure(arguments: &ProfileArgs, sets: &[String], folder: &Path) -> Result<Round, Failed> {
    let loaded = load(arguments, sets, folder)?;
    let options = RunOptions {
        records: Some(u64::from(arguments.records)),
        ..RunOptions::default()
    };
    let report = dataflow::run(
        loaded.plan.clone(),
        &loaded.operators,
        &options,
        &mut |_| {},
    );
    let report = report.map_err(|failure| {
        Failed::Running(render_failure(failure, &loaded.plan, &loaded.sources))
    })?;
    let of = |stage: &Stage| report.stages.iter().find(|one| one.name == stage.name);
    let first = transforms(&loaded).next().and_then(of);
    let rows = first.map_or(0, |first| first.rows).max(1) as f64;
    let busy = |stage: &Stage| of(stage).map_or(0.0, |one| one.busy_seconds) / rows;
    let seconds = transforms(&loaded).map(|stage| (name_of(stage), busy(stage)));
    let seconds: BTreeMap<String, f64> = seconds.collect();
    let other = (report.seconds / rows - seconds.values().sum::<f64>()).max(0.0);
    Ok(Round {
        seconds,
        other,
        report,
        rows,
    })
}

fn transforms(loaded: &Loaded) -> impl Iterator<Item = &Stage> {
    let stages = loaded.plan.graph.stages.iter();
    stages.filter(|stage| stage.operator.role == Role::Transform)
}

/// What a row takes behind `stage`, and what it holds.
fn unit(stage: &Stage, round: &Round) -> UnitProfile {
    let stages = &round.report.stages;
    let bytes = match stage.operator.role {
        // What the first one is given.
        Role::Source => stages
            .first()
            .map_or(0, |first: &StageReport| first.bytes_in),
        _ => stages
            .iter()
            .find(|one| one.name == stage.name)
            .map_or(0, |one| one.bytes_out),
    };
    let units = stage.segment.iter().flat_map(|segment| &segment.units);
    UnitProfile {
        name: units
            .clone()
            .next()
            .map_or_else(|| stage.name.clone(), |unit| unit.name.clone()),
        bytes_out: bytes as f64 / round.rows,
        weights: units.map(|unit| unit.bytes).sum(),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Where the profile goes.
fn out(arguments: &ProfileArgs) -> PathBuf {
    let beside = || arguments.cluster.as_deref().unwrap_or(&arguments.graph);
    arguments
        .out
        .clone()
        .unwrap_or_else(|| profile_beside(beside()))
}

/// Adds what was measured to what is at `path`.
fn write(path: &Path, measured: Profile) -> Outcome {
    let mut profile = Profile::default();
    if path.exists() {
        let mut sources = Sources::new();
        profile = read_profile(path, &mut sources).map_err(wrong)?.profile;
    }
    profile.merge(measured);
    std::fs::write(path, profile.to_toml()).map_err(|e| failed(path, &e))?;
    say(format_args!("measured: {}", path.display()));
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> Failed {
    let message = format!("cannot write `{}`: {error}", path.display());
    Diagnostic::new("write-failed", message).into()
}
