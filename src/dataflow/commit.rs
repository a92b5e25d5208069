//! The committer: the one thread that writes results, in the order of times, and
//! after each commit the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use crossbeam_channel::Receiver;
use hdrhistogram::Histogram;
use serde_json::json;

use super::apply::{project, schema};
use super::journal::{self, Counts, Entry, Journal};
use super::metrics::Latency;
use super::shared::{Failure, Shared};
use super::source::{Mark, now_us};
use crate::graph::{Graph, Role, Stage};
use crate::io::Sink;
use crate::operators::{JUDGED, write_options, written_columns};

/// Times that may wait for the committer before a sink waits too.
pub const QUEUE: usize = 4;

/// The longest latency that is told apart: an hour, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// What sinks tell the committer.
pub enum ToCommit {
    /// All that one sink gets at one time. Its earlier times are complete.
    Time {
        /// The sink, counted in the order of the plan.
        sink: usize,
        /// The first time of those it gets at once; else the same.
        from: u64,
        /// The time, or the last of them.
        time: u64,
        /// Its rows, in order.
        rows: Vec<RecordBatch>,
        /// How far each source was.
        marks: Vec<Mark>,
    },
    /// No more times come to the sink.
    End {
        /// The sink.
        sink: usize,
    },
}

/// Where a run starts from, and where its rejects go.
pub struct Start {
    /// What was committed before.
    pub entry: Option<Entry>,
    /// The open journal.
    pub journal: Journal,
    /// The rejects file, and whether the user asked for it.
    pub rejects: (PathBuf, bool),
}

/// What a finished run leaves to report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Committed {
    /// Sums, those before a resume included.
    pub counts: Counts,
    /// From the first batch read to the last commit.
    pub seconds: f64,
    /// Per batch.
    pub latency: Latency,
}

struct Output {
    stage: Stage,
    sink: Box<dyn Sink>,
    written: Vec<segue_plugin::Column>,
}

/// What a sink got at once, and from which time on.
type Delivered = (u64, Vec<RecordBatch>, Vec<Mark>);

/// The committer's state.
pub struct Committer {
    outputs: Vec<Output>,
    rejects: Rejects,
    journal: Journal,
    entry: Entry,
    pending: BTreeMap<u64, BTreeMap<usize, Delivered>>,
    /// For each sink the last time it delivered; `u64::MAX` at its end.
    reached: Vec<Option<u64>>,
    latency: Histogram<u64>,
    first_us: Option<u64>,
    last_us: u64,
    shared: Arc<Shared>,
}

impl Committer {
    /// Opens every sink of `graph` where `start` says.
    ///
    /// # Errors
    /// What a file cannot be opened for
    pub fn open(graph: &Graph, start: Start, shared: Arc<Shared>) -> Result<Self, Failure> {
        let entry = start.entry.unwrap_or_default();
        let mut outputs = Vec::new();
        for stage in graph
            .stages
            .iter()
            .filter(|stage| stage.operator.role == Role::Sink)
        {
            let written = written(stage)?;
            let options = write_options(&stage.options);
            let position = entry.sinks.get(&stage.name).copied();
            let sink = crate::io::create(&options, schema(&written), position);
            let sink = sink.map_err(|e| Failure::of_file(stage, e))?;
            outputs.push(Output {
                stage: stage.clone(),
                sink,
                written,
            });
        }
        let rejects = Rejects::open(start.rejects, entry.rejects)?;
        let reached = vec![None; outputs.len()];
        shared
            .progress
            .committed
            .store(entry.counts.reviews, Ordering::Relaxed);
        shared
            .progress
            .rejected
            .store(entry.counts.rejected, Ordering::Relaxed);
        Ok(Committer {
            outputs,
            rejects,
            journal: start.journal,
            entry,
            pending: BTreeMap::new(),
            reached,
            // Three digits: a latency is known to a thousandth of itself.
            latency: Histogram::new_with_bounds(1, LONGEST_US, 3)
                .map_err(|e| Failure::new("internal", e.to_string()))?,
            first_us: None,
            last_us: 0,
            shared,
        })
    }

