//! What has reached an operator and waits for its turn: the one place where parcels are
//! routed, gathered and put in order, for stages and sinks alike.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow_array::RecordBatch;
use segue_plugin::ffi::Origin;
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{ParallelizationContract, Pipeline};
use timely::dataflow::operators::InputCapability;
use timely::dataflow::operators::generic::InputHandleCore;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

use super::ledger::{connected, unconnected};
use super::parcel::{Parcel, Route, Routed};
use super::wire::expand;
use crate::diagnostic::Diagnostic;
use crate::graph::Plan;

/// The parcels of an edge.
pub type Rows<'scope> = Stream<'scope, u64, Parcel>;

/// What reaches a stage.
pub struct Edge<'scope> {
    /// The rows.
    pub rows: Rows<'scope>,
    /// Whether their own time is one less than the one they arrive at, round a loop.
    pub looped: bool,
    /// The input port.
    pub port: usize,
}

/// One input of an operator.
pub type Input =
    InputHandleCore<u64, Parcel, <Routed as ParallelizationContract<u64, Parcel>>::Puller>;

/// The inputs of an operator, and what to know of each.
pub struct Inputs {
    handles: Vec<Input>,
    kinds: Vec<Kind>,
}

/// What to know of an edge.
#[derive(Clone, Copy, Debug)]
struct Kind {
    port: usize,
    /// Whether it is a side input.
    whole: bool,
}

impl Inputs {
    /// Adds `edges` to `builder`, as inputs of stage number `index` of `plan`.
    pub fn connect<'scope>(
        builder: &mut OperatorBuilder<'scope, u64>,
        plan: &Arc<Plan>,
        index: usize,
        edges: Vec<Edge<'scope>>,
    ) -> Self {
        let stage = &plan.graph.stages[index];
        let mut inputs = Inputs {
            handles: Vec::new(),
            kinds: Vec::new(),
        };
        for edge in edges {
            let whole = stage.is_whole(edge.port);
            let (rows, route) = if whole {
                let copies = copies(edge.rows, plan.workers_of(index));
                let first = |part: &[u32]| part.first().map_or(0, |&worker| worker as usize);
                (copies, Route::new(move |_, part| first(part)))
            } else {
                let (plan, late) = (Arc::clone(plan), u64::from(edge.looped));
                let route = move |time: u64, part: &[u32]| {
                    plan.worker_of_part(index, time.wrapping_add(late), part)
                };
                (edge.rows, Route::new(route))
            };
            let port = edge.port;
            inputs.kinds.push(Kind { port, whole });
            inputs.handles.push(builder.new_input(rows, route.pact()));
        }
        inputs
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// For each, whether what comes by it may lead to rows at the same time.
    pub fn connections(&self) -> Vec<(usize, timely::progress::Antichain<u64>)> {
        let summary = |kind: &Kind| {
            if kind.whole {
                unconnected()
            } else {
                connected()
            }
        };
        self.kinds.iter().map(summary).enumerate().collect()
    }

    /// Takes off what has come, on a worker that has no use for it.
    pub fn discard(&mut self) {
        self.handles
            .iter_mut()
            .for_each(|input| input.for_each(|_, _| {}));
    }

    /// How many there are that are not side inputs.
    pub fn of_times(&self) -> usize {
        self.kinds.iter().filter(|kind| !kind.whole).count()
    }

    /// Whether there is a side input from which rows may still come: then nothing else is
    /// worked on.
    pub fn side_open(&self, frontiers: &[MutableAntichain<u64>]) -> bool {
        let mut all = self.kinds.iter().zip(frontiers);
        all.any(|(kind, frontier)| kind.whole && !frontier.is_empty())
    }

    /// The first time at which rows may still come by an edge that is not a side input.
    pub fn first(&self, frontiers: &[MutableAntichain<u64>]) -> u64 {
        let all = self.kinds.iter().zip(frontiers);
        let each = all
            .filter(|(kind, _)| !kind.whole)
            .filter_map(|(_, frontier)| frontier.frontier().first().copied());
        each.min().unwrap_or(u64::MAX)
    }
}

/// Each parcel once for each of `workers`, whose number stands before that of its part.
fn copies<'scope>(rows: Rows<'scope>, workers: Vec<usize>) -> Rows<'scope> {
    rows.unary::<NoopBuilder<Parcel>, _, _, _>(Pipeline, "copies", |_, _| {
        move |input, output| {
            input.for_each(|capability, parcel| {
                let whole = std::mem::take(parcel);
                let (Some(capability), Some(rows)) = (capability.retain_least(0), whole.rows)
                else {
                    return;
                };
                let mut session = output.session_with_builder(&capability);
                for &worker in &workers {
                    // There are not so many workers.
                    let part = [&[worker as u32], whole.part.as_slice()].concat();
                    session.give_container(&mut Parcel::of(whole.time, part, rows.clone()));
                }
            });
        }
    })
}

