//! From an instance to the best schedule that can be found.

use std::ops::Range;

use super::bound::bound;
use super::chain;
use super::classes::Classes;
use super::climb::{climb, schedule};
use super::costs::{Costs, ROUNDING};
use super::exact::{Chosen, Exact, Fold};
use super::forecast::{Forecast, forecast_of};
use super::instance::{Instance, Objective};
use super::schedule::Schedule;

/// Halvings of what is left between a period that is too short and one that is not.
const HALVINGS: usize = 32;

/// A schedule, and how good it is.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Where everything runs.
    pub schedule: Schedule,
    /// What it comes to.
    pub forecast: Forecast,
    /// No schedule has a smaller value.
    pub bound: f64,
    /// Whether that is because all were looked at.
    pub exact: bool,
}

impl Planned {
    fn new(costs: &Costs, schedule: Schedule, exact: bool) -> Self {
        let forecast = forecast_of(costs, &schedule);
        let value = forecast.value(costs.instance.objective);
        Planned {
            schedule,
            bound: if exact {
                value
            } else {
                bound(costs).min(value)
            },
            forecast,
            exact,
        }
    }

    /// The part of what is possible at best that this reaches, at least; from 0 to 1.
    pub fn reaches(&self, objective: Objective) -> f64 {
        match self.forecast.value(objective) {
            value if value > 0.0 => (self.bound / value).min(1.0),
            _ => 1.0,
        }
    }
}

/// The best schedule; `None` where none was found that devices have the memory for.
pub fn plan(instance: &Instance) -> Option<Planned> {
    let costs = Costs::new(instance);
    let classes = Classes::of(instance);
    let found = climb(&costs, Vec::new());
    if let Some(exact) = Exact::new(&costs, &classes) {
        let best = match instance.objective {
            Objective::Rate => best_rate(&costs, &classes, &exact, found.as_ref()),
            Objective::Latency => exact.best(Fold::Latency(f64::INFINITY), f64::INFINITY),
            Objective::Energy => exact.best(Fold::Energy, f64::INFINITY),
        };
        let schedule = best.and_then(|(chosen, _)| concrete(&costs, &classes, &chosen))?;
        return Some(Planned::new(&costs, schedule, true));
    }
    let limit = found
        .as_ref()
        .map_or(f64::INFINITY, |one| forecast_of(&costs, one).period);
    let chain = match instance.objective {
        Objective::Rate => chain::best(&costs, &classes, limit),
        Objective::Latency | Objective::Energy => None,
    };
    // What the chain leaves idle may still share its work.
    let better = chain.and_then(|(chain, _)| climb(&costs, vec![draft(&chain)]));
    let value = |one: &Schedule| forecast_of(&costs, one).value(instance.objective);
    let all = [found, better].into_iter().flatten();
    let best = all.min_by(|a, b| value(a).total_cmp(&value(b)))?;
    Some(Planned::new(&costs, best, false))
}

/// The best schedule in which every group is one device, as pipelines without replicas have it.
/// `exact` says then that it is the best of those. The window is not looked at.
pub fn chained(instance: &Instance) -> Option<Planned> {
    let costs = Costs::new(instance);
    let classes = Classes::of(instance);
    let (chain, period) = chain::best(&costs, &classes, f64::INFINITY)?;
    let schedule = schedule(&costs, &draft(&chain))?;
    let forecast = forecast_of(&costs, &schedule);
    Some(Planned {
        schedule,
        forecast,
        bound: period,
        exact: true,
    })
}

fn draft(chain: &[chain::Link]) -> Vec<(Range<usize>, Vec<usize>)> {
    chain
        .iter()
        .map(|(device, units)| (units.clone(), vec![*device]))
        .collect()
}

type Best = Option<(Vec<Chosen>, f64)>;

/// The largest rate: the shortest period, or, where the window is too small for that, where what
/// a longer period gains in latency is worth as much as it loses.
fn best_rate(costs: &Costs, classes: &Classes, exact: &Exact, found: Option<&Schedule>) -> Best {
    let limit = found.map_or(f64::INFINITY, |one| forecast_of(costs, one).period);
    let (_, period) = exact.best(Fold::Busiest, limit * (1.0 + ROUNDING))?;
    let window = costs.instance.window as f64;
    let of = |best: &Best| {
        let (chosen, _) = best.as_ref()?;
        Some(forecast_of(costs, &concrete(costs, classes, chosen)?))
    };
    let slow = |forecast: &Forecast| forecast.latency / window;
    let few = exact.best(Fold::FewDevices(period), f64::INFINITY);
    if of(&few).is_some_and(|forecast| slow(&forecast) <= period) {
        return few;
    }
    let mut best = exact.best(Fold::Latency(period), f64::INFINITY);
    let forecast = of(&best)?;
    let (mut low, mut high) = (period, slow(&forecast));
    for _ in 0..HALVINGS {
        if high - low <= high * ROUNDING {
            break;
        }
        let middle = f64::midpoint(low, high);
        let other = exact.best(Fold::Latency(middle), f64::INFINITY);
        let Some(forecast) = of(&other) else { break };
        if slow(&forecast) > middle {
            low = middle
        } else {
            high = middle
        }
        let value = |one: &Forecast| 1.0 / one.rate;
        if of(&best).is_some_and(|before| value(&forecast) < value(&before)) {
            best = other;
        }
    }
    best
}

/// With a device for each number of a class.
fn concrete(costs: &Costs, classes: &Classes, chosen: &[Chosen]) -> Option<Schedule> {
    let mut used = vec![0; classes.devices.len()];
    let group = |(counts, units): &Chosen| {
        let mut devices = Vec::new();
        for (class, &count) in counts.iter().enumerate() {
            devices.extend(&classes.devices[class][used[class]..used[class] + count]);
            used[class] += count;
        }
        (units.clone(), devices)
    };
    schedule(costs, &chosen.iter().map(group).collect())
}