    /// Commits what comes until every sink has ended, then completes the files.
    /// `None` when the run was stopped before.
    ///
    /// # Errors
    /// `write-failed`
    pub fn run(mut self, messages: &Receiver<ToCommit>) -> Result<Option<Committed>, Failure> {
        while self
            .reached
            .iter()
            .any(|reached| *reached != Some(u64::MAX))
        {
            let Ok(message) = messages.recv() else {
                return Ok(None);
            };
            self.take(message);
            // What has come meanwhile shares one trip to the disk.
            messages.try_iter().for_each(|message| self.take(message));
            if self.shared.stopped() {
                return Ok(None);
            }
            self.commit()?;
        }
        self.finish()?;
        Ok(Some(self.committed()))
    }

    fn take(&mut self, message: ToCommit) {
        match message {
            ToCommit::Time {
                sink,
                from,
                time,
                rows,
                marks,
            } => {
                self.pending
                    .entry(time)
                    .or_default()
                    .insert(sink, (from, rows, marks));
                self.reached[sink] = Some(time);
            }
            ToCommit::End { sink } => self.reached[sink] = Some(u64::MAX),
        }
    }

    /// The last time that all sinks have reached, and that splits nothing which a sink
    /// got at once.
    fn committable(&self) -> Option<u64> {
        let mut reached = self.reached.iter().copied().min().flatten()?;
        let beyond = |reached: u64| {
            let after = (Bound::Excluded(reached), Bound::Unbounded);
            let delivered = self.pending.range(after).flat_map(|(_, all)| all.values());
            delivered.map(|(from, ..)| *from).min()
        };
        while let Some(from) = beyond(reached).filter(|from| *from <= reached) {
            reached = from.checked_sub(1)?;
        }
        Some(reached)
    }

    /// Writes every time that all sinks have reached.
    fn commit(&mut self) -> Result<(), Failure> {
        let Some(reached) = self.committable() else {
            return Ok(());
        };
        let mut opened = Vec::new();
        while let Some(first) = self
            .pending
            .first_entry()
            .filter(|entry| *entry.key() <= reached)
        {
            let (time, delivered) = first.remove_entry();
            self.write(time, delivered, &mut opened)?;
        }
        if opened.is_empty() {
            return Ok(());
        }
        for output in &mut self.outputs {
            let position = output
                .sink
                .sync()
                .map_err(|e| Failure::of_file(&output.stage, e))?;
            self.entry.sinks.insert(output.stage.name.clone(), position);
        }
        self.entry.rejects = self.rejects.sync()?;
        self.journal.append(&self.entry)?;
        self.last_us = now_us();
        for opened_us in opened {
            self.first_us = Some(
                self.first_us
                    .map_or(opened_us, |first| first.min(opened_us)),
            );
            self.latency
                .saturating_record(self.last_us.saturating_sub(opened_us));
        }
        let counts = self.entry.counts;
        self.shared
            .progress
            .committed
            .store(counts.reviews, Ordering::Relaxed);
        self.shared
            .progress
            .rejected
            .store(counts.rejected, Ordering::Relaxed);
        Ok(())
    }

