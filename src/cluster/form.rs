//! Brings all devices together: the sockets and threads around a [`Meeting`].

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustls::Connection;

use super::accept::{Caller, Door, accept};
use super::account::Account;
use super::connect::{Call, Called, connect};
use super::file::Cluster;
use super::frame::Kind;
use super::greet::{Greeter, Heard};
use super::identity::Identity;
use super::link::{Got, Link};
use super::loss::OnLoss;
use super::meeting::{Action, Event, Meeting};
use super::members::Members;
use super::mesh::Mesh;
use super::mesh_error::MeshError;
use super::notes::{Log, Notes};

/// The address under which things are noted that no caller is the reason of.
const NOBODYS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// How often it is looked who is gone.
const TICK: Duration = Duration::from_millis(100);

/// What a mesh is formed from.
pub struct Formation<'a> {
    /// All devices.
    pub cluster: &'a Cluster,
    /// Index of this one.
    pub me: usize,
    /// This device's own.
    pub identity: &'a Identity,
    /// Of graph and plan: those of all devices must be the same.
    pub plan_hash: [u8; 32],
    /// What is told of them, so that a difference has a name.
    pub account: Account,
    /// Counts up with each attempt at the run: those of all devices must be the same.
    pub generation: u64,
    /// Who takes part.
    pub members: Members,
    /// Under an agent, the device that commits: it knows how the run stands.
    pub commits: Option<usize>,
    /// On the device that commits, where the others may go on without one.
    pub survivors: Option<Survivors<'a>>,
    /// What is told to devices that ask with [`notices`](super::notices).
    pub notice: Vec<u8>,
    /// Called when this device hears here that the run of a plan is complete: from then on nobody
    /// may be there to tell it again. Gives whether it is its own.
    pub heard: Heard,
    /// As [`listen`] makes it.
    pub listener: TcpListener,
    /// Where refusals are noted.
    pub log: Log,
    /// Told of devices that are lost, once the mesh is formed.
    pub on_loss: OnLoss,
}

/// How the device that commits decides to go on without those that are gone.
pub struct Survivors<'a> {
    /// How long they are waited for.
    pub after: Duration,
    /// Since when each device is gone, over several attempts at a mesh.
    pub absent: &'a mut [Option<Instant>],
    /// Whether these devices can do it all, or why not.
    pub possible: &'a dyn Fn(Members) -> Result<(), String>,
}

/// Listens on device `me`'s own address; to be passed to [`form`]. Until then callers wait.
///
/// # Errors
/// `cannot-listen`
pub fn listen(cluster: &Cluster, me: usize) -> Result<TcpListener, MeshError> {
    let address = &cluster.devices[me].address;
    TcpListener::bind(address.as_str()).map_err(|error| MeshError::Listen {
        address: address.clone(),
        error,
    })
}

/// Connects this device to all others, whichever starts first: each calls those before
/// it in the cluster file. Returns when all are connected to all.
///
/// # Errors
/// `missing-devices`, `older-generation`, `wrong-identity`, `done`; and where more than
/// half of the others run something else: `different-plan`, `different-files`,
/// `different-cluster`, `other-version`
pub fn form(formation: Formation<'_>) -> Result<Mesh, MeshError> {
    let Formation {
        cluster,
        me,
        identity,
        ..
    } = formation;
    let device = &cluster.devices[me];
    if device.identity != identity.fingerprint {
        let (wanted, found) = (device.identity, identity.fingerprint);
        return Err(MeshError::Identity {
            name: device.name.clone(),
            wanted,
            found,
        });
    }
    let greeter = Greeter::new(
        cluster,
        me,
        identity,
        (formation.generation, formation.members),
    )?;
    let greeter = greeter.runs(formation.plan_hash, formation.account);
    let greeter = greeter.tells(formation.notice).hears(formation.heard);
    let (events, happened) = unbounded();
    let now = Instant::now();
    let who = (cluster, me, formation.members);
    let meeting = Meeting::new(who, formation.commits, formation.survivors, now);
    let shell = Shell {
        cluster,
        generation: formation.generation,
        greeter: Arc::new(greeter),
        notes: Arc::new(Notes::new(formation.log)),
        closed: Arc::default(),
        events,
        links: cluster.devices.iter().map(|_| None).collect(),
        serial: 0,
    };
    let links = shell.run(formation.listener, meeting, &happened)?;
    let members = links.into_iter().enumerate();
    let members = members.filter(|(device, _)| formation.members.has(*device));
    let links = members.map(|(_, link)| link).collect();
    let cluster = cluster.only(formation.members);
    Ok(Mesh::new(&cluster, links, &formation.on_loss))
}

/// What the threads tell.
enum Happened {
    /// A device is connected.
    Connected(usize, TcpStream, Box<Connection>),
    Event(Event),
}

struct Shell<'a> {
    cluster: &'a Cluster,
    generation: u64,
    greeter: Arc<Greeter>,
    notes: Arc<Notes>,
    /// Set at the end, for all threads.
    closed: Arc<AtomicBool>,
    events: Sender<Happened>,
    /// The newest to each device.
    links: Vec<Option<Arc<Link>>>,
    /// Of the last link that was made.
    serial: u64,
}

