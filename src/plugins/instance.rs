//! A stage made by a plugin, and the calls on it.

use std::ffi::c_void;

use arrow_array::RecordBatch;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use segue_plugin::ffi::{Origin, Table};
use segue_plugin::{Next, Rows, export_batch, import_batch};

use super::calls::{Call, Label, Work};
use super::library::missing;
use super::reply::{Answer, Show, ask_and_show};
use crate::diagnostic::Diagnostic;

/// What a stage gave in one call.
#[derive(Debug, Default)]
pub struct Given {
    /// Its batches.
    pub batches: Vec<RecordBatch>,
    /// Whether all it was given so far survives a crash.
    pub saved: bool,
    /// Whether it needs no more input.
    pub done: bool,
}

/// A stage made by a plugin.
pub struct Instance {
    stage: *mut c_void,
    table: &'static Table,
    label: Label,
    rows: Rows,
    show: Option<Box<Show>>,
}

impl Instance {
    pub(super) fn new(stage: *mut c_void, table: &'static Table, label: Label) -> Self {
        Instance {
            stage,
            table,
            label,
            rows: Rows::New,
            show: None,
        }
    }

    /// The same, said to relate its rows as `rows` says, so that a batch of another
    /// length is refused before it is read.
    pub fn relating(mut self, rows: Rows) -> Self {
        self.rows = rows;
        self
    }

    /// Lines on the stage's progress go to `show`.
    pub fn listen(&mut self, show: Box<Show>) {
        self.show = Some(show);
    }

    /// One batch in, any number out; none for one of a side input, which is `whole`.
    ///
    /// # Errors
    /// What the plugin says; `plugin-panic`; `bad-batch` when what it gives is no batch
    pub fn process(
        &mut self,
        origin: &Origin,
        batch: RecordBatch,
        whole: bool,
    ) -> Result<Given, Diagnostic> {
        let time = origin.time;
        let expected = (self.rows == Rows::Same && !whole).then(|| batch.num_rows());
        let (mut array, mut schema) = export_batch(batch)?;
        let _call = Call::begin(&self.label, Work::Batch(time));
        // SAFETY: the stage is alive, calls on it never overlap, and ownership of
        // both structs goes to the plugin, which leaves them released.
        let answer = match (self.table.process_from, self.table.process) {
            (Some(process), _) => ask_and_show(self.show.as_deref(), |reply| unsafe {
                process(self.stage, origin, &mut array, &mut schema, reply)
            })?,
            (None, Some(process)) => ask_and_show(self.show.as_deref(), |reply| unsafe {
                process(self.stage, time, &mut array, &mut schema, reply)
            })?,
            (None, None) => return Err(missing("process")),
        };
        import_all(answer, expected)
    }

    /// The first batches of a stage that starts.
    ///
    /// # Errors
    /// As [`Instance::process`]; `bad-plugin` where it cannot start
    pub fn begin(&mut self) -> Result<Given, Diagnostic> {
        let begin = self.table.begin.ok_or_else(|| missing("begin"))?;
        let _call = Call::begin(&self.label, Work::Start);
        // SAFETY: as in `process`.
        let answer = ask_and_show(self.show.as_deref(), |reply| unsafe {
            begin(self.stage, reply)
        })?;
        import_all(answer, None)
    }

    /// No more input can come at `time`.
    ///
    /// # Errors
    /// As [`Instance::process`]
    pub fn flush(&mut self, time: u64) -> Result<Given, Diagnostic> {
        let Some(flush) = self.table.flush else {
            return Ok(Given::default());
        };
        let _call = Call::begin(&self.label, Work::Flush(time));
        // SAFETY: as in `process`.
        let answer = ask_and_show(self.show.as_deref(), |reply| unsafe {
            flush(self.stage, time, reply)
        })?;
        import_all(answer, None)
    }

    /// No more input can come at all.
    ///
    /// # Errors
    /// As [`Instance::process`]
    pub fn finish(&mut self) -> Result<(Given, Next), Diagnostic> {
        let Some(finish) = self.table.finish else {
            return Ok((Given::default(), Next::Done));
        };
        let mut more = 0;
        let _call = Call::begin(&self.label, Work::Finish);
        // SAFETY: as in `process`; the place for the answer is valid for the call.
        let answer = ask_and_show(self.show.as_deref(), |reply| unsafe {
            finish(self.stage, reply, &mut more)
        })?;
        let next = match more {
            0 => Next::Done,
            _ => Next::More,
        };
        Ok((import_all(answer, None)?, next))
    }

    /// What the stage needs to go on behind the last time it was given.
    ///
    /// # Errors
    /// `no-state` where the stage has none to give
    pub fn snapshot(&mut self) -> Result<Vec<u8>, Diagnostic> {
        let no_state =
            || Diagnostic::new("no-state", "it says that it gives its state, and does not");
        let snapshot = self.table.snapshot.ok_or_else(no_state)?;
        let _call = Call::begin(&self.label, Work::Snapshot);
        // SAFETY: as in `process`.
        let answer = ask_and_show(self.show.as_deref(), |reply| unsafe {
            snapshot(self.stage, reply)
        })?;
        answer.state.ok_or_else(no_state)
    }

    /// Puts the stage behind the time at which it gave `state`.
    ///
    /// # Errors
    /// `no-state` where the stage takes none
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Diagnostic> {
        let no_state = || Diagnostic::new("no-state", "it does not take its state back");
        let restore = self.table.restore.ok_or_else(no_state)?;
        let _call = Call::begin(&self.label, Work::Start);
        // SAFETY: as in `process`; the bytes are valid for the call.
        ask_and_show(self.show.as_deref(), |reply| unsafe {
            restore(self.stage, state.as_ptr(), state.len(), reply)
        })?;
        Ok(())
    }
}

/// The batches of an answer, each with `expected` rows where that is known.
fn import_all(answer: Answer<'_>, expected: Option<usize>) -> Result<Given, Diagnostic> {
    let import = |(array, schema): (FFI_ArrowArray, FFI_ArrowSchema)| {
        let rows = array.len();
        // A batch that is none at all is told better below; so is a negative length.
        let whole = !array.is_released() && i64::try_from(rows).is_ok();
        if let Some(expected) = expected.filter(|expected| whole && *expected != rows) {
            let message = format!("it gave {rows} rows for {expected}");
            return Err(Diagnostic::new("row-count", message));
        }
        // SAFETY: a plugin's batches follow the Arrow C Data Interface, as `segue.h`
        // demands; their contents are validated.
        Ok(unsafe { import_batch(array, &schema) }?)
    };
    let batches = answer.batches.into_iter().map(import);
    Ok(Given {
        batches: batches.collect::<Result<_, _>>()?,
        saved: answer.saved,
        done: answer.done,
    })
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(drop) = self.table.drop {
            let _call = Call::begin(&self.label, Work::Drop);
            // SAFETY: the stage is alive, and this is its last use.
            unsafe { drop(self.stage) };
        }
    }
}
