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
    let porter = porter(cluster, 0, identity, at, listener, Arc::new(|_: &str| ())).unwrap();
    // None but the last is there yet.
    assert_eq!(porter.complete(&[1], Duration::from_millis(1)), [1]);
    let ask = |dies: bool| {
        let tcp = TcpStream::connect(devices.address(0)).unwrap();
        let same = tcp.try_clone().unwrap();
        let heard = move || {
            if dies {
                same.shutdown(Shutdown::Both).unwrap();
            }
        };
        let greeter = Greeter::new(cluster, 1, &devices.identities[1], at).unwrap();
        let greeter = greeter.hears(Arc::new(heard));
        assert!(greeter.call(&tcp, 0, Wish::Standing).is_err());
    };
    ask(true);
    assert_eq!(porter.complete(&[1], Duration::from_millis(200)), [1]);
    ask(false);
    assert_eq!(porter.complete(&[1], Duration::from_secs(60)), [0_usize; 0]);
}
