//! Brings all devices together.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustls::Connection;

use super::accept::{Door, accept};
use super::connect::{Call, Called, connect};
use super::file::Cluster;
use super::frame::Kind;
use super::greet::Greeter;
use super::hello::Refusal;
use super::identity::Identity;
use super::link::{Got, Link};
use super::loss::OnLoss;
use super::mesh::Mesh;
use super::mesh_error::{MeshError, Missing};
use super::notes::{Log, Notes};

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
    /// Counts up with each attempt at the run: those of all devices must be the same.
    pub generation: u64,
    /// As [`listen`] makes it.
    pub listener: TcpListener,
    /// Where refusals are noted.
    pub log: Log,
    /// Told of devices that are lost, once the mesh is formed.
    pub on_loss: OnLoss,
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
/// `missing-devices`, `older-generation`, `wrong-identity`; and where a device that was
/// called says no: `different-plan`, `different-cluster`, `other-version`
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
        formation.plan_hash,
        formation.generation,
    )?;
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
    };
    let links = forming.run(formation.listener, &happened)?;
    Ok(Mesh::new(cluster, links, &formation.on_loss))
}

enum Event {
    Linked(usize, TcpStream, Box<Connection>),
    /// The device, by the link with this serial number, is connected to all.
    Ready(usize, u64),
    /// The link with this serial number is down.
    Down(usize, u64, String),
    Trouble(usize, String),
    Refused(usize, Refusal),
    Outdated(u64),
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
        let outcome = (0..self.me)
            .try_for_each(|device| self.call(device))
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
        let waited = self.cluster.mesh.connect;
        let deadline = Instant::now() + waited;
        let mut why = vec!["it never answered".to_owned(); self.links.len()];
        while !self.all(|linked| linked.ready) {
            match happened.recv_deadline(deadline) {
                Ok(Event::Linked(device, tcp, tls)) => self.linked(device, tcp, tls)?,
                Ok(Event::Ready(device, serial)) => {
                    if let Some(linked) = self.links[device].as_mut().filter(|l| l.serial == serial)
                    {
                        linked.ready = true;
                    }
                }
                Ok(Event::Down(device, serial, reason)) => {
                    why[device] = reason;
                    if self.links[device]
                        .take_if(|linked| linked.serial == serial)
                        .is_some()
                        && device < self.me
                    {
                        self.call(device)?;
                    }
                }
                Ok(Event::Trouble(device, reason)) => why[device] = reason,
                Ok(Event::Refused(device, refusal)) => return Err(self.refused(device, refusal)),
                Ok(Event::Outdated(generation)) => return Err(MeshError::Outdated { generation }),
                Err(_) => return Err(self.missing(waited, &why)),
            }
        }
        Ok(())
    }

    fn all(&self, is: impl Fn(&Linked) -> bool) -> bool {
        let is = |device: usize| device == self.me || self.links[device].as_ref().is_some_and(&is);
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
        let (accepted, outdated) = (self.events.clone(), self.events.clone());
        let door = Door {
            greeter: Arc::clone(&self.greeter),
            notes: Arc::clone(&self.notes),
            accepted: Box::new(move |device, tcp, tls| {
                let _ = accepted.send(Event::Linked(device, tcp, tls));
            }),
            outdated: Box::new(move |generation| {
                let _ = outdated.send(Event::Outdated(generation));
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
    fn call(&self, device: usize) -> Result<(), MeshError> {
        let call = Call {
            greeter: Arc::clone(&self.greeter),
            notes: Arc::clone(&self.notes),
            device,
            name: self.cluster.devices[device].name.clone(),
            address: self.cluster.devices[device].address.clone(),
            closed: Arc::clone(&self.closed),
        };
        let events = self.events.clone();
        spawn("mesh:call", move || {
            connect(&call, |called| {
                let _ = events.send(match called {
                    Called::Connected(tcp, tls) => Event::Linked(device, tcp, tls),
                    Called::Trouble(reason) => Event::Trouble(device, reason),
                    Called::Refused(refusal) => Event::Refused(device, refusal),
                    Called::Outdated(generation) => Event::Outdated(generation),
                });
            });
        })
    }

    fn refused(&self, device: usize, refusal: Refusal) -> MeshError {
        let device = &self.cluster.devices[device];
        let (name, address) = (device.name.clone(), device.address.clone());
        MeshError::Refused {
            name,
            address,
            refusal,
        }
    }

    fn missing(&self, waited: Duration, why: &[String]) -> MeshError {
        let missing = (self
            .cluster
            .devices
            .iter()
            .zip(&self.links)
            .zip(why)
            .enumerate())
        .filter(|(device, ((_, linked), _))| {
            *device != self.me && !linked.as_ref().is_some_and(|linked| linked.ready)
        })
        .map(|(_, ((device, linked), why))| Missing {
            name: device.name.clone(),
            address: device.address.clone(),
            why: match linked {
                Some(_) => "it is here, but waits for others".to_owned(),
                None => why.clone(),
            },
        });
        MeshError::Missing {
            waited,
            missing: missing.collect(),
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), MeshError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop).map_err(MeshError::Thread)
}
