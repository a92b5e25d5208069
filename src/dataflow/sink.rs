//! Sinks: times that are complete go to the committer, in order.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use arrow_array::RecordBatch;
use crossbeam_channel::Sender;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::{Capability, Probe as _};
use timely::progress::frontier::MutableAntichain;

use super::commit::ToCommit;
use super::parcel::route_to;
use super::shared::{Failure, Shared};
use super::source::{Mark, Marks};
use super::stage::Edge;
use super::wire::expand;
use crate::graph::Plan;

/// What a time holds for one sink.
#[derive(Default)]
struct Gathered {
    capability: Option<Capability<u64>>,
    rows: Vec<(usize, Result<RecordBatch, String>)>,
    marks: Vec<Mark>,
}

/// What reaches a sink.
pub struct Inputs<'scope> {
    /// Its rows.
    pub edges: Vec<Edge<'scope>>,
    /// How far each source is.
    pub marks: Vec<Marks<'scope>>,
    /// Whether a stage that keeps state is upstream. Then all that completes at once is
    /// committed at once: the times between two of the stage's saves belong together.
    pub behind_keeper: bool,
}

/// Adds the sink that is stage number `index` of `plan`. `committer` is there only on
/// the worker that runs it; `probes` see every time that it has handed over.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    plan: &Arc<Plan>,
    index: usize,
    inputs: Inputs<'scope>,
    committer: Option<(usize, Sender<ToCommit>)>,
    probes: &[&Probe<u64>],
    shared: &Arc<Shared>,
) {
    let name = plan.graph.stages[index].name.clone();
    let mut builder = OperatorBuilder::new(name, scope);
    let mut row_inputs = Vec::new();
    let behind_keeper = inputs.behind_keeper;
    let rows_count = inputs.edges.len();
    for edge in inputs.edges {
        let (plan, late) = (Arc::clone(plan), u64::from(edge.looped));
        let route = route_to(Arc::new(move |time| plan.worker(index, time + late)));
        row_inputs.push(builder.new_input(edge.rows, route));
    }
    let worker = plan.worker(index, 0) as u64;
    let mut mark_inputs = Vec::new();
    for stream in inputs.marks {
        let route = timely::dataflow::channels::pact::Exchange::new(move |_: &Mark| worker);
        mark_inputs.push(builder.new_input(stream, route));
    }
    let (_output, handed_over) = builder.new_output::<Vec<()>>();
    for probe in probes {
        handed_over.clone().probe_with(probe);
    }
    let again = scope.activator_for(Rc::clone(&builder.operator_info().address));
    let shared = Arc::clone(shared);
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut gathered = Unit::new();
        let mut committer = committer;
        move |frontiers| {
            for (edge, input) in row_inputs.iter_mut().enumerate() {
                input.for_each(|capability, parcel| {
                    let arrived = std::mem::take(parcel);
                    if let (Some(capability), Some(rows)) =
                        (capability.retain_least(0), arrived.rows)
                    {
                        let at = gathered.entry(*capability.time()).or_default();
                        at.capability = Some(capability);
                        at.rows.push((edge, rows));
                    }
                });
            }
            for input in &mut mark_inputs {
                input.for_each(|capability, arrived| {
                    if let Some(capability) = capability.retain_least(0) {
                        let at = gathered.entry(*capability.time()).or_default();
                        at.capability = Some(capability);
                        at.marks.append(arrived);
                    }
                });
            }
            let Some((sink, sender)) = &committer else {
                return;
            };
            if shared.stopped() {
                gathered.clear();
                committer = None;
                return;
            }
            let unit = match behind_keeper {
                true => take_unit(&mut gathered, frontiers.split_at(rows_count)),
                false => take_first(&mut gathered, frontiers),
            };
            if !unit.is_empty() {
                if let Err(failure) = hand_over(*sink, sender, unit) {
                    shared.fail(failure);
                }
                again.activate();
            } else if gathered.is_empty() && frontiers.iter().all(|frontier| frontier.is_empty()) {
                // The committer ends by itself when it fails, and has then said why.
                let _ = sender.send(ToCommit::End { sink: *sink });
                committer = None;
            }
        }
    });
}

type Unit = BTreeMap<u64, Gathered>;

/// The first time, if it is complete.
fn take_first(gathered: &mut Unit, frontiers: &[MutableAntichain<u64>]) -> Unit {
    let complete = |time: &u64| !frontiers.iter().any(|frontier| frontier.less_equal(time));
    let first = gathered.first_entry().filter(|e| complete(e.key()));
    first
        .map(|entry| entry.remove_entry())
        .into_iter()
        .collect()
}

/// All times before the first at which rows may still come, once the sources have passed
/// them too.
fn take_unit(
    gathered: &mut Unit,
    (rows, marks): (&[MutableAntichain<u64>], &[MutableAntichain<u64>]),
) -> Unit {
    let first = |frontier: &MutableAntichain<u64>| frontier.frontier().first().copied();
    let end = rows.iter().filter_map(first).min();
    let behind = |mark: u64| end.is_none_or(|end| mark < end);
    if marks.iter().filter_map(first).any(behind) {
        return Unit::new();
    }
    let rest = end.map(|end| gathered.split_off(&end)).unwrap_or_default();
    std::mem::replace(gathered, rest)
}

fn hand_over(sink: usize, sender: &Sender<ToCommit>, unit: Unit) -> Result<(), Failure> {
    let ends = unit.keys().next().zip(unit.keys().next_back());
    let Some((&from, &time)) = ends else {
        return Ok(());
    };
    let (mut rows, mut marks) = (Vec::new(), Vec::new());
    for mut at in unit.into_values() {
        // A stable sort: within an edge the order of arrival stays.
        at.rows.sort_by_key(|(edge, _)| *edge);
        for (_, arrived) in at.rows {
            let expanded = arrived.and_then(|rows| expand(rows).map_err(|e| e.to_string()));
            rows.push(expanded.map_err(|message| Failure::new("bad-message", message))?);
        }
        marks.append(&mut at.marks);
    }
    let message = ToCommit::Time {
        sink,
        from,
        time,
        rows,
        marks,
    };
    // The committer ends by itself when it fails, and has then said why.
    let _ = sender.send(message);
    Ok(())
}
