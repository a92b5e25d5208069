//! What workers tell the committer, and the way it takes.

use std::time::Instant;

use arrow_array::RecordBatch;
use crossbeam_channel::{Receiver, RecvError, Sender, bounded};

use crate::dataflow::parcel::Part;
use crate::dataflow::source::Mark;

/// Messages that may wait for the committer before a worker waits too.
const MESSAGES: usize = 512;
/// How many of them may be rows of sinks, which may be large.
const ROWS: usize = 8;

/// What workers tell the committer. Each *teller*, a sink, the ledger or the archive, tells
/// what it has in order of time.
#[derive(Debug)]
pub enum ToCommit {
    /// Every stage of every device has started: files may be opened.
    Ready,
    /// Rows of one sink and time, in order.
    Rows {
        /// The sink, counted in the order of the plan.
        sink: usize,
        /// The time.
        time: u64,
        /// Its rows.
        rows: Vec<RecordBatch>,
    },
    /// How far a source was after the batch of a time, and when that arrived here.
    Mark(Mark, Instant),
    /// Rows that one loop edge carries from a time to the next.
    Loop {
        /// The edge, counted in the order of the plan.
        edge: usize,
        /// The time at which they were given.
        time: u64,
        /// The rows, and which part of them it is.
        rows: Part,
    },
    /// A cut behind this time is wanted.
    Cut(u64),
    /// A stage that keeps its state itself has saved all up to a time.
    Saved {
        /// The stage.
        stage: String,
        /// The time.
        time: u64,
    },
    /// A stage that keeps state needs no more than what it was given up to a time.
    Ended {
        /// The stage.
        stage: String,
        /// The time.
        time: u64,
    },
    /// What a stage needs to go on behind a time.
    State {
        /// The stage.
        stage: String,
        /// The time, which was wanted.
        time: u64,
        /// What it gave.
        state: Vec<u8>,
    },
    /// A teller has told all before a time; `u64::MAX` at its end.
    Reached {
        /// The sink's number; those of the ledger and of the archive come after those of
        /// the sinks.
        teller: usize,
        /// The time.
        before: u64,
    },
}

/// Where workers send messages.
#[derive(Clone)]
pub struct ToCommitter {
    messages: Sender<ToCommit>,
    rows: Sender<()>,
}

/// Where the committer finds them.
pub struct Messages {
    messages: Receiver<ToCommit>,
    rows: Receiver<()>,
}

/// The way from workers to the committer.
pub fn channel() -> (ToCommitter, Messages) {
    let (to_messages, messages) = bounded(MESSAGES);
    let (to_rows, rows) = bounded(ROWS);
    let to = ToCommitter {
        messages: to_messages,
        rows: to_rows,
    };
    (to, Messages { messages, rows })
}

impl ToCommitter {
    /// Sends a message, and waits while too much waits. A committer that has ended has said
    /// why, and gets nothing.
    pub fn send(&self, message: ToCommit) {
        let is_rows = matches!(message, ToCommit::Rows { .. });
        if !is_rows || self.rows.send(()).is_ok() {
            let _ = self.messages.send(message);
        }
    }
}

impl Messages {
    /// The next message, once there is one.
    ///
    /// # Errors
    /// When every worker has ended
    pub fn recv(&self) -> Result<ToCommit, RecvError> {
        let message = self.messages.recv()?;
        Ok(self.taken(message))
    }

    /// Those that wait.
    pub fn waiting(&self) -> impl Iterator<Item = ToCommit> {
        self.messages.try_iter().map(|message| self.taken(message))
    }

    fn taken(&self, message: ToCommit) -> ToCommit {
        if matches!(message, ToCommit::Rows { .. }) {
            // It was sent before the rows were.
            let _ = self.rows.try_recv();
        }
        message
    }
}
