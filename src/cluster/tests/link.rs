//! Two ends of one connection.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Account;
use super::super::frame::{DATA_BYTES_MAX, Kind};
use super::super::greet::Greeter;
use super::super::hello::Wish;
use super::super::link::{Got, Link};
use super::super::loss::LossReason;
use super::super::members::Members;
use super::{Devices, devices, wait_for};

/// The two ends of one link, and what they were made from.
pub fn links(patience: Duration) -> (Arc<Link>, Arc<Link>) {
    let devices = devices(2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let calling = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (called, _) = listener.accept().unwrap();
    let greeter = |d: &Devices, i: usize| {
        let at = (1, Members::ALL);
        let greeter = Greeter::new(&d.cluster, i, &d.identities[i], at).unwrap();
        greeter.runs([7; 32], Account::default())
    };
    let (first, second) = (greeter(&devices, 0), greeter(&devices, 1));
    let caller = std::thread::spawn(move || {
        let tls = second.call(&calling, 0, Wish::Link).unwrap();
        Link::new(calling, tls, patience).unwrap()
    });
    let (device, tls) = first.answer(&called).unwrap();
    assert_eq!(device, 1);
    (
        Link::new(called, tls, patience).unwrap(),
        caller.join().unwrap(),
    )
}

fn receive(link: &Link, total: usize) -> u64 {
    let (mut buffer, mut count, mut sum) = (vec![0; 1 << 20], 0, 0_u64);
    while count < total {
        match link.next(&mut buffer).unwrap() {
            Got::Data(n) => {
                sum = buffer[..n]
                    .iter()
                    .fold(sum, |s, b| s.wrapping_mul(31).wrapping_add(u64::from(*b)));
                count += n;
            }
            got => panic!("{got:?}"),
        }
    }
    sum
}

fn block(seed: u8) -> Vec<u8> {
    (0..DATA_BYTES_MAX)
        .map(|i| (i as u8).wrapping_mul(7).wrapping_add(seed))
        .collect()
}

fn sum(blocks: usize) -> u64 {
    let all = (0..blocks).flat_map(|i| block(i as u8));
    all.fold(0, |s, b| s.wrapping_mul(31).wrapping_add(u64::from(b)))
}

/// Both send far more than any buffer holds before either has read a byte of it all.
#[test]
fn both_send_much_at_once() {
    let (a, b) = links(Duration::from_secs(60));
    let blocks = 100;
    // Each has begun, and neither can be done.
    let begun = |link: &Link| link.traffic().0 > 1 << 16;
    let both = || begun(&a) && begun(&b);
    std::thread::scope(|scope| {
        for link in [&a, &b] {
            scope.spawn(move || {
                for i in 0..blocks {
                    link.send(Kind::Data, &block(i as u8)).unwrap();
                }
                link.send_last(Kind::End, &[]);
            });
            scope.spawn(move || {
                assert!(wait_for(both));
                assert_eq!(receive(link, blocks * DATA_BYTES_MAX), sum(blocks));
                assert_eq!(link.next(&mut [0; 9]), Ok(Got::End));
            });
        }
    });
    let (sent, received) = a.traffic();
    assert!(sent > (blocks * DATA_BYTES_MAX) as u64 && received > sent / 2);
}

#[test]
fn small_reads_get_all_bytes_in_order() {
    let (a, b) = links(Duration::from_secs(60));
    a.send(Kind::Data, b"micro-batch").unwrap();
    a.send(Kind::Ping, &[]).unwrap();
    a.send(Kind::Data, b"es").unwrap();
    let mut all: Vec<u8> = Vec::new();
    while all.len() < 13 {
        let mut buffer = [0; 3];
        let Got::Data(n) = b.next(&mut buffer).unwrap() else {
            panic!()
        };
        all.extend(&buffer[..n]);
    }
    assert_eq!(all, b"micro-batches");
}

/// Keys are changed by either side, while both are busy.
#[test]
fn keys_may_change_on_the_way() {
    let (a, b) = links(Duration::from_secs(60));
    let blocks = 60;
    std::thread::scope(|scope| {
        for link in [&a, &b] {
            scope.spawn(move || {
                for i in 0..blocks {
                    if i % 7 == 3 {
                        link.refresh_keys();
                    }
                    link.send(Kind::Data, &block(i as u8)).unwrap();
                }
            });
            scope.spawn(move || {
                assert_eq!(receive(link, blocks * DATA_BYTES_MAX), sum(blocks));
            });
        }
    });
}

#[test]
fn an_idle_link_stays_and_a_silent_one_does_not() {
    let patience = Duration::from_secs(2);
    let (a, b) = links(patience);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(b.next(&mut [0; 9]), Ok(Got::Data(4))));
        std::thread::sleep(patience * 2);
        a.send(Kind::Data, b"here").unwrap();
    });
    // Its process hangs: the connection stays, but nothing comes.
    let _stopped = a.hang();
    let since = Instant::now();
    assert_eq!(b.next(&mut [0; 9]), Err(LossReason::Silent(patience)));
    // It may have been silent for a moment before.
    assert!(since.elapsed() > patience / 2, "{:?}", since.elapsed());
}

#[test]
fn a_peer_that_takes_nothing_is_noticed_by_writing() {
    let patience = Duration::from_millis(500);
    let (a, _b) = links(patience);
    let reason = (0..10_000).find_map(|_| a.send(Kind::Data, &block(0)).err());
    assert_eq!(reason, Some(LossReason::Stuck(patience)));
    assert_eq!(a.next(&mut [0; 9]), Err(LossReason::Closed));
}

#[test]
fn leaving_is_told_and_the_first_end_counts() {
    let (a, b) = links(Duration::from_secs(60));
    a.send(Kind::Data, b"x").unwrap();
    a.send_last(
        Kind::Leave,
        &super::super::frame::leave_bytes(1, true, "out of memory"),
    );
    a.send_last(Kind::End, &[]);
    assert_eq!(b.next(&mut [0; 9]), Ok(Got::Data(1)));
    let left = Got::Leave {
        blamed: 1,
        for_good: true,
        reason: "out of memory".to_owned(),
    };
    assert_eq!(b.next(&mut [0; 9]), Ok(left));
    assert_eq!(b.next(&mut [0; 9]), Err(LossReason::Closed));
}
