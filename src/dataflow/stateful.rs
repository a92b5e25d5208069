//! A stage that keeps state, as a timely operator: one instance, every batch in order of
//! time. What it gives goes on at once; the committer seals nothing that the stage could
//! not go on behind.
//!
//! A stage that gives its state to the host is asked for it between two times. One that
//! saves itself says up to which time it has. What a stage gives at its own end goes out by
//! a second output, at a time behind all others, that no loop leads back from: so a loop
//! ends when nothing goes round it any more.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use segue_plugin::Next;
use timely::container::{CapacityContainerBuilder, NoopBuilder};
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::apply;
use super::failure::{batch_failed, stage_failed};
use super::inbox::{Arrived, Edge, Inbox, Inputs, Rows, Waiting};
use super::ledger::{Cuts, END, Tells, Told, end_time, first, pieces, unconnected};
use super::parcel::{Parcel, Part, send};
use super::shared::Shared;
use super::stage::SLICE;
use super::tally::Tally;
use crate::diagnostic::Diagnostic;
use crate::graph::{Plan, Stage};
use crate::plugins::{Given, Instance};

/// The outputs: rows, rows at the end, and what is told to the committer.
const ROWS: usize = 0;
const TOLD: usize = 2;

struct Stateful {
    stage: Stage,
    instance: Instance,
    tally: Tally,
    inbox: Inbox<Open>,
    /// For its first batches, where it starts; `None` afterwards.
    start: Option<Capability<u64>>,
    /// The time under way, with what of it is still to be processed, and how many parts it
    /// gave so far.
    current: Option<(u64, Waiting<Open>, u32)>,
    /// Times behind which the host wants its state.
    wanted: BTreeMap<u64, Capability<u64>>,
    /// For what it gives at its end, and for what it then tells; `None` afterwards.
    end: Option<Capability<u64>>,
    /// How many parts it gave at its start, which are of time 0.
    begun: u32,
    /// How many parts it gave at its end so far.
    given_at_end: u32,
    /// Up to which time it has saved, as it said last.
    saved: Option<u64>,
    /// Set once it has said that it needs no more: its state then, where it gives any.
    ended: Option<Ended>,
}

/// Holds a time open for rows, and for what is told.
type Open = (Capability<u64>, Capability<u64>);

/// A stage that needs no more input.
struct Ended {
    state: Option<Vec<u8>>,
}

/// How a stage goes on that was there before.
pub enum Begins {
    /// It is new, and starts by itself if it is of that kind.
    Fresh,
    /// It has its state back.
    Resumed,
    /// It has its state back, which is this if it gave any, and needs no more input.
    Ended(Option<Vec<u8>>),
}

