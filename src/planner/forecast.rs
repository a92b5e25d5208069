//! What a schedule can be expected to do.

use super::costs::{Costs, Lot};
use super::instance::{Instance, Objective};
use super::schedule::Schedule;

/// What a schedule comes to, as a sum and not as a simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// How long the busiest worker or link is busy for each batch, in seconds.
    pub period: f64,
    /// How long a batch takes that waits for no other, on average, in seconds.
    pub latency: f64,
    /// Joules a batch.
    pub energy: f64,
    /// Batches a second.
    pub rate: f64,
    /// Each device.
    pub devices: Vec<Load>,
    /// What all others wait for.
    pub bottleneck: Bottleneck,
}

/// What one device does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// How long its busiest worker is busy for each batch, in seconds.
    pub busy: f64,
    /// The part of all batches that it gets; none where it runs nothing.
    pub part: f64,
    /// Bytes of weights and of what may be queued.
    pub memory: u64,
}

/// What all others wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bottleneck {
    /// A device.
    Device(usize),
    /// The link from one device to another.
    Link(usize, usize),
    /// There are too few batches in flight.
    Window,
}

/// What `schedule` comes to. It is taken as it is, memory too.
pub fn forecast(instance: &Instance, schedule: &Schedule) -> Forecast {
    forecast_of(&Costs::new(instance), schedule)
}

/// The same with the sums at hand.
pub fn forecast_of(costs: &Costs, schedule: &Schedule) -> Forecast {
    let instance = costs.instance;
    let mut devices: Vec<Load> = instance.devices.iter().map(base).collect();
    let mut lots: Vec<Lot> = Vec::new();
    for group in &schedule.groups {
        let members: Vec<_> = group.members.iter().map(|member| (*member, 1)).collect();
        let lot = costs.shared(&members, &group.units);
        for share in &lot.shares {
            let load = &mut devices[share.device];
            let seconds = costs.seconds(share.device, &group.units);
            load.busy += share.part / share.workers as f64 * seconds;
            load.part = share.part;
            load.memory = costs.memory(share.device, &group.units, share.workers);
        }
        lots.push(lot);
    }
    let mut links = Links::default();
    let mut at = 0;
    for (lot, group) in lots.iter().zip(&schedule.groups) {
        links.enter(costs, at, lot, &lots, schedule);
        at = group.units.end;
    }
    let latency = costs.base()
        + lots.iter().map(|lot| lot.latency).sum::<f64>()
        + links.latency
        + lots.last().map_or(0.0, |last| costs.leaving(last).latency);
    links.leave(costs, lots.last());
    let (busiest, load) = (devices.iter().enumerate())
        .max_by(|a, b| a.1.busy.total_cmp(&b.1.busy).then(b.0.cmp(&a.0)))
        .map_or((0, 0.0), |(device, load)| (device, load.busy));
    let (period, mut bottleneck) = match links.busiest {
        Some((from, to)) if links.busy > load => (links.busy, Bottleneck::Link(from, to)),
        _ => (load, Bottleneck::Device(busiest)),
    };
    let slowest = period.max(latency / instance.window as f64);
    if slowest > period {
        bottleneck = Bottleneck::Window;
    }
    let own = instance
        .devices
        .iter()
        .map(|device| device.base * device.watts);
    Forecast {
        period,
        latency,
        energy: own.sum::<f64>() + lots.iter().map(|lot| lot.energy).sum::<f64>(),
        rate: 1.0 / slowest,
        devices,
        bottleneck,
    }
}

impl Forecast {
    /// What `objective` asks to be small.
    pub fn value(&self, objective: Objective) -> f64 {
        match objective {
            Objective::Rate => 1.0 / self.rate,
            Objective::Latency => self.latency,
            Objective::Energy => self.energy,
        }
    }
}

fn base(device: &super::instance::Device) -> Load {
    Load {
        busy: device.base,
        ..Load::default()
    }
}

/// The links so far.
#[derive(Default)]
struct Links {
    busy: f64,
    busiest: Option<(usize, usize)>,
    latency: f64,
}

impl Links {
    /// Into `lot`, which comes behind the first `at` units.
    fn enter(&mut self, costs: &Costs, at: usize, lot: &Lot, lots: &[Lot], schedule: &Schedule) {
        let instance = costs.instance;
        if at == 0 {
            self.latency += costs.entering(lot).latency;
            for share in lot
                .shares
                .iter()
                .filter(|share| share.device != instance.source)
            {
                self.add(costs, 0, (instance.source, share.device), share.part);
            }
            return;
        }
        let before = schedule
            .groups
            .iter()
            .position(|group| group.units.end == at);
        let Some(before) = before.map(|group| &lots[group]) else {
            return;
        };
        let link = |from: usize, to: usize| instance.links[from][to];
        self.latency += costs.between(at, before, lot, &link).latency;
        for from in &before.shares {
            for to in &lot.shares {
                self.add(costs, at, (from.device, to.device), from.part.min(to.part));
            }
        }
    }

    /// From the last one to the sink.
    fn leave(&mut self, costs: &Costs, last: Option<&Lot>) {
        let sink = costs.instance.sink;
        let shares = last.iter().flat_map(|lot| &lot.shares);
        for share in shares.filter(|share| share.device != sink) {
            self.add(costs, costs.len(), (share.device, sink), share.part);
        }
    }

    fn add(&mut self, costs: &Costs, at: usize, (from, to): (usize, usize), part: f64) {
        let link = costs.instance.links[from][to];
        let busy = part * link.seconds(costs.bytes(at));
        if busy > self.busy {
            (self.busy, self.busiest) = (busy, Some((from, to)));
        }
    }
}
