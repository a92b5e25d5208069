//! timely over the mesh.

use std::sync::{Arc, Mutex};

use timely::WorkerConfig;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::{Exchange, Input, Inspect, Probe as _};
use timely::worker::Worker;

use super::super::link::lock;
use super::super::*;
use super::{devices, panics};

/// Starts timely on device `me` as a host does.
pub fn start<T: Send + 'static>(
    mesh: &Mesh,
    me: usize,
    threads: usize,
    work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
) -> WorkerGuards<T> {
    let hooks = Hooks::default();
    let inner =
        ProcessBuilder::new_typed_vector(threads, hooks.refill.clone(), hooks.spill.clone());
    let (builders, guard) =
        initialize_networking_from_sockets(inner, mesh.streams(), me, threads, hooks).unwrap();
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    timely::execute::execute_from(builders, Box::new(guard), WorkerConfig::default(), work).unwrap()
}

/// Every worker sends every worker numbers, in `rounds` rounds of lists of `length`; each
/// adds up what it gets.
fn add_up(worker: &mut Worker, mesh: &Mesh, rounds: u64, length: u64) -> u64 {
    let sum = Arc::new(Mutex::new(0_u64));
    let seen = Arc::clone(&sum);
    let probe = Probe::new();
    let mut input = worker.dataflow::<u64, _, _>(|scope| {
        let (input, numbers) = scope.new_input::<Vec<Vec<u64>>>();
        numbers
            .exchange(|list: &Vec<u64>| list[0])
            .inspect(move |list: &Vec<u64>| *lock(&seen) += list[1..].iter().sum::<u64>())
            .probe_with(&probe);
        input
    });
    for round in 0..rounds {
        for to in 0..worker.peers() as u64 {
            input.send([to].into_iter().chain(0..length).collect::<Vec<u64>>());
        }
        input.advance_to(round + 1);
        while probe.less_than(input.time()) {
            worker.step_or_park(Some(std::time::Duration::from_millis(20)));
        }
    }
    input.close();
    while !probe.done() {
        worker.step_or_park(Some(std::time::Duration::from_millis(20)));
    }
    mesh.finish();
    *lock(&sum)
}

/// Three devices, two workers each, and lists that no buffer holds.
#[test]
fn sums_come_out_right() {
    let before = panics();
    let devices = devices(3);
    let meshes = devices.form_all();
    let (rounds, length) = (5, 50_000);
    let sums: Vec<u64> = std::thread::scope(|scope| {
        let all: Vec<_> = (meshes.iter().enumerate())
            .map(|(i, mesh)| {
                scope.spawn(move || {
                    let own = mesh.clone();
                    let work = move |worker: &mut Worker| add_up(worker, &own, rounds, length);
                    start(mesh, i, 2, work).join()
                })
            })
            .collect();
        all.into_iter()
            .flat_map(|one| one.join().unwrap())
            .map(|sum| sum.unwrap())
            .collect()
    });
    assert_eq!(sums, [rounds * 6 * (length * (length - 1) / 2); 6]);
    for (i, mesh) in meshes.iter().enumerate() {
        assert_eq!(*lock(&devices.losses[i]), []);
        assert_eq!(*lock(&devices.notes[i]), [""; 0]);
        let Traffic {
            bytes_sent,
            bytes_received,
        } = mesh.traffic();
        assert!(bytes_sent > 8 * rounds * 8 * length && bytes_received > 8 * rounds * 8 * length);
    }
    assert_eq!(panics(), before);
}

/// A device that starts last, and one that is alone.
#[test]
fn any_order_of_start() {
    for late in 0..3 {
        let devices = devices(3);
        std::thread::scope(|scope| {
            for i in 0..3 {
                let devices = &devices;
                scope.spawn(move || {
                    if i == late {
                        std::thread::sleep(std::time::Duration::from_millis(700));
                    }
                    devices.form(i, super::Twist::default()).unwrap()
                });
            }
        });
        for i in 0..3 {
            assert_eq!(*lock(&devices.notes[i]), [""; 0]);
        }
    }
    let alone = devices(1).form(0, super::Twist::default()).unwrap();
    assert!(matches!(alone.streams()[..], [None]));
}
