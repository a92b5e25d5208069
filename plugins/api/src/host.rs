//! What a stage can tell the host during a call.

use crate::Batch;

/// The host, during one call of a stage.
pub struct Host<'a> {
    batches: Vec<Batch>,
    saved: bool,
    done: bool,
    show: &'a dyn Fn(&str),
}

impl<'a> Host<'a> {
    /// A host that shows progress with `show`.
    pub fn new(show: &'a dyn Fn(&str)) -> Self {
        Host {
            batches: Vec::new(),
            saved: false,
            done: false,
            show,
        }
    }

    /// A host that shows nothing.
    pub fn silent() -> Host<'static> {
        Host::new(&|_| {})
    }

    /// Gives a batch; only the columns that [`Stage::columns`](crate::Stage::columns)
    /// names as written are taken from it.
    pub fn emit(&mut self, batch: Batch) {
        self.batches.push(batch);
    }

    /// Shows, at once, how far a long job is: one line.
    pub fn progress(&self, line: &str) {
        (self.show)(line);
    }

    /// For a [stateful](crate::Columns::stateful) stage: what it was given up to
    /// and with this call survives a crash, so that the host may commit it.
    pub fn saved(&mut self) {
        self.saved = true;
    }

    /// Whether [`Host::saved`] was called.
    pub fn was_saved(&self) -> bool {
        self.saved
    }

    /// For a [stateful](crate::Columns::stateful) stage: it needs no more input. It
    /// gets none after this call, whatever still comes, and then
    /// [`Stage::finish`](crate::Stage::finish) is called; sources that lead nowhere else stop.
    ///
    /// ```
    /// use segue_plugin::{Batch, Columns, Host, Result, Rows, Stage};
    ///
    /// /// Gives the first batches of a stream.
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// pub struct First {
    ///     /// How many.
    ///     #[schemars(range(min = 1))]
    ///     batches: u64,
    ///     #[serde(skip)]
    ///     given: u64,
    /// }
    ///
    /// impl Stage for First {
    ///     fn columns(&self) -> Columns {
    ///         let columns = Columns::new().reads("text", "utf8").writes("text", "utf8");
    ///         columns.rows(Rows::New).snapshots(1000)
    ///     }
    ///
    ///     fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
    ///         self.given += 1;
    ///         if self.given == self.batches {
    ///             host.done();
    ///         }
    ///         host.emit(batch);
    ///         Ok(())
    ///     }
    ///
    ///     fn snapshot(&mut self) -> Result<Vec<u8>> {
    ///         Ok(self.given.to_le_bytes().to_vec())
    ///     }
    ///
    ///     fn restore(&mut self, state: &[u8]) -> Result<()> {
    ///         self.given = state.try_into().map_or(0, u64::from_le_bytes);
    ///         Ok(())
    ///     }
    /// }
    /// ```
    pub fn done(&mut self) {
        self.done = true;
    }

    /// Whether [`Host::done`] was called.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// What was given.
    pub fn into_batches(self) -> Vec<Batch> {
        self.batches
    }
}

/// Whether [`Stage::finish`](crate::Stage::finish) is to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more to do; the host takes what was given and calls again.
    More,
    /// All is done.
    Done,
}
