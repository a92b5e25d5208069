//! What a device knows of the others until all are connected to all, and what it does next.
//!
//! No socket, thread or clock is here: [`Meeting::on`] gets what happened and when, and gives
//! what is to be done; `form` does it.

use std::time::{Duration, Instant};

use super::file::Cluster;
use super::form::Survivors;
use super::members::Members;
use super::mesh_error::{MeshError, Missing, list};
use super::refusal::Refusal;

/// After so long it is said who is waited for.
const WAITING_SAID: Duration = Duration::from_secs(10);

/// What happened; a device is its number in the cluster file.
#[derive(Debug)]
pub enum Event {
    /// The device is connected, perhaps once more, by the link with this serial number.
    Linked(usize, u64),
    /// The device, by the link with this serial number, is connected to all.
    Ready(usize, u64),
    /// The link with this serial number is down.
    Down(usize, u64, String),
    /// A call did not lead to a link, and whether anyone was there. Another follows.
    Trouble(usize, String, bool),
    /// The device runs something else, and what that is; as what it refused this one, where
    /// it was called.
    Differs(usize, Option<Refusal>, String),
    /// A device is at this later generation, with these devices.
    Outdated(u64, Members),
    /// The others go on without this device.
    Without,
    /// The run is complete.
    Done,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Call the device until it answers.
    Call(usize),
    /// Ask the device how the run stands, over and over.
    Ask(usize),
    /// Tell the device, over its link, that this one is connected to all.
    Announce(usize),
    /// Tell people, once for each kind.
    Say { kind: String, line: String },
    /// Begin again without those that are gone: these are left.
    GoOn(Members),
    /// All are connected to all, or never will be.
    End(Result<(), MeshError>),
}

/// Another device, as seen from here.
#[derive(Debug)]
enum Peer {
    /// Nobody is there.
    Away { why: String },
    /// Somebody is there, but there is no link.
    There { why: String },
    /// It runs something else: what it refused this device for, where it was called.
    Differs {
        why: String,
        refusal: Option<Refusal>,
        there: bool,
    },
    /// It is connected to this device, and waits for others.
    Linked { serial: u64 },
    /// It is connected to all.
    Ready { serial: u64 },
}

impl Peer {
    fn serial(&self) -> Option<u64> {
        match self {
            Peer::Linked { serial } | Peer::Ready { serial } => Some(*serial),
            Peer::Away { .. } | Peer::There { .. } | Peer::Differs { .. } => None,
        }
    }

    fn is_linked(&self) -> bool {
        self.serial().is_some()
    }

    fn is_ready(&self) -> bool {
        matches!(self, Peer::Ready { .. })
    }

    fn is_there(&self) -> bool {
        match self {
            Peer::Away { .. } => false,
            Peer::Differs { there, .. } => *there,
            Peer::There { .. } | Peer::Linked { .. } | Peer::Ready { .. } => true,
        }
    }

    /// Why it is not ready, as far as is known.
    fn why(&self) -> &str {
        match self {
            Peer::Away { why } | Peer::There { why } | Peer::Differs { why, .. } => why,
            Peer::Linked { .. } | Peer::Ready { .. } => "it is here, but waits for others",
        }
    }

    /// After a call that did not lead to a link. That it runs something else stays known.
    fn called(&mut self, why: String, there: bool) {
        *self = match self {
            Peer::Linked { .. } | Peer::Ready { .. } => return,
            Peer::Differs { refusal, .. } => Peer::Differs {
                why,
                refusal: *refusal,
                there,
            },
            Peer::Away { .. } | Peer::There { .. } if there => Peer::There { why },
            Peer::Away { .. } | Peer::There { .. } => Peer::Away { why },
        };
    }

    /// After it was found to run something else. While there is a link, it is another process
    /// that says so.
    fn differs(&mut self, why: String, found: Option<Refusal>) {
        let (before, there) = match self {
            Peer::Linked { .. } | Peer::Ready { .. } => return,
            Peer::Differs { refusal, there, .. } => (*refusal, *there),
            Peer::Away { .. } => (None, false),
            Peer::There { .. } => (None, true),
        };
        *self = Peer::Differs {
            why,
            refusal: found.or(before),
            there,
        };
    }
}

