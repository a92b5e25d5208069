//! Cuts without a plan: as even as can be, by memory alone, and none.

use std::ops::Range;

use super::costs::Costs;
use super::forecast::{Forecast, forecast_of};
use super::instance::Instance;
use super::schedule::{Group, Member, Schedule};

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

/// One segment for each device, in order, of units that cost the same as far as can be: what
/// comes of knowing only what the units cost, on the devices as they come.
pub fn even(instance: &Instance) -> Option<Forecast> {
    let costs = Costs::new(instance);
    let devices = instance.devices.len().min(instance.units.len());
    let kind = instance.devices[instance.source].kind;
    let each: Vec<f64> = instance
        .units
        .iter()
        .map(|unit| unit.seconds[kind])
        .collect();
    in_order(&costs, balanced(&each, devices))
}

/// One segment for each device, in order, of as many units as are its share of all memory: what
/// people use who know of nothing else. `None` where a limit is not said.
pub fn by_memory(instance: &Instance) -> Option<Forecast> {
    let costs = Costs::new(instance);
    let memory: Option<Vec<f64>> = instance
        .devices
        .iter()
        .map(|one| one.memory.map(|m| m as f64))
        .collect();
    let memory = memory?;
    let (n, total) = (instance.units.len() as f64, memory.iter().sum::<f64>());
    let mut ranges = Vec::new();
    let (mut sum, mut start) = (0.0, 0);
    for one in memory {
        sum += one;
        // As many units as there are fit into a number.
        let end = (sum / total * n).round() as usize;
        ranges.push(start..end.min(instance.units.len()));
        start = end;
    }
    in_order(&costs, ranges)
}

/// All units on one device: the best one for what is wanted.
pub fn alone(instance: &Instance) -> Option<(usize, Forecast)> {
    let costs = Costs::new(instance);
    let of = |device: usize| {
        let ranges = std::iter::once(0..instance.units.len()).collect();
        Some((device, on(&costs, ranges, &[device])?))
    };
    let all = (0..instance.devices.len()).filter_map(of);
    let value = |one: &(usize, Forecast)| one.1.value(instance.objective);
    all.min_by(|a, b| value(a).total_cmp(&value(b)))
}

fn in_order(costs: &Costs, ranges: Vec<Range<usize>>) -> Option<Forecast> {
    let devices: Vec<usize> = (0..ranges.len()).collect();
    on(costs, ranges, &devices)
}

/// Each range on the device that is named beside it; `None` where that cannot be.
fn on(costs: &Costs, ranges: Vec<Range<usize>>, devices: &[usize]) -> Option<Forecast> {
    let ranges = ranges
        .into_iter()
        .zip(devices)
        .filter(|(range, _)| !range.is_empty());
    let group = |(units, &device): (Range<usize>, &usize)| {
        let lot = costs.lot(&[(device, 1)], &units)?;
        let workers = lot.shares[0].workers;
        let members = vec![Member {
            device,
            workers,
            weight: 1,
        }];
        Some(Group { units, members })
    };
    let groups = ranges.map(group).collect::<Option<Vec<_>>>()?;
    Some(forecast_of(costs, &Schedule { groups }))
}

#[cfg(test)]
mod tests {
    use super::{Range, balanced};

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
