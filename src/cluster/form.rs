//! Brings all devices together.

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
use super::greet::Greeter;
use super::hello::Refusal;
use super::identity::Identity;
use super::link::{Got, Link};
use super::loss::OnLoss;
use super::members::Members;
use super::mesh::Mesh;
use super::mesh_error::{MeshError, Missing, list};
use super::notes::{Log, Notes};

/// The address under which things are noted that no caller is the reason of.
const NOBODYS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// How often it is looked who is gone.
const TICK: Duration = Duration::from_millis(100);
/// After so long it is said who is waited for.
const WAITING_SAID: Duration = Duration::from_secs(10);

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
    let greeter = greeter.tells(formation.notice);
    let (events, happened) = unbounded();
    let forming = Forming {
        cluster,
        me,
        greeter: Arc::new(greeter),
        notes: Arc::new(Notes::new(formation.log)),
        closed: Arc::default(),
        events,
        links: cluster.devices.iter().map(|_| None).collect(),
        serial: 0,
        announced: false,
        generation: formation.generation,
        members: formation.members,
        commits: formation.commits,
        survivors: formation.survivors,
        met: false,
        without: false,
        there: vec![false; cluster.devices.len()],
        differs: vec![false; cluster.devices.len()],
        refused: None,
    };
    let links = forming.run(formation.listener, &happened)?;
    let members = links.into_iter().enumerate();
    let members = members.filter(|(device, _)| formation.members.has(*device));
    let links = members.map(|(_, link)| link).collect();
    let cluster = cluster.only(formation.members);
    Ok(Mesh::new(&cluster, links, &formation.on_loss))
}

enum Event {
    Linked(usize, TcpStream, Box<Connection>),
    /// The device, by the link with this serial number, is connected to all.
    Ready(usize, u64),
    /// The link with this serial number is down.
    Down(usize, u64, String),
    Trouble(usize, String, bool),
    /// The device runs something else; what that is, and why it refused this one, where
    /// it was called.
    Differs(usize, Option<Refusal>, String),
    Outdated(u64, Members),
    /// The others go on without this device.
    Without,
    Done,
}

struct Forming<'a> {
    cluster: &'a Cluster,
    me: usize,
    greeter: Arc<Greeter>,
    notes: Arc<Notes>,
    /// Set at the end, for all threads.
    closed: Arc<AtomicBool>,
    events: Sender<Event>,
    links: Vec<Option<Linked>>,
    serial: u64,
    /// Whether the others were told that this device is connected to all.
    announced: bool,
    generation: u64,
    members: Members,
    commits: Option<usize>,
    survivors: Option<Survivors<'a>>,
    /// Whether any other device was there.
    met: bool,
    /// Whether the others go on without this device, which waits for their end.
    without: bool,
    /// Who was there at the last attempt.
    there: Vec<bool>,
    /// Who runs something else, as far as is known.
    differs: Vec<bool>,
    /// The last that was called and does.
    refused: Option<(usize, Refusal, String)>,
}

struct Linked {
    link: Arc<Link>,
    serial: u64,
    ready: bool,
}

