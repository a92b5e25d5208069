//! Graphs whose cuts, places and replicas are the planner's.

use super::chain::{self, Left, cuts, group_of, left};
use super::known::{Known, known, name_of};
use super::target::Target;
use crate::account::Digest;
use crate::graph::{Cuts, Graph, Plan, Replica, Role, Stage};
use crate::planner::{self, Instance, Planned};
use crate::profile::Profile;

/// Who made a plan, and from what.
pub enum Planning {
    /// Nothing was left open.
    Fixed,
    /// The file leaves something open, but the graph is not one for the planner; why.
    ByRule(String),
    /// The planner did.
    Automatic(Box<Automatic>),
}

/// What the planner found.
pub struct Automatic {
    /// What it knew.
    pub instance: Instance,
    /// What it made of it.
    pub planned: Planned,
    /// The units, as a profile calls them.
    pub units: Vec<String>,
    /// What of that is a guess.
    pub guesses: Vec<String>,
}

/// A profile, and what tells it from others.
pub struct Measured {
    /// What was measured.
    pub profile: Profile,
    /// Of its text.
    pub digest: Digest,
}

/// Plans `whole`, in which nothing is cut that is left open. `cut` checks it once more with
/// other cuts.
pub fn plan(
    whole: Graph,
    target: &Target,
    measured: Option<&Measured>,
    cut: &dyn Fn(&Cuts) -> Option<Graph>,
) -> (Plan, Planning) {
    let by_rule =
        |whole: Graph, planning| (crate::graph::plan(whole, target.layout.clone()), planning);
    match left(&whole, &target.layout) {
        Left::Nothing => return by_rule(whole, Planning::Fixed),
        Left::ByRule(why) => return by_rule(whole, Planning::ByRule(why)),
        Left::Chain => {}
    }
    let unsaid = target.layout.devices.len() > 1;
    let Some(fine) = cut(&Cuts::Units { unsaid }) else {
        let why = "it cannot be cut everywhere".to_owned();
        return by_rule(whole, Planning::ByRule(why));
    };
    let Known { instance, guesses } = known(&fine, target, measured.map(|one| &one.profile));
    let Some(planned) = planner::plan(&instance) else {
        let why = "no plan was found that devices have the memory for".to_owned();
        return by_rule(whole, Planning::ByRule(why));
    };
    let cuts = cuts(&fine, &planned.schedule);
    let graph = if cuts.is_empty() {
        Some(whole.clone())
    } else {
        cut(&Cuts::At(cuts))
    };
    let Some(graph) = graph else {
        let why = "it cannot be cut where that would be best".to_owned();
        return by_rule(whole, Planning::ByRule(why));
    };
    let replicas = graph
        .stages
        .iter()
        .map(|stage| replicas(&fine, stage, &instance, &planned, target));
    let replicas = replicas.collect();
    let mut plan = Plan::new(graph, target.layout.clone(), replicas);
    plan.profile = measured.map(|measured| measured.digest.to_string());
    let automatic = Automatic {
        units: chain::transforms(&fine).map(name_of).collect(),
        instance,
        planned,
        guesses,
    };
    (plan, Planning::Automatic(Box::new(automatic)))
}

/// The workers that share the batches of `stage`.
fn replicas(
    fine: &Graph,
    stage: &Stage,
    instance: &Instance,
    planned: &Planned,
    target: &Target,
) -> Vec<Replica> {
    let first = |device: usize| Replica {
        worker: device * target.layout.threads,
        weight: 1,
    };
    match stage.operator.role {
        Role::Source => vec![first(instance.source)],
        Role::Sink => vec![first(instance.sink)],
        Role::Transform => {
            let group = &planned.schedule.groups[group_of(fine, &planned.schedule, stage)];
            let replica = |(device, worker, weight): (usize, usize, u32)| Replica {
                worker: device * target.layout.threads + worker,
                weight,
            };
            group.replicas().map(replica).collect()
        }
    }
}
