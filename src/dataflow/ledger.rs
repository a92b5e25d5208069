//! The ledger: on the worker that commits, what is not rows of a sink. It tells the
//! committer how far sources are, what goes round loops and what stages saved, and asks
//! stages for their state.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::vec::{Broadcast as _, Map as _};
use timely::dataflow::operators::{Concatenate as _, Inspect as _, Probe as _};
use timely::dataflow::{Scope, Stream};
use timely::progress::Antichain;
use timely::progress::frontier::MutableAntichain;

use super::inbox::Rows;
use super::parcel::{Parcel, Part, Route};
use super::shared::Shared;
use super::source::{Mark, Marks};
use super::state::{Participants, ToCommit, ToCommitter, When};
use super::wire::expand;
use crate::diagnostic::Diagnostic;

/// The first time at which nothing can be cut: what a stage gives at its own end comes
/// behind all else, and each stage has times of its own there.
pub const END: u64 = 1 << 62;

/// The time of what stage number `stage` gives at its end.
pub fn end_time(stage: usize) -> u64 {
    END + ((stage as u64) << 32)
}

/// Times behind which stages are to give their state.
pub type Cuts<'scope> = Stream<'scope, u64, Vec<u64>>;

/// What a stage that keeps state tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// It has saved all up to the time.
    Saved(String, u64),
    /// It needs no more than what it was given up to the time.
    Ended(String, u64),
    /// A piece of its state at the time, and whether it is the last.
    Piece(String, u64, Vec<u8>, bool),
}

/// The largest piece of a state that travels at once.
pub const PIECE: usize = 1 << 20;

/// A stream of what stages tell.
pub type Tells<'scope> = Stream<'scope, u64, Vec<Told>>;

/// What the ledger hears.
pub struct Inputs<'scope> {
    /// How far each source is.
    pub marks: Vec<Marks<'scope>>,
    /// What comes round each loop edge, at the time at which it arrives.
    pub loops: Vec<Rows<'scope>>,
}

/// Adds the ledger. `committer` is there only on worker number `worker`, which commits,
/// with the number of this teller; `from` is the first time that is not committed. Gives the times of cuts, for the stages that keep state.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    inputs: Inputs<'scope>,
    participants: &Participants,
    (worker, from): (usize, u64),
    committer: Option<(usize, ToCommitter)>,
    probes: [&Probe<u64>; 2],
    shared: &Arc<Shared>,
) -> Cuts<'scope> {
    let mut builder = OperatorBuilder::new("ledger".to_owned(), scope);
    let mut marks = Vec::new();
    for stream in inputs.marks {
        let route = Exchange::new(move |_: &Mark| worker as u64);
        marks.push(builder.new_input(stream, route));
    }
    let mut loops = Vec::new();
    for stream in inputs.loops {
        loops.push(builder.new_input(stream, Route::to_worker(worker).pact()));
    }
    let (cuts_out, cuts) = builder.new_output::<Vec<u64>>();
    for probe in probes {
        cuts.clone().probe_with(probe);
    }
    let mut cuts_out = OutputBuilder::<u64, CapacityContainerBuilder<Vec<u64>>>::from(cuts_out);
    let (asks, pause) = (participants.when() == When::Wanted, participants.pause);
    let (mark_count, shared) = (marks.len(), Arc::clone(shared));
    builder.build(move |mut capabilities| {
        let mut committer = committer;
        let mut open = capabilities.pop().filter(|_| committer.is_some());
        // What is in the journal already is not asked for again.
        open.iter_mut().for_each(|open| open.downgrade(&from));
        let (mut told, mut asked, mut asked_at) = (0, None, Instant::now());
        move |frontiers| {
            let Some((teller, sender)) = &committer else {
                // Nothing comes here: only what was on its way is taken off.
                marks.iter_mut().for_each(|input| input.for_each(|_, _| {}));
                loops.iter_mut().for_each(|input| input.for_each(|_, _| {}));
                return;
            };
            let tell = |message| sender.send(message);
            for input in &mut marks {
                input.for_each(|_, arrived: &mut Vec<Mark>| {
                    for mark in arrived.drain(..) {
                        tell(ToCommit::Mark(mark, Instant::now()));
                    }
                });
            }
            for (edge, input) in loops.iter_mut().enumerate() {
                input.for_each(|_, parcel| {
                    let Parcel {
                        time, part, rows, ..
                    } = std::mem::take(parcel);
                    let rows = rows.map(|r| r.and_then(|r| expand(r).map_err(|e| e.to_string())));
                    match rows {
                        Some(Ok(rows)) => tell(ToCommit::Loop {
                            edge,
                            time,
                            rows: (part, rows),
                        }),
                        Some(Err(message)) => shared.fail(Diagnostic::new("bad-message", message)),
                        None => {}
                    }
                });
            }
            if shared.stopped() {
                (committer, open) = (None, None);
                return;
            }
            let (of_marks, of_loops) = frontiers.split_at(mark_count);
            let (marked, looped) = (first(of_marks), first(of_loops));
            // What a loop brings at one time was given at the time before.
            let before = marked.min(match looped {
                u64::MAX => u64::MAX,
                looped => looped.saturating_sub(1),
            });
            let decided = marked.min(looped);
            if let Some(capability) = &mut open
                && decided > *capability.time()
            {
                let time = decided - 1;
                let sealed = asked.is_none_or(|asked| shared.sealed().is_some_and(|s| s >= asked));
                let due = asked.is_none() || asked_at.elapsed() >= pause;
                if decided < END && asks && sealed && due {
                    (asked, asked_at) = (Some(time), Instant::now());
                    tell(ToCommit::Cut(time));
                    let at = capability.delayed(&time);
                    cuts_out.activate().session_with_builder(&at).give(time);
                }
                if decided < END {
                    capability.downgrade(&decided);
                }
            }
            if decided >= END {
                open = None;
            }
            if before > told {
                told = before;
                let teller = *teller;
                tell(ToCommit::Reached { teller, before });
            }
            if before == u64::MAX {
                committer = None;
            }
        }
    });
    cuts
}

