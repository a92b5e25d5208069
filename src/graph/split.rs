//! Where a stage is cut into segments.

use std::ops::Range;

use segue_plugin::Unit;

use super::raw::RawSplit;
use crate::diagnostic::Diagnostic;
use crate::toml_file::At;

/// The unit ranges that `split` asks for, in order, covering all `units`.
///
/// # Errors
/// `bad-split` when there are no such units, or they leave a gap
pub fn ranges(split: &At<RawSplit>, units: &[Unit]) -> Result<Vec<Range<usize>>, Diagnostic> {
    match &split.value {
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

/// Cuts `costs` into `parts` contiguous, non-empty ranges whose largest sum is as
/// small as can be; among equals, the one whose later ranges are the smaller.
///
/// # Source
/// The linear partition problem by dynamic programming, O(parts * n^2)
pub fn balanced(costs: &[f64], parts: usize) -> Vec<Range<usize>> {
    let n = costs.len();
    let sums = sums(costs);
    let sum = |from: usize, to: usize| sums[from][to - from];
    // best[k][end]: smallest possible largest sum of `k + 1` ranges over `..end`,
    // and where the last of them starts.
    let mut best: Vec<Vec<(f64, usize)>> =
        vec![(0..=n).map(|end| (sum(0, end), 0)).collect::<Vec<_>>()];
    for k in 1..parts {
        let row = (0..=n).map(|end| {
            let cut = |start: usize| (best[k - 1][start].0.max(sum(start, end)), start);
            let cuts = (k..end).map(cut);
            cuts.fold((f64::INFINITY, 0), |a, b| if b.0 <= a.0 { b } else { a })
        });
        let row = row.collect();
        best.push(row);
    }
    let mut ranges = Vec::new();
    let mut end = n;
    for k in (0..parts).rev() {
        let start = best[k][end].1;
        ranges.push(start..end);
        end = start;
    }
    ranges.reverse();
    ranges
}

/// For each start the sums of what follows it: of nothing, of one cost, of two.
fn sums(costs: &[f64]) -> Vec<Vec<f64>> {
    let from = |start: usize| {
        let mut all = vec![0.0];
        let mut sum = 0.0;
        for cost in &costs[start..] {
            sum += cost;
            all.push(sum);
        }
        all
    };
    (0..=costs.len()).map(from).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(costs: &[f64], parts: usize, expect: &[Range<usize>]) {
        assert_eq!(balanced(costs, parts), expect, "{costs:?} in {parts}");
    }

    #[test]
    fn the_largest_part_is_as_small_as_can_be() {
        assert!(balanced(&[1.0; 4], 1).iter().eq([&(0..4)]));
        check(&[1.0; 4], 2, &[0..2, 2..4]);
        check(&[1.0; 4], 4, &[0..1, 1..2, 2..3, 3..4]);
        check(&[3.0, 1.0, 1.0, 1.0], 2, &[0..1, 1..4]);
        check(&[1.0, 1.0, 1.0, 5.0, 1.0], 3, &[0..3, 3..4, 4..5]);
    }

    #[test]
    fn as_many_units_as_there_may_be_are_cut() {
        for parts in [2, 100, 1024] {
            let ranges = balanced(&[0.1; 1024], parts);
            assert_eq!(ranges.len(), parts);
            assert!(
                ranges
                    .iter()
                    .all(|range| range.len() <= 1024_usize.div_ceil(parts))
            );
        }
    }

    #[test]
    fn balanced_beats_every_other_cut() {
        let costs = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0];
        let largest = |cuts: &[Range<usize>]| {
            cuts.iter()
                .map(|r| costs[r.clone()].iter().sum::<f64>())
                .fold(0.0, f64::max)
        };
        let found = largest(&balanced(&costs, 3));
        for a in 1..6 {
            for b in a + 1..7 {
                assert!(found <= largest(&[0..a, a..b, b..7]));
            }
        }
    }
}
