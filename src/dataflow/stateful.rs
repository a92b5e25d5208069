//! A stage that keeps state, as a timely operator: one instance, every batch in order of
//! time. What it gives goes on at once; the committer seals nothing that the stage could
//! not go on behind.
//!
//! A stage that gives its state to the host is asked for it between two times. One that
//! saves itself says up to which time it has. What a stage gives at its own end goes out by
//! a second output, at a time behind all others, that no loop leads back from: so a loop
//! ends when nothing goes round it any more.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use segue_plugin::{Error, Next};
use timely::container::{CapacityContainerBuilder, NoopBuilder};
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

use super::apply;
use super::ledger::{Cuts, END, Tells, Told, connected, end_time, first, pieces, unconnected};
use super::parcel::{Parcel, route_to, send};
use super::shared::{Failure, Shared};
use super::stage::{Edge, Rows};
use super::tally::Tally;
use super::wire::expand;
use crate::graph::{Plan, Stage};
use crate::plugins::{Given, Instance};

/// The outputs: rows, rows at the end, and what is told to the committer.
const ROWS: usize = 0;
const TOLD: usize = 2;

/// Batches of one time, in the order of edges and of arrival.
#[derive(Default)]
struct Waiting {
    open: Option<(Capability<u64>, Capability<u64>)>,
    rows: VecDeque<(usize, Result<RecordBatch, String>)>,
}

struct Stateful {
    stage: Stage,
    instance: Instance,
    tally: Tally,
    waiting: BTreeMap<u64, Waiting>,
    /// The time under way, with what of it is still to be processed.
    current: Option<(u64, Waiting)>,
    /// Times behind which the host wants its state.
    wanted: BTreeMap<u64, Capability<u64>>,
    /// For what it gives at its end, and for what it then tells; `None` afterwards.
    end: Option<Capability<u64>>,
    /// Up to which time it has saved, as it said last.
    saved: Option<u64>,
}

/// What one scheduling gave.
#[derive(Default)]
struct Step {
    rows: Option<(Capability<u64>, Vec<RecordBatch>)>,
    at_end: Option<(Capability<u64>, Vec<RecordBatch>)>,
    told: Option<(Capability<u64>, Vec<Told>)>,
}

/// The streams of a stage that keeps state.
pub struct Built<'scope> {
    /// Its rows.
    pub rows: Rows<'scope>,
    /// Those that it gives at its end.
    pub at_end: Rows<'scope>,
    /// What the committer is told.
    pub tells: Tells<'scope>,
}

