//! A stage as a timely operator, on the worker the plan says: one batch a scheduling, or as
//! many small ones as fit into a moment.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{Array, ArrayRef, RecordBatch};
use timely::container::NoopBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::apply;
use super::failure::batch_failed;
use super::inbox::{Arrived, Edge, Inbox, Inputs, Rows};
use super::parcel::{Parcel, Part, send};
use super::shared::Shared;
use super::tally::Tally;
use crate::diagnostic::Diagnostic;
use crate::graph::{Plan, Stage};
use crate::plugins::{Given, Instance};

/// A scheduling in which so much time has passed ends: what a stage gives is to reach the next
/// worker while it works on.
pub const SLICE: Duration = Duration::from_micros(200);

/// What runs when the operator is scheduled.
struct Runner {
    stage: Stage,
    instance: Instance,
    tally: Tally,
    inbox: Inbox<Capability<u64>>,
    /// Whether batches wait until their time is complete, so that their order is always the
    /// same.
    ordered: bool,
    /// How the parts are numbered that it gives.
    numbering: Numbering,
    /// By time, what may be processed now.
    ready: BTreeMap<u64, (Capability<u64>, VecDeque<Arrived>)>,
    /// Times whose batches were all processed, to be flushed when they are complete.
    to_flush: BTreeMap<u64, Capability<u64>>,
}

/// What the rows themselves take, whatever the buffers hold besides.
fn bytes_of(rows: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(0);
    rows.columns().iter().map(bytes).sum()
}

/// How the parts that a stage gives follow from those that it was given.
enum Numbering {
    /// From each part those that it gives, with the number of the edge where there are several.
    Of { edges: usize },
    /// One after another: how many there were so far, by time.
    Counted(BTreeMap<u64, u32>),
}

impl Numbering {
    /// Numbers what one part at `time` gave.
    fn number(&mut self, time: u64, from: &Arrived, batches: Vec<RecordBatch>) -> Vec<Part> {
        let Numbering::Of { edges } = self else {
            return self.count(time, batches);
        };
        // As many edges as a graph file has.
        let edge = (*edges > 1).then_some(from.edge as u32);
        let base: Vec<u32> = edge.into_iter().chain(from.part.iter().copied()).collect();
        let several = batches.len() > 1;
        let numbered = (0..).zip(batches).map(|(number, rows)| {
            let mut part = base.clone();
            part.extend(several.then_some(number));
            (part, rows)
        });
        numbered.collect()
    }

    /// Numbers what comes behind all parts so far of `time`.
    fn count(&mut self, time: u64, batches: Vec<RecordBatch>) -> Vec<Part> {
        let mut none = BTreeMap::new();
        let counts = match self {
            Numbering::Counted(counts) => counts,
            Numbering::Of { .. } => &mut none,
        };
        let count = counts.entry(time).or_default();
        let number = |rows| {
            let part = vec![*count];
            *count += 1;
            (part, rows)
        };
        batches.into_iter().map(number).collect()
    }

    /// Nothing comes at `time` any more.
    fn close(&mut self, time: u64) {
        if let Numbering::Counted(counts) = self {
            counts.remove(&time);
        }
    }
}

/// Adds stage number `index` of `plan` to the dataflow. `instance` is there only on
/// the workers that run it; `scattered` says whether what reaches it may come in another
/// order than that of its parts.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    plan: &Arc<Plan>,
    index: usize,
    edges: Vec<Edge<'scope>>,
    (scattered, instance): (bool, Option<(Instance, Tally)>),
    shared: &Arc<Shared>,
) -> Rows<'scope> {
    let stage = plan.graph.stages[index].clone();
    let mut builder = OperatorBuilder::new(stage.name.clone(), scope);
    let mut inputs = Inputs::connect(&mut builder, plan, index, edges);
    let (output, rows) = builder.new_output_connection::<Parcel, _>(inputs.connections());
    let mut output = OutputBuilder::<u64, NoopBuilder<Parcel>>::from(output);
    let again = scope.activator_for(Rc::clone(&builder.operator_info().address));
    let shared = Arc::clone(shared);
    let edges = inputs.of_times();
    let deals = stage.deals_parts();
    let mut runner = instance.map(|(instance, tally)| Runner {
        stage,
        instance,
        tally,
        inbox: Inbox::default(),
        ordered: edges > 1 || (scattered && !deals),
        numbering: if deals {
            Numbering::Of { edges }
        } else {
            Numbering::Counted(BTreeMap::new())
        },
        ready: BTreeMap::new(),
        to_flush: BTreeMap::new(),
    });
    builder.build(move |capabilities| {
        drop(capabilities);
        move |frontiers| {
            let Some(runner) = &mut runner else {
                return inputs.discard();
            };
            (runner.inbox).take(&mut inputs, |capability| capability.retain_least(0));
            if shared.stopped() {
                return runner.abandon();
            }
            if inputs.side_open(frontiers) {
                return;
            }
            let (complete, started) = (inputs.first(frontiers), Instant::now());
            loop {
                match runner.step(complete) {
                    Ok(Some((capability, outputs))) => {
                        if let Some(capability) = capability {
                            send(&mut output, &capability, outputs);
                        }
                    }
                    Ok(None) => return,
                    Err(failure) => {
                        shared.fail(failure);
                        return runner.abandon();
                    }
                }
                if started.elapsed() > SLICE {
                    return again.activate();
                }
            }
        }
    });
    rows
}

