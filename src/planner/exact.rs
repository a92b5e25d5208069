//! The best schedule there is: dynamic programming over the units done, how many devices of each
//! class are used, and the group that comes last.

use super::classes::Classes;
use super::costs::{Costs, Lot, ROUNDING};

/// More steps than this take too long.
const STEPS_MAX: f64 = 3e7;

/// The first is what counts; the second breaks ties.
type Value = [f64; 2];

/// How the values of a chain's parts come to one of the whole.
#[derive(Clone, Copy, Debug)]
pub enum Fold {
    /// The busiest is what counts.
    Busiest,
    /// Few devices, then little latency, where nothing is busier than this.
    FewDevices(f64),
    /// Little latency, then few devices, where nothing is busier than this.
    Latency(f64),
    /// Little energy, then little latency.
    Energy,
}

/// What is known of an instance before anything is searched.
pub struct Exact<'a> {
    costs: &'a Costs<'a>,
    classes: &'a Classes,
    /// Every number of devices of each class that a group may have, and with which code.
    choices: Vec<(Vec<usize>, usize)>,
    /// For each code of devices used, the choices among those that are left.
    fits: Vec<Vec<u32>>,
    /// For each choice, for each first unit, for each one behind the last.
    lots: Vec<Vec<Vec<Option<Lot>>>>,
}

/// A group of the best schedule: devices of each class, and the range of units.
pub type Chosen = (Vec<usize>, std::ops::Range<usize>);

impl<'a> Exact<'a> {
    /// `None` where it would take too long.
    pub fn new(costs: &'a Costs<'a>, classes: &'a Classes) -> Option<Self> {
        let (counts, n) = (classes.counts(), costs.len() as f64);
        let splits = |&count: &usize| {
            let count = count as f64;
            (count + 1.0) * (count + 2.0) * (count + 3.0) / 6.0
        };
        let cuts = n * (n + 1.0) * (n + 2.0) / 6.0;
        if counts.iter().map(splits).product::<f64>() * cuts > STEPS_MAX {
            return None;
        }
        let all = vectors(&counts);
        let codes = all.len();
        let choices: Vec<_> = (0..)
            .zip(&all)
            .skip(1)
            .map(|(code, one)| (one.clone(), code))
            .collect();
        let fits = all.iter().map(|used| {
            let fit = |choice: &Vec<usize>| {
                let mut each = choice.iter().zip(used).zip(&counts);
                each.all(|((more, used), count)| more + used <= *count)
            };
            let fit = choices
                .iter()
                .enumerate()
                .filter(|(_, (choice, _))| fit(choice));
            fit.map(|(at, _)| at as u32).collect()
        });
        let fits: Vec<Vec<u32>> = fits.collect();
        debug_assert_eq!(fits.len(), codes);
        let lots = choices
            .iter()
            .map(|(choice, _)| lots(costs, classes, choice))
            .collect();
        Some(Exact {
            costs,
            classes,
            choices,
            fits,
            lots,
        })
    }

    /// The best schedule by `fold` and its value; `None` where no schedule is better than
    /// `limit`.
    pub fn best(&self, fold: Fold, limit: f64) -> Option<(Vec<Chosen>, f64)> {
        let n = self.costs.len();
        let mut search = Search {
            exact: self,
            fold,
            best: [limit, f64::INFINITY],
            last: None,
            reached: (0..=n).map(|end| vec![None; self.cells(end)]).collect(),
        };
        search.begin();
        for at in 1..n {
            search.go_on(at);
        }
        search.last.map(|last| (search.path(last), search.best[0]))
    }

    /// How many states there are behind the first `end` units.
    fn cells(&self, end: usize) -> usize {
        self.fits.len() * self.choices.len() * end
    }
}

/// Every vector of at most `counts`, each at the place of its code: the first counts for most.
fn vectors(counts: &[usize]) -> Vec<Vec<usize>> {
    counts.iter().fold(vec![Vec::new()], |all, &count| {
        let longer = |one: &Vec<usize>| {
            let one = one.clone();
            (0..=count).map(move |next| [&one[..], &[next]].concat())
        };
        all.iter().flat_map(longer).collect()
    })
}

fn lots(costs: &Costs, classes: &Classes, choice: &[usize]) -> Vec<Vec<Option<Lot>>> {
    let devices = classes.devices.iter().zip(choice);
    let devices: Vec<(usize, usize)> = devices
        .filter(|(_, count)| **count > 0)
        .map(|(class, count)| (class[0], *count))
        .collect();
    let n = costs.len();
    let of = |start: usize, end: usize| {
        if start < end {
            costs.lot(&devices, &(start..end))
        } else {
            None
        }
    };
    (0..n)
        .map(|start| (0..=n).map(|end| of(start, end)).collect())
        .collect()
}

/// A state: devices used, with which the units before `end` are done; the last choice, and
/// where its units start.
#[derive(Clone, Copy)]
struct State {
    used: usize,
    choice: usize,
    start: usize,
    end: usize,
}

/// How a state was reached: its value, and the state before, if there is one.
#[derive(Clone, Copy)]
struct Reached {
    value: Value,
    before: Option<(u32, u32)>,
}