impl Forming<'_> {
    fn run(
        mut self,
        listener: TcpListener,
        happened: &Receiver<Event>,
    ) -> Result<Vec<Option<Arc<Link>>>, MeshError> {
        let door = self.open_door(listener)?;
        let members = self.members;
        let outcome = (0..self.me)
            .filter(|device| members.has(*device))
            .try_for_each(|device| self.call(device, false))
            .and_then(|()| self.ask())
            .and_then(|()| self.wait(happened));
        self.closed.store(true, Ordering::SeqCst);
        // It looks every few milliseconds; then the address is free again.
        let _ = door.join();
        if outcome.is_err() {
            self.links
                .iter()
                .flatten()
                .for_each(|linked| linked.link.cut());
        }
        outcome.map(|()| {
            self.links
                .into_iter()
                .map(|linked| linked.map(|l| l.link))
                .collect()
        })
    }

    /// Until all are connected to all.
    fn wait(&mut self, happened: &Receiver<Event>) -> Result<(), MeshError> {
        let mut waited = self.cluster.mesh.connect;
        if self.commits.is_some() {
            // The one that commits needs this time to decide.
            waited += self.cluster.survivors.unwrap_or_default();
        }
        let started = Instant::now();
        // The one that may decide does so, in its own time.
        let deadline = self.survivors.is_none().then(|| started + waited);
        let mut why = vec!["it never answered".to_owned(); self.links.len()];
        while !self.all(|linked| linked.ready) {
            if let Ok(event) = happened.recv_timeout(TICK) {
                self.take(event, &mut why)?;
            }
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if late && !self.without && !self.all(|linked| linked.ready) {
                return Err(self.late(waited, &why));
            }
            self.decide(&why)?;
            self.say_where_results_are(started);
            if started.elapsed() >= WAITING_SAID {
                self.say_who_is_missing(&why);
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event, why: &mut [String]) -> Result<(), MeshError> {
        match event {
            Event::Linked(device, tcp, tls) => self.linked(device, tcp, tls)?,
            Event::Ready(device, serial) => {
                if let Some(linked) = self.links[device].as_mut().filter(|l| l.serial == serial) {
                    linked.ready = true;
                }
            }
            Event::Down(device, serial, reason) => {
                why[device] = reason;
                let down = self.links[device].take_if(|linked| linked.serial == serial);
                if down.is_some() && device < self.me {
                    self.call(device, false)?;
                }
            }
            Event::Trouble(device, reason, there) => {
                why[device] = reason;
                self.met |= there;
                self.there[device] = there;
                // One that is gone may come back and see it otherwise.
                self.without &= there || self.commits != Some(device);
            }
            Event::Differs(device, refusal, text) => {
                why[device].clone_from(&text);
                self.differs(device, refusal, text)?;
            }
            Event::Outdated(generation, members) => {
                return Err(MeshError::Outdated {
                    generation,
                    members,
                });
            }
            Event::Without => self.without = true,
            Event::Done => return Err(MeshError::Done),
        }
        Ok(())
    }

    /// A device that most others refuse is wrong itself; else it is the other one, which
    /// may be started again.
    fn differs(
        &mut self,
        device: usize,
        refusal: Option<Refusal>,
        text: String,
    ) -> Result<(), MeshError> {
        self.differs[device] = true;
        if let Some(refusal) = refusal {
            self.refused = Some((device, refusal, text));
        }
        let count = self.differs.iter().filter(|differs| **differs).count();
        match &self.refused {
            Some(refused) if count * 2 > self.links.len() - 1 => Err(self.refused(refused)),
            _ => Ok(()),
        }
    }

    fn late(&self, waited: Duration, why: &[String]) -> MeshError {
        match &self.refused {
            Some(refused) => self.refused(refused),
            None => self.missing(waited, why),
        }
    }

    /// For whom this device waits; again whenever that changes.
    fn say_who_is_missing(&self, why: &[String]) {
        if self.without || self.all(|linked| linked.ready) {
            return;
        }
        let line = match self.missing_devices(why) {
            missing if missing.is_empty() => return,
            missing => format!("waiting for {}", list(&missing)),
        };
        self.notes.say(NOBODYS, &line, &line);
    }

    /// Without the device that commits no other can go on.
    fn say_where_results_are(&self, since: Instant) {
        let (Some(commits), Some(after)) = (self.commits, self.cluster.survivors) else {
            return;
        };
        if commits != self.me && !self.there[commits] && since.elapsed() >= after {
            let name = &self.cluster.devices[commits].name;
            let line = format!("`{name}` is waited for: results are committed there");
            self.notes.say(NOBODYS, "commits", &line);
        }
    }

    /// Whether the others go on without those that are gone, if any are for long enough.
    fn decide(&mut self, why: &[String]) -> Result<(), MeshError> {
        let now = Instant::now();
        let Some(survivors) = self.survivors.as_mut() else {
            return Ok(());
        };
        let mut gone = Vec::new();
        for (device, since) in survivors.absent.iter_mut().enumerate() {
            if device == self.me || self.links[device].is_some() {
                *since = None
            } else {
                gone.push((device, *since.get_or_insert(now)))
            }
        }
        gone.retain(|(device, _)| self.members.has(*device));
        let long = |(_, since): &(usize, Instant)| now - *since >= survivors.after;
        if gone.is_empty() || !gone.iter().all(long) {
            return Ok(());
        }
        let left = |device: usize| device == self.me || self.links[device].is_some();
        let members = Members::of(self.links.len(), left);
        let names = gone.iter().map(|(device, _)| {
            let name = &self.cluster.devices[*device].name;
            format!("`{name}` ({})", why[*device])
        });
        let names = names.collect::<Vec<_>>().join(", ");
        match (survivors.possible)(members) {
            Ok(()) => {
                let line = format!("the run goes on without {names}");
                self.notes.say(NOBODYS, "goes-on", &line);
                Err(MeshError::Outdated {
                    generation: decision_after(self.generation),
                    members,
                })
            }
            Err(reason) => {
                let line = format!("the run waits for {names}: {reason}");
                self.notes.say(NOBODYS, "waits", &line);
                Ok(())
            }
        }
    }

    fn all(&self, is: impl Fn(&Linked) -> bool) -> bool {
        let is = |device: usize| {
            let here = device == self.me || !self.members.has(device);
            here || self.links[device].as_ref().is_some_and(&is)
        };
        (0..self.links.len()).all(is)
    }

    /// A device is connected, perhaps once more: the newest connection counts.
    fn linked(
        &mut self,
        device: usize,
        tcp: TcpStream,
        tls: Box<Connection>,
    ) -> Result<(), MeshError> {
        let link = Link::new(tcp, tls, self.cluster.mesh.failure).map_err(MeshError::Thread)?;
        self.serial += 1;
        self.met = true;
        self.without = false;
        self.there[device] = true;
        self.differs[device] = false;
        self.refused.take_if(|(other, ..)| *other == device);
        self.watch(device, self.serial, Arc::clone(&link))?;
        if self.announced {
            // Where this fails, the watch tells.
            let _ = link.send(Kind::Ready, &[]);
        }
        let linked = Linked {
            link,
            serial: self.serial,
            ready: false,
        };
        if let Some(old) = self.links[device].replace(linked) {
            old.link.cut();
        }
        if !self.announced && self.all(|_| true) {
            self.announced = true;
            for linked in self.links.iter().flatten() {
                let _ = linked.link.send(Kind::Ready, &[]);
            }
        }
        Ok(())
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
            let _ = events.send(event);
        })
    }

    fn open_door(&self, listener: TcpListener) -> Result<std::thread::JoinHandle<()>, MeshError> {
        let events = self.events.clone();
        let door = Door {
            greeter: Arc::clone(&self.greeter),
            notes: Arc::clone(&self.notes),
            called: Box::new(move |caller| {
                // Nobody waits any more: then nobody needs it.
                let _ = events.send(match caller {
                    Caller::Linked(device, tcp, tls) => Event::Linked(device, tcp, tls),
                    Caller::Outdated(generation, members) => Event::Outdated(generation, members),
                    Caller::Differs(device, text) => Event::Differs(device, None, text),
                    Caller::Done(_) => return,
                });
            }),
            closed: Arc::clone(&self.closed),
        };
        listener.set_nonblocking(true).map_err(MeshError::Thread)?;
        std::thread::Builder::new()
            .name("mesh:door".to_owned())
            .spawn(move || accept(&listener, door))
            .map_err(MeshError::Thread)
    }

    /// Asks the device that commits how the run stands, over and over, since during a
    /// run and after it no other answers, and it calls only those before it.
    fn ask(&self) -> Result<(), MeshError> {
        match self.commits.filter(|commits| *commits > self.me) {
            Some(commits) => self.call(commits, true),
            None => Ok(()),
        }
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
                let _ = events.send(match called {
                    Called::Connected(tcp, tls) => Event::Linked(device, tcp, tls),
                    Called::Trouble(reason, there) => Event::Trouble(device, reason, there),
                    Called::Differs(refusal, text) => Event::Differs(device, Some(refusal), text),
                    Called::Outdated(generation, members) => Event::Outdated(generation, members),
                    Called::Without => Event::Without,
                    Called::Done => Event::Done,
                });
            });
        })
    }

    fn refused(&self, (device, refusal, why): &(usize, Refusal, String)) -> MeshError {
        let device = &self.cluster.devices[*device];
        let (name, address) = (device.name.clone(), device.address.clone());
        MeshError::Refused {
            name,
            address,
            refusal: *refusal,
            why: why.clone(),
        }
    }

    fn missing(&self, waited: Duration, why: &[String]) -> MeshError {
        MeshError::Missing {
            waited,
            missing: self.missing_devices(why),
            nobody: !self.met,
        }
    }

    fn missing_devices(&self, why: &[String]) -> Vec<Missing> {
        let missing = (self
            .cluster
            .devices
            .iter()
            .zip(&self.links)
            .zip(why)
            .enumerate())
        .filter(|(device, ((_, linked), _))| {
            *device != self.me
                && self.members.has(*device)
                && !linked.as_ref().is_some_and(|linked| linked.ready)
        })
        .map(|(_, ((device, linked), why))| Missing {
            name: device.name.clone(),
            address: device.address.clone(),
            why: match linked {
                Some(_) => "it is here, but waits for others".to_owned(),
                None => why.clone(),
            },
        });
        missing.collect()
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
