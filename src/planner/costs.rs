//! What a group of devices costs, and what it costs to hand batches from one to the next.

use std::ops::Range;

use super::instance::{Instance, Link};
use super::schedule::Member;
use super::weights::{Peer, weights};

/// What is equal but for rounding is equal.
pub const ROUNDING: f64 = 1e-9;

/// An instance with its sums.
pub struct Costs<'a> {
    /// What is planned.
    pub instance: &'a Instance,
    /// For each kind of device, the seconds of the first so many units.
    seconds: Vec<Vec<f64>>,
    /// The weights of the first so many units.
    weights: Vec<u64>,
}

/// Devices that are the same, in a group.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// One of them.
    pub device: usize,
    /// How many devices.
    pub count: usize,
    /// Workers of each that run the units.
    pub workers: usize,
    /// The weight of each worker.
    pub weight: u32,
    /// The part of all batches that each device gets.
    pub part: f64,
}

/// A range of units on devices that share its batches.
#[derive(Clone, Debug)]
pub struct Lot {
    /// The devices.
    pub shares: Vec<Share>,
    /// How long the busiest worker is busy for each batch of all.
    pub busy: f64,
    /// How long a batch takes, on average.
    pub latency: f64,
    /// Joules a batch.
    pub energy: f64,
}

/// Handing batches over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Crossing {
    /// How long the busiest link is busy for each batch.
    pub busy: f64,
    /// How long a batch takes, on average.
    pub latency: f64,
}

/// A link with the most of all batches that may take it, and how many do on average, all like it
/// together.
type Taken = (Link, f64, f64);

impl<'a> Costs<'a> {
    /// Those of `instance`.
    pub fn new(instance: &'a Instance) -> Self {
        let kinds = instance.devices.iter().map(|device| device.kind + 1).max();
        let sums = |kind: usize| running(instance.units.iter().map(|unit| unit.seconds[kind]));
        Costs {
            instance,
            seconds: (0..kinds.unwrap_or(0)).map(sums).collect(),
            weights: running(instance.units.iter().map(|unit| unit.weights)),
        }
    }

    /// How many units there are.
    pub fn len(&self) -> usize {
        self.instance.units.len()
    }

    /// How long one worker of `device` takes for a batch through `units`.
    pub fn seconds(&self, device: usize, units: &Range<usize>) -> f64 {
        let sums = &self.seconds[self.instance.devices[device].kind];
        sums[units.end] - sums[units.start]
    }

    /// How many of `device`'s workers have memory for `units`; no more than there are.
    pub fn workers(&self, device: usize, units: &Range<usize>) -> usize {
        let all = self.instance.devices[device].workers;
        let Some(memory) = self.instance.devices[device].memory else {
            return all;
        };
        let left = memory.checked_sub(self.queue(device, units));
        let Some(left) = left else { return 0 };
        match self.of_each_worker(units) {
            0 => all,
            each => usize::try_from(left / each).map_or(all, |fit| fit.min(all)),
        }
    }

    /// What `workers` of `device` hold for `units`, and what may be queued there.
    pub fn memory(&self, device: usize, units: &Range<usize>, workers: usize) -> u64 {
        let each = self.of_each_worker(units).saturating_mul(workers as u64);
        each.saturating_add(self.queue(device, units))
    }

    fn of_each_worker(&self, units: &Range<usize>) -> u64 {
        let weights = self.weights[units.end] - self.weights[units.start];
        let working = self.instance.units[units.clone()].iter();
        weights.saturating_add(working.map(|unit| unit.working).max().unwrap_or(0))
    }

    /// At worst all batches in flight stand before the same edge.
    fn queue(&self, device: usize, units: &Range<usize>) -> u64 {
        let Instance {
            units: all,
            source,
            sink,
            queue_in,
            ..
        } = self.instance;
        let behind = |at: usize| match at {
            0 => *queue_in,
            _ => all[at - 1].queue,
        };
        let inside = (units.start..units.end).filter(|&at| at > 0 && all[at - 1].ends_stage);
        let ends = [units.start, units.end];
        let own = [
            (*source == device).then_some(0),
            (*sink == device).then_some(all.len()),
        ];
        let at = inside.chain(ends).chain(own.into_iter().flatten());
        at.map(behind).max().unwrap_or(0)
    }