struct Search<'a> {
    exact: &'a Exact<'a>,
    fold: Fold,
    best: Value,
    last: Option<State>,
    /// For each number of units done.
    reached: Vec<Vec<Option<Reached>>>,
}

impl Search<'_> {
    /// All first groups.
    fn begin(&mut self) {
        let exact = self.exact;
        let base = exact.costs.base_max();
        for (choice, (_, code)) in exact.choices.iter().enumerate() {
            for end in 1..=exact.costs.len() {
                let Some(lot) = &exact.lots[choice][0][end] else {
                    continue;
                };
                let entering = exact.costs.entering(lot);
                let none = [0.0, 0.0];
                let value = self.fold.add(none, base, 0.0, 0.0, 0);
                let value = self
                    .fold
                    .add(value, entering.busy, entering.latency, 0.0, 0);
                let state = State {
                    used: *code,
                    choice,
                    start: 0,
                    end,
                };
                self.reach(state, lot, value, None);
            }
        }
    }

    /// All groups that come after what is done behind the first `at` units.
    fn go_on(&mut self, at: usize) {
        let exact = self.exact;
        let choices = exact.choices.len();
        for cell in 0..exact.cells(at) {
            let Some(Reached { value, .. }) = self.reached[at][cell] else {
                continue;
            };
            if !self.fold.better(value, self.best) {
                continue;
            }
            let (start, rest) = (cell % at, cell / at);
            let (choice, used) = (rest % choices, rest / choices);
            let Some(from) = &exact.lots[choice][start][at] else {
                continue;
            };
            for &next in &exact.fits[used] {
                let next = next as usize;
                for end in at + 1..=exact.costs.len() {
                    let Some(lot) = &exact.lots[next][at][end] else {
                        continue;
                    };
                    if self.fold.too_busy(lot.busy, self.best) {
                        continue;
                    }
                    let link = |from: usize, to: usize| exact.classes.link(from, to);
                    let between = exact.costs.between(at, from, lot, &link);
                    let value = self.fold.add(value, between.busy, between.latency, 0.0, 0);
                    let used = used + exact.choices[next].1;
                    let state = State {
                        used,
                        choice: next,
                        start: at,
                        end,
                    };
                    self.reach(state, lot, value, Some((choice as u32, start as u32)));
                }
            }
        }
    }

    /// A chain that has `value` without its last group reaches `state` with it.
    fn reach(&mut self, state: State, lot: &Lot, value: Value, before: Option<(u32, u32)>) {
        let exact = self.exact;
        let devices = exact.choices[state.choice].0.iter().sum();
        let value = self
            .fold
            .add(value, lot.busy, lot.latency, lot.energy, devices);
        if !self.fold.better(value, self.best) {
            return;
        }
        let cell = exact.cell(state);
        let known = &mut self.reached[state.end][cell];
        if known.is_some_and(|known| !self.fold.better(value, known.value)) {
            return;
        }
        *known = Some(Reached { value, before });
        if state.end == exact.costs.len() {
            let leaving = exact.costs.leaving(lot);
            let value = self.fold.add(value, leaving.busy, leaving.latency, 0.0, 0);
            if self.fold.better(value, self.best) {
                (self.best, self.last) = (value, Some(state));
            }
        }
    }

    /// From the first group to `last`.
    fn path(&self, mut last: State) -> Vec<Chosen> {
        let mut path = Vec::new();
        loop {
            let (choice, code) = &self.exact.choices[last.choice];
            path.push((choice.clone(), last.start..last.end));
            let reached = self.reached[last.end][self.exact.cell(last)];
            let Some((choice, start)) = reached.and_then(|reached| reached.before) else {
                break;
            };
            last = State {
                used: last.used - code,
                choice: choice as usize,
                start: start as usize,
                end: last.start,
            };
        }
        path.reverse();
        path
    }
}

impl Exact<'_> {
    fn cell(&self, state: State) -> usize {
        (state.used * self.choices.len() + state.choice) * state.end + state.start
    }
}

impl Fold {
    /// The value of a chain that has `value`, with one part more. Infinite where that is too
    /// busy.
    fn add(self, value: Value, busy: f64, latency: f64, energy: f64, devices: usize) -> Value {
        let devices = devices as f64;
        let limited = |limit: f64, more: Value| {
            if busy > limit * (1.0 + ROUNDING) {
                [f64::INFINITY; 2]
            } else {
                [value[0] + more[0], value[1] + more[1]]
            }
        };
        match self {
            Fold::Busiest => [value[0].max(busy), value[1] + latency],
            Fold::FewDevices(limit) => limited(limit, [devices, latency]),
            Fold::Latency(limit) => limited(limit, [latency, devices]),
            Fold::Energy => limited(f64::INFINITY, [energy, latency]),
        }
    }

    /// Whether a part that busy leads nowhere.
    fn too_busy(self, busy: f64, best: Value) -> bool {
        match self {
            Fold::Busiest => busy > best[0] * (1.0 + ROUNDING),
            Fold::FewDevices(limit) | Fold::Latency(limit) => busy > limit * (1.0 + ROUNDING),
            Fold::Energy => false,
        }
    }

    /// Whether `a` is better than `b`.
    fn better(self, a: Value, b: Value) -> bool {
        a[0].is_finite() && (a[0] < b[0] || a[0] == b[0] && a[1] < b[1])
    }
}
