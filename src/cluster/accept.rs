//! Whoever calls: a thread each, so that one who says nothing keeps no one waiting.

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::Connection;

use super::greet::Greeter;
use super::greet_error::{GreetError, Refused};
use super::hello::Wish;
use super::link::lock;
use super::members::Members;
use super::notes::Notes;
use super::refusal::Refusal;

/// Callers that may be introducing themselves at once. One more, and the one who has
/// taken longest must go: a device needs milliseconds.
const PENDING_MAX: usize = 32;
/// How often it is looked who called.
const TICK: Duration = Duration::from_millis(10);

/// What is to be known of a caller that is a device of the cluster.
pub enum Caller {
    /// It is let in.
    Linked(usize, TcpStream, Box<Connection>),
    /// It is at this later generation, with these devices.
    Outdated(u64, Members),
    /// It runs something else, and what that is.
    Differs(usize, String),
    /// It was told that the run is complete.
    Done(usize),
}

/// All that answering callers needs.
pub struct Door {
    pub greeter: Arc<Greeter>,
    pub notes: Arc<Notes>,
    pub called: Box<dyn Fn(Caller) + Send + Sync>,
    /// Set when no one more is wanted.
    pub closed: Arc<AtomicBool>,
}

type Pending = Mutex<VecDeque<(u64, TcpStream)>>;

/// Answers callers until the door is closed.
pub fn accept(listener: &TcpListener, door: Door) {
    let door = Arc::new(door);
    let pending: Arc<Pending> = Arc::default();
    let mut number = 0;
    while !door.closed.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((tcp, address)) => {
                number += 1;
                let (door, pending) = (Arc::clone(&door), Arc::clone(&pending));
                admit(&pending, number, &tcp);
                let thread = std::thread::Builder::new().name("mesh:greet".to_owned());
                // Where the system gives no thread, the caller is dropped and calls again.
                let _ = thread.spawn(move || answer(&door, &pending, number, tcp, address));
            }
            // No caller, or one who has gone, or no descriptor left: all of it passes.
            Err(_) => std::thread::sleep(TICK),
        }
    }
    for (_, tcp) in lock(&pending).drain(..) {
        let _ = tcp.shutdown(Shutdown::Both);
    }
}

/// Notes a caller, and turns away the one before all others if there are too many.
fn admit(pending: &Pending, number: u64, tcp: &TcpStream) {
    let mut pending = lock(pending);
    if pending.len() >= PENDING_MAX
        && let Some((_, oldest)) = pending.pop_front()
    {
        let _ = oldest.shutdown(Shutdown::Both);
    }
    if let Ok(tcp) = tcp.try_clone() {
        pending.push_back((number, tcp));
    }
}

fn answer(door: &Door, pending: &Pending, number: u64, tcp: TcpStream, address: SocketAddr) {
    // Where the listener does not wait, in some systems its connections do not either.
    let result = tcp.set_nonblocking(false).map_err(GreetError::Io);
    let result = result.and_then(|()| door.greeter.answer(&tcp));
    lock(pending).retain(|(other, _)| *other != number);
    if door.closed.load(Ordering::SeqCst) {
        return;
    }
    match result {
        Ok((device, tls)) => (door.called)(Caller::Linked(device, tcp, tls)),
        Err(error) => turned_away(door, &error, address),
    }
}

fn turned_away(door: &Door, error: &GreetError, address: SocketAddr) {
    let expected = matches!(
        error,
        GreetError::Asked
            | GreetError::Refused(Refused {
                refusal: Refusal::Without | Refusal::Done,
                ..
            })
    );
    if !expected {
        let line = format!("a connection from {} was refused: {error}", address.ip());
        door.notes.say(address.ip(), error.kind(), &line);
    }
    let GreetError::Refused(refused) = error else {
        return;
    };
    let theirs = &refused.theirs;
    // Fewer than there are devices.
    let device = theirs.device as usize;
    match refused.refusal {
        Refusal::Newer if theirs.members.has(door.greeter.me()) => {
            (door.called)(Caller::Outdated(theirs.generation, theirs.members));
        }
        Refusal::Done => (door.called)(Caller::Done(device)),
        refusal if refusal.differs() && theirs.wish == Wish::Link => {
            (door.called)(Caller::Differs(device, refused.to_string()));
        }
        _ => {}
    }
}
