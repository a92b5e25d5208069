//! The files that a run writes: one a sink, and the rejects.

use std::path::PathBuf;

use arrow_array::RecordBatch;

use super::cut::Cut;
use super::rejects::Rejects;
use crate::dataflow::apply::{project, schema};
use crate::dataflow::shared::Failure;
use crate::dataflow::source::Mark;
use crate::graph::{Graph, Role, Stage};
use crate::io::{self, Position, Sink};
use crate::operators::{write_options, written_columns};

struct Output {
    stage: Stage,
    sink: Box<dyn Sink>,
    written: Vec<segue_plugin::Column>,
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
pub fn verify(graph: &Graph, cut: &Cut) -> Result<(), Failure> {
    sinks(graph).try_for_each(|stage| {
        let path = write_options(&stage.options).path;
        io::verify(&path, position(stage, cut)).map_err(|e| Failure::of_file(stage, e))
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
    ) -> Result<Self, Failure> {
        let rejects = Rejects::open(rejects, cut.map_or(0, |cut| cut.rejects))?;
        let open = |stage: &Stage| {
            let written = written(stage)?;
            let at = cut.map(|cut| position(stage, cut));
            let sink = io::create(&write_options(&stage.options), schema(&written), at);
            Ok(Output {
                stage: stage.clone(),
                sink: sink.map_err(|e| Failure::of_file(stage, e))?,
                written,
            })
        };
        let sinks = sinks(graph).map(open).collect::<Result<_, Failure>>()?;
        Ok(Outputs { sinks, rejects })
    }

    /// Adds rows to the file of sink number `sink`.
    ///
    /// # Errors
    /// `write-failed`
    pub fn write(&mut self, sink: usize, rows: &RecordBatch) -> Result<(), Failure> {
        let output = &mut self.sinks[sink];
        let written = project(rows, &output.written)
            .map_err(|e| Failure::of_stage(&output.stage, "to write", e))?;
        let done = output.sink.write(&written);
        done.map_err(|e| Failure::of_file(&output.stage, e))
    }

    /// Adds the rejects of `mark`.
    ///
    /// # Errors
    /// `write-failed`
    pub fn reject(&mut self, mark: &Mark) -> Result<(), Failure> {
        self.rejects.write(mark)
    }

    /// Puts into `cut` where every file ends now.
    ///
    /// # Errors
    /// `write-failed`
    pub fn positions(&mut self, cut: &mut Cut) -> Result<(), Failure> {
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
    pub fn sync(&mut self) -> Result<(), Failure> {
        for output in &mut self.sinks {
            let synced = output.sink.sync();
            synced.map_err(|e| Failure::of_file(&output.stage, e))?;
        }
        self.rejects.sync()
    }

    /// Completes every file, and puts into `cut` where it ends.
    ///
    /// # Errors
    /// `write-failed`, `output-lost`
    pub fn finish(&mut self, cut: &mut Cut) -> Result<(), Failure> {
        for output in &mut self.sinks {
            let end = output.sink.finish();
            let end = end.map_err(|e| Failure::of_file(&output.stage, e))?;
            set(cut, &output.stage, end);
        }
        Ok(())
    }
}

fn set(cut: &mut Cut, stage: &Stage, position: Position) {
    cut.sinks.insert(stage.name.clone(), position.bytes);
    cut.sums.insert(stage.name.clone(), position.crc32);
}

/// The columns of the file: those that are read, less what is read for accuracy alone.
fn written(stage: &Stage) -> Result<Vec<segue_plugin::Column>, Failure> {
    let all = written_columns(&stage.options, &stage.columns.reads);
    all.map_err(|problem| {
        let file = Some(stage.file_name.clone());
        Failure {
            stage: file,
            ..Failure::new(problem.code, problem.message)
        }
    })
}
