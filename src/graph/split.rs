//! Where a stage is cut into segments.

use std::collections::BTreeMap;
use std::ops::Range;

use segue_plugin::Unit;

use super::raw::RawSplit;
use crate::diagnostic::Diagnostic;
use crate::planner::balanced;
use crate::toml_file::At;

/// How stages are cut whose file leaves that open: with `split = "auto"`, or with no `split`.
#[derive(Clone, Debug, Default)]
pub enum Cuts {
    /// Not at all.
    #[default]
    Whole,
    /// Into all their units, those with no `split` too where `unsaid` is.
    Units {
        /// Whether the graph may run on several devices.
        unsaid: bool,
    },
    /// The stages that are named into these ranges, all others not at all.
    At(BTreeMap<String, Vec<Range<usize>>>),
}

impl Cuts {
    /// The ranges of `count` units of a stage that says, or not, that it is to be cut.
    pub(super) fn ranges(&self, stage: &str, said: bool, count: usize) -> Vec<Range<usize>> {
        match self {
            Cuts::Units { unsaid } if said || *unsaid => (0..count).map(|at| at..at + 1).collect(),
            Cuts::At(cuts) if cuts.contains_key(stage) => cuts[stage].clone(),
            _ => one_range(count),
        }
    }
}

/// Who says where a stage is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Splitting {
    /// The file does not: it is left whole, or on several devices to the planner.
    #[default]
    Unsaid,
    /// The file leaves it to the planner.
    Auto,
    /// The file does.
    Fixed,
}

impl Splitting {
    pub(super) fn of(split: Option<&At<RawSplit>>) -> Self {
        match split.map(|split| &split.value) {
            None => Splitting::Unsaid,
            Some(RawSplit::Auto) => Splitting::Auto,
            Some(RawSplit::Count(_) | RawSplit::Ranges(_)) => Splitting::Fixed,
        }
    }
}

/// The unit ranges that `split` asks for, in order, covering all `units`.
///
/// # Errors
/// `bad-split` when there are no such units, or they leave a gap
pub fn ranges(split: &At<RawSplit>, units: &[Unit]) -> Result<Vec<Range<usize>>, Diagnostic> {
    match &split.value {
        // Whoever checks the graph knows where; see `Cuts`.
        RawSplit::Auto => Ok(one_range(units.len())),
        RawSplit::Count(count) => {
            if *count > units.len() {
                let (have, last) = (units.len(), units.len());
                let message = format!("{count} segments cannot be made of {have} units");
                let error = Diagnostic::new("bad-split", message).at(split.span);
                return Err(error.help(match units {
                    [only] => format!("there is only {}; leave out `split`", only.name),
                    _ => format!("`split` can be 1 to {last} here"),
                }));
            }
            let costs: Vec<f64> = units.iter().map(|unit| unit.cost).collect();
            Ok(balanced(&costs, *count))
        }
        RawSplit::Ranges(texts) => explicit(texts, units.len()),
    }
}

fn explicit(texts: &[At<String>], count: usize) -> Result<Vec<Range<usize>>, Diagnostic> {
    let bad = |at: &At<String>, message: String| {
        let error = Diagnostic::new("bad-split", message).at(at.span);
        error.help(format!(
            "there are {count} units: write for example [\"..1\", \"1..\"]"
        ))
    };
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for text in texts {
        let range = parse(&text.value, count)
            .ok_or_else(|| bad(text, format!("`{}` is not a range of units", text.value)))?;
        let expected = ranges.last().map_or(0, |last| last.end);
        if range.start != expected {
            let message = format!(
                "`{}` starts at {}, not at {expected}",
                text.value, range.start
            );
            return Err(bad(text, message));
        }
        ranges.push(range);
    }
    match (ranges.last(), texts.last()) {
        (Some(range), Some(text)) if range.end != count => Err(bad(
            text,
            format!("the last segment ends at {}, not at {count}", range.end),
        )),
        _ => Ok(ranges),
    }
}

/// `a..b`, `..b`, `a..` or `..`, within `0..=count` and not empty.
fn parse(text: &str, count: usize) -> Option<Range<usize>> {
    let (start, end) = text.split_once("..")?;
    let number = |text: &str, default| match text.trim() {
        "" => Some(default),
        digits => digits.parse::<usize>().ok(),
    };
    let range = number(start, 0)?..number(end, count)?;
    (range.start < range.end && range.end <= count).then_some(range)
}

/// All `count` units in one range.
pub(super) fn one_range(count: usize) -> Vec<Range<usize>> {
    std::iter::once(0..count).collect()
}