    /// What it costs that `devices`, each with how many there are of it, run `units`; `None`
    /// where they cannot.
    pub fn lot(&self, devices: &[(usize, usize)], units: &Range<usize>) -> Option<Lot> {
        let all = &self.instance.units[units.clone()];
        let count: usize = devices.iter().map(|(_, count)| count).sum();
        let is_only = |only: &Vec<usize>| {
            only.len() == count && devices.iter().all(|(device, _)| only.contains(device))
        };
        if !all
            .iter()
            .all(|unit| unit.only.as_ref().is_none_or(is_only))
        {
            return None;
        }
        let single = all.iter().any(|unit| unit.single);
        if single && count > 1 {
            return None;
        }
        let workers = |device: usize| match (self.workers(device, units), single) {
            (0, _) => None,
            (_, true) => Some(1),
            (fit, false) => Some(fit),
        };
        let used: Option<Vec<usize>> = devices.iter().map(|one| workers(one.0)).collect();
        let used = used?;
        let peers = devices
            .iter()
            .zip(&used)
            .map(|(&(device, count), workers)| Peer {
                seconds: self.seconds(device, units),
                base: self.instance.devices[device].base,
                workers: workers * count,
            });
        let peers: Vec<Peer> = peers.collect();
        let (weights, _) = weights(&peers);
        let members = devices.iter().zip(used).zip(weights);
        let members = members.map(|((&(device, count), workers), weight)| {
            let member = Member {
                device,
                workers,
                weight,
            };
            (member, count)
        });
        Some(self.shared(&members.collect::<Vec<_>>(), units))
    }

    /// What it costs that these, each with how many there are of it, run `units`.
    pub fn shared(&self, members: &[(Member, usize)], units: &Range<usize>) -> Lot {
        let turns = |one: &Member| f64::from(one.weight) * one.workers as f64;
        let total: f64 = members
            .iter()
            .map(|(one, count)| turns(one) * *count as f64)
            .sum();
        let mut lot = Lot {
            shares: Vec::with_capacity(members.len()),
            busy: 0.0,
            latency: 0.0,
            energy: 0.0,
        };
        for (one, count) in members {
            let device = &self.instance.devices[one.device];
            let (seconds, part) = (self.seconds(one.device, units), turns(one) / total);
            let of_all = part * *count as f64;
            lot.busy = lot
                .busy
                .max(device.base + part / one.workers as f64 * seconds);
            lot.latency += of_all * seconds;
            lot.energy += of_all * seconds * device.watts;
            lot.shares.push(Share {
                device: one.device,
                count: *count,
                workers: one.workers,
                weight: one.weight,
                part,
            });
        }
        lot
    }

    /// What a batch takes over a link behind the first `at` units.
    pub fn bytes(&self, at: usize) -> f64 {
        match at {
            0 => self.instance.bytes_in,
            _ => self.instance.units[at - 1].bytes_out,
        }
    }

    /// From the source to the first group.
    pub fn entering(&self, first: &Lot) -> Crossing {
        let source = self.instance.source;
        let to = first.shares.iter().filter(|share| share.device != source);
        let links = to.map(|share| {
            let link = self.instance.links[source][share.device];
            (link, share.part, share.part * share.count as f64)
        });
        crossing(self.bytes(0), links)
    }

    /// From the last group to the sink.
    pub fn leaving(&self, last: &Lot) -> Crossing {
        let sink = self.instance.sink;
        let from = last.shares.iter().filter(|share| share.device != sink);
        let links = from.map(|share| {
            let link = self.instance.links[share.device][sink];
            (link, share.part, share.part * share.count as f64)
        });
        crossing(self.bytes(self.len()), links)
    }

    /// From one group to the next, behind the first `at` units. `link` is the one between two
    /// devices of them. How turns of both fall together is not looked at: a link carries at most
    /// what the one end gives or the other takes.
    pub fn between(
        &self,
        at: usize,
        from: &Lot,
        to: &Lot,
        link: &impl Fn(usize, usize) -> Link,
    ) -> Crossing {
        let links = from.shares.iter().flat_map(|a| {
            to.shares.iter().map(move |b| {
                let both = a.part * b.part * (a.count * b.count) as f64;
                (link(a.device, b.device), a.part.min(b.part), both)
            })
        });
        crossing(self.bytes(at), links)
    }

    /// What is done besides, once: reading on the source's device, writing on the sink's.
    pub fn base(&self) -> f64 {
        let devices = &self.instance.devices;
        devices.iter().map(|device| device.base).sum()
    }

    /// The largest of all bases: no batch can be faster.
    pub fn base_max(&self) -> f64 {
        let devices = &self.instance.devices;
        devices.iter().map(|device| device.base).fold(0.0, f64::max)
    }
}

fn crossing(bytes: f64, links: impl Iterator<Item = Taken>) -> Crossing {
    links.fold(Crossing::default(), |sum, (link, most, mean)| Crossing {
        busy: sum.busy.max(most * link.seconds(bytes)),
        latency: sum.latency + mean * (link.delay + link.seconds(bytes)),
    })
}

/// The sums of the first none, one, two ... of `numbers`.
fn running<T: Copy + Default + std::ops::Add<Output = T>>(
    numbers: impl Iterator<Item = T>,
) -> Vec<T> {
    let mut sums = vec![T::default()];
    for number in numbers {
        sums.push(sums[sums.len() - 1] + number);
    }
    sums
}
