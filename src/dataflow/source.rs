//! Sources: a thread reads ahead, an operator opens times.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::container::NoopBuilder;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::{Scope, Stream};
use timely::scheduling::{Activator, SyncActivator};

use super::apply::project;
use super::failure::{file_failed, stage_failed};
use super::parcel::Parcel;
use super::progress::Reading;
use super::shared::Shared;
use super::state::{Cut, inputs_of, same_inputs};
use crate::diagnostic::Diagnostic;
use crate::graph::Stage;
use crate::io::{Reject, Source, SourceBatch};
use crate::operators::read_options;

/// Batches that the reading thread may be ahead.
const READ_AHEAD: usize = 2;

/// How far a source was after the batch of a time. Every sink gets it, and commits it
/// with the rows of that time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The time.
    pub time: u64,
    /// The source's stage.
    pub stage: String,
    /// Records consumed so far, good and bad.
    pub next_record: u64,
    /// Records of this batch that cannot be used.
    pub rejects: Vec<Reject>,
    /// Good records of this batch.
    pub rows: u64,
    /// What the source reads, as the device that reads it sees it.
    pub inputs: String,
}

/// A stream of marks.
pub type Marks<'scope> = Stream<'scope, u64, Vec<Mark>>;

/// Where a source starts, and how it goes.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Records to pass over.
    pub skip: u64,
    /// Records that an earlier run has told of, where they are read anew: of a side input.
    pub told: u64,
    /// The time of the first batch.
    pub time: u64,
    /// Good records in a batch.
    pub batch: usize,
    /// Times that may be open at once.
    pub window: u64,
    /// Whether a record that cannot be used ends the run.
    pub strict: bool,
    /// How many records are read, where not all are.
    pub records: Option<u64>,
    /// The device that this is.
    pub device: String,
}

/// The two streams of a source, and what wakes it.
pub struct Built<'scope> {
    /// Its rows.
    pub rows: Stream<'scope, u64, Parcel>,
    /// How far it is.
    pub marks: Marks<'scope>,
    /// Schedules it, on the worker that runs it.
    pub wake: Option<Activator>,
}

/// What a source reads, and a batch of it.
type Item = Result<(String, SourceBatch), Diagnostic>;

/// Opens a new time with each batch read, while fewer than `window` are open, as seen
/// through `probe`; stops when nobody needs more. Only where `here` is a file opened.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    stage: &Stage,
    here: bool,
    opening: Opening,
    probe: Probe<u64>,
    shared: &Arc<Shared>,
) -> Built<'scope> {
    let mut builder = OperatorBuilder::new(stage.name.clone(), scope);
    let (rows_out, rows) = builder.new_output::<Parcel>();
    let (marks_out, marks) = builder.new_output::<Vec<Mark>>();
    let mut rows_out = OutputBuilder::<u64, NoopBuilder<Parcel>>::from(rows_out);
    let mut marks_out = OutputBuilder::<u64, CapacityContainerBuilder<Vec<Mark>>>::from(marks_out);
    let info = builder.operator_info();
    let wake = here.then(|| scope.activator_for(Rc::clone(&info.address)));
    let again = scope.activator_for(Rc::clone(&info.address));
    let reading = here.then(|| {
        let waker = scope.worker().sync_activator_for(info.address.to_vec());
        read_ahead(stage, &opening, Arc::clone(shared), waker)
    });
    let (stage, shared) = (stage.clone(), Arc::clone(shared));
    builder.build(move |mut capabilities| {
        let mut marks_capability = capabilities.pop();
        let mut rows_capability = capabilities.pop();
        let mut reading = reading.filter(|_| !shared.is_unneeded(&stage.name));
        if reading.is_none() {
            (marks_capability, rows_capability) = (None, None);
        }
        let mut next = opening.time;
        for capability in [&mut rows_capability, &mut marks_capability]
            .into_iter()
            .flatten()
        {
            capability.downgrade(&next);
        }
        move |_frontiers| {
            if shared.is_unneeded(&stage.name) {
                (rows_capability, marks_capability, reading) = (None, None, None);
            }
            let (Some(rows), Some(marks), Some(reading)) =
                (&mut rows_capability, &mut marks_capability, &reading)
            else {
                return;
            };
            // Both capabilities already stand at `next`, so a source that waits here
            // holds nothing back that was emitted before.
            let oldest_allowed = (next + 1).saturating_sub(opening.window);
            if probe.less_than(&oldest_allowed) && !shared.stopped() {
                return;
            }
            let item = match reading.try_recv() {
                Ok(item) if !shared.stopped() => Some(item),
                Err(TryRecvError::Empty) if !shared.stopped() => return,
                Ok(_) | Err(_) => None,
            };
            match item.map(|item| item.and_then(|read| prepare(&stage, &opening, next, read))) {
                Some(Ok((mut parcel, mark))) => {
                    if let Some(parcel) = &mut parcel {
                        rows_out
                            .activate()
                            .session_with_builder(&*rows)
                            .give_container(parcel);
                    }
                    marks_out
                        .activate()
                        .session_with_builder(&*marks)
                        .give(mark);
                    next += 1;
                    rows.downgrade(&next);
                    marks.downgrade(&next);
                    again.activate();
                }
                ended => {
                    if let Some(Err(failure)) = ended {
                        shared.fail(failure);
                    }
                    (rows_capability, marks_capability) = (None, None);
                }
            }
        }
    });
    Built { rows, marks, wake }
}

