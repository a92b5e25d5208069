//! The files that a run writes: one a sink, and the rejects.

use std::collections::BTreeSet;
use std::path::PathBuf;

use arrow_array::RecordBatch;

use super::cut::{Cut, Unwritten};
use super::rejects::Rejects;
use crate::dataflow::apply::{project, schema};
use crate::dataflow::failure::{file_failed, stage_failed};
use crate::dataflow::losses::with_rejected;
use crate::dataflow::source::Mark;
use crate::diagnostic::Diagnostic;
use crate::graph::{Graph, Role, Stage};
use crate::io::{self, Position, Sink};
use crate::operators::{keeps_rejects, write_options, written_columns};

struct Output {
    stage: Stage,
    sink: Box<dyn Sink>,
    written: Vec<segue_plugin::Column>,
    /// The sources whose rejects have rows too; empty where none have.
    kept: BTreeSet<String>,
}

impl Output {
    fn project(
        &self,
        rows: &RecordBatch,
        columns: &[segue_plugin::Column],
    ) -> Result<RecordBatch, Diagnostic> {
        project(rows, columns).map_err(|e| stage_failed(&self.stage, "to write", e))
    }

    fn with_rejected(
        &self,
        rows: &[RecordBatch],
        rejected: Vec<u64>,
    ) -> Result<RecordBatch, Diagnostic> {
        let reads = &self.stage.columns.reads;
        let rows = rows.iter().map(|batch| self.project(batch, reads));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        with_rejected(&rows, rejected, &schema(reads))
            .map_err(|e| Diagnostic::new("batch-too-large", e.to_string()))
    }
}

/// All files of a run, open and locked.
pub struct Outputs {
    /// In the order of the plan's sinks.
    sinks: Vec<Output>,
    rejects: Rejects,
}

/// The file of `sink` with `ending` added to its name.
pub fn beside(sink: &Stage, ending: &str) -> PathBuf {
    PathBuf::from(format!(
        "{}.{ending}",
        sink.options["path"].as_str().unwrap_or_default()
    ))
}

fn sinks(graph: &Graph) -> impl Iterator<Item = &Stage> {
    let stages = graph.stages.iter();
    stages.filter(|stage| stage.operator.role == Role::Sink)
}

/// The sources whose records come to `stage`, other than as a side input.
fn sources_of(graph: &Graph, stage: &Stage) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let of = |stage: &Stage| -> Vec<usize> {
        let inputs = stage.inputs.iter().zip(&stage.ports.inputs);
        let inputs = inputs.filter(|(_, port)| !stage.is_whole(**port));
        inputs.map(|(&input, _)| input).collect()
    };
    let mut next = of(stage);
    while let Some(i) = next.pop() {
        if reached.insert(i) {
            next.extend(of(&graph.stages[i]));
        }
    }
    let stages = reached.into_iter().map(|i| &graph.stages[i]);
    let sources = stages.filter(|stage| stage.operator.role == Role::Source);
    sources.map(|stage| stage.name.clone()).collect()
}

/// Where `stage`'s file ends, as `cut` says.
fn position(stage: &Stage, cut: &Cut) -> Position {
    Position {
        bytes: cut.sinks.get(&stage.name).copied().unwrap_or_default(),
        crc32: cut.sums.get(&stage.name).copied().unwrap_or_default(),
    }
}

/// Checks that the complete outputs of `graph` are as `cut` says.
///
/// # Errors
/// `output-lost`
pub fn verify(graph: &Graph, cut: &Cut) -> Result<(), Diagnostic> {
    sinks(graph).try_for_each(|stage| {
        let path = write_options(&stage.options).path;
        io::verify(&path, position(stage, cut)).map_err(|e| file_failed(stage, e))
    })
}

impl Outputs {
    /// Opens every file, behind `cut` where there is one; else all start empty. Rejects go
    /// to the path of `rejects`, which says too whether the user asked for it.
    ///
    /// # Errors
    /// What a file cannot be opened for
    pub fn open(
        graph: &Graph,
        rejects: (PathBuf, bool),
        cut: Option<&Cut>,
    ) -> Result<Self, Diagnostic> {
        let rejects = Rejects::open(rejects, cut.map_or(0, |cut| cut.rejects))?;
        let open = |stage: &Stage| {
            let written = written(stage)?;
            let at = cut.map(|cut| position(stage, cut));
            let sink = io::create(&write_options(&stage.options), schema(&written), at);
            Ok(Output {
                stage: stage.clone(),
                sink: sink.map_err(|e| file_failed(stage, e))?,
                written,
                kept: if keeps_rejects(&stage.options) {
                    sources_of(graph, stage)
                } else {
                    BTreeSet::new()
                },
            })
        };
        let sinks = sinks(graph).map(open).collect::<Result<_, Diagnostic>>()?;
        Ok(Outputs { sinks, rejects })
    }

