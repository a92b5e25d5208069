//! Calls one device until it answers.

use std::net::{IpAddr, Ipv4Addr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::Connection;

use super::greet::{GreetError, Greeter};
use super::hello::Refusal;
use super::notes::Notes;

/// How long one address may take.
const TCP_SECONDS_MAX: Duration = Duration::from_secs(2);
/// Between two attempts: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// All that calling a device needs.
pub struct Call {
    pub greeter: Arc<Greeter>,
    pub notes: Arc<Notes>,
    pub device: usize,
    pub name: String,
    pub address: String,
    /// Set when no more calls are wanted.
    pub closed: Arc<AtomicBool>,
}

/// What became of a call.
pub enum Called {
    /// It is answered.
    Connected(TcpStream, Box<Connection>),
    /// Not yet, for this reason; another attempt follows.
    Trouble(String),
    /// It never will be: the device says no.
    Refused(Refusal),
    /// The device is at this later generation.
    Outdated(u64),
}

/// Calls until the device answers, one way or the other, or no more calls are wanted.
pub fn connect(call: &Call, told: impl Fn(Called)) {
    let (mut pause, longest) = PAUSES;
    while !call.closed.load(Ordering::SeqCst) {
        let (error, ip) = match attempt(call) {
            Ok((tcp, tls)) => return told(Called::Connected(tcp, tls)),
            Err(failed) => failed,
        };
        match error {
            GreetError::RefusedBy(Refusal::Older, generation) => {
                return told(Called::Outdated(generation));
            }
            // It will see that it is behind, and catch up.
            GreetError::RefusedBy(Refusal::Newer, _) => {}
            GreetError::RefusedBy(refusal, _) | GreetError::Refused(refusal, _) => {
                return told(Called::Refused(refusal));
            }
            // That a device is not there yet is nothing to speak of.
            GreetError::Io(_) | GreetError::Closed | GreetError::Slow => {}
            _ => {
                let line = format!("`{}` at {} is refused: {error}", call.name, call.address);
                call.notes.say(ip, error.kind(), &line);
            }
        }
        told(Called::Trouble(error.to_string()));
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

/// One attempt at each of the addresses; the last one's error, and whose it is.
fn attempt(call: &Call) -> Result<(TcpStream, Box<Connection>), (GreetError, IpAddr)> {
    let nowhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let addresses = call
        .address
        .to_socket_addrs()
        .map_err(|error| (error.into(), nowhere))?;
    let none = std::io::Error::other("the name of its host has no address");
    let mut last = (GreetError::Io(none), nowhere);
    for address in addresses {
        let called = TcpStream::connect_timeout(&address, TCP_SECONDS_MAX)
            .and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp))
            .map_err(GreetError::from)
            .and_then(|tcp| call.greeter.call(&tcp, call.device).map(|tls| (tcp, tls)));
        match called {
            Ok(connected) => return Ok(connected),
            Err(error) => last = (error, address.ip()),
        }
    }
    Err(last)
}
