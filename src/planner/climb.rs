//! A good schedule where the best one would take too long: several to begin with, made better
//! one change after the other.

use std::ops::Range;

use super::costs::Costs;
use super::even::balanced;
use super::forecast::forecast_of;
use super::schedule::{Group, Member, Schedule};

/// So many schedules are looked at, at most.
const LOOKS_MAX: usize = 20_000;
/// More segments than this are not begun with.
const SEGMENTS_MAX: usize = 12;

/// Ranges of units, and the devices that share each.
type Draft = Vec<(Range<usize>, Vec<usize>)>;

/// A schedule that is better than all that differ from it by one device or one cut, or is the
/// best of many; `None` where none that was tried can run. `more` are others to begin with.
pub fn climb(costs: &Costs, more: Vec<Draft>) -> Option<Schedule> {
    let mut climber = Climber { costs, looks: 0 };
    let drafts = climber.drafts().into_iter().chain(more);
    let valued = drafts.filter_map(|draft| Some((climber.value(&draft)?, draft)));
    let mut valued: Vec<([f64; 2], Draft)> = valued.collect();
    valued.sort_by(|a, b| compare(&a.0, &b.0));
    valued.truncate(3);
    let climbed = valued
        .into_iter()
        .map(|(value, draft)| climber.up(value, draft));
    let best = climbed.min_by(|a, b| compare(&a.0, &b.0))?;
    schedule(costs, &best.1)
}

fn compare(a: &[f64; 2], b: &[f64; 2]) -> std::cmp::Ordering {
    a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1]))
}

/// The schedule, where each device can run its units.
pub fn schedule(costs: &Costs, draft: &Draft) -> Option<Schedule> {
    let group = |(units, devices): &(Range<usize>, Vec<usize>)| {
        let each: Vec<(usize, usize)> = devices.iter().map(|&device| (device, 1)).collect();
        let lot = costs.lot(&each, units)?;
        let member = |share: &super::costs::Share| Member {
            device: share.device,
            workers: share.workers,
            weight: share.weight,
        };
        Some(Group {
            units: units.clone(),
            members: lot.shares.iter().map(member).collect(),
        })
    };
    let filled = draft.iter().all(|(_, devices)| !devices.is_empty());
    let groups = filled.then(|| draft.iter().map(group).collect::<Option<Vec<_>>>());
    Some(Schedule { groups: groups?? })
}

struct Climber<'a> {
    costs: &'a Costs<'a>,
    looks: usize,
}

impl Climber<'_> {
    /// The value of a draft; where two are equal, the sum of how busy devices are counts.
    fn value(&mut self, draft: &Draft) -> Option<[f64; 2]> {
        self.looks += 1;
        let forecast = forecast_of(self.costs, &schedule(self.costs, draft)?);
        let busy = forecast.devices.iter().map(|load| load.busy.powi(2)).sum();
        Some([forecast.value(self.costs.instance.objective), busy])
    }

    fn drafts(&mut self) -> Vec<Draft> {
        let (n, devices) = (self.costs.len(), self.costs.instance.devices.len());
        let mut fastest: Vec<usize> = (0..devices).collect();
        fastest.sort_by(|&a, &b| self.speed(b, &(0..n)).total_cmp(&self.speed(a, &(0..n))));
        let alone = fastest.iter().map(|&device| vec![(0..n, vec![device])]);
        let mut drafts: Vec<Draft> = alone.collect();
        for segments in 1..=n.min(devices).min(SEGMENTS_MAX) {
            drafts.push(self.dealt(segments, &fastest));
        }
        drafts.extend(self.whole(&fastest));
        drafts
    }

    /// Batches a second of all workers of `device` with memory for `units`.
    fn speed(&self, device: usize, units: &Range<usize>) -> f64 {
        let seconds = self.costs.seconds(device, units).max(1e-12);
        self.costs.workers(device, units) as f64 / seconds
    }

    /// Segments of equal cost; each device goes where least is done so far.
    fn dealt(&self, segments: usize, fastest: &[usize]) -> Draft {
        let instance = self.costs.instance;
        let kinds = instance.devices.iter().map(|device| device.kind);
        let kinds: Vec<usize> = kinds.collect();
        let cost =
            |unit: &super::instance::Unit| kinds.iter().map(|&kind| unit.seconds[kind]).sum();
        let each: Vec<f64> = instance.units.iter().map(cost).collect();
        let ranges = balanced(&each, segments).into_iter();
        let mut draft: Draft = ranges.map(|range| (range, Vec::new())).collect();
        let mut done = vec![0.0; segments];
        for &device in fastest {
            let fits = (0..segments).filter(|&at| self.costs.workers(device, &draft[at].0) > 0);
            let least = fits.min_by(|&a, &b| f64::total_cmp(&done[a], &done[b]));
            if let Some(at) = least {
                done[at] += self.speed(device, &draft[at].0);
                draft[at].1.push(device);
            }
        }
        draft
    }

    /// All units on as many devices as make it better, the fastest first.
    fn whole(&mut self, fastest: &[usize]) -> Option<Draft> {
        let units = 0..self.costs.len();
        let mut best: Option<([f64; 2], Draft)> = None;
        for &device in fastest {
            let before = best.iter().flat_map(|(_, draft)| &draft[0].1).copied();
            let draft = vec![(units.clone(), before.chain([device]).collect())];
            let value = self.value(&draft);
            let better = |value: &[f64; 2]| {
                best.as_ref()
                    .is_none_or(|(best, _)| compare(value, best).is_lt())
            };
            if let Some(value) = value.filter(better) {
                best = Some((value, draft));
            }
        }
        best.map(|(_, draft)| draft)
    }

    /// Takes every change that is better, until none is.
    fn up(&mut self, mut value: [f64; 2], mut draft: Draft) -> ([f64; 2], Draft) {
        let limit = self.looks + LOOKS_MAX / 3;
        loop {
            let changes = changes(&draft, self.costs.instance.devices.len());
            let mut better = None;
            for changed in changes {
                if self.looks >= limit {
                    return (value, draft);
                }
                let found = self.value(&changed);
                let enough = |found: &[f64; 2]| {
                    found[0] < value[0] * (1.0 - 1e-12)
                        || found[0] <= value[0] && found[1] < value[1] * (1.0 - 1e-9)
                };
                if let Some(found) = found.filter(enough) {
                    better = Some((found, changed));
                    break;
                }
            }
            match better {
                Some(better) => (value, draft) = better,
                None => return (value, draft),
            }
        }
    }
}

/// Every draft that differs by one cut, by where one device is, or by two groups that are one.
fn changes(draft: &Draft, devices: usize) -> Vec<Draft> {
    let mut all = Vec::new();
    for at in 1..draft.len() {
        let (before, behind) = (&draft[at - 1].0, &draft[at].0);
        for cut in [behind.start - 1, behind.start + 1] {
            if cut > before.start && cut < behind.end {
                let mut changed = draft.clone();
                changed[at - 1].0.end = cut;
                changed[at].0.start = cut;
                all.push(changed);
            }
        }
        let mut merged = draft.clone();
        let (range, members) = merged.remove(at);
        merged[at - 1].0.end = range.end;
        merged[at - 1].1.extend(members);
        all.push(merged);
    }
    for device in 0..devices {
        let mut without = draft.clone();
        without
            .iter_mut()
            .for_each(|(_, members)| members.retain(|&one| one != device));
        all.push(without.clone());
        for at in 0..draft.len() {
            if !draft[at].1.contains(&device) {
                let mut moved = without.clone();
                moved[at].1.push(device);
                all.push(moved);
            }
        }
    }
    all
}