    fn write(
        &mut self,
        time: u64,
        delivered: BTreeMap<usize, Delivered>,
        opened: &mut Vec<u64>,
    ) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        for (sink, (_, batches, marks)) in delivered {
            for batch in &batches {
                let output = &mut self.outputs[sink];
                let written = project(batch, &output.written)
                    .map_err(|e| Failure::of_stage(&output.stage, "to write", e))?;
                output
                    .sink
                    .write(&written)
                    .map_err(|e| Failure::of_file(&output.stage, e))?;
                if sink == 0 {
                    self.entry.counts.reviews += batch.num_rows() as u64;
                    judge(batch, &mut self.entry.counts);
                }
            }
            // Every sink gets every mark: the first to bring it counts.
            for mark in marks
                .into_iter()
                .filter(|mark| seen.insert((mark.stage.clone(), mark.time)))
            {
                self.entry.counts.rejected += mark.rejects.len() as u64;
                self.rejects.write(&mark)?;
                self.entry.sources.insert(mark.stage, mark.next_record);
                opened.push(mark.opened_us);
            }
        }
        self.entry.time = time;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.entry.ended = true;
        self.journal.append(&self.entry)?;
        for output in &mut self.outputs {
            output
                .sink
                .finish()
                .map_err(|e| Failure::of_file(&output.stage, e))?;
        }
        self.entry.done = true;
        self.journal.append(&self.entry)?;
        self.last_us = self.last_us.max(self.first_us.map_or(0, |_| now_us()));
        Ok(())
    }

    fn committed(&self) -> Committed {
        let us = self
            .first_us
            .map_or(0, |first| self.last_us.saturating_sub(first));
        let ms = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1e3;
        let latency = Latency {
            p50: ms(0.5),
            p99: ms(0.99),
        };
        Committed {
            counts: self.entry.counts,
            seconds: us as f64 / 1e6,
            latency,
        }
    }
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

/// Counts the rows in which the file's label and the pipeline's verdict are the same.
fn judge(batch: &RecordBatch, counts: &mut Counts) {
    let column = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let [Some(truth), Some(label)] = JUDGED.map(column) else {
        return;
    };
    for (truth, label) in truth.iter().zip(label).filter_map(|(a, b)| Some((a?, b?))) {
        counts.judged += 1;
        counts.correct += u64::from(truth.eq_ignore_ascii_case(label));
    }
}

/// The rejects file: made when there is a first reject, or when it was asked for.
struct Rejects {
    path: PathBuf,
    file: Option<File>,
}

impl Rejects {
    fn open((path, asked): (PathBuf, bool), position: u64) -> Result<Self, Failure> {
        let mut rejects = Rejects { path, file: None };
        if position == 0 && !asked {
            // One of an earlier run would be taken for this one's.
            let _ = std::fs::remove_file(&rejects.path);
            return Ok(rejects);
        }
        let have = std::fs::metadata(&rejects.path).map_or(0, |found| found.len());
        if have < position {
            let path = rejects.path.display();
            let message =
                format!("`{path}` has {have} bytes, fewer than the {position} to resume at");
            let help = Some("name the rejects file that the run began with".to_owned());
            return Err(Failure {
                help,
                ..Failure::new("bad-resume", message)
            });
        }
        let file = rejects
            .create(position)
            .map_err(|e| failed(&rejects.path, &e))?;
        rejects.file = Some(file);
        Ok(rejects)
    }

    fn create(&self, position: u64) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .write(true)
            .truncate(position == 0)
            .open(&self.path)?;
        file.set_len(position)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    }

    fn write(&mut self, mark: &Mark) -> Result<(), Failure> {
        let mut lines = String::new();
        for reject in &mark.rejects {
            let line = json!({
                "source": mark.stage, "record": reject.record, "line": reject.line,
                "code": reject.code, "reason": reject.reason,
            });
            lines.push_str(&format!("{line}\n"));
        }
        if lines.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(self.create(0).map_err(|e| failed(&self.path, &e))?);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(lines.as_bytes())
            .map_err(|e| failed(&self.path, &e))
    }

    fn sync(&mut self) -> Result<u64, Failure> {
        let Some(file) = &mut self.file else {
            return Ok(0);
        };
        let position = file.sync_data().and_then(|()| file.stream_position());
        position.map_err(|e| failed(&self.path, &e))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        "write-failed",
        format!("cannot write `{}`: {error}", path.display()),
    )
}

/// Where rejects go when the user names no file.
pub fn default_rejects(graph: &Graph) -> Option<PathBuf> {
    let sink = graph
        .stages
        .iter()
        .find(|stage| stage.operator.role == Role::Sink)?;
    Some(journal::beside(sink, "rejects.jsonl"))
}
