//! What a device must hold.

use crate::cluster::Cluster;
use crate::diagnostic::Diagnostic;
use crate::graph::Plan;

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
