//! Sinks: times that are complete go to the committer, in order.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use arrow_array::RecordBatch;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::{Capability, Probe as _};

use super::inbox::{Arrived, Edge, Inbox, Inputs};
use super::shared::Shared;
use super::state::{ToCommit, ToCommitter};
use crate::diagnostic::Diagnostic;
use crate::graph::Plan;

/// Adds the sink that is stage number `index` of `plan`. `committer` is there only on
/// the worker that runs it; `probes` see every time that it has handed over.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    plan: &Arc<Plan>,
    index: usize,
    edges: Vec<Edge<'scope>>,
    committer: Option<(usize, ToCommitter)>,
    probes: [&Probe<u64>; 2],
    shared: &Arc<Shared>,
) {
    let name = plan.graph.stages[index].name.clone();
    let mut builder = OperatorBuilder::new(name, scope);
    let mut inputs = Inputs::connect(&mut builder, plan, index, edges);
    let (_output, handed_over) = builder.new_output::<Vec<()>>();
    for probe in probes {
        handed_over.clone().probe_with(probe);
    }
    let again = scope.activator_for(Rc::clone(&builder.operator_info().address));
    let shared = Arc::clone(shared);
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut inbox: Inbox<Capability<u64>> = Inbox::default();
        let (mut committer, mut told) = (committer, 0);
        move |frontiers| {
            let Some((sink, sender)) = &committer else {
                return inputs.discard();
            };
            inbox.take(&mut inputs, |capability| capability.retain_least(0));
            if shared.stopped() {
                inbox.clear();
                committer = None;
                return;
            }
            let next = inputs.first(frontiers);
            if let Some((time, waiting)) = inbox.next_complete(next) {
                match rows_of(waiting.arrived) {
                    Ok(rows) => sender.send(ToCommit::Rows {
                        sink: *sink,
                        time,
                        rows,
                    }),
                    Err(failure) => shared.fail(failure),
                }
                again.activate();
            }
            let waiting = inbox.first_time();
            let before = waiting.map_or(next, |waiting| waiting.min(next));
            if before > told {
                told = before;
                let teller = *sink;
                sender.send(ToCommit::Reached { teller, before });
            }
            if before == u64::MAX {
                committer = None;
            }
        }
    });
}

/// The rows of what has arrived, in its order.
fn rows_of(arrived: VecDeque<Arrived>) -> Result<Vec<RecordBatch>, Diagnostic> {
    let each = arrived.into_iter().map(|mut batch| batch.rows());
    each.collect()
}
