//! Where a graph runs: on this device alone, on the devices of a cluster file, or on
//! local processes that stand for devices.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;

use super::load::read_text;
use super::{Failed, GraphArgs};
use crate::cluster::{self, Cluster, Fingerprint, Formation, Identity, MeshError};
use crate::dataflow::{Here, Network};
use crate::diagnostic::{Diagnostic, Sources};
use crate::graph::{Graph, Layout, Plan, asked_workers, did_you_mean};

/// How long local devices have to notice that one of them failed.
const GRACE: Duration = Duration::from_secs(8);

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
        let layout = Layout::local(workers.unwrap_or_else(|| asked_workers(graph)));
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
    let (cluster, layout) =
        checked.map_err(|errors| super::load::render_all(&errors, sources, path))?;
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

/// Reports each device whose memory limit is less than the weights it would hold.
pub fn check_memory(plan: &Plan, cluster: &Cluster) -> Vec<Diagnostic> {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    (cluster.devices.iter().enumerate())
        .filter_map(|(i, device)| {
            let (limit, weights) = (device.memory?, weights(plan, i));
            let over = weights.checked_sub(limit).filter(|over| *over > 0)?;
            let message = format!(
                "`{}` would hold weights of {:.1} MiB, {:.1} MiB over its memory",
                device.name,
                mib(weights),
                mib(over)
            );
            let error = Diagnostic::new("too-little-memory", message);
            let help = "cut the stage into more segments with `split`, or place fewer here";
            Some(error.at_some(device.spans.memory).help(help))
        })
        .collect()
}

/// Bytes of weights that device number `device` holds.
pub fn weights(plan: &Plan, device: usize) -> u64 {
    let stages = plan.graph.stages.iter().zip(&plan.replicas);
    stages
        .map(|(stage, replicas)| {
            let here = replicas
                .iter()
                .filter(|one| plan.layout.device(one.worker) == device);
            let units = stage.segment.iter().flat_map(|segment| &segment.units);
            here.count() as u64 * units.map(|unit| unit.bytes).sum::<u64>()
        })
        .sum()
}

/// Joins the other devices of the cluster, as generation `generation` of the run or, if
/// they are further, as theirs.
///
/// # Errors
/// What keeps them from coming together
pub fn join(
    target: &Target,
    plan: &Plan,
    file: &Path,
    generation: u64,
) -> Result<Here, Diagnostic> {
    let device = target.device;
    let Some(cluster) = target.cluster.as_ref().filter(|one| one.devices.len() > 1) else {
        return Ok(Here {
            device,
            network: None,
        });
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let identity = Identity::load(folder, &cluster.devices[device].name)
        .map_err(|e| Diagnostic::new(e.code(), e.to_string()))?;
    let failed = |e: MeshError| Diagnostic::new(e.code(), e.to_string());
    let mut generation = generation;
    loop {
        let (tell, lost) = unbounded();
        let formed = cluster::form(Formation {
            cluster,
            me: device,
            identity: &identity,
            plan_hash: fingerprint(plan).bytes(),
            generation,
            listener: cluster::listen(cluster, device).map_err(failed)?,
            log: Arc::new(|line| eprintln!("{line}")),
            // With the run over nobody listens any more.
            on_loss: Arc::new(move |loss| drop(tell.send(loss))),
        });
        match formed {
            Ok(mesh) => {
                return Ok(Here {
                    device,
                    network: Some(Network { mesh, lost }),
                });
            }
            Err(MeshError::Outdated { generation: theirs }) if theirs > generation => {
                generation = theirs;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// What all devices must agree on: stages, their places and options, but for paths,
/// which may differ from device to device.
fn fingerprint(plan: &Plan) -> Fingerprint {
    let mut text = format!(
        "{} {} {:?}\n",
        plan.graph.batch, plan.graph.window, plan.layout
    );
    for (stage, replicas) in plan.graph.stages.iter().zip(&plan.replicas) {
        let manifest = &stage.operator.manifest;
        let mut options = stage.options.clone();
        if let Some(options) = options.as_object_mut() {
            options.retain(|name, _| {
                let option = manifest.options.iter().find(|option| option.name == *name);
                !option.is_some_and(|option| option.option_type.is_path())
            });
        }
        text += &format!(
            "{} {} {} {options} {:?} {:?} {replicas:?} {:?}\n",
            stage.name, manifest.name, manifest.version, stage.inputs, stage.loops, stage.sends
        );
    }
    Fingerprint::of(text.as_bytes())
}

/// Runs the graph on local processes that stand for devices, with identities that are
/// thrown away. What the process that commits prints is shown; of the others only why
/// they failed.
///
/// # Errors
/// The first failure
pub fn run_local_devices(plan: &Plan, options: &[String], quiet: bool) -> Result<(), Failed> {
    let failed = |e: std::io::Error| {
        Failed::Running(format!(
            "error[internal]: cannot start local devices: {e}\n"
        ))
    };
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = local_cluster(plan, folder.path())?;
    let binary = std::env::current_exe().map_err(failed)?;
    let commits = plan.sink_device();
    let mut children: Vec<Child> = Vec::new();
    for (i, (name, _)) in plan.layout.devices.iter().enumerate() {
        let mut command = Command::new(&binary);
        command
            .args(options)
            .arg("--cluster")
            .arg(&file)
            .args(["--device", name]);
        command.stdin(Stdio::null());
        if i != commits || quiet {
            command.arg("--quiet");
        }
        if i != commits {
            command.stderr(Stdio::piped());
        }
        children.push(command.spawn().map_err(failed)?);
    }
    end_together(&mut children).map_err(failed)?;
    let mut outcome = Ok(());
    for (i, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().map_err(failed)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Those that only lost another have nothing to add to what it said itself.
        let cause = i != commits && !said.is_empty() && !said.contains("error[device-lost]");
        if !output.status.success() && (outcome.is_ok() || cause) {
            outcome = Err(match output.status.code() {
                Some(2) => Failed::Wrong(said),
                _ => Failed::Running(said),
            });
        }
    }
    outcome
}

/// Waits for all. When one fails, the others have [`GRACE`] to notice; those that still
/// wait for it then are ended.
fn end_together(children: &mut [Child]) -> std::io::Result<()> {
    let mut deadline: Option<Instant> = None;
    loop {
        let mut running = false;
        for child in children.iter_mut() {
            match child.try_wait()? {
                None => running = true,
                Some(status) if !status.success() => {
                    deadline.get_or_insert(Instant::now() + GRACE);
                }
                Some(_) => {}
            }
        }
        if !running {
            return Ok(());
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            // One that has just ended by itself needs no ending.
            children.iter_mut().for_each(|child| drop(child.kill()));
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A cluster file for free ports of this machine, with an identity for each device.
fn local_cluster(plan: &Plan, folder: &Path) -> Result<PathBuf, Failed> {
    let internal = |message: String| Failed::Running(format!("error[internal]: {message}\n"));
    let io = |e: std::io::Error| internal(e.to_string());
    let mut text = "format = 1\n".to_owned();
    let mut held = Vec::new();
    for (name, workers) in &plan.layout.devices {
        let identity = Identity::generate(name).map_err(|e| internal(e.to_string()))?;
        identity.save(folder).map_err(|e| internal(e.to_string()))?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        // All ports are held until all are known, so that no two are the same.
        held.push(listener);
        text += &format!(
            "[device.{name}]\naddress = \"{address}\"\nworkers = {workers}\nidentity = \"{}\"\n",
            identity.fingerprint
        );
    }
    let path = folder.join("cluster.toml");
    std::fs::write(&path, text).map_err(io)?;
    Ok(path)
}
