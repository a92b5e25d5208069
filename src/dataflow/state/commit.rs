//! The committer: the one thread that writes. It takes times in their order, writes their
//! rows and rejects, and seals a cut when every participant can go on behind it.
//!
//! Behind the last cut files may hold more: a resumed run cuts that off.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use serde_json::Value;

use super::cut::{Counts, Cut, Names, Standing};
use super::journal::Journal;
use super::messages::{Messages, ToCommit};
use super::outputs::Outputs;
use super::participants::{Participants, When};
use super::store::{self, Kept, LoopRows};
use super::timing::Timing;
use crate::dataflow::judge::Judge;
use crate::dataflow::ledger::END;
use crate::dataflow::losses::Losses;
use crate::dataflow::metrics::Latency;
use crate::dataflow::shared::Shared;
use crate::dataflow::source::Mark;
use crate::diagnostic::Diagnostic;
use crate::graph::Graph;

/// Cuts that may wait for stages to save.
const POINTS_MAX: usize = 1024;

/// Where a run starts from, and where its rejects go.
pub struct Start {
    /// The journal, locked.
    pub journal: Journal,
    /// Its first line.
    pub header: Value,
    /// How the run stands.
    pub standing: Standing,
    /// The rejects file, and whether the user asked for it.
    pub rejects: (PathBuf, bool),
}

/// What a finished run leaves to report.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// Sums, those before a resume included.
    pub counts: Counts,
    /// From the first batch that came to the last commit.
    pub seconds: f64,
    /// Per batch.
    pub latency: Latency,
}

/// What a time holds.
#[derive(Default)]
struct Pending {
    rows: BTreeMap<usize, Vec<RecordBatch>>,
    marks: Vec<(Mark, Instant)>,
}

/// The committer's state.
pub struct Committer {
    outputs: Outputs,
    journal: Journal,
    header: Value,
    rejects: (PathBuf, bool),
    participants: Participants,
    /// What was written last, as a cut.
    written: Cut,
    /// What is in the journal.
    sealed: Option<Cut>,
    pending: BTreeMap<u64, Pending>,
    /// For each teller, before which time it has told all.
    reached: Vec<u64>,
    /// Cuts that could be sealed once stages have saved so far, oldest first.
    points: VecDeque<Cut>,
    /// Times behind which a cut is wanted and not yet written.
    wanted: BTreeSet<u64>,
    /// The cut that waits for states.
    awaited: Option<Cut>,
    /// By stage, what it gave last.
    states: BTreeMap<String, (u64, Vec<u8>)>,
    /// By stage, up to which time it has saved.
    saved: BTreeMap<String, u64>,
    /// By stage that needs no more, the last time that it took.
    ended: BTreeMap<String, u64>,
    graph: Graph,
    /// By time and edge.
    loops: BTreeMap<u64, BTreeMap<usize, LoopRows>>,
    judge: Judge,
    losses: Losses,
    timing: Timing,
    shared: Arc<Shared>,
}

impl Committer {
    /// Opens the files of `graph` where `start` says.
    ///
    /// # Errors
    /// What a file cannot be opened for
    pub fn open(graph: &Graph, start: Start, shared: Arc<Shared>) -> Result<Self, Diagnostic> {
        let Start {
            mut journal,
            header,
            standing,
            rejects,
        } = start;
        let cut = standing.cut().cloned();
        let fresh = cut.is_none();
        // The journal comes first: with a crash in between nothing counts as committed.
        if fresh {
            journal.begin(&header)?;
        }
        let outputs = Outputs::open(graph, rejects.clone(), cut.as_ref())?;
        if !fresh {
            journal.go_on(&header)?;
        }
        let stored = cut.as_ref().and_then(|cut| cut.state.as_ref());
        store::sweep(journal.path(), stored);
        let participants = Participants::of(graph);
        let written = cut.clone().unwrap_or_else(|| Names::of(graph).start());
        shared.progress.set_committed(&written.counts);
        // Where nothing is read, no mark says when it began.
        let began = written.sources.is_empty().then(Instant::now);
        Ok(Committer {
            outputs,
            journal,
            header,
            rejects,
            reached: vec![0; participants.sinks + 2],
            // What has ended with all it had saved needs to save no more.
            saved: (written.stops.keys())
                .filter(|stage| participants.saves.contains(*stage))
                .map(|stage| (stage.clone(), END - 1))
                .collect(),
            participants,
            ended: written.stops.clone(),
            graph: graph.clone(),
            written,
            sealed: cut,
            pending: BTreeMap::new(),
            points: VecDeque::new(),
            wanted: BTreeSet::new(),
            awaited: None,
            states: BTreeMap::new(),
            loops: BTreeMap::new(),
            judge: Judge::new(graph),
            losses: Losses::default(),
            timing: Timing::new(began)?,
            shared,
        })
    }

