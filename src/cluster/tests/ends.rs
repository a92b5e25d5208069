//! Whoever was not there hears that the run is complete.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::super::greet::Greeter;
use super::super::hello::Wish;
use super::super::link::lock;
use super::super::members::Members;
use super::super::porter::porter;
use super::devices;

#[test]
fn one_that_dies_as_it_hears_the_end_is_told_again() {
    let devices = devices(2);
    let at = (1, Members::ALL);
    let (cluster, identity) = (&devices.cluster, &devices.identities[0]);
    let listener = lock(&devices.listeners[0]).take().unwrap();
    let (generation, members) = at;
    let runs = (generation, members, [7; 32]);
    let porter = porter(cluster, 0, identity, runs, listener, Arc::new(|_: &str| ())).unwrap();
    // None but the last is there yet.
    assert_eq!(porter.complete(&[1], Duration::from_millis(1)), [1]);
    let ask = |plan: [u8; 32], dies: bool| {
        let tcp = TcpStream::connect(devices.address(0)).unwrap();
        let same = tcp.try_clone().unwrap();
        let heard = move |complete: [u8; 32]| {
            if dies {
                same.shutdown(Shutdown::Both).unwrap();
            }
            complete == plan
        };
        let greeter = Greeter::new(cluster, 1, &devices.identities[1], at).unwrap();
        let greeter = greeter.hears(Arc::new(heard));
        let error = greeter.call(&tcp, 0, Wish::Standing).map(drop).unwrap_err();
        let says = error
            .to_string()
            .contains("it has completed is not this one");
        assert_eq!(says, plan != [7; 32], "{error}");
    };
    ask([7; 32], true);
    assert_eq!(porter.complete(&[1], Duration::from_millis(200)), [1]);
    // Whoever runs something else does not take it for the end of that.
    ask([8; 32], false);
    assert_eq!(porter.complete(&[1], Duration::from_millis(200)), [1]);
    ask([7; 32], false);
    assert_eq!(porter.complete(&[1], Duration::from_secs(60)), [0_usize; 0]);
}
