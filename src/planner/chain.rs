//! The best chain in which every group is one device, for more devices than [`exact`](super::exact)
//! takes: whether a period can be had is one pass over sets of devices, with a bit for each
//! number of units done.

use super::classes::Classes;
use super::costs::{Costs, ROUNDING};

/// As many units as there are bits, and one.
const UNITS_MAX: usize = 127;
/// More sets than this take too long.
const SETS_MAX: usize = 400_000;

/// A device, and the range of units that it runs.
pub type Link = (usize, std::ops::Range<usize>);

struct Chain<'a> {
    costs: &'a Costs<'a>,
    classes: &'a Classes,
    counts: Vec<usize>,
    /// What one more device of each class adds to a set's code.
    places: Vec<usize>,
    sets: usize,
    /// For each class, by first unit and the one behind the last.
    busy: Vec<Vec<Vec<f64>>>,
}

/// What is possible at one period, a bit for each place to cut.
struct Possible {
    /// For each class, by first unit: where its units may end.
    ends: Vec<Vec<u128>>,
    /// From each class to each: where batches may be handed over.
    over: Vec<Vec<u128>>,
    /// From the source to each class.
    first: Vec<bool>,
    /// From each class to the sink.
    last: Vec<bool>,
}

/// The chain whose busiest device or link is the least busy, if it is less so than `limit`, and
/// how busy that is. `None` too where there are too many sets of devices to look at.
pub fn best(costs: &Costs, classes: &Classes, limit: f64) -> Option<(Vec<Link>, f64)> {
    let counts = classes.counts();
    let mut places = Vec::new();
    let mut sets: usize = 1;
    for count in &counts {
        places.push(sets);
        sets = sets.saturating_mul(count + 1);
    }
    if sets > SETS_MAX || costs.len() > UNITS_MAX {
        return None;
    }
    let busy = classes.devices.iter().map(|class| busy(costs, class[0]));
    let chain = Chain {
        costs,
        classes,
        busy: busy.collect(),
        counts,
        places,
        sets,
    };
    chain.best(limit)
}

/// How busy `device` is with each range of units; infinite where it cannot run it.
fn busy(costs: &Costs, device: usize) -> Vec<Vec<f64>> {
    let n = costs.len();
    let of = |start: usize, end: usize| {
        if start < end {
            costs
                .lot(&[(device, 1)], &(start..end))
                .map_or(f64::INFINITY, |lot| lot.busy)
        } else {
            f64::INFINITY
        }
    };
    (0..n)
        .map(|start| (0..=n).map(|end| of(start, end)).collect())
        .collect()
}

