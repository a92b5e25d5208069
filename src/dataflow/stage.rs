//! A stage as a timely operator: one batch a scheduling, on the worker the plan says.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use segue_plugin::Error;
use timely::container::NoopBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream};
use timely::progress::frontier::MutableAntichain;

use super::apply;
use super::parcel::{Parcel, route_to, send};
use super::shared::{Failure, Shared};
use super::tally::Tally;
use super::wire::expand;
use crate::graph::{Plan, Stage};
use crate::plugins::Instance;

/// The parcels of an edge.
pub type Rows<'scope> = Stream<'scope, u64, Parcel>;

/// What reaches a stage: rows, and whether they come round a loop.
pub struct Edge<'scope> {
    /// The rows.
    pub rows: Rows<'scope>,
    /// Whether their own time is one less than the one they arrive at.
    pub looped: bool,
}

/// Rows that wait for their turn, in the order of edges and of arrival.
#[derive(Default)]
struct Waiting {
    capability: Option<Capability<u64>>,
    rows: Vec<(usize, Result<RecordBatch, String>)>,
}

/// What runs when the operator is scheduled.
struct Runner {
    stage: Stage,
    instance: Instance,
    tally: Tally,
    /// By time. With one edge a batch is ready as it arrives; with several, so that
    /// their order is always the same, when its time is complete.
    waiting: BTreeMap<u64, Waiting>,
    ready: VecDeque<(Capability<u64>, RecordBatch)>,
    /// Times whose batches were all processed, to be flushed when they are complete.
    to_flush: BTreeMap<u64, Capability<u64>>,
    edges: usize,
}

/// Adds stage number `index` of `plan` to the dataflow. `instance` is there only on
/// the workers that run it.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    plan: &Arc<Plan>,
    index: usize,
    edges: Vec<Edge<'scope>>,
    instance: Option<(Instance, Tally)>,
    shared: &Arc<Shared>,
) -> Rows<'scope> {
    let stage = plan.graph.stages[index].clone();
    let mut builder = OperatorBuilder::new(stage.name.clone(), scope);
    let count = edges.len();
    let mut inputs = Vec::new();
    for edge in edges {
        let (plan, late) = (Arc::clone(plan), u64::from(edge.looped));
        let route = route_to(Arc::new(move |time| plan.worker(index, time + late)));
        inputs.push(builder.new_input(edge.rows, route));
    }
    let (output, rows) = builder.new_output::<Parcel>();
    let mut output = OutputBuilder::<u64, NoopBuilder<Parcel>>::from(output);
    let again = scope.activator_for(Rc::clone(&builder.operator_info().address));
    let shared = Arc::clone(shared);
    let mut runner = instance.map(|(instance, tally)| Runner {
        stage,
        instance,
        tally,
        waiting: BTreeMap::new(),
        ready: VecDeque::new(),
        to_flush: BTreeMap::new(),
        edges: count,
    });
    builder.build(move |capabilities| {
        drop(capabilities);
        move |frontiers| {
            for (edge, input) in inputs.iter_mut().enumerate() {
                input.for_each(|capability, parcel| {
                    let arrived = std::mem::take(parcel);
                    let capability = capability.retain_least(0);
                    if let (Some(runner), Some(capability), Some(rows)) =
                        (&mut runner, capability, arrived.rows)
                    {
                        runner.arrive(edge, capability, rows);
                    }
                });
            }
            let Some(runner) = &mut runner else { return };
            if shared.stopped() {
                return runner.abandon();
            }
            match runner.step(frontiers) {
                Ok(Some((capability, outputs))) => {
                    send(&mut output, &capability, outputs);
                    again.activate();
                }
                Ok(None) => {}
                Err(failure) => {
                    shared.fail(failure);
                    runner.abandon();
                }
            }
        }
    });
    rows
}

type Step = Option<(Capability<u64>, Vec<RecordBatch>)>;

impl Runner {
    fn arrive(
        &mut self,
        edge: usize,
        capability: Capability<u64>,
        rows: Result<RecordBatch, String>,
    ) {
        let waiting = self.waiting.entry(*capability.time()).or_default();
        waiting.capability = Some(capability);
        waiting.rows.push((edge, rows));
    }

    /// Flushes one time, or processes one batch. Flushing comes first: until a time is
    /// flushed nothing downstream can complete it, and the window stays full.
    fn step(&mut self, frontiers: &[MutableAntichain<u64>]) -> Result<Step, Failure> {
        let complete = |time: &u64| !frontiers.iter().any(|frontier| frontier.less_equal(time));
        self.release(&complete)?;
        let next_ready = self.ready.front().map(|(next, _)| *next.time());
        let due = |time: &u64| complete(time) && next_ready.is_none_or(|next| next > *time);
        if let Some(entry) = self.to_flush.first_entry().filter(|entry| due(entry.key())) {
            let (time, capability) = entry.remove_entry();
            let outputs = self.flush(time)?;
            return Ok(Some((capability, outputs)));
        }
        let Some((capability, rows)) = self.ready.pop_front() else {
            return Ok(None);
        };
        let time = *capability.time();
        let mut outputs = self.process(time, &rows)?;
        let last_of_time = self
            .ready
            .front()
            .is_none_or(|(next, _)| *next.time() != time);
        if last_of_time && complete(&time) {
            self.to_flush.remove(&time);
            outputs.extend(self.flush(time)?);
        } else if last_of_time {
            self.to_flush.insert(time, capability.clone());
        }
        Ok(Some((capability, outputs)))
    }

    fn flush(&mut self, time: u64) -> Result<Vec<RecordBatch>, Failure> {
        let started = Instant::now();
        let outputs = apply::flush(&self.stage, &mut self.instance, time);
        self.tally.add_time(started.elapsed());
        let given = outputs.map_err(|e| Failure::of_batch(&self.stage, time, 0, e))?;
        Ok(given.batches)
    }

    /// Moves what may be processed now from `waiting` to `ready`.
    fn release(&mut self, complete: &dyn Fn(&u64) -> bool) -> Result<(), Failure> {
        let single = self.edges == 1;
        while let Some(entry) = self.waiting.first_entry() {
            if !single && !complete(entry.key()) {
                break;
            }
            let (time, mut waiting) = entry.remove_entry();
            // A stable sort: within an edge the order of arrival stays.
            waiting.rows.sort_by_key(|(edge, _)| *edge);
            for (_, rows) in waiting.rows {
                let broken = |message| {
                    Failure::of_batch(&self.stage, time, 0, Error::new("bad-message", message))
                };
                let expanded = rows.and_then(|rows| expand(rows).map_err(|e| e.to_string()));
                let rows = expanded.map_err(broken)?;
                if let Some(capability) = &waiting.capability {
                    self.ready.push_back((capability.clone(), rows));
                }
            }
        }
        Ok(())
    }

    fn process(&mut self, time: u64, rows: &RecordBatch) -> Result<Vec<RecordBatch>, Failure> {
        let started = Instant::now();
        let outputs = apply::process(&self.stage, &mut self.instance, time, rows);
        self.tally.add(rows.num_rows(), started.elapsed());
        let failed = |e| Failure::of_batch(&self.stage, time, rows.num_rows(), e);
        Ok(outputs.map_err(failed)?.batches)
    }

    /// Drops what was held, so that the dataflow can end.
    fn abandon(&mut self) {
        self.waiting.clear();
        self.ready.clear();
        self.to_flush.clear();
    }
}