    /// The numbers of the sinks that have rows for rejects too.
    pub fn keeping_rejects(&self) -> impl Iterator<Item = usize> {
        (0..self.sinks.len()).filter(|sink| !self.sinks[*sink].kept.is_empty())
    }

    /// Adds the rows of a time to the file of sink number `sink`, and those for the rejects in
    /// `marks` where it has such rows. Gives what could not be written of them.
    ///
    /// # Errors
    /// `write-failed`, `batch-too-large`
    pub fn write<'a>(
        &mut self,
        sink: usize,
        rows: &[RecordBatch],
        marks: impl Iterator<Item = &'a Mark>,
    ) -> Result<Option<Unwritten>, Diagnostic> {
        let output = &mut self.sinks[sink];
        let rejected = marks.filter(|mark| output.kept.contains(&mark.stage));
        let rejected = rejected.flat_map(|mark| &mark.rejects);
        let rejected: Vec<u64> = rejected.map(|reject| reject.record).collect();
        let with = if rejected.is_empty() {
            None
        } else {
            Some(output.with_rejected(rows, rejected)?)
        };
        let mut lost = Vec::new();
        let path = write_options(&output.stage.options).path;
        for batch in with.as_ref().map_or(rows, std::slice::from_ref) {
            let written = output.project(batch, &output.written)?;
            lost.extend(io::not_finite(&path, &written));
            let done = output.sink.write(&written);
            done.map_err(|e| file_failed(&output.stage, e))?;
        }
        Ok((!lost.is_empty()).then(|| Unwritten {
            sink: output.stage.name.clone(),
            columns: lost,
        }))
    }

    /// Adds the rejects of `mark`.
    ///
    /// # Errors
    /// `write-failed`
    pub fn reject(&mut self, mark: &Mark) -> Result<(), Diagnostic> {
        self.rejects.write(mark)
    }

    /// Puts into `cut` where every file ends now.
    ///
    /// # Errors
    /// `write-failed`
    pub fn positions(&mut self, cut: &mut Cut) -> Result<(), Diagnostic> {
        for output in &self.sinks {
            set(cut, &output.stage, output.sink.position());
        }
        cut.rejects = self.rejects.position()?;
        Ok(())
    }

    /// Puts all that was written on disk.
    ///
    /// # Errors
    /// `write-failed`, `output-lost`
    pub fn sync(&mut self) -> Result<(), Diagnostic> {
        for output in &mut self.sinks {
            let synced = output.sink.sync();
            synced.map_err(|e| file_failed(&output.stage, e))?;
        }
        self.rejects.sync()
    }

    /// Completes every file, and puts into `cut` where it ends.
    ///
    /// # Errors
    /// `write-failed`, `output-lost`
    pub fn finish(&mut self, cut: &mut Cut) -> Result<(), Diagnostic> {
        for output in &mut self.sinks {
            let end = output.sink.finish();
            let end = end.map_err(|e| file_failed(&output.stage, e))?;
            set(cut, &output.stage, end);
        }
        Ok(())
    }

    /// Removes what is not needed any more when the journal says that all files are complete.
    pub fn sweep(&mut self) {
        self.sinks.iter_mut().for_each(|output| output.sink.sweep());
    }
}

/// Removes what a crash left beside the outputs of `graph`, which are complete.
pub fn sweep(graph: &Graph) {
    sinks(graph).for_each(|stage| io::sweep(&write_options(&stage.options).path));
}

fn set(cut: &mut Cut, stage: &Stage, position: Position) {
    cut.sinks.insert(stage.name.clone(), position.bytes);
    cut.sums.insert(stage.name.clone(), position.crc32);
}

/// The columns of the file: those that are read, less what is read for accuracy alone.
fn written(stage: &Stage) -> Result<Vec<segue_plugin::Column>, Diagnostic> {
    let all = written_columns(&stage.options, &stage.columns.reads);
    all.map_err(|error| error.stage(&stage.file_name))
}
