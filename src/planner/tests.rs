//! The planner against all there is, on instances small enough for that.

use super::costs::Costs;
use super::*;

/// Xorshift: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// From `low` to `high`.
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() % 1_000_003) as f64 / 1_000_003.0
    }
}

/// Units and devices that differ in all they can.
fn random(random: &mut Random, devices: usize, kinds: usize, units: usize) -> Instance {
    let factor: Vec<f64> = (0..kinds).map(|_| random.between(0.3, 3.0)).collect();
    let unit = |at: usize, random: &mut Random| {
        let cost = random.between(0.01, 0.1);
        Unit {
            seconds: factor
                .iter()
                .map(|factor| cost * factor * random.between(0.8, 1.2))
                .collect(),
            bytes_out: random.between(1e3, 1e6),
            queue: random.below(100) as u64,
            weights: random.below(1000) as u64,
            working: random.below(50) as u64,
            ends_stage: random.below(3) == 0,
            single: random.below(12) == 0,
            only: (random.below(12) == 0).then(|| vec![(at + random.below(devices)) % devices]),
        }
    };
    let units: Vec<Unit> = (0..units).map(|at| unit(at, random)).collect();
    let mut device = |_| Device {
        kind: random.below(kinds),
        memory: (random.below(2) == 0).then(|| 500 + random.below(3000) as u64),
        workers: 1 + random.below(2),
        watts: random.between(1.0, 10.0),
        base: 0.0,
    };
    let all: Vec<Device> = (0..devices).map(&mut device).collect();
    let mut link = || Link {
        bytes_per_second: random.between(5e6, 1e8),
        delay: random.between(0.0, 0.01),
    };
    let uniform = link();
    let links = (0..devices).map(|_| (0..devices).map(|_| link()).collect());
    let mut links: Vec<Vec<Link>> = links.collect();
    if random.below(2) == 0 {
        links.iter_mut().flatten().for_each(|link| *link = uniform);
    }
    Instance {
        units,
        devices: all,
        links,
        source: random.below(devices),
        sink: random.below(devices),
        bytes_in: random.between(1e3, 1e6),
        queue_in: random.below(100) as u64,
        window: [1, 2, 4, 64][random.below(4)],
        objective: Objective::Rate,
    }
}

/// The smallest value of all schedules: every chain of groups of devices not yet used.
fn brute(instance: &Instance) -> Option<f64> {
    let costs = Costs::new(instance);
    let mut best = None;
    extend(&costs, &mut Vec::new(), 0, 0, &mut best);
    best
}

type Draft = Vec<(std::ops::Range<usize>, Vec<usize>)>;

fn extend(costs: &Costs, draft: &mut Draft, at: usize, used: usize, best: &mut Option<f64>) {
    if at == costs.len() {
        if let Some(schedule) = super::climb::schedule(costs, draft) {
            let forecast = forecast(costs.instance, &schedule);
            let value = forecast.value(costs.instance.objective);
            *best = Some(best.map_or(value, |best: f64| best.min(value)));
        }
        return;
    }
    let devices = costs.instance.devices.len();
    for set in 1..1_usize << devices {
        if set & used != 0 {
            continue;
        }
        let members: Vec<usize> = (0..devices)
            .filter(|device| set >> device & 1 == 1)
            .collect();
        for end in at + 1..=costs.len() {
            draft.push((at..end, members.clone()));
            extend(costs, draft, end, used | set, best);
            draft.pop();
        }
    }
}

fn check(instance: &Instance) -> bool {
    let (planned, best) = (plan(instance), brute(instance));
    match (&planned, best) {
        (Some(planned), Some(best)) => {
            assert!(planned.exact);
            let value = planned.forecast.value(instance.objective);
            assert!(
                (value - best).abs() <= best * 1e-6,
                "{value} for {best}: {instance:#?}"
            );
            true
        }
        (None, None) => false,
        (found, best) => panic!("{found:?} for {best:?}: {instance:#?}"),
    }
}

#[test]
fn as_good_as_all_there_is() {
    let mut numbers = Random(11);
    let mut possible = 0;
    for round in 0..1000 {
        let (devices, units) = (1 + numbers.below(4), 1 + numbers.below(4));
        let kinds = 1 + numbers.below(3);
        let mut instance = random(&mut numbers, devices, kinds, units);
        instance.objective = match round % 4 {
            0 => Objective::Latency,
            1 => Objective::Energy,
            _ => Objective::Rate,
        };
        possible += usize::from(check(&instance));
    }
    assert!(possible > 500, "only {possible} of 1000 could run");
}

/// Without what makes a schedule impossible, and with what a device does besides.
fn easy(numbers: &mut Random, devices: usize, kinds: usize, units: usize) -> Instance {
    let mut instance = random(numbers, devices, kinds, units);
    for unit in &mut instance.units {
        (unit.only, unit.single) = (None, false);
    }
    instance
        .devices
        .iter_mut()
        .for_each(|device| device.memory = None);
    instance.devices[instance.source].base = 0.002;
    instance
}

#[test]
fn what_cannot_be_looked_at_as_a_whole_is_within_its_gap() {
    let mut numbers = Random(5);
    for _ in 0..20 {
        let instance = easy(&mut numbers, 5, 3, 5);
        let costs = Costs::new(&instance);
        let found = super::climb::climb(&costs, Vec::new()).expect("there is memory enough");
        let found = forecast(&instance, &found).value(Objective::Rate);
        let best = plan(&instance).expect("there is memory enough").bound;
        let bound = super::bound::bound(&costs);
        assert!(
            bound <= best * (1.0 + 1e-9),
            "the bound {bound} is above the best, {best}"
        );
        assert!(
            found >= best * (1.0 - 1e-9),
            "{found} is better than the best, {best}"
        );
        assert!(found <= best * 1.25, "{found} is far from the best, {best}");
    }
}