    /// Commits what comes until every teller has ended, then completes the files. `None`
    /// when the run was stopped before.
    ///
    /// # Errors
    /// `write-failed`, `output-lost`, `all-rejected`
    pub fn run(mut self, messages: &Messages) -> Result<Option<Committed>, Diagnostic> {
        while self.told() < u64::MAX {
            let Ok(message) = messages.recv() else {
                return Ok(None);
            };
            self.take(message);
            // What has come meanwhile shares one trip to the disk.
            messages.waiting().for_each(|message| self.take(message));
            if self.shared.stopped() {
                return Ok(None);
            }
            self.write_complete()?;
            self.seal_what_can_be()?;
        }
        // Before it is sealed as the last cut: who goes on with such a run is told the same.
        self.losses.check(&self.written, &self.rejects.0)?;
        for (source, note) in self.losses.notes(&self.written) {
            self.shared.progress.add_note(&source, note);
        }
        self.end()?;
        self.finish()?;
        if let Some(note) = self.judge.note(&self.written.counts) {
            self.shared.progress.add_note(&self.judge.stage, note);
        }
        for (stage, note) in self.written.counts.lost_numbers() {
            self.shared.progress.add_note(stage, note);
        }
        self.timing.finished();
        Ok(Some(self.committed()))
    }

    /// Completes the files of a run in which all is committed.
    ///
    /// # Errors
    /// `write-failed`, `output-lost`
    pub fn complete(mut self) -> Result<Start, Diagnostic> {
        self.finish()?;
        Ok(Start {
            journal: self.journal,
            header: self.header,
            standing: Standing::Done(self.written),
            rejects: self.rejects,
        })
    }

    fn finish(&mut self) -> Result<(), Diagnostic> {
        // What was sealed last: that needs no states any more.
        let last = self.sealed.clone();
        let mut done = last.unwrap_or_else(|| self.written.clone());
        done.done = true;
        self.outputs.finish(&mut done)?;
        self.journal.append(&done)?;
        self.outputs.sweep();
        self.written = done;
        Ok(())
    }

    /// Before which time everything has been told.
    fn told(&self) -> u64 {
        self.reached.iter().copied().min().unwrap_or(u64::MAX)
    }

    fn take(&mut self, message: ToCommit) {
        match message {
            ToCommit::Ready => {}
            ToCommit::Rows { sink, time, rows } => {
                let at = self.pending.entry(time).or_default();
                at.rows.entry(sink).or_default().extend(rows);
            }
            ToCommit::Mark(mark, arrived) => {
                let at = self.pending.entry(mark.time).or_default();
                at.marks.push((mark, arrived));
            }
            ToCommit::Loop { edge, time, rows } => {
                let at = self.loops.entry(time).or_default();
                at.entry(edge).or_default().0.push(rows);
            }
            ToCommit::Cut(time) => drop(self.wanted.insert(time)),
            ToCommit::Saved { stage, time } => drop(self.saved.insert(stage, time)),
            ToCommit::Ended { stage, time } => drop(self.ended.insert(stage, time)),
            ToCommit::State { stage, time, state } => {
                self.states.insert(stage, (time, state));
            }
            ToCommit::Reached { teller, before } => self.reached[teller] = before,
        }
    }

    /// Writes every time that is complete, in order.
    fn write_complete(&mut self) -> Result<(), Diagnostic> {
        let complete = self.told();
        loop {
            let first = self.pending.keys().next().copied();
            let cut = self.wanted.first().copied();
            let time = [first, cut].into_iter().flatten().min();
            let Some(time) = time.filter(|time| *time < complete) else {
                // Of what goes round only the rows of a wanted time are kept.
                let awaited = self.awaited.as_ref().map(|cut| cut.time);
                self.loops
                    .retain(|time, _| *time >= complete || Some(*time) == awaited);
                return Ok(());
            };
            if let Some(pending) = self.pending.remove(&time) {
                self.write(time, pending)?;
            }
            let wanted = self.wanted.remove(&time);
            let point = match self.participants.when() {
                When::Always => false,
                // Behind what a stage gave at its end nobody could go on.
                When::Saved => time < END,
                When::Wanted => wanted,
            };
            self.written.time = time;
            if point {
                self.outputs.positions(&mut self.written)?;
                if wanted {
                    self.awaited = Some(self.written.clone())
                } else {
                    self.add_point()
                }
            }
        }
    }

