//! The plan over the devices that are left of the whole one.

use super::memory::check_memory;
use crate::cluster::{Cluster, Members};
use crate::graph::{Layout, Plan, Role};

/// The cluster of the `members`, and the plan over them, as each of them finds it by
/// itself: what is committed stays where it is, and a source whose device is gone is read
/// there too.
///
/// # Errors
/// Why there is no such plan
pub fn plan(whole: &Plan, cluster: &Cluster, members: Members) -> Result<(Cluster, Plan), String> {
    let commits = whole.sink_device();
    let number = |device: usize| (0..device).filter(|one| members.has(*one)).count();
    let mut place = std::collections::BTreeMap::new();
    for (stage, devices) in &whole.layout.place {
        if let Some(gone) = devices.iter().find(|device| !members.has(**device)) {
            let name = &cluster.devices[*gone].name;
            return Err(format!("`{stage}` is placed on `{name}`"));
        }
        place.insert(stage.clone(), devices.iter().map(|d| number(*d)).collect());
    }
    for (i, stage) in whole.graph.stages.iter().enumerate() {
        let device = match (stage.operator.role, source_device(whole, i)) {
            (Role::Transform, _) => continue,
            (Role::Source, device) if members.has(device) => device,
            (Role::Source | Role::Sink, _) => commits,
        };
        place.insert(stage.name.clone(), vec![number(device)]);
    }
    let cluster = cluster.only(members);
    let devices = cluster.devices.iter();
    let devices = devices.map(|one| (one.name.clone(), one.workers)).collect();
    let plan = crate::graph::plan(whole.graph.clone(), Layout::of_devices(devices, place));
    match check_memory(&plan, &cluster).into_iter().next() {
        Some(error) => Err(error.message),
        None => Ok((cluster, plan)),
    }
}

/// Whether the `members` can go on; asked where results are committed.
///
/// # Errors
/// Why not
pub fn possible(whole: &Plan, cluster: &Cluster, members: Members) -> Result<(), String> {
    plan(whole, cluster, members)?;
    for (i, stage) in whole.graph.stages.iter().enumerate() {
        let device = source_device(whole, i);
        let moves = stage.operator.role == Role::Source && !members.has(device);
        let lacks = stage
            .reads()
            .find(|(_, path)| moves && !crate::io::files(path).iter().any(|path| path.exists()));
        if let Some((_, path)) = lacks {
            let (stage, device) = (&stage.name, &cluster.devices[device].name);
            let path = path.display();
            return Err(format!(
                "`{stage}` is read on `{device}`, and there is no `{path}` here"
            ));
        }
    }
    Ok(())
}

/// The device that a stage which is never replicated runs on.
fn source_device(plan: &Plan, stage: usize) -> usize {
    plan.layout.device(plan.worker(stage, 0))
}