/// The rows as the stage sends them, `None` when there are none, and the mark.
fn prepare(
    stage: &Stage,
    opening: &Opening,
    time: u64,
    read: (String, SourceBatch),
) -> Result<(Option<Parcel>, Mark), Diagnostic> {
    let (inputs, read) = read;
    if let Some(reject) = read.rejects.first().filter(|_| opening.strict) {
        return Err(refused(stage, reject));
    }
    let rows = read.batch.num_rows();
    let parcel = match rows {
        0 => None,
        _ => {
            let sent = project(&read.batch, &stage.sends);
            let sent = sent.map_err(|e| stage_failed(stage, "to read", e))?;
            Some(Parcel::new(time, sent))
        }
    };
    let mut rejects = read.rejects;
    rejects.retain(|reject| reject.record >= opening.told);
    let mark = Mark {
        time,
        stage: stage.name.clone(),
        next_record: read.next_record.max(opening.told),
        rejects,
        rows: rows as u64,
        inputs,
    };
    Ok((parcel, mark))
}

fn refused(stage: &Stage, reject: &Reject) -> Diagnostic {
    let line = reject
        .line
        .map(|line| format!(" (line {line})"))
        .unwrap_or_default();
    let message = format!(
        "record {}{line} of `{}`: {}",
        reject.record, stage.name, reject.reason
    );
    Diagnostic::new(reject.code.clone(), message)
        .help("without `--strict` such records are set aside and counted")
        .stage(&stage.file_name)
}

/// Checks that what `stage` reads is what it was at the last commit.
///
/// # Errors
/// `other-journal`
pub fn check_inputs(stage: &Stage, device: &str, cut: &Cut) -> Result<(), Diagnostic> {
    let before = cut.inputs.get(&stage.name);
    if before.is_none_or(|before| same_inputs(before, &inputs_of(stage, device))) {
        return Ok(());
    }
    let message = format!(
        "what `{}` reads has changed since the run began",
        stage.name
    );
    let error = Diagnostic::new("other-journal", message);
    let error = error.help("leave out `--resume` to start afresh");
    Err(error.stage(&stage.file_name))
}

fn read_ahead(
    stage: &Stage,
    opening: &Opening,
    shared: Arc<Shared>,
    waker: SyncActivator,
) -> Receiver<Item> {
    let (sender, receiver) = bounded(READ_AHEAD);
    let (stage, opening) = (stage.clone(), opening.clone());
    std::thread::spawn(move || {
        let work = || read(&stage, &opening, &shared, &sender, &waker);
        let what = format!("the reader of `{}`", stage.name);
        if let Some(Err(failure)) = shared.catching(&what, work) {
            // With the operator gone the failure has nobody left to reach.
            let _ = sender.send(Err(failure));
        }
        drop(sender);
        // The worker may have ended before.
        let _ = waker.activate();
    });
    receiver
}

fn read(
    stage: &Stage,
    opening: &Opening,
    shared: &Shared,
    sender: &Sender<Item>,
    waker: &SyncActivator,
) -> Result<(), Diagnostic> {
    let failed = |e| file_failed(stage, e);
    let inputs = inputs_of(stage, &opening.device);
    let mut source: Box<dyn Source> =
        crate::io::open(&read_options(&stage.options)).map_err(failed)?;
    if let Some(total) = source.total_records() {
        shared.progress.add_total(total);
    }
    source.skip(opening.skip).map_err(failed)?;
    let note = |source: &dyn Source| {
        let notes = source.notes().into_iter();
        notes.for_each(|note| shared.progress.add_note(&stage.file_name, note));
    };
    note(source.as_ref());
    let bytes = bytes_read(stage);
    while let Some(read) = source.next_batch(opening.batch).map_err(failed)? {
        let enough = opening.records.is_some_and(|most| read.next_record >= most);
        let reading = Reading {
            records: read.next_record,
            share: source.progress(),
            bytes,
        };
        shared.progress.set_read(&stage.name, reading);
        if sender.send(Ok((inputs.clone(), read))).is_err() || enough || shared.stopped() {
            break;
        }
        // The worker may have ended before.
        let _ = waker.activate();
    }
    note(source.as_ref());
    Ok(())
}

/// The bytes of the files that `stage` reads, each time that it does.
fn bytes_read(stage: &Stage) -> u64 {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let once: u64 = (stage.reads())
        .flat_map(|(_, path)| crate::io::files(path))
        .map(|path| length(&path))
        .sum();
    once.saturating_mul(stage.options["epochs"].as_u64().unwrap_or(1))
}

/// Sources wake when a probe moves: a window may have opened.
#[derive(Default)]
pub struct Wakers {
    activators: Vec<Activator>,
    seen: RefCell<Vec<Option<u64>>>,
}

impl Wakers {
    /// Wakes the sources that `activators` schedule.
    pub fn new(activators: Vec<Activator>) -> Self {
        Wakers {
            activators,
            seen: RefCell::new(Vec::new()),
        }
    }

    /// To be called after each step of the worker.
    pub fn after_step(&self, probes: &[&Probe<u64>]) {
        let first = |probe: &&Probe<u64>| probe.with_frontier(|f| f.first().copied());
        let now: Vec<Option<u64>> = probes.iter().map(first).collect();
        if *self.seen.borrow() != now {
            self.seen.replace(now);
            self.activators.iter().for_each(Activator::activate);
        }
    }
}