/// One device's side of coming together.
pub struct Meeting<'a> {
    cluster: &'a Cluster,
    me: usize,
    members: Members,
    commits: Option<usize>,
    survivors: Option<Survivors<'a>>,
    began: Instant,
    /// Of all devices; this one's own is never looked at.
    peers: Vec<Peer>,
    /// Whether the others were told that this device is connected to all.
    announced: bool,
    /// Whether any other device was ever there.
    nobody: bool,
    /// Whether the others go on without this device, which waits for their end.
    left_out: bool,
}

impl<'a> Meeting<'a> {
    /// Of device number `me`, with `members`. Under an agent it is known who `commits`, and on
    /// that device how it decides to go on with `survivors`.
    pub fn new(
        (cluster, me, members): (&'a Cluster, usize, Members),
        commits: Option<usize>,
        survivors: Option<Survivors<'a>>,
        now: Instant,
    ) -> Self {
        let away = |_| Peer::Away {
            why: "it never answered".to_owned(),
        };
        Meeting {
            cluster,
            me,
            members,
            commits,
            survivors,
            began: now,
            peers: cluster.devices.iter().map(away).collect(),
            announced: false,
            nobody: true,
            left_out: false,
        }
    }

    /// Each device calls those before it. During a run and after it only the device that
    /// commits answers, so that is asked too.
    pub fn begin(&mut self, now: Instant) -> Vec<Action> {
        let before = (0..self.me).filter(|device| self.members.has(*device));
        let mut actions: Vec<Action> = before.map(Action::Call).collect();
        actions.extend(self.commits.filter(|one| *one > self.me).map(Action::Ask));
        self.look(now, &mut actions);
        actions
    }

    /// What is to be done now that `event` has happened.
    pub fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Linked(device, serial) => self.linked(device, serial, &mut actions),
            Event::Ready(device, serial) => {
                if self.peers[device].serial() == Some(serial) {
                    self.peers[device] = Peer::Ready { serial };
                }
            }
            Event::Down(device, serial, why) => {
                if self.peers[device].serial() == Some(serial) {
                    self.peers[device] = Peer::There { why };
                    actions.extend((device < self.me).then_some(Action::Call(device)));
                }
            }
            Event::Trouble(device, why, there) => {
                self.nobody &= !there;
                // One that is gone may come back and see it otherwise.
                self.left_out &= there || self.commits != Some(device);
                self.peers[device].called(why, there);
            }
            Event::Differs(device, refusal, why) => {
                self.peers[device].differs(why, refusal);
                if let Some(error) = self.outvoted() {
                    return vec![Action::End(Err(error))];
                }
            }
            Event::Outdated(generation, members) => {
                let error = MeshError::Outdated {
                    generation,
                    members,
                };
                return vec![Action::End(Err(error))];
            }
            Event::Without => self.left_out = true,
            Event::Done => return vec![Action::End(Err(MeshError::Done))],
            Event::Tick => {}
        }
        self.look(now, &mut actions);
        actions
    }

    /// A device is connected, perhaps once more: the newest link counts.
    fn linked(&mut self, device: usize, serial: u64, actions: &mut Vec<Action>) {
        self.nobody = false;
        self.left_out = false;
        self.peers[device] = Peer::Linked { serial };
        if self.announced {
            actions.push(Action::Announce(device));
        } else if self.all(Peer::is_linked) {
            self.announced = true;
            let linked = self.others().filter(|(_, peer)| peer.is_linked());
            actions.extend(linked.map(|(device, _)| Action::Announce(device)));
        }
    }

    /// Whether it is over, what is to be decided, and who is waited for.
    fn look(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let gone = self.gone(now);
        if self.all(Peer::is_ready) {
            return actions.push(Action::End(Ok(())));
        }
        if let Some(error) = self.late(now).filter(|_| !self.left_out) {
            return actions.push(Action::End(Err(error)));
        }
        self.decide(&gone, now, actions);
        self.say_where_results_are(now, actions);
        self.say_who_is_missing(now, actions);
    }

    /// A device that most others refuse is wrong itself; else it is the other one, which may
    /// be started again.
    fn outvoted(&self) -> Option<MeshError> {
        let differs = self.others();
        let differs = differs.filter(|(_, peer)| matches!(peer, Peer::Differs { .. }));
        let most = differs.count() * 2 > self.peers.len() - 1;
        self.refused().filter(|_| most)
    }

    /// By a device that was called.
    fn refused(&self) -> Option<MeshError> {
        self.others().find_map(|(device, peer)| match peer {
            Peer::Differs {
                why,
                refusal: Some(refusal),
                ..
            } => Some(MeshError::Refused {
                name: self.cluster.devices[device].name.clone(),
                address: self.cluster.devices[device].address.clone(),
                refusal: *refusal,
                why: why.clone(),
            }),
            _ => None,
        })
    }

    /// The error that it is when nobody is waited for any longer. The device that may decide
    /// does so, in its own time.
    fn late(&self, now: Instant) -> Option<MeshError> {
        let mut patience = self.cluster.mesh.connect;
        if self.commits.is_some() {
            // The one that commits needs this time to decide.
            patience += self.cluster.survivors.unwrap_or_default();
        }
        if self.survivors.is_some() || now < self.began + patience {
            return None;
        }
        Some(self.refused().unwrap_or_else(|| MeshError::Missing {
            waited: patience,
            missing: self.missing(),
            nobody: self.nobody,
        }))
    }

    /// Who is gone, and since when, on the device that decides.
    fn gone(&mut self, now: Instant) -> Vec<(usize, Instant)> {
        let Some(survivors) = &mut self.survivors else {
            return Vec::new();
        };
        let mut gone = Vec::new();
        for (device, since) in survivors.absent.iter_mut().enumerate() {
            if device == self.me || self.peers[device].is_linked() {
                *since = None;
            } else {
                gone.push((device, *since.get_or_insert(now)));
            }
        }
        gone.retain(|(device, _)| self.members.has(*device));
        gone
    }

    /// Whether the others go on without those that are `gone`, if all are for long enough.
    fn decide(&self, gone: &[(usize, Instant)], now: Instant, actions: &mut Vec<Action>) {
        let Some(survivors) = &self.survivors else {
            return;
        };
        let long = |(_, since): &(usize, Instant)| now - *since >= survivors.after;
        if gone.is_empty() || !gone.iter().all(long) {
            return;
        }
        let left = |device: usize| device == self.me || self.peers[device].is_linked();
        let members = Members::of(self.peers.len(), left);
        let names = gone.iter().map(|(device, _)| {
            let name = &self.cluster.devices[*device].name;
            format!("`{name}` ({})", self.peers[*device].why())
        });
        let names = names.collect::<Vec<_>>().join(", ");
        match (survivors.possible)(members) {
            Ok(()) => {
                actions.push(say("goes-on", format!("the run goes on without {names}")));
                actions.push(Action::GoOn(members));
            }
            Err(reason) => {
                let line = format!("the run waits for {names}: {reason}");
                actions.push(say("waits", line));
            }
        }
    }

    /// Without the device that commits no other can go on.
    fn say_where_results_are(&self, now: Instant, actions: &mut Vec<Action>) {
        let (Some(commits), Some(after)) = (self.commits, self.cluster.survivors) else {
            return;
        };
        if commits != self.me && !self.peers[commits].is_there() && now - self.began >= after {
            let name = &self.cluster.devices[commits].name;
            let line = format!("`{name}` is waited for: results are committed there");
            actions.push(say("commits", line));
        }
    }

    /// For whom this device waits; again whenever that changes.
    fn say_who_is_missing(&self, now: Instant, actions: &mut Vec<Action>) {
        let missing = self.missing();
        if self.left_out || missing.is_empty() || now - self.began < WAITING_SAID {
            return;
        }
        let line = format!("waiting for {}", list(&missing));
        actions.push(say(&line.clone(), line));
    }

    fn missing(&self) -> Vec<Missing> {
        let missing = self.taking_part().filter(|(_, peer)| !peer.is_ready());
        let missing = missing.map(|(device, peer)| Missing {
            name: self.cluster.devices[device].name.clone(),
            address: self.cluster.devices[device].address.clone(),
            why: peer.why().to_owned(),
        });
        missing.collect()
    }

    fn all(&self, is: impl Fn(&Peer) -> bool) -> bool {
        self.taking_part().all(|(_, peer)| is(peer))
    }

    fn others(&self) -> impl Iterator<Item = (usize, &Peer)> {
        let peers = self.peers.iter().enumerate();
        peers.filter(|(device, _)| *device != self.me)
    }

    fn taking_part(&self) -> impl Iterator<Item = (usize, &Peer)> {
        self.others()
            .filter(|(device, _)| self.members.has(*device))
    }
}

fn say(kind: &str, line: String) -> Action {
    let kind = kind.to_owned();
    Action::Say { kind, line }
}

#[cfg(test)]
mod tests;
