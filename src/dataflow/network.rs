//! The workers of a device, with or without others behind sockets.

use std::any::Any;
use std::sync::{Arc, Mutex, Once};

use crossbeam_channel::Receiver;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::zero_copy::stream::Stream;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};
use timely::worker::Worker;
use timely::{CommunicationConfig, WorkerConfig};

use super::shared::Shared;
use crate::cluster::{Loss, Mesh};
use crate::diagnostic::Diagnostic;

/// Connections to the other devices.
pub struct Network {
    /// The connections, in the order of the plan's layout.
    pub mesh: Mesh,
    /// Says so when a device is lost: that ends the run.
    pub lost: Receiver<Loss>,
    /// To be called when this device's part is done, whatever happens next.
    pub complete: Option<Tell>,
    /// To be called with the first time that is not committed, when all have agreed on it.
    pub begins: Option<fn(u64)>,
}

/// Something to be called once.
pub type Tell = Arc<dyn Fn() + Send + Sync>;

/// How this device takes its leave.
#[derive(Clone)]
pub struct Leave {
    mesh: Mesh,
    blamed: Arc<Mutex<Option<Loss>>>,
    once: Arc<Once>,
    complete: Option<Tell>,
    completed: Arc<Once>,
    begins: Option<fn(u64)>,
    begun: Arc<Once>,
}

impl Leave {
    fn new(network: Network, shared: &Arc<Shared>) -> Self {
        let Network {
            mesh,
            lost,
            complete,
            begins,
        } = network;
        let leave = Leave {
            mesh,
            blamed: Arc::default(),
            once: Arc::new(Once::new()),
            complete,
            completed: Arc::new(Once::new()),
            begins,
            begun: Arc::new(Once::new()),
        };
        let (blamed, shared) = (Arc::clone(&leave.blamed), Arc::clone(shared));
        std::thread::spawn(move || {
            // The first loss is the one to report: those that follow come of it.
            let Ok(loss) = lost.recv() else { return };
            let failure = Diagnostic::new("device-lost", loss.to_string());
            *blamed
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(loss);
            shared.fail(failure);
        });
        leave
    }

    /// What crossed the network so far: bytes sent, bytes received.
    pub fn traffic(&self) -> (u64, u64) {
        let traffic = self.mesh.traffic();
        (traffic.bytes_sent, traffic.bytes_received)
    }

    /// The run starts at `time`.
    pub fn begin(&self, time: u64) {
        self.begun
            .call_once(|| self.begins.iter().for_each(|begins| begins(time)));
    }

    /// The run is complete.
    pub fn finish(&self) {
        // Before the others can see it: then no one waits for a device that knows.
        self.completed
            .call_once(|| self.complete.iter().for_each(|complete| complete()));
        self.mesh.finish();
    }

    /// The run failed here: the others are told why. Returns when they are.
    pub fn fail(&self, shared: &Shared) {
        self.once.call_once(|| {
            let blamed = self
                .blamed
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            match blamed.as_ref() {
                Some(loss) => self.mesh.leave_after(loss),
                None => {
                    let failure = shared.failure();
                    self.mesh
                        .leave(failure.as_ref().map_or("stopped", |f| f.message.as_str()));
                }
            }
        });
    }
}

/// How a device reaches the others.
pub enum Connections<S> {
    /// There are none.
    Alone,
    /// As the product does it.
    Mesh(Network),
    /// Over these, as they are.
    Plain(Vec<Option<S>>),
}

type Allocators = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

/// Starts the `threads` workers of device number `device`; `work` gets how to leave the
/// others, if there are any.
///
/// # Errors
/// `internal` when threads cannot be started
pub fn launch<S: Stream + 'static, T: Send + 'static>(
    connections: Connections<S>,
    device: usize,
    threads: usize,
    shared: &Arc<Shared>,
    work: impl Fn(&mut Worker, Option<&Leave>) -> T + Send + Sync + 'static,
) -> Result<WorkerGuards<T>, Diagnostic> {
    let failed = |message: String| Diagnostic::new("internal", message);
    let (allocators, leave): (Allocators, Option<Leave>) = match connections {
        Connections::Alone => {
            let config = match threads {
                1 => CommunicationConfig::Thread,
                n => CommunicationConfig::Process(n),
            };
            (config.try_build().map_err(failed)?, None)
        }
        Connections::Mesh(network) => {
            let allocators = over(network.mesh.streams(), device, threads)?;
            (allocators, Some(Leave::new(network, shared)))
        }
        Connections::Plain(streams) => (over(streams, device, threads)?, None),
    };
    let work = move |worker: &mut Worker| work(worker, leave.as_ref());
    timely::execute::execute_from(allocators.0, allocators.1, WorkerConfig::default(), work)
        .map_err(failed)
}

/// Workers that reach those of other devices over `streams`.
fn over<S: Stream + 'static>(
    streams: Vec<Option<S>>,
    device: usize,
    threads: usize,
) -> Result<Allocators, Diagnostic> {
    let hooks = Hooks::default();
    let (refill, spill) = (hooks.refill.clone(), hooks.spill.clone());
    let local = ProcessBuilder::new_typed_vector(threads, refill, spill);
    let (builders, guard) =
        initialize_networking_from_sockets(local, streams, device, threads, hooks)
            .map_err(|e| Diagnostic::new("internal", e.to_string()))?;
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    Ok((builders, Box::new(guard)))
}