/// What one scheduling gave.
#[derive(Default)]
struct Step {
    rows: Option<(Capability<u64>, Vec<Part>)>,
    at_end: Option<(Capability<u64>, Vec<Part>)>,
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
/// one worker that runs it; it `begins` as told.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    plan: &Arc<Plan>,
    index: usize,
    edges: Vec<Edge<'scope>>,
    cuts: Cuts<'scope>,
    (instance, begins): (Option<(Instance, Tally)>, Begins),
    shared: &Arc<Shared>,
) -> Built<'scope> {
    let stage = plan.graph.stages[index].clone();
    let mut builder = OperatorBuilder::new(stage.name.clone(), scope);
    let mut inputs = Inputs::connect(&mut builder, plan, index, edges);
    let edge_count = inputs.len();
    let worker = plan.worker(index, 0) as u64;
    let route = Exchange::new(move |_: &u64| worker);
    let mut cuts = builder.new_input(cuts, route);
    let mut from_edges = inputs.connections();
    from_edges.push((edge_count, unconnected()));
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
        let starts = stage.operator.manifest.starts;
        let mut stateful = instance.map(|(mut instance, tally)| {
            let (shared, name) = (Arc::clone(&shared), stage.name.clone());
            instance.listen(Box::new(move |line| shared.progress.note(&name, &line)));
            let mut end = capabilities.pop();
            end.iter_mut()
                .for_each(|end| end.downgrade(&end_time(index)));
            let fresh = matches!(begins, Begins::Fresh);
            Stateful {
                stage,
                instance,
                tally,
                inbox: Inbox::default(),
                start: capabilities.pop().filter(|_| starts && fresh),
                current: None,
                wanted: BTreeMap::new(),
                end,
                begun: 0,
                given_at_end: 0,
                saved: None,
                ended: match begins {
                    Begins::Fresh | Begins::Resumed => None,
                    Begins::Ended(state) => Some(Ended { state }),
                },
            }
        });
        drop(capabilities);
        move |frontiers| {
            match &mut stateful {
                Some(stateful) if stateful.ended.is_none() => {
                    let inbox = &mut stateful.inbox;
                    inbox.take(&mut inputs, |capability| {
                        let open = capability.retain_least(ROWS);
                        open.zip(capability.retain_least(TOLD))
                    });
                }
                _ => inputs.discard(),
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
            if inputs.side_open(of_rows) {
                return;
            }
            let (complete, decided) = (inputs.first(of_rows), first(of_cuts));
            let started = Instant::now();
            loop {
                match stateful.step(complete, decided) {
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
                    }
                    Ok(None) => return,
                    Err(failure) => {
                        shared.fail(failure);
                        return stateful.abandon();
                    }
                }
                if started.elapsed() > SLICE {
                    return again.activate();
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
    /// All times before `complete` have come, and all cuts before `decided`.
    fn step(&mut self, complete: u64, decided: u64) -> Result<Option<Step>, Diagnostic> {
        if let Some((time, batch)) = self.inbox.next_of_side() {
            let given = self.process(time, batch)?;
            if given.done || given.saved {
                let message = "it is done, or has saved, within a side input";
                let error = Diagnostic::new("bad-plugin", message);
                return Err(batch_failed(&self.stage, time, 0, error));
            }
            return Ok(Some(Step::default()));
        }
        if let Some(open) = self.start.take() {
            return self.begin(open).map(Some);
        }
        if let Some((time, waiting, count)) = self.current.take() {
            return self.go_on(time, waiting, count).map(Some);
        }
        let next = self.inbox.first_time();
        let cut = self.wanted.keys().next().copied();
        let known = |cut: u64| cut < complete && next.is_none_or(|next| next > cut);
        if let Some(cut) = cut.filter(|cut| self.ended.is_some() || known(*cut)) {
            return self.snapshot(cut).map(Some);
        }
        // No earlier time can be asked for any more, and none that was is open.
        let free = |time: u64| time <= decided && cut.is_none_or(|cut| cut >= time);
        if next.is_some_and(free)
            && let Some((time, waiting)) = self.inbox.next_complete(complete)
        {
            let count = if time == 0 { self.begun } else { 0 };
            return self.go_on(time, waiting, count).map(Some);
        }
        let over = complete == u64::MAX && next.is_none() && cut.is_none();
        if (over || self.ended.is_some()) && self.end.is_some() {
            self.finish().map(Some)
        } else {
            Ok(None)
        }
    }

    fn begin(&mut self, open: Capability<u64>) -> Result<Step, Diagnostic> {
        let started = Instant::now();
        let given = apply::begin(&self.stage, &mut self.instance);
        self.tally.add_time(started.elapsed());
        let given = given.map_err(|e| stage_failed(&self.stage, "at its start", e))?;
        if given.done {
            let message = "it says that it needs no more before it was given anything";
            let error = Diagnostic::new("bad-plugin", message);
            return Err(stage_failed(&self.stage, "at its start", error));
        }
        let parts = numbered(&mut self.begun, given.batches);
        Ok(Step {
            rows: Some((open, parts)),
            ..Step::default()
        })
    }

    /// One batch of `time`; with the last, the end of the time. `count` parts were given of
    /// it before.
    fn go_on(
        &mut self,
        time: u64,
        mut waiting: Waiting<Open>,
        mut count: u32,
    ) -> Result<Step, Diagnostic> {
        let mut given = match waiting.arrived.pop_front() {
            Some(next) => self.process(time, next)?,
            None => Given::default(),
        };
        if given.done {
            waiting.arrived.clear();
        }
        let whole = waiting.arrived.is_empty();
        if whole && !given.done {
            let flushed = self.flush(time)?;
            given.batches.extend(flushed.batches);
            given.saved |= flushed.saved;
            given.done |= flushed.done;
        }
        if given.saved {
            // With batches of this time still to come only those before are saved.
            self.saved = if whole {
                Some(time)
            } else {
                time.checked_sub(1)
            };
        }
        let saved = self.saved.filter(|saved| given.saved && *saved < END);
        let saved = saved.map(|saved| Told::Saved(self.stage.name.clone(), saved));
        let mut tells: Vec<Told> = saved.into_iter().collect();
        if given.done {
            tells.extend(self.enough(time)?);
        }
        let parts = numbered(&mut count, given.batches);
        let Some((rows, tell)) = waiting.open.clone() else {
            return Ok(Step::default());
        };
        if !whole {
            self.current = Some((time, waiting, count));
        }
        Ok(Step {
            rows: Some((rows, parts)),
            told: (!tells.is_empty()).then_some((tell, tells)),
            at_end: None,
        })
    }

    /// It needs no more than what it was given up to `time`.
    fn enough(&mut self, time: u64) -> Result<Vec<Told>, Diagnostic> {
        self.inbox.clear();
        let state = if self.stage.columns.snapshots {
            Some(self.state()?)
        } else {
            None
        };
        self.ended = Some(Ended { state });
        let name = || self.stage.name.clone();
        let ended = Told::Ended(name(), time);
        // Whatever comes now it can go on behind, if it has saved what it has.
        let all = !self.stage.columns.snapshots && self.saved == Some(time);
        let saved = all.then(|| Told::Saved(name(), END - 1));
        Ok([ended].into_iter().chain(saved).collect())
    }

    /// Its state behind `time`.
    fn snapshot(&mut self, time: u64) -> Result<Step, Diagnostic> {
        let open = self.wanted.remove(&time);
        if !self.stage.columns.snapshots {
            return Ok(Step::default());
        }
        let state = match &self.ended {
            Some(ended) => ended.state.clone().unwrap_or_default(),
            None => self.state()?,
        };
        let told = pieces(&self.stage.name, time, &state);
        Ok(Step {
            told: open.map(|open| (open, told)),
            ..Step::default()
        })
    }

    fn state(&mut self) -> Result<Vec<u8>, Diagnostic> {
        let started = Instant::now();
        let state = self.instance.snapshot();
        self.tally.add_time(started.elapsed());
        state.map_err(|e| stage_failed(&self.stage, "to give its state", e))
    }

    fn finish(&mut self) -> Result<Step, Diagnostic> {
        let started = Instant::now();
        let ended = apply::finish(&self.stage, &mut self.instance);
        self.tally.add_time(started.elapsed());
        let failed = |e| stage_failed(&self.stage, "at its end", e);
        let (batches, next) = ended.map_err(failed)?;
        let parts = numbered(&mut self.given_at_end, batches);
        let at_end = self.end.clone().map(|end| (end, parts));
        if next == Next::Done {
            self.end = None;
        }
        Ok(Step {
            at_end,
            ..Step::default()
        })
    }

    fn process(&mut self, time: u64, mut batch: Arrived) -> Result<Given, Diagnostic> {
        let failed = |e| stage_failed(&self.stage, "to read", e);
        let rows = batch.rows().map_err(failed)?;
        let origin = batch.origin(time);
        self.timed(time, rows.num_rows(), |stateful| {
            apply::process(&stateful.stage, &mut stateful.instance, &origin, &rows)
        })
    }

    fn flush(&mut self, time: u64) -> Result<Given, Diagnostic> {
        self.timed(time, 0, |stateful| {
            apply::flush(&stateful.stage, &mut stateful.instance, time)
        })
    }

    fn timed(
        &mut self,
        time: u64,
        rows: usize,
        work: impl FnOnce(&mut Self) -> Result<Given, Diagnostic>,
    ) -> Result<Given, Diagnostic> {
        let started = Instant::now();
        let given = work(self);
        match rows {
            0 => self.tally.add_time(started.elapsed()),
            _ => self.tally.add(rows, started.elapsed()),
        }
        given.map_err(|e| batch_failed(&self.stage, time, rows, e))
    }

    /// Drops what was held, so that the dataflow can end.
    fn abandon(&mut self) {
        self.inbox.clear();
        self.wanted.clear();
        (self.current, self.start, self.end) = (None, None, None);
    }
}

/// Numbers parts from `count` on.
fn numbered(count: &mut u32, batches: Vec<RecordBatch>) -> Vec<Part> {
    let number = |rows| {
        let part = vec![*count];
        *count += 1;
        (part, rows)
    };
    batches.into_iter().map(number).collect()
}