/// The first time that can still come by any of these.
pub fn first(frontiers: &[MutableAntichain<u64>]) -> u64 {
    let each = frontiers
        .iter()
        .filter_map(|f| f.frontier().first().copied());
    each.min().unwrap_or(u64::MAX)
}

/// Hands what stages tell to the committer, on worker number `worker`; there with the
/// number of this teller.
pub fn archive<'scope>(
    scope: Scope<'scope, u64>,
    tells: Vec<Tells<'scope>>,
    worker: usize,
    committer: Option<(usize, ToCommitter)>,
    probe: &Probe<u64>,
) {
    let mut builder = OperatorBuilder::new("archive".to_owned(), scope);
    let mut inputs = Vec::new();
    for stream in tells {
        let route = Exchange::new(move |_: &Told| worker as u64);
        inputs.push(builder.new_input(stream, route));
    }
    let (_output, ended) = builder.new_output::<Vec<()>>();
    ended.probe_with(probe);
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut states: Vec<Vec<u8>> = vec![Vec::new(); inputs.len()];
        let mut reached = 0;
        move |frontiers| {
            let tell = |message| {
                if let Some((_, sender)) = &committer {
                    sender.send(message);
                }
            };
            for (input, gathered) in inputs.iter_mut().zip(&mut states) {
                input.for_each(|_, arrived: &mut Vec<Told>| {
                    for told in arrived.drain(..) {
                        let message = match told {
                            Told::Saved(stage, time) => ToCommit::Saved { stage, time },
                            Told::Ended(stage, time) => ToCommit::Ended { stage, time },
                            Told::Piece(stage, time, piece, last) => {
                                gathered.extend(piece);
                                if !last {
                                    continue;
                                }
                                let state = std::mem::take(gathered);
                                ToCommit::State { stage, time, state }
                            }
                        };
                        tell(message);
                    }
                });
            }
            let before = first(frontiers);
            if let Some((teller, _)) = committer.as_ref().filter(|_| before > reached) {
                reached = before;
                let teller = *teller;
                tell(ToCommit::Reached { teller, before });
            }
        }
    });
}

/// `state` of `stage` at `time`, in pieces.
pub fn pieces(stage: &str, time: u64, state: &[u8]) -> Vec<Told> {
    let mut chunks = state.chunks(PIECE).peekable();
    if chunks.peek().is_none() {
        return vec![Told::Piece(stage.to_owned(), time, Vec::new(), true)];
    }
    let mut pieces = Vec::new();
    while let Some(chunk) = chunks.next() {
        let last = chunks.peek().is_none();
        pieces.push(Told::Piece(stage.to_owned(), time, chunk.to_vec(), last));
    }
    pieces
}

/// Tells every worker which stages need no more: their names go to `heard`.
pub fn spread_ends<'scope>(
    scope: Scope<'scope, u64>,
    tells: Vec<Tells<'scope>>,
    heard: impl Fn(&str) + 'static,
) {
    if tells.is_empty() {
        return;
    }
    let ends = scope.concatenate(tells).flat_map(|told| match told {
        Told::Ended(stage, _) => Some(stage),
        Told::Saved(..) | Told::Piece(..) => None,
    });
    ends.broadcast().inspect(move |stage| heard(stage));
}

/// The rows that were on their way round loop edge number `edge`, once more: on worker
/// number `worker`, at the time after `given`.
pub fn replay<'scope>(
    scope: Scope<'scope, u64>,
    edge: usize,
    given: u64,
    rows: Vec<Part>,
) -> Rows<'scope> {
    let mut builder = OperatorBuilder::new(format!("replay of loop {edge}"), scope);
    let (output, stream) = builder.new_output::<Parcel>();
    let mut output = OutputBuilder::<u64, timely::container::NoopBuilder<Parcel>>::from(output);
    builder.build(move |mut capabilities| {
        let mut rows = rows.into_iter();
        let mut open = capabilities.pop();
        move |_frontiers| {
            if let Some(capability) = open.take() {
                let at = capability.delayed(&(given + 1));
                let mut session = output.activate();
                let mut session = session.session_with_builder(&at);
                for (part, rows) in rows.by_ref() {
                    session.give_container(&mut Parcel::of(given, part, Ok(rows)));
                }
            }
        }
    });
    stream
}

/// No connection from an input to an output.
pub fn unconnected() -> Antichain<u64> {
    Antichain::new()
}

/// That what comes at a time may lead to something at the same time.
pub fn connected() -> Antichain<u64> {
    Antichain::from_elem(0)
}