/// The best chain of single devices, by looking at all.
fn brute_chain(costs: &Costs, draft: &mut Draft, at: usize, best: &mut f64) {
    if at == costs.len() {
        let schedule = super::climb::schedule(costs, draft);
        *best = schedule.map_or(*best, |one| best.min(forecast(costs.instance, &one).period));
        return;
    }
    for device in 0..costs.instance.devices.len() {
        if draft.iter().any(|(_, members)| members.contains(&device)) {
            continue;
        }
        for end in at + 1..=costs.len() {
            draft.push((at..end, vec![device]));
            brute_chain(costs, draft, end, best);
            draft.pop();
        }
    }
}

#[test]
fn the_best_chain_is_as_good_as_every_chain() {
    let mut numbers = Random(3);
    for _ in 0..300 {
        let (devices, units) = (1 + numbers.below(5), 1 + numbers.below(5));
        let instance = random(&mut numbers, devices, 2, units);
        let costs = Costs::new(&instance);
        let mut best = f64::INFINITY;
        brute_chain(&costs, &mut Vec::new(), 0, &mut best);
        let found = chained(&instance).map_or(f64::INFINITY, |found| {
            let period = found.forecast.period;
            assert!((period - found.bound).abs() <= period * 1e-6);
            period
        });
        let same = found == best || (found - best).abs() <= best * 1e-6;
        assert!(same, "{found} for {best}: {instance:#?}");
    }
}

#[test]
fn a_fast_device_alone_beats_a_slow_link() {
    let unit = Unit {
        seconds: vec![0.1],
        bytes_out: 1e9,
        queue: 0,
        weights: 1,
        working: 0,
        ends_stage: false,
        single: false,
        only: None,
    };
    let device = Device {
        kind: 0,
        memory: None,
        workers: 1,
        watts: 1.0,
        base: 0.0,
    };
    let slow = Link {
        bytes_per_second: 1e6,
        delay: 0.001,
    };
    let mut instance = Instance {
        units: vec![unit.clone(), unit],
        devices: vec![device.clone(), device],
        links: vec![vec![slow; 2]; 2],
        source: 0,
        sink: 0,
        bytes_in: 1e9,
        queue_in: 0,
        window: 8,
        objective: Objective::Rate,
    };
    let planned = plan(&instance).expect("there is memory enough");
    assert_eq!(planned.schedule.devices().collect::<Vec<_>>(), [0]);
    assert_eq!(planned.forecast.bottleneck, Bottleneck::Device(0));
    // Where batches are small, both work.
    instance.bytes_in = 1e3;
    instance.units[1].bytes_out = 1e3;
    let planned = plan(&instance).expect("there is memory enough");
    assert_eq!(planned.schedule.groups.len(), 1);
    assert_eq!(planned.schedule.devices().count(), 2);
    assert!(
        (planned.forecast.rate - 10.0).abs() < 1e-6,
        "{}",
        planned.forecast.rate
    );
    // Where neither has memory for all, there is a segment on each.
    for device in &mut instance.devices {
        device.memory = Some(1);
    }
    instance.units[0].bytes_out = 1e3;
    let planned = plan(&instance).expect("there is memory enough");
    assert_eq!(planned.schedule.groups.len(), 2);
    instance.devices[0].memory = Some(0);
    assert!(plan(&instance).is_none());
}

#[test]
fn batches_one_by_one_take_what_the_sum_says() {
    let mut numbers = Random(17);
    for round in 0..200 {
        let (devices, units) = (1 + numbers.below(4), 2 + numbers.below(4));
        let mut instance = easy(&mut numbers, devices, 2, units);
        instance.window = if round % 2 == 0 { 100 } else { 1 };
        let planned = plan(&instance).expect("there is memory enough");
        let (forecast, run) = (
            planned.forecast,
            simulate(&instance, &planned.schedule, 4000),
        );
        let off = (run.rate / forecast.rate - 1.0).abs();
        // A link carries less than the sum says where turns do not fall together.
        let least = 0.97;
        assert!(
            run.rate >= forecast.rate * least,
            "{} for {}",
            run.rate,
            forecast.rate
        );
        if matches!(forecast.bottleneck, Bottleneck::Device(_)) {
            assert!(off < 0.03, "{} for {}", run.rate, forecast.rate);
        }
        if instance.window == 1 {
            let off = (run.latency / forecast.latency - 1.0).abs();
            assert!(off < 0.03, "{} for {}", run.latency, forecast.latency);
        }
    }
}

#[test]
fn many_devices_of_few_kinds_reach_nearly_all_they_could() {
    let mut numbers = Random(23);
    let mut instance = easy(&mut numbers, 64, 4, 24);
    let uniform = Link {
        bytes_per_second: 1e9,
        delay: 0.001,
    };
    instance.links = vec![vec![uniform; 64]; 64];
    instance.window = 512;
    for device in &mut instance.devices {
        (device.workers, device.watts) = (1, 1.0);
    }
    for unit in &mut instance.units {
        unit.seconds = [1.0, 1.7, 3.0, 4.1]
            .map(|factor| unit.seconds[0] * factor)
            .to_vec();
    }
    let planned = plan(&instance).expect("there is memory enough");
    assert!(!planned.exact);
    let reaches = planned.reaches(Objective::Rate);
    assert!(reaches > 0.95, "{reaches}: {:?}", planned.schedule);
}
