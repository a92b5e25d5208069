//! One consistent cut of a run, and how a run stands.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::store::Stored;
use crate::dataflow::seen::Seen;
use crate::graph::{Graph, Role};

/// What every participant of a run needs to go on behind one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// The last time in it.
    pub time: u64,
    /// Sums so far.
    pub counts: Counts,
    /// Records consumed of each source.
    pub sources: BTreeMap<String, u64>,
    /// Bytes of each sink; of a Parquet file that is not complete, of its spool.
    pub sinks: BTreeMap<String, u64>,
    /// The CRC-32 of those bytes.
    pub sums: BTreeMap<String, u32>,
    /// Bytes of the rejects file.
    pub rejects: u64,
    /// The stages that need no more, each with the last time that it took.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stops: BTreeMap<String, u64>,
    /// What each source reads, as the device that reads it sees it; none before its
    /// first batch.
    pub inputs: BTreeMap<String, String>,
    /// What stages and loop edges gave to keep, and where it lies; none where there is
    /// nothing of the kind.
    pub state: Option<Stored>,
    /// Whether it is the last: nothing is left to process.
    pub ended: bool,
    /// Whether every output is complete.
    pub done: bool,
}

/// Sums over all commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows committed by the first sink.
    pub reviews: u64,
    /// Records rejected.
    pub rejected: u64,
    /// The same by source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected_of: BTreeMap<String, u64>,
    /// Rows with both a verdict and a true label, one that a verdict can be.
    pub judged: u64,
    /// Those where they are the same.
    pub correct: u64,
    /// Rows with both a verdict and a true label that no verdict can be.
    #[serde(default)]
    pub unmatched: u64,
    /// Rows by label, and rejected records by reason.
    #[serde(default)]
    pub seen: Seen,
    /// By sink and column, the numbers that were not written because they are not finite.
    #[serde(default)]
    pub not_finite: BTreeMap<String, BTreeMap<String, u64>>,
}

/// What a sink could not write of some rows.
pub struct Unwritten {
    /// The sink's stage.
    pub sink: String,
    /// The columns with numbers that are not finite, and how many.
    pub columns: Vec<(String, u64)>,
}

impl Counts {
    /// So many more records of `source` cannot be used.
    pub fn reject(&mut self, source: &str, records: u64) {
        self.rejected += records;
        if records > 0 {
            *self.rejected_of.entry(source.to_owned()).or_default() += records;
        }
    }

    /// Adds what a sink could not write.
    pub fn lose(&mut self, lost: Unwritten) {
        for (column, count) in lost.columns {
            let of = self.not_finite.entry(lost.sink.clone()).or_default();
            *of.entry(column).or_default() += count;
        }
    }

    /// The sinks that could not write some numbers, each with what to say about it.
    pub fn lost_numbers(&self) -> impl Iterator<Item = (&str, String)> {
        let columns = |(sink, columns)| {
            let columns: &BTreeMap<String, u64> = columns;
            columns
                .iter()
                .map(move |(column, count)| (sink, column, count))
        };
        self.not_finite
            .iter()
            .flat_map(columns)
            .map(|(sink, column, count)| {
                let sink: &String = sink;
                let what = match count {
                    1 => format!("1 number of `{column}` is not finite: it is not written"),
                    _ => format!(
                        "{count} numbers of `{column}` are not finite: they are not written"
                    ),
                };
                (sink.as_str(), what)
            })
    }
}

/// How a run stands, as its journal says.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Nothing is committed: it starts at the beginning.
    Fresh,
    /// It goes on behind the cut.
    ToResume(Cut),
    /// All is committed, but outputs are not complete: nothing is processed any more.
    ToFinish(Cut),
    /// Nothing is left to do.
    Done(Cut),
}

impl Standing {
    /// That of a run whose last commit is `cut`.
    pub fn after(cut: Cut) -> Self {
        match (cut.ended, cut.done) {
            (_, true) => Standing::Done(cut),
            (true, false) => Standing::ToFinish(cut),
            (false, false) => Standing::ToResume(cut),
        }
    }

    /// The last commit.
    pub fn cut(&self) -> Option<&Cut> {
        match self {
            Standing::Fresh => None,
            Standing::ToResume(cut) | Standing::ToFinish(cut) | Standing::Done(cut) => Some(cut),
        }
    }
}

/// Who takes part in the cuts of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Names {
    /// The sources' stages.
    pub sources: BTreeSet<String>,
    /// The sinks' stages.
    pub sinks: BTreeSet<String>,
}

impl Names {
    /// Those of `graph`.
    pub fn of(graph: &Graph) -> Self {
        let with = |role: Role| {
            let stages = graph.stages.iter().filter(|s| s.operator.role == role);
            stages.map(|stage| stage.name.clone()).collect()
        };
        Names {
            sources: with(Role::Source),
            sinks: with(Role::Sink),
        }
    }

    /// What `cut` lacks or has beyond these.
    pub fn difference(&self, cut: &Cut) -> Option<String> {
        let names = |map: &BTreeMap<String, u64>| map.keys().cloned().collect::<BTreeSet<_>>();
        let odd = |kind: &str, want: &BTreeSet<String>, have: BTreeSet<String>| {
            let odd = want.symmetric_difference(&have).next()?;
            Some(if have.contains(odd) {
                format!("it has a {kind} `{odd}`, which the graph has not")
            } else {
                format!("the {kind} `{odd}` is missing")
            })
        };
        let summed: BTreeSet<String> = cut.sums.keys().cloned().collect();
        odd("source", &self.sources, names(&cut.sources))
            .or_else(|| odd("sink", &self.sinks, names(&cut.sinks)))
            .or_else(|| odd("sink", &self.sinks, summed))
    }

    /// What nothing is committed of yet.
    pub fn start(&self) -> Cut {
        Cut {
            sources: self.sources.iter().map(|name| (name.clone(), 0)).collect(),
            sinks: self.sinks.iter().map(|name| (name.clone(), 0)).collect(),
            sums: self.sinks.iter().map(|name| (name.clone(), 0)).collect(),
            ..Cut::default()
        }
    }
}
