//! Calls one device until it answers.

use std::net::{IpAddr, Ipv4Addr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::Connection;

use super::greet::Greeter;
use super::greet_error::GreetError;
use super::hello::Wish;
use super::members::Members;
use super::notes::Notes;
use super::refusal::Refusal;

/// How long one address may take.
pub const TCP_SECONDS_MAX: Duration = Duration::from_secs(2);
/// Between two attempts: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// All that calling a device needs.
pub struct Call {
    pub greeter: Arc<Greeter>,
    pub notes: Arc<Notes>,
    pub device: usize,
    /// Whether it is only asked how things are, over and over.
    pub asks: bool,
    pub name: String,
    pub address: String,
    /// Set when no more calls are wanted.
    pub closed: Arc<AtomicBool>,
}

/// What became of a call.
pub enum Called {
    /// It is answered.
    Connected(TcpStream, Box<Connection>),
    /// Not yet, for this reason; another attempt follows. And whether anyone was there.
    Trouble(String, bool),
    /// The two run different things, which these are. Another attempt follows: the other may be wrong,
    /// and started again.
    Differs(Refusal, String),
    /// The device is at this later generation, with these devices.
    Outdated(u64, Members),
    /// The others go on without this device. Another attempt follows.
    Without,
    /// There is nothing left to do.
    Done,
}

/// Calls until the device answers, one way or the other, or no more calls are wanted.
pub fn connect(call: &Call, tell: impl Fn(Called)) {
    let (mut pause, longest) = PAUSES;
    while !call.closed.load(Ordering::SeqCst) {
        let (error, ip) = match attempt(call) {
            Ok((tcp, tls)) if !call.asks => return tell(Called::Connected(tcp, tls)),
            Ok(_) => {
                std::thread::sleep(longest);
                continue;
            }
            Err(failed) => *failed,
        };
        let there = !matches!(
            error,
            GreetError::Io(_) | GreetError::Closed | GreetError::Slow
        );
        match error {
            GreetError::RefusedBy(ref refused) if refused.refusal == Refusal::Done => {
                return tell(Called::Done);
            }
            // As seen from here, it is newer.
            GreetError::RefusedBy(ref refused)
                if refused.refusal == Refusal::Newer
                    && refused.theirs.members.has(call.greeter.me()) =>
            {
                return tell(Called::Outdated(
                    refused.theirs.generation,
                    refused.theirs.members,
                ));
            }
            GreetError::RefusedBy(ref refused)
                if matches!(refused.refusal, Refusal::Newer | Refusal::Without) =>
            {
                let who = (&call.name, &call.address);
                let line = format!("`{}` at {}: {}", who.0, who.1, Refusal::Without);
                let line = format!("{line}; it joins when they begin again");
                call.notes.say(ip, "without", &line);
                tell(Called::Without);
            }
            // It will see that it is behind, and catch up.
            GreetError::RefusedBy(ref refused) if refused.refusal == Refusal::Older => {}
            // The ordinary call between the two finds it too, and says what differs.
            GreetError::RefusedBy(ref refused) | GreetError::Refused(ref refused)
                if call.asks && refused.difference.is_none() => {}
            GreetError::RefusedBy(ref refused) | GreetError::Refused(ref refused) => {
                tell(Called::Differs(refused.refusal, refused.to_string()));
            }
            // That a device is not there yet is nothing to speak of.
            GreetError::Io(_) | GreetError::Closed | GreetError::Slow => {}
            _ => {
                let line = format!("`{}` at {} is refused: {error}", call.name, call.address);
                call.notes.say(ip, error.kind(), &line);
            }
        }
        tell(Called::Trouble(error.to_string(), there));
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

/// Why there is no connection, and to which address.
type Missed = (GreetError, IpAddr);

/// One attempt at each of the addresses; the last one's error, and whose it is.
fn attempt(call: &Call) -> Result<(TcpStream, Box<Connection>), Box<Missed>> {
    let nowhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let addresses = call
        .address
        .to_socket_addrs()
        .map_err(|error| Box::new((error.into(), nowhere)))?;
    let none = std::io::Error::other("the name of its host has no address");
    let mut last = (GreetError::Io(none), nowhere);
    let wish = if call.asks {
        Wish::Standing
    } else {
        Wish::Link
    };
    for address in addresses {
        let called = TcpStream::connect_timeout(&address, TCP_SECONDS_MAX)
            .and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp))
            .map_err(GreetError::from)
            .and_then(|tcp| {
                call.greeter
                    .call(&tcp, call.device, wish)
                    .map(|tls| (tcp, tls))
            });
        match called {
            Ok(connected) => return Ok(connected),
            Err(error) => last = (error, address.ip()),
        }
    }
    Err(Box::new(last))
}
