//! Builds the dataflow of a plan: the same on every worker, with instances where they run.

use std::sync::Arc;

use timely::dataflow::Scope;
use timely::dataflow::operators::{Concat, ConnectLoop, Feedback, Probe as _};

use super::inbox::{Edge, Rows};
use super::ledger;
use super::sink;
use super::source::{self, Opening, Wakers};
use super::stage;
use super::state::{Kept, Participants};
use super::stateful::{self, Begins};
use super::wire::compacted;
use super::worker::{Instances, Job, Origin, Probes};
use crate::graph::Role;

impl Job {
    /// Builds the dataflow; gives what wakes the sources of this worker.
    pub fn build(
        &self,
        scope: Scope<'_, u64>,
        instances: Instances,
        probes: &Probes,
        start: &Origin,
        mut kept: Kept,
    ) -> Wakers {
        let stages = &self.plan.graph.stages;
        let (plan, shared) = (&self.plan, &self.shared);
        let both = [&probes.window, &probes.done];
        let participants = Participants::of(&plan.graph);
        let commits = plan.commit_worker();
        let committer = || (scope.index() == commits).then(|| self.committer.clone());
        let mut built: Vec<Streams<'_>> = stages.iter().map(|_| Streams::default()).collect();
        let (mut marks, mut wakers, mut tells, mut sinks) = (vec![], vec![], vec![], 0);
        let (side, scattered) = (plan.graph.side(), plan.scattered());
        let stops = start.cut.as_ref().map(|cut| &cut.stops);
        for stage in stops.into_iter().flatten().map(|(stage, _)| stage) {
            shared.set_ended(&plan.graph, stage);
        }
        for (i, stage) in stages.iter().enumerate() {
            if stage.operator.role == Role::Source {
                let here = plan.runs_on(i, scope.index());
                let opening = self.opening(&stage.name, start, side[i]);
                let probe = if side[i] {
                    &probes.side
                } else {
                    &probes.window
                };
                let source = source::build(scope, stage, here, opening, probe.clone(), shared);
                marks.push(source.marks);
                wakers.extend(source.wake);
                built[i].rows = Some(source.rows);
            }
        }
        // Round a loop: what a stage gives, or gave before, at one time arrives at the next.
        let (mut handles, mut loops) = (Vec::new(), Vec::new());
        for (edge, &(_, from)) in participants.loops.iter().enumerate() {
            let (handle, mut rows) = scope.feedback(1);
            // On every worker, though only one has rows: all build the same dataflow.
            if let Some(cut) = start.cut.as_ref().filter(|cut| cut.state.is_some()) {
                let old = kept.loops.remove(&edge).unwrap_or_default();
                rows = rows.concat(ledger::replay(scope, edge, cut.time, old.0));
            }
            handles.push((from, handle));
            loops.push(rows);
        }
        let cuts = ledger::build(
            scope,
            ledger::Inputs {
                marks,
                loops: loops.clone(),
            },
            &participants,
            (commits, start.next_time()),
            committer().map(|sender| (participants.sinks, sender)),
            both,
            shared,
        );
        for (i, (stage, instance)) in stages.iter().zip(instances).enumerate() {
            let mut edges: Vec<Edge<'_>> = (stage.inputs.iter().zip(&stage.ports.inputs))
                .filter_map(|(&input, &port)| {
                    let rows = built[input].towards(plan.graph.on_one_loop(input, i))?;
                    let rows = compacted(rows, stage.wire);
                    if stage.is_whole(port) {
                        rows.clone().probe_with(&probes.side);
                    }
                    Some(Edge {
                        rows,
                        looped: false,
                        port,
                    })
                })
                .collect();
            let round = participants.loops.iter().zip(&loops);
            let round = round
                .filter(|((to, _), _)| *to == i)
                .zip(&stage.ports.loops);
            edges.extend(round.map(|((_, rows), &port)| Edge {
                rows: compacted(rows.clone(), stage.wire),
                looped: true,
                port,
            }));
            let from_scattered = stage.edges().any(|(from, _)| scattered[from]);
            match stage.operator.role {
                Role::Source => {}
                Role::Transform if stage.columns.stateful => {
                    let begins = match (&start.cut, kept.stages.remove(&stage.name)) {
                        (None, _) => Begins::Fresh,
                        (Some(cut), state) if cut.stops.contains_key(&stage.name) => {
                            Begins::Ended(state)
                        }
                        (Some(_), _) => Begins::Resumed,
                    };
                    let instance = (instance, begins);
                    let one =
                        stateful::build(scope, plan, i, edges, cuts.clone(), instance, shared);
                    tells.push(one.tells);
                    // Its end counts even where nobody reads what it gives there.
                    one.at_end.clone().probe_with(&probes.done);
                    (built[i].rows, built[i].at_end) = (Some(one.rows), Some(one.at_end));
                }
                Role::Transform => {
                    let (plan, instance) = (plan, (from_scattered, instance));
                    built[i].rows = Some(stage::build(scope, plan, i, edges, instance, shared));
                }
                Role::Sink => {
                    let here = plan.runs_on(i, scope.index());
                    let committer = here.then(|| (sinks, self.committer.clone()));
                    sink::build(scope, plan, i, edges, committer, both, shared);
                    sinks += 1;
                }
            }
        }
        for (from, handle) in handles {
            if let Some(rows) = built[from].rows.clone() {
                rows.connect_loop(handle);
            }
        }
        let archive = committer().map(|sender| (participants.sinks + 1, sender));
        ledger::archive(scope, tells.clone(), commits, archive, &probes.done);
        let (plan, shared) = (Arc::clone(plan), Arc::clone(shared));
        ledger::spread_ends(scope, tells, move |stage| {
            shared.set_ended(&plan.graph, stage);
        });
        Wakers::new(wakers)
    }

    fn opening(&self, source: &str, start: &Origin, side: bool) -> Opening {
        let cut = start.cut.as_ref();
        let consumed = cut.and_then(|cut| cut.sources.get(source).copied());
        let consumed = consumed.unwrap_or(0);
        let (skip, told) = if side { (0, consumed) } else { (consumed, 0) };
        Opening {
            skip,
            told,
            time: start.next_time(),
            batch: self.plan.graph.batch,
            window: self.plan.graph.window as u64,
            strict: self.strict,
            records: self.records,
            device: self.plan.layout.devices[self.device].0.clone(),
        }
    }
}

/// The streams of a stage.
#[derive(Default)]
struct Streams<'scope> {
    rows: Option<Rows<'scope>>,
    /// What it gives at its own end, where it keeps state.
    at_end: Option<Rows<'scope>>,
}

impl<'scope> Streams<'scope> {
    /// What a stage gets of it. One that is on a loop with it gets nothing of its end: the
    /// end comes when nothing goes round the loop any more.
    fn towards(&self, on_one_loop: bool) -> Option<Rows<'scope>> {
        let rows = self.rows.clone()?;
        Some(match self.at_end.clone().filter(|_| !on_one_loop) {
            Some(at_end) => rows.concat(at_end),
            None => rows,
        })
    }
}