impl Shell<'_> {
    fn run(
        mut self,
        listener: TcpListener,
        mut meeting: Meeting<'_>,
        happened: &Receiver<Happened>,
    ) -> Result<Vec<Option<Arc<Link>>>, MeshError> {
        let door = self.open_door(listener)?;
        let outcome = self.meet(&mut meeting, happened);
        self.closed.store(true, Ordering::SeqCst);
        // It looks every few milliseconds; then the address is free again.
        let _ = door.join();
        if outcome.is_err() {
            self.links.iter().flatten().for_each(|link| link.cut());
        }
        outcome.map(|()| self.links)
    }

    /// Until all are connected to all.
    fn meet(
        &mut self,
        meeting: &mut Meeting<'_>,
        happened: &Receiver<Happened>,
    ) -> Result<(), MeshError> {
        let mut actions = meeting.begin(Instant::now());
        loop {
            for action in actions {
                match action {
                    Action::Call(device) => self.call(device, false)?,
                    Action::Ask(device) => self.call(device, true)?,
                    Action::Announce(device) => self.announce(device),
                    Action::Say { kind, line } => self.notes.say(NOBODYS, &kind, &line),
                    Action::GoOn(members) => {
                        return Err(MeshError::Outdated {
                            generation: decision_after(self.generation),
                            members,
                        });
                    }
                    Action::End(outcome) => return outcome,
                }
            }
            let event = match happened.recv_timeout(TICK) {
                Ok(Happened::Connected(device, tcp, tls)) => self.connected(device, tcp, tls)?,
                Ok(Happened::Event(event)) => event,
                Err(_) => Event::Tick,
            };
            actions = meeting.on(event, Instant::now());
        }
    }

    fn announce(&self, device: usize) {
        if let Some(link) = &self.links[device] {
            // Where this fails, the watch tells.
            let _ = link.send(Kind::Ready, &[]);
        }
    }

    /// Makes a link of a connection, in the place of an older one.
    fn connected(
        &mut self,
        device: usize,
        tcp: TcpStream,
        tls: Box<Connection>,
    ) -> Result<Event, MeshError> {
        let link = Link::new(tcp, tls, self.cluster.mesh.failure).map_err(MeshError::Thread)?;
        self.serial += 1;
        self.watch(device, self.serial, Arc::clone(&link))?;
        if let Some(old) = self.links[device].replace(link) {
            old.cut();
        }
        Ok(Event::Linked(device, self.serial))
    }

    /// Reads from a link until its device is ready, or the link down.
    fn watch(&self, device: usize, serial: u64, link: Arc<Link>) -> Result<(), MeshError> {
        let events = self.events.clone();
        spawn("mesh:watch", move || {
            let event = match link.next(&mut [0; 1]) {
                Ok(Got::Ready) => Event::Ready(device, serial),
                Ok(Got::Leave { reason, .. }) => Event::Down(device, serial, reason),
                Ok(got) => Event::Down(device, serial, format!("it sent {got:?} too soon")),
                Err(reason) => Event::Down(device, serial, reason.to_string()),
            };
            // Nobody waits any more: then nobody needs it.
            let _ = events.send(Happened::Event(event));
        })
    }

    fn open_door(&self, listener: TcpListener) -> Result<std::thread::JoinHandle<()>, MeshError> {
        let events = self.events.clone();
        let door = Door {
            greeter: Arc::clone(&self.greeter),
            notes: Arc::clone(&self.notes),
            called: Box::new(move |caller| {
                let event = match caller {
                    Caller::Linked(device, tcp, tls) => Happened::Connected(device, tcp, tls),
                    Caller::Outdated(generation, members) => {
                        Happened::Event(Event::Outdated(generation, members))
                    }
                    Caller::Differs(device, text) => {
                        Happened::Event(Event::Differs(device, None, text))
                    }
                    Caller::Done(_) => return,
                };
                // Nobody waits any more: then nobody needs it.
                let _ = events.send(event);
            }),
            closed: Arc::clone(&self.closed),
        };
        listener.set_nonblocking(true).map_err(MeshError::Thread)?;
        std::thread::Builder::new()
            .name("mesh:door".to_owned())
            .spawn(move || accept(&listener, door))
            .map_err(MeshError::Thread)
    }

    /// Calls `device` from a thread of its own.
    fn call(&self, device: usize, asks: bool) -> Result<(), MeshError> {
        let call = Call {
            greeter: Arc::clone(&self.greeter),
            notes: Arc::clone(&self.notes),
            device,
            asks,
            name: self.cluster.devices[device].name.clone(),
            address: self.cluster.devices[device].address.clone(),
            closed: Arc::clone(&self.closed),
        };
        let events = self.events.clone();
        spawn("mesh:call", move || {
            connect(&call, |called| {
                let event = match called {
                    Called::Connected(tcp, tls) => {
                        // Nobody waits any more: then nobody needs it.
                        return drop(events.send(Happened::Connected(device, tcp, tls)));
                    }
                    Called::Trouble(reason, there) => Event::Trouble(device, reason, there),
                    Called::Differs(refusal, text) => Event::Differs(device, Some(refusal), text),
                    Called::Outdated(generation, members) => Event::Outdated(generation, members),
                    Called::Without => Event::Without,
                    Called::Done => Event::Done,
                };
                // As above.
                let _ = events.send(Happened::Event(event));
            });
        })
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), MeshError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop).map_err(MeshError::Thread)
}

/// The generation of a decision about who takes part: later than any that counting
/// attempts can reach, and, by the clock, than any decision that this device has taken
/// and forgotten.
fn decision_after(generation: u64) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    seconds.max((generation >> 32) + 1) << 32
}
