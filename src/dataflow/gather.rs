//! A word from every worker to every worker, between dataflows.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Inspect, Probe};
use timely::worker::Worker;

use super::shared::Shared;

/// How long a worker may sleep before it looks whether the run was stopped.
const NAP: Duration = Duration::from_millis(20);

/// Gives `mine` to all workers and waits until all have given theirs: also a barrier.
/// In no particular order; `None` when the run was stopped meanwhile.
pub fn gather(worker: &mut Worker, mine: Option<String>, shared: &Shared) -> Option<Vec<String>> {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let mut input = InputHandle::<u64, CapacityContainerBuilder<Vec<String>>>::new_with_builder();
    let probe = worker.dataflow(|scope| {
        let heard = Rc::clone(&heard);
        let said = input.to_stream(scope).broadcast();
        said.inspect(move |word| heard.borrow_mut().push(word.clone()))
            .probe()
            .0
    });
    if let Some(word) = mine {
        input.send(word);
    }
    input.close();
    while !probe.done() {
        if shared.stopped() {
            return None;
        }
        worker.step_or_park(Some(NAP));
    }
    let words = heard.take();
    Some(words)
}