impl Chain<'_> {
    fn best(&self, limit: f64) -> Option<(Vec<Link>, f64)> {
        let mut values = self.values();
        values.retain(|&value| value <= limit * (1.0 + ROUNDING) && value >= self.costs.base_max());
        values.push(self.costs.base_max());
        values.sort_by(f64::total_cmp);
        values.dedup();
        let (mut low, mut high) = (0, values.len());
        let mut found = None;
        while low < high {
            let middle = (low + high) / 2;
            match self.at(values[middle]) {
                Some(path) => (found, high) = (Some((path, values[middle])), middle),
                None => low = middle + 1,
            }
        }
        found
    }

    /// Every period that could be the best.
    fn values(&self) -> Vec<f64> {
        let devices = self.busy.iter().flatten().flatten().copied();
        let finite = devices.filter(|value| value.is_finite());
        let classes = 0..self.counts.len();
        let link =
            |at: usize, from: usize, to: usize| self.link(from, to).seconds(self.costs.bytes(at));
        let inner = (1..self.costs.len()).flat_map(|at| {
            let pairs = classes
                .clone()
                .flat_map(|from| classes.clone().map(move |to| (from, to)));
            pairs.map(move |(from, to)| link(at, from, to))
        });
        let ends = classes
            .clone()
            .flat_map(|class| [self.entering(class), self.leaving(class)]);
        finite.chain(inner).chain(ends).collect()
    }

    fn link(&self, from: usize, to: usize) -> super::instance::Link {
        self.classes
            .link(self.classes.devices[from][0], self.classes.devices[to][0])
    }

    fn entering(&self, class: usize) -> f64 {
        let (device, source) = (self.classes.devices[class][0], self.costs.instance.source);
        if device == source {
            0.0
        } else {
            self.costs.instance.links[source][device].seconds(self.costs.bytes(0))
        }
    }

    fn leaving(&self, class: usize) -> f64 {
        let (device, sink) = (self.classes.devices[class][0], self.costs.instance.sink);
        let bytes = self.costs.bytes(self.costs.len());
        if device == sink {
            0.0
        } else {
            self.costs.instance.links[device][sink].seconds(bytes)
        }
    }

    /// What is possible where nothing is busier than `period`.
    fn possible(&self, period: f64) -> Possible {
        let most = period * (1.0 + ROUNDING);
        let (n, classes) = (self.costs.len(), 0..self.counts.len());
        let bits = |fits: &dyn Fn(usize) -> bool| {
            (0..=n)
                .filter(|&at| fits(at))
                .fold(0, |bits, at| bits | 1 << at)
        };
        let ends = |class: &Vec<Vec<f64>>| {
            class
                .iter()
                .map(|of| bits(&|end| of[end] <= most))
                .collect()
        };
        let over = |from: usize, to: usize| {
            let link = self.link(from, to);
            bits(&|at| at > 0 && at < n && link.seconds(self.costs.bytes(at)) <= most)
        };
        Possible {
            ends: self.busy.iter().map(ends).collect(),
            over: classes
                .clone()
                .map(|from| classes.clone().map(|to| over(from, to)).collect())
                .collect(),
            first: classes
                .clone()
                .map(|class| self.entering(class) <= most)
                .collect(),
            last: classes.map(|class| self.leaving(class) <= most).collect(),
        }
    }

    /// A chain in which nothing is busier than `period`, with as few devices as any.
    fn at(&self, period: f64) -> Option<Vec<Link>> {
        let possible = self.possible(period);
        let (n, classes) = (self.costs.len(), self.counts.len());
        // By set and by the class that comes next: how many units can be done before it.
        let mut reached = vec![0_u128; self.sets * classes];
        for (reached, first) in reached.iter_mut().zip(&possible.first) {
            *reached = u128::from(*first);
        }
        let mut found: Option<(usize, usize, usize)> = None;
        for set in 0..self.sets {
            for class in (0..classes).filter(|&class| self.has(set, class)) {
                let ends = ends(reached[set * classes + class], &possible.ends[class]);
                let used = (0..classes).map(|class| self.used(set, class)).sum();
                let fewer = found.is_none_or(|(fewest, ..)| used < fewest);
                if ends >> n & 1 == 1 && possible.last[class] && fewer {
                    found = Some((used, set, class));
                }
                let more = set + self.places[class];
                for next in (0..classes).filter(|&next| self.has(more, next)) {
                    reached[more * classes + next] |= ends & possible.over[class][next];
                }
            }
        }
        let (_, set, class) = found?;
        Some(self.path(&possible, &reached, set, class))
    }

    /// How many devices of `class` are in `set`.
    fn used(&self, set: usize, class: usize) -> usize {
        set / self.places[class] % (self.counts[class] + 1)
    }

    /// Whether there is one more device of `class` than `set` has.
    fn has(&self, set: usize, class: usize) -> bool {
        self.used(set, class) < self.counts[class]
    }

    /// Back from the last device, of `class`, with those of `set` before it.
    fn path(&self, possible: &Possible, reached: &[u128], set: usize, class: usize) -> Vec<Link> {
        let classes = self.counts.len();
        let start = |set: usize, class: usize, end: usize| {
            let bits = reached[set * classes + class];
            (0..end).find(|&start| {
                bits >> start & 1 == 1 && possible.ends[class][start] >> end & 1 == 1
            })
        };
        let (mut set, mut class, mut end) = (set, class, self.costs.len());
        let mut path = Vec::new();
        while let Some(from) = start(set, class, end) {
            path.push((
                self.classes.devices[class][self.used(set, class)],
                from..end,
            ));
            if from == 0 {
                break;
            }
            let before = (0..classes).find(|&before| {
                self.used(set, before) > 0
                    && possible.over[before][class] >> from & 1 == 1
                    && start(set - self.places[before], before, from).is_some()
            });
            let Some(before) = before else { break };
            set -= self.places[before];
            (class, end) = (before, from);
        }
        path.reverse();
        path
    }
}

/// Where units may end that start at one of `starts`.
fn ends(starts: u128, ends: &[u128]) -> u128 {
    let (mut starts, mut all) = (starts, 0);
    while starts != 0 {
        let start = starts.trailing_zeros() as usize;
        all |= ends.get(start).copied().unwrap_or(0);
        starts &= starts - 1;
    }
    all
}
