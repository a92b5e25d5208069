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

use super::ledger::first;
use super::parcel::route_to;
use super::shared::{Failure, Shared};
use super::stage::Edge;
use super::state::ToCommit;
use super::wire::expand;
use crate::graph::Plan;

/// What a time holds for one sink.
#[derive(Default)]
struct Gathered {
    capability: Option<Capability<u64>>,
    rows: Vec<(usize, Result<RecordBatch, String>)>,
}

/// Adds the sink that is stage number `index` of `plan`. `committer` is there only on
/// the worker that runs it; `probes` see every time that it has handed over.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    plan: &Arc<Plan>,
    index: usize,
    edges: Vec<Edge<'scope>>,
    committer: Option<(usize, Sender<ToCommit>)>,
    probes: [&Probe<u64>; 2],
    shared: &Arc<Shared>,
) {
    let name = plan.graph.stages[index].name.clone();
    let mut builder = OperatorBuilder::new(name, scope);
    let mut inputs = Vec::new();
    for edge in edges {
        let (plan, late) = (Arc::clone(plan), u64::from(edge.looped));
        let route = route_to(Arc::new(move |time| plan.worker(index, time + late)));
        inputs.push(builder.new_input(edge.rows, route));
    }
    let (_output, handed_over) = builder.new_output::<Vec<()>>();
    for probe in probes {
        handed_over.clone().probe_with(probe);
    }
    let again = scope.activator_for(Rc::clone(&builder.operator_info().address));
    let shared = Arc::clone(shared);
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut gathered: BTreeMap<u64, Gathered> = BTreeMap::new();
        let (mut committer, mut told) = (committer, 0);
        move |frontiers| {
            for (edge, input) in inputs.iter_mut().enumerate() {
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
            let Some((sink, sender)) = &committer else {
                return;
            };
            if shared.stopped() {
                gathered.clear();
                committer = None;
                return;
            }
            let next = first(frontiers);
            let complete = gathered.first_entry().filter(|entry| *entry.key() < next);
            if let Some((time, at)) = complete.map(|entry| entry.remove_entry()) {
                match ordered(at.rows) {
                    // The committer ends by itself when it fails, and has then said why.
                    Ok(rows) => drop(sender.send(ToCommit::Rows {
                        sink: *sink,
                        time,
                        rows,
                    })),
                    Err(failure) => shared.fail(failure),
                }
                again.activate();
            }
            let waiting = gathered.keys().next().copied();
            let before = waiting.map_or(next, |waiting| waiting.min(next));
            if before > told {
                told = before;
                let teller = *sink;
                let _ = sender.send(ToCommit::Reached { teller, before });
            }
            if before == u64::MAX {
                committer = None;
            }
        }
    });
}

/// The rows of a time in the order of edges, and of arrival within one.
fn ordered(
    mut rows: Vec<(usize, Result<RecordBatch, String>)>,
) -> Result<Vec<RecordBatch>, Failure> {
    rows.sort_by_key(|(edge, _)| *edge);
    let expanded = rows.into_iter().map(|(_, arrived)| {
        let rows = arrived.and_then(|rows| expand(rows).map_err(|e| e.to_string()));
        rows.map_err(|message| Failure::new("bad-message", message))
    });
    expanded.collect()
}