    /// What was written could be sealed once stages have saved so far. Where they save late
    /// or never, every second of the older ones goes: a resumed run then starts earlier.
    fn add_point(&mut self) {
        if self.points.len() >= POINTS_MAX {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                !keep
            });
        }
        self.points.push_back(self.written.clone());
    }

    fn write(&mut self, time: u64, pending: Pending) -> Result<(), Diagnostic> {
        let Pending {
            mut rows,
            mut marks,
        } = pending;
        // How far a source came that nobody needs depends on threads.
        let unneeded = self.unneeded(time);
        marks.retain(|(mark, _)| !unneeded.contains(&mark.stage));
        // They came in the order of threads.
        marks.sort_by(|(a, _), (b, _)| a.stage.cmp(&b.stage));
        for sink in self.outputs.keeping_rejects() {
            // A time may have nothing but rejects.
            rows.entry(sink).or_default();
        }
        for (sink, batches) in rows {
            for batch in batches.iter().filter(|_| sink == 0) {
                self.written.counts.reviews += batch.num_rows() as u64;
                self.judge.add(batch, &mut self.written.counts);
            }
            let marks = marks.iter().map(|(mark, _)| mark);
            let lost = self.outputs.write(sink, &batches, marks)?;
            if let Some(lost) = lost {
                self.written.counts.lose(lost);
            }
        }
        for (mark, arrived) in marks {
            let counts = &mut self.written.counts;
            counts.reject(&mark.stage, mark.rejects.len() as u64);
            counts.seen.rejects(&mark.rejects);
            self.losses.add(&mark.stage, &mark.rejects);
            self.outputs.reject(&mark)?;
            self.written
                .sources
                .insert(mark.stage.clone(), mark.next_record);
            self.written.inputs.insert(mark.stage, mark.inputs);
            self.timing.arrived(time, arrived);
        }
        Ok(())
    }

    /// The sources of which nothing at `time` is needed.
    fn unneeded(&self, time: u64) -> BTreeSet<String> {
        let before = self.ended.iter().filter(|(_, ended)| **ended < time);
        let stages: BTreeSet<String> = before.map(|(stage, _)| stage.clone()).collect();
        if stages.is_empty() {
            BTreeSet::new()
        } else {
            self.graph.unneeded(&stages)
        }
    }

    /// Seals the latest cut that every participant can go on behind.
    fn seal_what_can_be(&mut self) -> Result<(), Diagnostic> {
        match self.participants.when() {
            When::Always => {
                let new = self.sealed.as_ref().map(|cut| cut.time) != Some(self.written.time);
                if new && self.timing.waits() {
                    self.outputs.positions(&mut self.written)?;
                    self.seal(self.written.clone(), &Kept::default())?;
                }
            }
            When::Saved => {
                let saved = self.participants.saved(&self.saved);
                let mut last = None;
                while self
                    .points
                    .front()
                    .is_some_and(|cut| Some(cut.time) <= saved)
                {
                    last = self.points.pop_front();
                }
                if let Some(cut) = last {
                    self.seal(cut, &Kept::default())?;
                }
            }
            When::Wanted => {
                let Some(cut) = &self.awaited else {
                    return Ok(());
                };
                let given = |(time, _): &(u64, Vec<u8>)| *time == cut.time;
                let all = (self.participants.snapshots.iter())
                    .all(|stage| self.states.get(stage).is_some_and(given));
                let none_saves = self.participants.saves.is_empty();
                let saved = self.participants.saved(&self.saved);
                if all && (none_saves || saved >= Some(cut.time)) {
                    let cut = cut.clone();
                    let states = std::mem::take(&mut self.states);
                    let mut kept = Kept {
                        stages: states.into_iter().map(|(n, (_, s))| (n, s)).collect(),
                        loops: self.loops.remove(&cut.time).unwrap_or_default(),
                    };
                    for rows in kept.loops.values_mut() {
                        // They came in the order of threads.
                        rows.0.sort_by(|(a, _), (b, _)| a.cmp(b));
                    }
                    self.awaited = None;
                    self.seal(cut, &kept)?;
                }
            }
        }
        Ok(())
    }

    /// All has come: the last cut, behind which nothing is processed.
    fn end(&mut self) -> Result<(), Diagnostic> {
        self.outputs.positions(&mut self.written)?;
        self.written.ended = true;
        self.seal(self.written.clone(), &Kept::default())
    }

    fn seal(&mut self, mut cut: Cut, kept: &Kept) -> Result<(), Diagnostic> {
        self.outputs.sync()?;
        let ended = self.ended.iter().filter(|(_, ended)| **ended <= cut.time);
        cut.stops = ended.map(|(stage, time)| (stage.clone(), *time)).collect();
        cut.state = store::write(self.journal.path(), cut.time, kept)?;
        self.journal.append(&cut)?;
        let before = self.sealed.take().and_then(|cut| cut.state);
        let new = cut.state.as_ref().map(|new| &new.file);
        if let Some(old) = before.filter(|old| Some(&old.file) != new) {
            store::remove(self.journal.path(), &old);
        }
        self.timing.sealed(cut.time);
        self.shared.progress.set_committed(&cut.counts);
        self.shared.set_sealed(cut.time);
        self.sealed = Some(cut);
        Ok(())
    }

    fn committed(&self) -> Committed {
        Committed {
            counts: self.written.counts.clone(),
            seconds: self.timing.seconds(),
            latency: self.timing.latency(),
        }
    }
}
