//! Where a graph runs: on this device alone, on the devices of a cluster file, or on
//! local processes that stand for devices.

use std::collections::BTreeMap;
use std::path::Path;

use super::load::{read_text, render_all};
use super::{Failed, GraphArgs};
use crate::cluster::{self, Cluster};
use crate::diagnostic::{Diagnostic, Sources};
use crate::graph::{Graph, Layout, asked_workers, did_you_mean};

/// Where a graph is to run.
pub struct Target {
    /// The cluster file's content, if there is one.
    pub cluster: Option<Cluster>,
    /// As the plan needs it.
    pub layout: Layout,
    /// Which of its devices this process is.
    pub device: usize,
}

/// Finds out where the graph is to run. `sources` gets the cluster file.
///
/// # Errors
/// [`Failed::Wrong`] with every error of the cluster file
pub fn target(
    arguments: &GraphArgs,
    graph: &Graph,
    sources: &mut Sources,
) -> Result<Target, Failed> {
    let workers = arguments.workers.map(usize::from);
    if let Some(devices) = arguments.devices {
        let each = workers.unwrap_or(1);
        let devices = (1..=devices).map(|i| (local_name(i), each)).collect();
        let layout = Layout::of_devices(devices, BTreeMap::new());
        return Ok(Target {
            cluster: None,
            layout,
            device: 0,
        });
    }
    let Some(path) = &arguments.cluster else {
        let workers = match workers {
            Some(workers) => workers,
            None => asked_workers(graph)
                .map_err(|error| render_all(&[error], sources, &arguments.graph))?,
        };
        let layout = Layout::local(workers);
        return Ok(Target {
            cluster: None,
            layout,
            device: 0,
        });
    };
    let text = read_text(path).map_err(|error| Failed::Wrong(error.render(sources)))?;
    let number = sources.add(path.to_string_lossy(), text);
    let checked = cluster::check(sources, number).and_then(|cluster| {
        let layout = layout(&cluster, graph)?;
        Ok((cluster, layout))
    });
    let (cluster, layout) = checked.map_err(|errors| render_all(&errors, sources, path))?;
    let device = match &arguments.device {
        None => 0,
        Some(name) => cluster
            .device(name)
            .ok_or_else(|| no_device(name, &cluster, path))?,
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
        let devices = one.devices.iter().map(|(device, _)| *device).collect();
        place.insert(one.stage.clone(), devices);
    }
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

fn no_device(name: &str, cluster: &Cluster, path: &Path) -> Failed {
    let known = cluster.devices.iter().map(|device| device.name.as_str());
    let help = did_you_mean(name, "devices", known);
    let message = format!("`{}` has no device `{name}`", path.display());
    let error = Diagnostic::new("unknown-device", message).help_some(help);
    Failed::Wrong(error.render(&Sources::new()))
}
