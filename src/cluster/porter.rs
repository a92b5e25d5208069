//! Answers those who call while no one is let in: the run goes on without them, or is
//! complete.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Account;
use super::accept::{Caller, Door, accept};
use super::file::Cluster;
use super::greet::Greeter;
use super::identity::Identity;
use super::link::lock;
use super::members::Members;
use super::mesh_error::MeshError;
use super::notes::{Log, Notes};
use super::refusal::Refusal;

/// Stands at the door until it is dropped.
pub struct Porter {
    greeter: Arc<Greeter>,
    closed: Arc<AtomicBool>,
    told: Arc<Told>,
    thread: Option<JoinHandle<()>>,
}

/// Who has heard that the run is complete.
#[derive(Default)]
struct Told {
    devices: Mutex<BTreeSet<usize>>,
    changed: Condvar,
}

/// Tells whoever calls device `me` that the `members` go on without it with the run of the plan
/// with this hash, until [`Porter::complete`].
///
/// # Errors
/// `internal`
pub fn porter(
    cluster: &Cluster,
    me: usize,
    identity: &Identity,
    (generation, members, plan_hash): (u64, Members, [u8; 32]),
    listener: TcpListener,
    log: Log,
) -> Result<Porter, MeshError> {
    let greeter = Greeter::new(cluster, me, identity, (generation, members))?;
    let greeter = greeter.runs(plan_hash, Account::default());
    greeter.close(Refusal::Without);
    let (greeter, closed) = (Arc::new(greeter), Arc::<AtomicBool>::default());
    let aware = Arc::<Told>::default();
    let by_door = Arc::clone(&aware);
    let door = Door {
        greeter: Arc::clone(&greeter),
        notes: Arc::new(Notes::new(log)),
        called: Box::new(move |caller| {
            if let Caller::Done(device) = caller {
                lock(&by_door.devices).insert(device);
                by_door.changed.notify_all();
            }
        }),
        closed: Arc::clone(&closed),
    };
    listener.set_nonblocking(true).map_err(MeshError::Thread)?;
    let thread = std::thread::Builder::new()
        .name("mesh:porter".to_owned())
        .spawn(move || accept(&listener, door))
        .map_err(MeshError::Thread)?;
    Ok(Porter {
        greeter,
        closed,
        told: aware,
        thread: Some(thread),
    })
}

impl Porter {
    /// Tells callers that the run is complete, until all `devices` have heard it, or
    /// for so long. Gives those who have not.
    pub fn complete(&self, devices: &[usize], longest: Duration) -> Vec<usize> {
        self.greeter.close(Refusal::Done);
        let deadline = Instant::now() + longest;
        let mut aware = lock(&self.told.devices);
        loop {
            let unaware = devices.iter().copied().filter(|d| !aware.contains(d));
            let unaware: Vec<usize> = unaware.collect();
            let left = deadline.saturating_duration_since(Instant::now());
            if unaware.is_empty() || left.is_zero() {
                return unaware;
            }
            let waited = self.told.changed.wait_timeout(aware, left);
            aware = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Porter {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // It looks every few milliseconds.
        drop(self.thread.take().map(JoinHandle::join));
    }
}
