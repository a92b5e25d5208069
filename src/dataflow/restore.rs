//! The state that stages gave before, brought to the workers that run them now.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Exchange, Inspect, Probe};
use timely::worker::Worker;

use super::ledger::{Told, pieces};
use super::shared::Shared;
use crate::graph::Plan;

/// How long a worker may sleep before it looks whether the run was stopped.
const NAP: Duration = Duration::from_millis(20);

type Message = (u64, Told);

/// Sends each of `states`, which are on one worker, to the worker that runs the stage, and
/// gives those of this worker. Every worker calls it. `None` when the run was stopped.
pub fn restore(
    worker: &mut Worker,
    plan: &Plan,
    time: u64,
    states: BTreeMap<String, Vec<u8>>,
    shared: &Shared,
) -> Option<BTreeMap<String, Vec<u8>>> {
    let heard: Rc<RefCell<BTreeMap<String, Vec<u8>>>> = Rc::default();
    let mut input = InputHandle::<u64, CapacityContainerBuilder<Vec<Message>>>::new_with_builder();
    let probe = worker.dataflow(|scope| {
        let heard = Rc::clone(&heard);
        let sent = input.to_stream(scope).exchange(|(to, _): &Message| *to);
        sent.map(|(_, told)| told)
            .inspect(move |told| {
                if let Told::Piece(stage, _, piece, _) = told {
                    let mut heard = heard.borrow_mut();
                    heard.entry(stage.clone()).or_default().extend(piece);
                }
            })
            .probe()
            .0
    });
    for (name, state) in states {
        let stage = plan.graph.stages.iter().position(|s| s.name == name);
        let to = stage.map_or(0, |stage| plan.worker(stage, 0)) as u64;
        for piece in pieces(&name, time, &state) {
            input.send((to, piece));
        }
    }
    input.close();
    while !probe.done() {
        if shared.stopped() {
            return None;
        }
        worker.step_or_park(Some(NAP));
    }
    Some(heard.take())
}
