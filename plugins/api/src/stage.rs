//! The trait a plugin implements.

use std::borrow::Cow;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Batch, Column, Columns, Error, Example, Host, Next, Port, Result, Units};

/// An operator: its fields are its options, read from the graph file.
///
/// State that is no option is a field with `#[serde(skip)]`, filled by
/// [`Stage::start`].
pub trait Stage: DeserializeOwned + JsonSchema + 'static {
    /// Whether [`Stage::units`] gives units, so that `split` works.
    const HAS_UNITS: bool = false;

    /// The input ports, where the edges that lead to the operator differ in what they bring:
    /// each edge of `from` and `loop` leads to one, in their order or as the graph names them.
    const PORTS: &'static [Port] = &[];

    /// Whether the stage needs no input to begin: then [`Stage::begin`] is called.
    const STARTS: bool = false;

    /// What the operator reads and writes under these options.
    fn columns(&self) -> Columns;

    /// As [`Stage::columns`], for an operator that must look at its model, or at
    /// the columns that reach it, to know.
    ///
    /// # Errors
    /// Whatever is wrong with the options
    fn columns_for(&self, _input: &[Column]) -> Result<Columns> {
        Ok(self.columns())
    }

    /// The parts the stage can be cut into.
    ///
    /// # Errors
    /// Whatever is wrong with the options
    fn units(&self) -> Result<Option<Units>> {
        Ok(None)
    }

    /// Called once before the first batch, where the stage runs: weights are
    /// loaded here.
    ///
    /// # Errors
    /// What cannot be loaded
    fn start(&mut self, _context: &Context) -> Result<()> {
        Ok(())
    }

    /// One batch in, one batch out. Only the columns that [`Stage::columns`]
    /// names as written are taken from it. Either this or [`Stage::process_each`] is what
    /// an operator does; as it stands it fails.
    ///
    /// # Errors
    /// What makes the batch impossible to process
    fn process(&mut self, _batch: Batch) -> Result<Batch> {
        let message = "the operator has neither `process` nor `process_each`";
        Err(Error::new("no-process", message))
    }

    /// As [`Stage::process`], for an operator that gives none or several batches, or
    /// has more to tell the host.
    ///
    /// # Errors
    /// What makes the batch impossible to process
    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        host.emit(self.process(batch)?);
        Ok(())
    }

    /// The first call after [`Stage::start`] in a fresh run, for a stage that
    /// [`STARTS`](Stage::STARTS): it gives its first batches, at time 0.
    ///
    /// # Errors
    /// What makes them impossible to give
    fn begin(&mut self, _host: &mut Host<'_>) -> Result<()> {
        Ok(())
    }

    /// No more input can come at `time`.
    ///
    /// # Errors
    /// What makes the held-back batches impossible to give
    fn flush(&mut self, _time: u64, _host: &mut Host<'_>) -> Result<()> {
        Ok(())
    }

    /// No more input can come at all: the end of a [stateful](Columns::stateful) stage. A
    /// long job does a part of its work in each call, so that the rest of the dataflow goes on
    /// in between. A stage without state is not told: its replicas end where their last batch
    /// was, and it gives all it has when it is [flushed](Stage::flush).
    ///
    /// # Errors
    /// What makes the rest impossible to give
    fn finish(&mut self, _host: &mut Host<'_>) -> Result<Next> {
        Ok(Next::Done)
    }

    /// All that the stage needs to go on behind the last time it was given, for one whose
    /// columns say that it [`snapshots`](Columns::snapshots). Asked for between two times.
    ///
    /// # Errors
    /// `no-state` where there is none to give
    fn snapshot(&mut self) -> Result<Vec<u8>> {
        Err(Error::new("no-state", "it does not give its state"))
    }

    /// Goes on behind the time at which [`Stage::snapshot`] gave `state`. Called once,
    /// after [`Stage::start`] and before the first batch, maybe on another device.
    ///
    /// # Errors
    /// `no-state` where `state` is none of this stage
    fn restore(&mut self, _state: &[u8]) -> Result<()> {
        Err(Error::new("no-state", "it does not take its state back"))
    }

    /// Inputs with the outputs they must give; they are documentation, and run as
    /// tests.
    fn examples() -> Vec<Example> {
        Vec::new()
    }
}

/// Where a stage runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Its name in the graph, with the segment's number if it is split: `encoder/0`.
    pub stage: String,
    /// The device's name.
    pub device: String,
    /// The worker thread within the device.
    pub worker: usize,
    /// The first time that can come: 0 in a fresh run, after a crash the first that is
    /// not committed. Times that the stage itself saved may come again, and it must then
    /// give the same again.
    #[serde(default)]
    pub from: u64,
    /// The columns that reach it, as [`Stage::columns_for`] was given them.
    #[serde(default)]
    pub input: Vec<Column>,
}

/// An option that names a file or folder. The host resolves it against the graph
/// file and checks that it exists; a model at `hf://owner/name` it fetches from the hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelPath(pub PathBuf);

impl Deref for ModelPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl JsonSchema for ModelPath {
    fn schema_name() -> Cow<'static, str> {
        "ModelPath".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "path"})
    }
}

/// An option that names a file or folder to write. The host resolves it against the
/// graph file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutputPath(pub PathBuf);

impl Deref for OutputPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl JsonSchema for OutputPath {
    fn schema_name() -> Cow<'static, str> {
        "OutputPath".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "output-path"})
    }
}
