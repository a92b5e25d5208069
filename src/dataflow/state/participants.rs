//! Who must be able to go on behind a cut, besides sources and sinks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::graph::{Graph, Role};

/// When a cut can be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Behind every time: nothing but files has a state.
    Always,
    /// Behind every time that all stages that save themselves have saved.
    Saved,
    /// Behind those times at which stages were asked for their state.
    Wanted,
}

/// The participants of a graph's cuts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Participants {
    /// How many sinks there are.
    pub sinks: usize,
    /// Stages that keep their state themselves.
    pub saves: BTreeSet<String>,
    /// Stages that give their state to the host.
    pub snapshots: BTreeSet<String>,
    /// Loop edges: the stage that reads, the stage that gives.
    pub loops: Vec<(usize, usize)>,
    /// The least time between two cuts, where stages are asked.
    pub pause: Duration,
}

impl Participants {
    /// Those of `graph`.
    pub fn of(graph: &Graph) -> Self {
        let mut all = Participants::default();
        for (number, stage) in graph.stages.iter().enumerate() {
            let columns = &stage.columns;
            all.sinks += usize::from(stage.operator.role == Role::Sink);
            all.loops
                .extend(stage.loops.iter().map(|&from| (number, from)));
            match (columns.stateful, columns.snapshots) {
                (true, true) => {
                    all.snapshots.insert(stage.name.clone());
                    let pause = Duration::from_millis(columns.snapshot_ms);
                    all.pause = all.pause.max(pause);
                }
                (true, false) => drop(all.saves.insert(stage.name.clone())),
                (false, _) => {}
            }
        }
        all
    }

    /// When their cuts can be sealed.
    pub fn when(&self) -> When {
        match (
            self.snapshots.is_empty() && self.loops.is_empty(),
            self.saves.is_empty(),
        ) {
            (true, true) => When::Always,
            (true, false) => When::Saved,
            (false, _) => When::Wanted,
        }
    }

    /// Up to which time all that save themselves have saved.
    pub fn saved(&self, saved: &BTreeMap<String, u64>) -> Option<u64> {
        let each = self.saves.iter().map(|stage| saved.get(stage).copied());
        each.min().flatten()
    }
}