/// Adds stage number `index` of `plan` to the dataflow. `instance` is there only on the
/// one worker that runs it.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    plan: &Arc<Plan>,
    index: usize,
    edges: Vec<Edge<'scope>>,
    cuts: Cuts<'scope>,
    instance: Option<(Instance, Tally)>,
    shared: &Arc<Shared>,
) -> Built<'scope> {
    let stage = plan.graph.stages[index].clone();
    let mut builder = OperatorBuilder::new(stage.name.clone(), scope);
    let mut inputs = Vec::new();
    for edge in edges {
        let (plan, late) = (Arc::clone(plan), u64::from(edge.looped));
        let route = route_to(Arc::new(move |time| plan.worker(index, time + late)));
        inputs.push(builder.new_input(edge.rows, route));
    }
    let edge_count = inputs.len();
    let worker = plan.worker(index, 0) as u64;
    let route = Exchange::new(move |_: &u64| worker);
    let mut cuts = builder.new_input(cuts, route);
    let from_edges = (0..edge_count).map(|edge| (edge, connected()));
    let from_edges: Vec<_> = from_edges.chain([(edge_count, unconnected())]).collect();
    let (output, rows) = builder.new_output_connection::<Parcel, _>(from_edges);
    let from_none: Vec<_> = (0..=edge_count).map(|i| (i, unconnected())).collect();
    let (end_output, at_end) = builder.new_output_connection::<Parcel, _>(from_none);
    let (told_output, tells) = builder.new_output::<Vec<Told>>();
    let mut output = OutputBuilder::<u64, NoopBuilder<Parcel>>::from(output);
    let mut end_output = OutputBuilder::<u64, NoopBuilder<Parcel>>::from(end_output);
    let mut told_output =
        OutputBuilder::<u64, CapacityContainerBuilder<Vec<Told>>>::from(told_output);
    let again = scope.activator_for(Rc::clone(&builder.operator_info().address));
    let shared = Arc::clone(shared);
    builder.build(move |mut capabilities| {
        capabilities.truncate(TOLD);
        let mut stateful = instance.map(|(mut instance, tally)| {
            let (shared, name) = (Arc::clone(&shared), stage.name.clone());
            instance.listen(Box::new(move |line| shared.progress.note(&name, &line)));
            let mut end = capabilities.pop();
            end.iter_mut()
                .for_each(|end| end.downgrade(&end_time(index)));
            Stateful {
                stage,
                instance,
                tally,
                waiting: BTreeMap::new(),
                current: None,
                wanted: BTreeMap::new(),
                end,
                saved: None,
            }
        });
        drop(capabilities);
        move |frontiers| {
            for (edge, input) in inputs.iter_mut().enumerate() {
                input.for_each(|capability, parcel| {
                    let arrived = std::mem::take(parcel);
                    let open = capability.retain_least(ROWS);
                    let open = open.zip(capability.retain_least(TOLD));
                    if let (Some(stateful), Some(open), Some(rows)) =
                        (&mut stateful, open, arrived.rows)
                    {
                        let waiting = stateful.waiting.entry(*open.0.time()).or_default();
                        waiting.open = Some(open);
                        waiting.rows.push_back((edge, rows));
                    }
                });
            }
            cuts.for_each(|capability, arrived| {
                let open = capability.retain_least(TOLD);
                if let (Some(stateful), Some(open)) = (&mut stateful, open) {
                    for time in arrived.drain(..) {
                        stateful.wanted.insert(time, open.delayed(&time));
                    }
                }
            });
            let Some(stateful) = &mut stateful else {
                return;
            };
            if shared.stopped() {
                return stateful.abandon();
            }
            let (of_rows, of_cuts) = frontiers.split_at(edge_count);
            match stateful.step(of_rows, of_cuts) {
                Ok(Some(step)) => {
                    if let Some((at, rows)) = step.rows {
                        send(&mut output, &at, rows);
                    }
                    if let Some((at, rows)) = step.at_end {
                        send(&mut end_output, &at, rows);
                    }
                    if let Some((at, told)) = step.told {
                        let mut session = told_output.activate();
                        let mut session = session.session_with_builder(&at);
                        told.into_iter().for_each(|told| session.give(told));
                    }
                    again.activate();
                }
                Ok(None) => {}
                Err(failure) => {
                    shared.fail(failure);
                    stateful.abandon();
                }
            }
        }
    });
    Built {
        rows,
        at_end,
        tells,
    }
}

impl Stateful {
    /// Processes one batch, or the end of a time, or gives its state, or a part of its end.
    fn step(
        &mut self,
        of_rows: &[MutableAntichain<u64>],
        of_cuts: &[MutableAntichain<u64>],
    ) -> Result<Option<Step>, Failure> {
        let (complete, decided) = (first(of_rows), first(of_cuts));
        if let Some((time, waiting)) = self.current.take() {
            return self.go_on(time, waiting).map(Some);
        }
        let next = self.waiting.keys().next().copied();
        let cut = self.wanted.keys().next().copied();
        if let Some(cut) = cut.filter(|cut| *cut < complete && next.is_none_or(|n| n > *cut)) {
            return self.snapshot(cut).map(Some);
        }
        // No earlier time can be asked for any more, and none that was is open.
        let free = |time: u64| time <= decided && cut.is_none_or(|cut| cut >= time);
        if let Some(time) = next.filter(|time| *time < complete && free(*time)) {
            let mut waiting = self.waiting.remove(&time).unwrap_or_default();
            // A stable sort: within an edge the order of arrival stays.
            let rows = waiting.rows.make_contiguous();
            rows.sort_by_key(|(edge, _)| *edge);
            return self.go_on(time, waiting).map(Some);
        }
        let ended = complete == u64::MAX && next.is_none() && cut.is_none();
        match ended && self.end.is_some() {
            true => self.finish().map(Some),
            false => Ok(None),
        }
    }