/// A batch that has arrived.
#[derive(Debug)]
pub struct Arrived {
    /// The edge it came by, in the order of `from`, then of `loop`.
    pub edge: usize,
    /// The input port.
    pub port: usize,
    /// Which part of its time it is.
    pub part: Vec<u32>,
    rows: Result<RecordBatch, String>,
}

impl Arrived {
    /// Where it comes from, as a plugin is told.
    pub fn origin(&self, time: u64) -> Origin {
        Origin {
            time,
            // As many ports as a graph file has edges.
            port: self.port as u32,
            reserved: 0,
        }
    }

    /// Its rows, as they were before the wire.
    ///
    /// # Errors
    /// `bad-message`
    pub fn rows(&mut self) -> Result<RecordBatch, Diagnostic> {
        let taken = Err("its rows were taken".to_owned());
        let rows = std::mem::replace(&mut self.rows, taken);
        let expanded = rows.and_then(|rows| expand(rows).map_err(|e| e.to_string()));
        expanded.map_err(|message| Diagnostic::new("bad-message", message))
    }
}

/// What waits for its turn; `C` is what holds a time open meanwhile.
pub struct Inbox<C> {
    waiting: BTreeMap<u64, Waiting<C>>,
    /// What came by side inputs, each with its time; in order once all have ended.
    side: VecDeque<(u64, Arrived)>,
    side_sorted: bool,
}

/// Batches of one time.
pub struct Waiting<C> {
    /// Holds the time open.
    pub open: Option<C>,
    /// In the order of edges and parts once the time is complete; before, of arrival.
    pub arrived: VecDeque<Arrived>,
}

impl<C> Default for Inbox<C> {
    fn default() -> Self {
        Inbox {
            waiting: BTreeMap::new(),
            side: VecDeque::new(),
            side_sorted: false,
        }
    }
}

impl<C> Inbox<C> {
    /// Takes in what has come; `hold` holds its time open.
    pub fn take(&mut self, inputs: &mut Inputs, hold: impl Fn(&InputCapability<u64>) -> Option<C>) {
        let edges = inputs.handles.iter_mut().zip(&inputs.kinds).enumerate();
        for (edge, (input, kind)) in edges {
            input.for_each(|capability, parcel| {
                let Parcel {
                    time, part, rows, ..
                } = std::mem::take(parcel);
                let Some(rows) = rows else { return };
                let arrived = Arrived {
                    edge,
                    port: kind.port,
                    part,
                    rows,
                };
                if kind.whole {
                    // Its first number was the worker's.
                    let part = arrived.part.get(1..).unwrap_or_default().to_vec();
                    let arrived = Arrived { part, ..arrived };
                    self.side.push_back((time, arrived));
                    return;
                }
                let (Some(open), Some(at)) = (hold(&capability), capability.least().copied())
                else {
                    return;
                };
                let waiting = self.waiting.entry(at).or_insert(Waiting {
                    open: None,
                    arrived: VecDeque::new(),
                });
                waiting.open = Some(open);
                waiting.arrived.push_back(arrived);
            });
        }
    }

    /// The next batch of a side input, once all have ended, in the order of edges, times and
    /// parts.
    pub fn next_of_side(&mut self) -> Option<(u64, Arrived)> {
        if !self.side_sorted {
            let all = self.side.make_contiguous();
            all.sort_by(|(a_time, a), (b_time, b)| {
                (a.edge, a_time, &a.part).cmp(&(b.edge, b_time, &b.part))
            });
            self.side_sorted = true;
        }
        self.side.pop_front()
    }

    /// The first time that waits.
    pub fn first_time(&self) -> Option<u64> {
        self.waiting.keys().next().copied()
    }

    /// Takes what waits of the first time, if that is before `complete`: in the order of
    /// edges and parts.
    pub fn next_complete(&mut self, complete: u64) -> Option<(u64, Waiting<C>)> {
        let entry = self.waiting.first_entry()?;
        if *entry.key() >= complete {
            return None;
        }
        let (time, mut waiting) = entry.remove_entry();
        // A stable sort: what one worker sends of one part stays in its order.
        let all = waiting.arrived.make_contiguous();
        all.sort_by(|a, b| (a.edge, &a.part).cmp(&(b.edge, &b.part)));
        Some((time, waiting))
    }

    /// Takes what waits of the first time, in the order of arrival.
    pub fn next_arrived(&mut self) -> Option<(u64, Waiting<C>)> {
        self.waiting.pop_first()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.side.clear();
    }
}
