//! Batches one by one, as a run has them: in turns, over links, no more than a window at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::instance::Instance;
use super::schedule::{Schedule, turns};

/// What batches did.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// Batches a second, once all is under way.
    pub rate: f64,
    /// How long a batch took on average then, waiting and all, in seconds.
    pub latency: f64,
    /// The seconds until the last one was done.
    pub seconds: f64,
}

/// Where a batch goes, and what it has to wait for there.
#[derive(Clone, Copy)]
enum Step {
    /// Worker, seconds.
    Work(usize, f64),
    /// The same for reading and writing, which take turns with all that waits there.
    Aside(usize, f64),
    /// Link, seconds on it, delay.
    Send(usize, f64, f64),
}

/// When (a number of seconds that is not negative, as its bits), which came first, which batch,
/// how many of its steps are done.
type Event = Reverse<(u64, u64, usize, usize)>;

/// Runs `batches` batches, at least one, through `schedule`. What waits for the same worker or
/// link is served as it came; results are done in order, as they are committed.
pub fn simulate(instance: &Instance, schedule: &Schedule, batches: usize) -> Simulated {
    let paths = Paths::new(instance, schedule);
    let mut free = vec![0.0; paths.resources()];
    let mut aside = free.clone();
    let mut events: BinaryHeap<Event> = BinaryHeap::new();
    let mut order = 0;
    let mut push = |events: &mut BinaryHeap<Event>, at: f64, batch: usize, step: usize| {
        order += 1;
        events.push(Reverse((at.to_bits(), order, batch, step)));
    };
    let (mut begun, mut done) = (vec![0.0; batches], vec![None; batches]);
    let (mut committed, mut next) = (0, 0);
    while next < batches.min(instance.window) {
        push(&mut events, 0.0, next, 0);
        next += 1;
    }
    while let Some(Reverse((bits, _, batch, step))) = events.pop() {
        let now = f64::from_bits(bits);
        let path = paths.of(batch);
        match path.get(step) {
            Some(&Step::Work(worker, seconds)) => {
                let start = now.max(free[worker]);
                free[worker] = start + seconds;
                push(&mut events, start + seconds, batch, step + 1);
            }
            Some(&Step::Aside(worker, seconds)) => {
                let start = now.max(aside[worker]);
                if step == 0 {
                    begun[batch] = start;
                }
                aside[worker] = start + seconds;
                free[worker] = start.max(free[worker]) + seconds;
                push(&mut events, start + seconds, batch, step + 1);
            }
            Some(&Step::Send(link, seconds, delay)) => {
                let start = now.max(free[link]);
                free[link] = start + seconds;
                push(&mut events, start + seconds + delay, batch, step + 1);
            }
            None => {
                done[batch] = Some(now);
                while committed < batches && done[committed].is_some() {
                    done[committed] = Some(now);
                    committed += 1;
                    if next < batches {
                        push(&mut events, now, next, 0);
                        next += 1;
                    }
                }
            }
        }
    }
    let done: Vec<f64> = done.into_iter().map(Option::unwrap_or_default).collect();
    summary(&begun, &done, instance.window)
}

/// Over what came when some had been done, and while there were more to come.
fn summary(begun: &[f64], done: &[f64], window: usize) -> Simulated {
    let (first, end) = (done.len() / 4, done.len() - 1);
    let last = end.saturating_sub(window).max(done.len() / 2).min(end);
    let seconds = done[end];
    let count = (last - first) as f64;
    let rate = match done[last] - done[first] {
        time if time > 0.0 => count / time,
        _ => done.len() as f64 / seconds,
    };
    let waited = begun.iter().zip(done).map(|(begun, done)| done - begun);
    let waited = waited.skip(first).take(last + 1 - first);
    Simulated {
        rate,
        latency: waited.sum::<f64>() / (count + 1.0),
        seconds,
    }
}

/// A device and a worker of it.
type Place = (usize, usize);

/// The ways of batches, each a repeating pattern of groups.
struct Paths<'a> {
    instance: &'a Instance,
    schedule: &'a Schedule,
    /// For each group: device and worker of each replica, and whose turn it is.
    groups: Vec<(Vec<Place>, Vec<usize>)>,
    /// The most workers of a device.
    workers: usize,
}

impl<'a> Paths<'a> {
    fn new(instance: &'a Instance, schedule: &'a Schedule) -> Self {
        let group = |group: &super::schedule::Group| {
            let (places, weights): (Vec<_>, Vec<_>) = group
                .replicas()
                .map(|(device, worker, weight)| ((device, worker), weight))
                .unzip();
            (places, turns(&weights))
        };
        Paths {
            instance,
            schedule,
            groups: schedule.groups.iter().map(group).collect(),
            workers: instance
                .devices
                .iter()
                .map(|one| one.workers)
                .max()
                .unwrap_or(1),
        }
    }

    /// Workers, then links.
    fn resources(&self) -> usize {
        let devices = self.instance.devices.len();
        devices * self.workers + devices * devices
    }

    fn of(&self, batch: usize) -> Vec<Step> {
        let instance = self.instance;
        let mut at = instance.source;
        let mut path = vec![Step::Aside(self.worker(at, 0), instance.devices[at].base)];
        let mut bytes = instance.bytes_in;
        for ((places, turns), group) in self.groups.iter().zip(&self.schedule.groups) {
            let (device, worker) = places[turns[batch % turns.len()]];
            path.extend(self.send(at, device, bytes));
            let units = &instance.units[group.units.clone()];
            let kind = instance.devices[device].kind;
            let seconds = units.iter().map(|unit| unit.seconds[kind]).sum();
            path.push(Step::Work(self.worker(device, worker), seconds));
            bytes = units.last().map_or(bytes, |unit| unit.bytes_out);
            at = device;
        }
        path.extend(self.send(at, instance.sink, bytes));
        if instance.sink != instance.source {
            let base = instance.devices[instance.sink].base;
            path.push(Step::Aside(self.worker(instance.sink, 0), base));
        }
        path
    }

    fn worker(&self, device: usize, worker: usize) -> usize {
        device * self.workers + worker
    }

    fn send(&self, from: usize, to: usize, bytes: f64) -> Option<Step> {
        let devices = self.instance.devices.len();
        let link = devices * self.workers + from * devices + to;
        let of = &self.instance.links[from][to];
        (from != to).then(|| Step::Send(link, of.seconds(bytes), of.delay))
    }
}
