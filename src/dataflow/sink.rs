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
}

/// Adds the sink that is stage number `index` of `plan`. `committer` is there only on
/// the worker that runs it; `probe` sees every time that it has handed over.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    plan: &Arc<Plan>,
    index: usize,
    inputs: Inputs<'scope>,
    committer: Option<(usize, Sender<ToCommit>)>,
    probe: &Probe<u64>,
    shared: &Arc<Shared>,
) {
    let name = plan.graph.stages[index].name.clone();
    let mut builder = OperatorBuilder::new(name, scope);
    let mut row_inputs = Vec::new();
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
    handed_over.probe_with(probe);
    let again = scope.activator_for(Rc::clone(&builder.operator_info().address));
    let shared = Arc::clone(shared);
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut gathered: BTreeMap<u64, Gathered> = BTreeMap::new();
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
            let complete = |time: &u64| !frontiers.iter().any(|frontier| frontier.less_equal(time));
            if let Some(first) = gathered.first_entry().filter(|entry| complete(entry.key())) {
                let (time, at) = first.remove_entry();
                if let Err(failure) = hand_over(*sink, sender, time, at) {
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

fn hand_over(
    sink: usize,
    sender: &Sender<ToCommit>,
    time: u64,
    mut at: Gathered,
) -> Result<(), Failure> {
    // A stable sort: within an edge the order of arrival stays.
    at.rows.sort_by_key(|(edge, _)| *edge);
    let rows = at
        .rows
        .into_iter()
        .map(|(_, rows)| rows.and_then(|rows| expand(rows).map_err(|e| e.to_string())))
        .collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(|message| Failure::new("bad-message", message))?;
    let message = ToCommit::Time {
        sink,
        time,
        rows,
        marks: at.marks,
    };
    // The committer ends by itself when it fails, and has then said why.
    let _ = sender.send(message);
    Ok(())
}