    /// One batch of `time`; with the last, the end of the time.
    fn go_on(&mut self, time: u64, mut waiting: Waiting) -> Result<Step, Failure> {
        let mut given = match waiting.rows.pop_front() {
            Some((_, next)) => self.process(time, next)?,
            None => Given::default(),
        };
        let whole = waiting.rows.is_empty();
        if whole {
            let flushed = self.flush(time)?;
            given.batches.extend(flushed.batches);
            given.saved |= flushed.saved;
        }
        if given.saved {
            // With batches of this time still to come only those before are saved.
            self.saved = if whole {
                Some(time)
            } else {
                time.checked_sub(1)
            };
        }
        let told = self.saved.filter(|saved| given.saved && *saved < END);
        let told = told.map(|saved| vec![Told::Saved(self.stage.name.clone(), saved)]);
        let open = waiting.open.clone();
        if !whole {
            self.current = Some((time, waiting));
        }
        let Some((rows, tell)) = open else {
            return Ok(Step::default());
        };
        Ok(Step {
            rows: Some((rows, given.batches)),
            told: told.map(|told| (tell, told)),
            at_end: None,
        })
    }

    /// Its state behind `time`.
    fn snapshot(&mut self, time: u64) -> Result<Step, Failure> {
        let open = self.wanted.remove(&time);
        if !self.stage.columns.snapshots {
            return Ok(Step::default());
        }
        let started = Instant::now();
        let state = self.instance.snapshot();
        self.tally.add_time(started.elapsed());
        let state = state.map_err(|e| Failure::of_stage(&self.stage, "to give its state", e))?;
        let told = pieces(&self.stage.name, time, &state);
        Ok(Step {
            told: open.map(|open| (open, told)),
            ..Step::default()
        })
    }

    fn finish(&mut self) -> Result<Step, Failure> {
        let started = Instant::now();
        let ended = apply::finish(&self.stage, &mut self.instance);
        self.tally.add_time(started.elapsed());
        let failed = |e| Failure::of_stage(&self.stage, "at its end", e);
        let (batches, next) = ended.map_err(failed)?;
        let at_end = self.end.clone().map(|end| (end, batches));
        if next == Next::Done {
            self.end = None;
        }
        Ok(Step {
            at_end,
            ..Step::default()
        })
    }

    fn process(&mut self, time: u64, rows: Result<RecordBatch, String>) -> Result<Given, Failure> {
        let expanded = rows.and_then(|rows| expand(rows).map_err(|e| e.to_string()));
        let broken = |message| Error::new("bad-message", message);
        let rows = expanded.map_err(|e| Failure::of_stage(&self.stage, "to read", broken(e)))?;
        self.timed(time, rows.num_rows(), |stateful| {
            apply::process(&stateful.stage, &mut stateful.instance, time, &rows)
        })
    }

    fn flush(&mut self, time: u64) -> Result<Given, Failure> {
        self.timed(time, 0, |stateful| {
            apply::flush(&stateful.stage, &mut stateful.instance, time)
        })
    }

    fn timed(
        &mut self,
        time: u64,
        rows: usize,
        work: impl FnOnce(&mut Self) -> Result<Given, Error>,
    ) -> Result<Given, Failure> {
        let started = Instant::now();
        let given = work(self);
        match rows {
            0 => self.tally.add_time(started.elapsed()),
            _ => self.tally.add(rows, started.elapsed()),
        }
        given.map_err(|e| Failure::of_batch(&self.stage, time, rows, e))
    }

    /// Drops what was held, so that the dataflow can end.
    fn abandon(&mut self) {
        self.waiting.clear();
        self.wanted.clear();
        (self.current, self.end) = (None, None);
    }
}
