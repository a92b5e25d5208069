//! Where a graph runs: on this device alone, on the devices of a cluster file, or on
//! local processes that stand for devices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::load::{Errors, read_text};
use crate::cluster::{self, Cluster, Place};
use crate::diagnostic::{Diagnostic, Sources, did_you_mean};
use crate::graph::{Graph, Layout, Role, asked_workers};

/// Which graph is to run, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// The graph file.
    pub graph: PathBuf,
    /// Options that differ from the file's, each as `STAGE.OPTION=VALUE`.
    pub set: Vec<String>,
    /// On which devices.
    pub on: Where,
    /// The profile; where there is none, the one beside the cluster file.
    pub profile: Option<PathBuf>,
}

/// On which devices a graph is to run.
#[derive(Clone, Debug)]
pub enum Where {
    /// On this one alone.
    Here {
        /// Its threads; as many as the graph asks for when none are named.
        workers: Option<usize>,
    },
    /// On local processes that stand for devices.
    Local {
        /// How many.
        devices: u16,
        /// Threads of each.
        workers: usize,
    },
    /// On the devices of a cluster file.
    Cluster {
        /// The file.
        file: PathBuf,
        /// Which of its devices this is; `None` for the first.
        device: Option<String>,
    },
}

impl Where {
    /// The cluster file.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Where::Cluster { file, .. } => Some(file),
            Where::Here { .. } | Where::Local { .. } => None,
        }
    }
}

/// Where a graph is to run.
pub struct Target {
    /// The cluster file's content, if there is one.
    pub cluster: Option<Cluster>,
    /// As the plan needs it.
    pub layout: Layout,
    /// Which of its devices this process is.
    pub device: usize,
}

impl Target {
    pub(super) fn without_cluster(layout: Layout) -> Self {
        Target {
            cluster: None,
            layout,
            device: 0,
        }
    }
}

/// Finds out where the graph is to run. `sources` gets the cluster file.
///
/// # Errors
/// Every error of the cluster file
pub fn target(request: &Request, graph: &Graph, sources: &mut Sources) -> Result<Target, Errors> {
    match &request.on {
        Where::Here { workers } => {
            let threads = workers.map_or_else(|| asked_workers(graph), Ok);
            let workers =
                threads.map_err(|error| Errors::of(vec![error], sources, &request.graph))?;
            Ok(Target::without_cluster(Layout::local(workers)))
        }
        Where::Local { devices, workers } => {
            let devices = (1..=*devices).map(|i| (local_name(i), *workers)).collect();
            let layout = Layout::of_devices(devices, BTreeMap::new());
            Ok(Target::without_cluster(layout))
        }
        Where::Cluster { file, device } => on_cluster(file, device.as_deref(), graph, sources),
    }
}

fn on_cluster(
    path: &Path,
    device: Option<&str>,
    graph: &Graph,
    sources: &mut Sources,
) -> Result<Target, Errors> {
    let text = read_text(path).map_err(|error| Errors::alone(error, sources))?;
    let number = sources.add(path.to_string_lossy(), text);
    let checked = cluster::check(sources, number).and_then(|cluster| {
        let layout = layout(&cluster, graph)?;
        Ok((cluster, layout))
    });
    let (cluster, layout) = checked.map_err(|errors| Errors::of(errors, sources, path))?;
    let device = match device {
        None => 0,
        Some(name) => cluster
            .device(name)
            .ok_or_else(|| Errors::alone(no_device(name, &cluster, path), sources))?,
    };
    Ok(Target {
        cluster: Some(cluster),
        layout,
        device,
    })
}

/// The name of local device `i`, from 1.
fn local_name(i: u16) -> String {
    format!("device-{i}")
}

fn layout(cluster: &Cluster, graph: &Graph) -> Result<Layout, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut place = BTreeMap::new();
    let names: Vec<&str> = graph
        .stages
        .iter()
        .flat_map(|s| [s.name.as_str(), s.file_name.as_str()])
        .collect();
    for one in &cluster.place {
        if !names.contains(&one.stage.as_str()) {
            let message = format!("the graph has no stage `{}`", one.stage);
            let help = did_you_mean(&one.stage, "stages", names.iter().copied());
            let error = Diagnostic::new("unknown-stage", message).at(one.stage_span);
            errors.push(error.help_some(help));
        }
        errors.extend(too_many(one, graph));
        let devices = one.devices.iter().map(|(device, _)| *device).collect();
        place.insert(one.stage.clone(), devices);
    }
    errors.extend(sinks_apart(cluster, graph));
    let devices = cluster
        .devices
        .iter()
        .map(|one| (one.name.clone(), one.workers))
        .collect();
    if errors.is_empty() {
        Ok(Layout::of_devices(devices, place))
    } else {
        Err(errors)
    }
}

/// An error where a stage is placed on more devices than it has replicas.
fn too_many(place: &Place, graph: &Graph) -> Option<Diagnostic> {
    let mut stages = graph.stages.iter();
    let stage = stages.find(|stage| place.stage == stage.name || place.stage == stage.file_name)?;
    let devices = place.devices.len();
    let (most, why) = match (stage.operator.role, stage.columns.stateful) {
        (Role::Source, _) => (1, "a file is read on one device".to_owned()),
        (Role::Sink, _) => (1, "results are written on one device".to_owned()),
        (Role::Transform, true) => (1, "a stage that keeps state is one instance".to_owned()),
        (Role::Transform, false) => {
            let replicas = stage.replicas?;
            (replicas, format!("it has `replicas = {replicas}`"))
        }
    };
    let (_, span) = place.devices.get(most)?;
    let message = format!(
        "`{}` is placed on {devices} devices, but {why}",
        place.stage
    );
    let error = Diagnostic::new("too-many-devices", message).at(*span);
    Some(error.help("name as many devices as it can use"))
}

/// An error where two sinks are placed apart: one device commits the results of all.
fn sinks_apart(cluster: &Cluster, graph: &Graph) -> Option<Diagnostic> {
    let is_sink = |place: &&Place| {
        let mut stages = graph.stages.iter();
        stages.any(|s| s.operator.role == Role::Sink && s.name == place.stage)
    };
    let mut placed = cluster.place.iter().filter(is_sink);
    let first = placed.next()?;
    let (device, span) = first.devices.first()?;
    let other = placed.find(|other| other.devices.first().is_some_and(|(d, _)| d != device))?;
    let (_, other_span) = other.devices.first()?;
    let message = format!(
        "`{}` and `{}` are placed on two devices, but one device writes all results",
        first.stage, other.stage
    );
    let error = Diagnostic::new("sinks-apart", message).at(*other_span);
    let error = error.label(*span, format!("`{}` is here", first.stage));
    Some(error.help("place them on the same device, or only one of them"))
}

fn no_device(name: &str, cluster: &Cluster, path: &Path) -> Diagnostic {
    let known = cluster.devices.iter().map(|device| device.name.as_str());
    let help = did_you_mean(name, "devices", known);
    let message = format!("`{}` has no device `{name}`", path.display());
    Diagnostic::new("unknown-device", message).help_some(help)
}
