//! What no plan can be better than.

use super::costs::Costs;
use super::instance::{Instance, Objective};

/// Rounds in which prices are made better.
const ROUNDS: usize = 200;

/// No plan's value is less, whatever its cuts, and even where a unit could be shared in any way
/// and links took no time.
pub fn bound(costs: &Costs) -> f64 {
    let instance = costs.instance;
    let least = |of: &dyn Fn(usize, f64) -> f64| -> f64 {
        let unit = |unit: &super::instance::Unit| {
            let devices = instance.devices.iter().enumerate();
            let each = devices.map(|(at, device)| of(at, unit.seconds[device.kind]));
            each.fold(f64::INFINITY, f64::min)
        };
        instance.units.iter().map(unit).sum()
    };
    let latency = costs.base() + least(&|_, seconds| seconds);
    match instance.objective {
        Objective::Latency => latency,
        Objective::Energy => {
            let own = instance
                .devices
                .iter()
                .map(|device| device.base * device.watts);
            own.sum::<f64>() + least(&|at, seconds| seconds * instance.devices[at].watts)
        }
        Objective::Rate => period(instance)
            .max(costs.base_max())
            .max(latency / instance.window as f64),
    }
}

/// No period is shorter: by the dual of the linear program in which each unit is shared by
/// devices in any parts. With a price on each unit all workers together earn at most what the
/// dearest units for each come to, so that all prices over that is a bound, whatever they are.
fn period(instance: &Instance) -> f64 {
    let kinds = kinds(instance);
    let seconds = |unit: usize, kind: usize| instance.units[unit].seconds[kind].max(1e-15);
    let n = instance.units.len();
    let of = |prices: &[f64]| {
        let earned: f64 = (kinds.iter())
            .map(|&(kind, workers)| workers * best(prices, |unit| seconds(unit, kind)).1)
            .sum();
        prices.iter().sum::<f64>() / earned
    };
    let mut found: f64 = 0.0;
    for &(kind, _) in &kinds {
        // In proportion to what they take there: exact where all kinds differ by a factor.
        let mut prices: Vec<f64> = (0..n).map(|unit| seconds(unit, kind)).collect();
        for round in 0..ROUNDS {
            found = found.max(of(&prices));
            if kinds.len() == 1 {
                break;
            }
            // What every kind would take becomes cheaper.
            let step = 0.2 / (1.0 + round as f64);
            for &(kind, workers) in &kinds {
                let (dearest, _) = best(&prices, |unit| seconds(unit, kind));
                let all: f64 = kinds.iter().map(|(_, workers)| workers).sum();
                prices[dearest] *= 1.0 - step * workers / all;
            }
        }
    }
    found
}

/// Each kind of device with its workers.
fn kinds(instance: &Instance) -> Vec<(usize, f64)> {
    let mut kinds: Vec<(usize, f64)> = Vec::new();
    for device in &instance.devices {
        match kinds.iter_mut().find(|(kind, _)| *kind == device.kind) {
            Some((_, workers)) => *workers += device.workers as f64,
            None => kinds.push((device.kind, device.workers as f64)),
        }
    }
    kinds
}

/// The unit with the highest price a second, and that.
fn best(prices: &[f64], seconds: impl Fn(usize) -> f64) -> (usize, f64) {
    let each = prices
        .iter()
        .enumerate()
        .map(|(unit, price)| (unit, price / seconds(unit)));
    each.fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a })
}