/// What one scheduling gave, at the time of the capability; `None` where there was nothing
/// to do.
type Step = Option<(Option<Capability<u64>>, Vec<Part>)>;

impl Runner {
    /// Takes one batch of a side input, or flushes one time, or processes one batch. Flushing
    /// comes before processing: until a time is flushed nothing downstream can complete it,
    /// and the window stays full. All times before `complete` are complete.
    fn step(&mut self, complete: u64) -> Result<Step, Diagnostic> {
        if let Some((time, batch)) = self.inbox.next_of_side() {
            self.process(time, batch)?;
            return Ok(Some((None, Vec::new())));
        }
        self.release(complete);
        let next_ready = self.ready.keys().next().copied();
        let due = |time: &u64| *time < complete && next_ready.is_none_or(|next| next > *time);
        if let Some(entry) = self.to_flush.first_entry().filter(|entry| due(entry.key())) {
            let (time, capability) = entry.remove_entry();
            let outputs = self.flush(time)?;
            return Ok(Some((Some(capability), outputs)));
        }
        let Some(mut first) = self.ready.first_entry() else {
            return Ok(None);
        };
        let time = *first.key();
        let (capability, batches) = first.get_mut();
        let (capability, batch) = (capability.clone(), batches.pop_front());
        let last_of_time = batches.is_empty();
        if last_of_time {
            first.remove();
        }
        let mut outputs = match batch {
            Some(batch) => self.process(time, batch)?,
            None => Vec::new(),
        };
        if last_of_time && time < complete {
            self.to_flush.remove(&time);
            outputs.extend(self.flush(time)?);
        } else if last_of_time {
            self.to_flush.insert(time, capability.clone());
        }
        Ok(Some((Some(capability), outputs)))
    }

    fn flush(&mut self, time: u64) -> Result<Vec<Part>, Diagnostic> {
        let started = Instant::now();
        let outputs = apply::flush(&self.stage, &mut self.instance, time);
        self.tally.add_time(started.elapsed());
        let given = outputs.map_err(|e| batch_failed(&self.stage, time, 0, e))?;
        self.goes_on(time, &given)?;
        let parts = self.numbering.count(time, given.batches);
        self.numbering.close(time);
        Ok(parts)
    }

    /// Moves what may be processed now to `ready`.
    fn release(&mut self, complete: u64) {
        loop {
            let next = if self.ordered {
                self.inbox.next_complete(complete)
            } else {
                self.inbox.next_arrived()
            };
            let Some((time, waiting)) = next else { return };
            if let Some(open) = waiting.open {
                let ready = self.ready.entry(time);
                let (_, batches) = ready.or_insert_with(|| (open, VecDeque::new()));
                batches.extend(waiting.arrived);
            }
        }
    }

    fn process(&mut self, time: u64, mut batch: Arrived) -> Result<Vec<Part>, Diagnostic> {
        let broken = |e| batch_failed(&self.stage, time, 0, e);
        let rows = batch.rows().map_err(broken)?;
        let started = Instant::now();
        let origin = batch.origin(time);
        let outputs = apply::process(&self.stage, &mut self.instance, &origin, &rows);
        self.tally.add(rows.num_rows(), started.elapsed());
        let failed = |e| batch_failed(&self.stage, time, rows.num_rows(), e);
        let given = outputs.map_err(failed)?;
        let sent = given.batches.iter().map(bytes_of).sum();
        self.tally.add_bytes(bytes_of(&rows), sent);
        self.goes_on(time, &given)?;
        Ok(self.numbering.number(time, &batch, given.batches))
    }

    /// A stage without state cannot end itself: its replicas would each end elsewhere.
    fn goes_on(&self, time: u64, given: &Given) -> Result<(), Diagnostic> {
        if !given.done {
            return Ok(());
        }
        let message = "it says that it needs no more, but keeps no state";
        let error = Diagnostic::new("bad-plugin", message);
        Err(batch_failed(&self.stage, time, 0, error))
    }

    /// Drops what was held, so that the dataflow can end.
    fn abandon(&mut self) {
        self.inbox.clear();
        self.ready.clear();
        self.to_flush.clear();
    }
}
