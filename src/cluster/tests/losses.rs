//! A device is lost while timely runs: the others know why in time, and end without a
//! panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::{Exchange, Input, Probe as _};
use timely::worker::Worker;

use super::super::link::lock;
use super::super::*;
use super::dataflow::start;
use super::{Devices, devices, panics, wait_for};

/// Numbers of each message.
const NUMBERS: u64 = 20_000;
/// Bytes of one, at least.
const LIST: u64 = 8 * NUMBERS;

/// Sends to all workers until told to stop, and drops everything then.
fn churn(worker: &mut Worker, stop: &AtomicBool) {
    let probe = Probe::new();
    let mut input = worker.dataflow::<u64, _, _>(|scope| {
        let (input, numbers) = scope.new_input::<Vec<Vec<u64>>>();
        numbers
            .exchange(|list: &Vec<u64>| list[0])
            .probe_with(&probe);
        input
    });
    let mut round = 0;
    while !stop.load(Ordering::SeqCst) {
        if !probe.less_than(&round) {
            round += 1;
            for to in 0..worker.peers() as u64 {
                input.send([to].into_iter().chain(0..NUMBERS).collect::<Vec<u64>>());
            }
            input.advance_to(round);
        }
        worker.step_or_park(Some(Duration::from_millis(5)));
    }
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

struct Running {
    devices: Devices,
    meshes: Vec<Mesh>,
    stops: Vec<Arc<AtomicBool>>,
    guards: Vec<Option<timely::communication::WorkerGuards<()>>>,
}

/// Devices of which all in `running` run timely; the others are connected only.
fn run(count: usize, running: std::ops::Range<usize>) -> Running {
    let devices = devices(count);
    let meshes = devices.form_all();
    let stops: Vec<Arc<AtomicBool>> = (0..count).map(|_| Arc::default()).collect();
    let guards = (0..count).map(|i| {
        let stop = Arc::clone(&stops[i]);
        let work = move |worker: &mut Worker| churn(worker, &stop);
        running.contains(&i).then(|| start(&meshes[i], i, 2, work))
    });
    Running {
        guards: guards.collect(),
        devices,
        meshes,
        stops,
    }
}

impl Running {
    /// Waits until device `i` has got so many bytes more of the others.
    fn got(&self, i: usize, bytes: u64) {
        let received = || self.meshes[i].traffic().bytes_received;
        let before = received();
        assert!(wait_for(|| received() >= before + bytes));
    }

    /// Waits until devices 0 and 1 are in the midst of timely's messages.
    fn talk(&self) {
        (0..2).for_each(|i| assert!(wait_for(|| self.meshes[i].traffic().bytes_received > LIST)));
    }

    fn first_loss(&self, i: usize) -> Option<Loss> {
        lock(&self.devices.losses[i]).first().cloned()
    }

    /// Stops device `i` and waits for timely's threads: they must end.
    fn stop(&mut self, i: usize) {
        self.stops[i].store(true, Ordering::SeqCst);
        for result in self.guards[i].take().unwrap().join() {
            result.unwrap();
        }
    }
}

impl Drop for Running {
    /// A test that fails must not wait for workers that nobody stops.
    fn drop(&mut self) {
        self.stops
            .iter()
            .for_each(|stop| stop.store(true, Ordering::SeqCst));
    }
}

/// What `kill -9` and an end of power do to the others.
#[test]
fn one_that_dies_is_named_by_all() {
    let before = panics();
    let mut running = run(3, 0..3);
    running.talk();
    running.meshes[1].cut();
    assert!(wait_for(
        || running.first_loss(0).is_some() && running.first_loss(2).is_some()
    ));
    for i in [0, 2] {
        let loss = running.first_loss(i).unwrap();
        assert_eq!(
            loss.to_string(),
            "device `d1` is lost: its connection closed"
        );
        running.meshes[i].leave_after(&loss);
        running.stop(i);
        // Whatever else is told comes of it.
        assert!(
            lock(&running.devices.losses[i])
                .iter()
                .all(|loss| loss.device == 1)
        );
    }
    running.stop(1);
    assert_eq!(panics(), before);
}

/// Its link is down, or its process stands still: no packet tells of it.
#[test]
fn one_that_is_silent_is_lost_in_time() {
    let before = panics();
    let mut running = run(3, 0..2);
    running.talk();
    let hanging = running.meshes[2].clone();
    let since = Instant::now();
    let hang = hanging.hang();
    assert!(wait_for(|| (0..2).all(|i| running.first_loss(i).is_some())));
    // failure-seconds is 3; either a read or a write may notice first, and none too soon.
    assert!(since.elapsed() > Duration::from_secs(2));
    for i in 0..2 {
        let loss = running.first_loss(i).unwrap();
        assert_eq!(loss.device, 2);
        let reason = loss.reason.to_string();
        assert!(reason.ends_with("for 3 s"), "{reason}");
        running.stop(i);
    }
    drop(hang);
    assert_eq!(panics(), before);
}

/// A failure of its own, told with its reason; and who lost another says whom.
#[test]
fn one_that_leaves_says_why() {
    let before = panics();
    let mut running = run(3, 0..3);
    running.talk();
    running.meshes[0].leave("stage `encoder` failed");
    running.stop(0);
    assert!(wait_for(
        || running.first_loss(1).is_some() && running.first_loss(2).is_some()
    ));
    for i in [1, 2] {
        let loss = running.first_loss(i).unwrap().to_string();
        assert_eq!(
            loss,
            "device `d0` is lost: it ended the run: stage `encoder` failed"
        );
        running.stop(i);
    }
    let mut running = run(3, 0..3);
    let name = "d1".to_owned();
    running.meshes[0].leave_after(&Loss {
        device: 1,
        name,
        reason: LossReason::Closed,
        for_good: false,
    });
    assert!(wait_for(|| running.first_loss(2).is_some()));
    let loss = running.first_loss(2).unwrap();
    assert_eq!(
        loss.to_string(),
        "device `d1` is lost: `d0` says: its connection closed"
    );
    (0..3).for_each(|i| running.stop(i));
    assert_eq!(panics(), before);
}

/// A worker that returns early without a word must not leave the others waiting.
#[test]
fn one_that_just_stops_is_noticed() {
    let before = panics();
    let mut running = run(2, 0..2);
    running.stop(0);
    assert!(wait_for(|| running.first_loss(1).is_some()));
    let loss = running.first_loss(1).unwrap().to_string();
    let expected = "device `d0` is lost: it ended the run: it stopped before the run was complete";
    assert_eq!(loss, expected);
    assert_eq!(*lock(&running.devices.losses[0]), []);
    running.stop(1);
    assert_eq!(panics(), before);
}

/// The connection breaks again and again at some point of some message.
#[test]
fn timely_ends_properly_wherever_its_stream_breaks() {
    let before = panics();
    for i in 0..25 {
        let mut running = run(2, 0..2);
        running.got(0, i * LIST / 3);
        running.meshes[1].cut();
        assert!(wait_for(|| running.first_loss(0).is_some()));
        (0..2).for_each(|i| running.stop(i));
    }
    assert_eq!(panics(), before);
}
