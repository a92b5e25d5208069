//! A stage that keeps state, as a timely operator: one instance, every batch in order of
//! time, and nothing committed before the stage says that it would survive a crash.
//!
//! Two outputs tell the two things apart. The rows' output holds its capability from the
//! stage's last save on, so that sinks behind it complete no time earlier. The second
//! output carries nothing, and passes each time on as soon as it is processed: sources
//! watch that one, so that the window does not fill up.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use segue_plugin::{Error, Next};
use timely::container::NoopBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::{Capability, Probe as _};
use timely::progress::frontier::MutableAntichain;

use super::apply;
use super::parcel::{Parcel, route_to, send};
use super::shared::{Failure, Shared};
use super::stage::{Edge, Rows};
use super::tally::Tally;
use super::wire::expand;
use crate::graph::{Plan, Stage};
use crate::plugins::{Given, Instance};

/// Batches of one time, in the order of edges and of arrival.
#[derive(Default)]
struct Waiting {
    /// Keeps the time open for the window until its batches are processed.
    open: Option<Capability<u64>>,
    rows: VecDeque<(usize, Result<RecordBatch, String>)>,
}

struct Keeper {
    stage: Stage,
    instance: Instance,
    tally: Tally,
    waiting: BTreeMap<u64, Waiting>,
    /// The time under way, with what of it is still to be processed.
    current: Option<(u64, Waiting)>,
    /// On the rows' output, at the first time that is not saved; `None` at the end.
    held: Option<Capability<u64>>,
    /// The last time that was processed.
    last: u64,
}

/// What one scheduling gave: batches, and their time.
type Step = Option<(Capability<u64>, Vec<RecordBatch>)>;

/// Adds stage number `index` of `plan` to the dataflow. `instance` is there only on the
/// one worker that runs it; `window` sees every time that it has processed.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    plan: &Arc<Plan>,
    index: usize,
    edges: Vec<Edge<'scope>>,
    instance: Option<(Instance, Tally)>,
    window: &Probe<u64>,
    shared: &Arc<Shared>,
) -> Rows<'scope> {
    let stage = plan.graph.stages[index].clone();
    let mut builder = OperatorBuilder::new(stage.name.clone(), scope);
    let mut inputs = Vec::new();
    for edge in edges {
        let (plan, late) = (Arc::clone(plan), u64::from(edge.looped));
        let route = route_to(Arc::new(move |time| plan.worker(index, time + late)));
        inputs.push(builder.new_input(edge.rows, route));
    }
    let (output, rows) = builder.new_output::<Parcel>();
    let mut output = OutputBuilder::<u64, NoopBuilder<Parcel>>::from(output);
    let (_processed, processed) = builder.new_output::<Vec<()>>();
    processed.probe_with(window);
    let again = scope.activator_for(Rc::clone(&builder.operator_info().address));
    let shared = Arc::clone(shared);
    builder.build(move |mut capabilities| {
        capabilities.truncate(1);
        let mut keeper = instance.map(|(mut instance, tally)| {
            let (shared, name) = (Arc::clone(&shared), stage.name.clone());
            instance.listen(Box::new(move |line| shared.progress.note(&name, &line)));
            Keeper {
                stage,
                instance,
                tally,
                waiting: BTreeMap::new(),
                current: None,
                held: capabilities.pop(),
                last: 0,
            }
        });
        drop(capabilities);
        move |frontiers| {
            for (edge, input) in inputs.iter_mut().enumerate() {
                input.for_each(|capability, parcel| {
                    let arrived = std::mem::take(parcel);
                    if let (Some(keeper), Some(open), Some(rows)) =
                        (&mut keeper, capability.retain_least(1), arrived.rows)
                    {
                        let waiting = keeper.waiting.entry(*open.time()).or_default();
                        waiting.open = Some(open);
                        waiting.rows.push_back((edge, rows));
                    }
                });
            }
            let Some(keeper) = &mut keeper else { return };
            if shared.stopped() {
                return keeper.abandon();
            }
            match keeper.step(frontiers) {
                Ok(Some((capability, outputs))) => {
                    send(&mut output, &capability, outputs);
                    again.activate();
                }
                Ok(None) => {}
                Err(failure) => {
                    shared.fail(failure);
                    keeper.abandon();
                }
            }
        }
    });
    rows
}

impl Keeper {
    /// Processes one batch, or the end of a time, or a part of the stage's own end.
    fn step(&mut self, frontiers: &[MutableAntichain<u64>]) -> Result<Step, Failure> {
        let complete = |time: &u64| !frontiers.iter().any(|frontier| frontier.less_equal(time));
        if self.current.is_none() {
            let next = self.waiting.first_entry().filter(|e| complete(e.key()));
            if let Some((time, mut waiting)) = next.map(|entry| entry.remove_entry()) {
                // A stable sort: within an edge the order of arrival stays.
                waiting
                    .rows
                    .make_contiguous()
                    .sort_by_key(|(edge, _)| *edge);
                self.current = Some((time, waiting));
            }
        }
        if let Some((time, mut waiting)) = self.current.take() {
            let mut given = match waiting.rows.pop_front() {
                Some((_, next)) => self.process(time, next)?,
                None => Given::default(),
            };
            if waiting.rows.is_empty() {
                self.last = time;
                let flushed = self.flush(time)?;
                given.batches.extend(flushed.batches);
                given.saved |= flushed.saved;
            } else {
                self.current = Some((time, waiting));
            }
            return Ok(self.give(time, given));
        }
        let ended = frontiers.iter().all(MutableAntichain::is_empty);
        match ended && self.waiting.is_empty() && self.held.is_some() {
            true => self.finish(),
            false => Ok(None),
        }
    }

    /// What was given goes out at `time`; if all is saved, what is held moves on.
    fn give(&mut self, time: u64, given: Given) -> Step {
        let held = self.held.as_mut()?;
        let capability = held.delayed(&time.max(*held.time()));
        if given.saved {
            // With batches of this time still to come it is not saved yet.
            let saved = if self.current.is_some() {
                time
            } else {
                time + 1
            };
            held.downgrade(&saved.max(*held.time()));
        }
        Some((capability, given.batches))
    }

    fn finish(&mut self) -> Result<Step, Failure> {
        let started = Instant::now();
        let ended = apply::finish(&self.stage, &mut self.instance);
        self.tally.add_time(started.elapsed());
        let failed = |e| Failure::of_stage(&self.stage, "at its end", e);
        let (batches, next) = ended.map_err(failed)?;
        let Some(held) = &self.held else {
            return Ok(None);
        };
        let capability = held.delayed(&self.last.max(*held.time()));
        if next == Next::Done {
            self.held = None;
        }
        Ok(Some((capability, batches)))
    }

    fn process(&mut self, time: u64, rows: Result<RecordBatch, String>) -> Result<Given, Failure> {
        let expanded = rows.and_then(|rows| expand(rows).map_err(|e| e.to_string()));
        let broken = |message| Error::new("bad-message", message);
        let rows = expanded.map_err(|e| Failure::of_stage(&self.stage, "to read", broken(e)))?;
        self.timed(time, rows.num_rows(), |keeper| {
            apply::process(&keeper.stage, &mut keeper.instance, time, &rows)
        })
    }

    fn flush(&mut self, time: u64) -> Result<Given, Failure> {
        self.timed(time, 0, |keeper| {
            apply::flush(&keeper.stage, &mut keeper.instance, time)
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
        (self.current, self.held) = (None, None);
    }
}
