//! What devices tell each other before they are ready to come together.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::accept::{Door, accept};
use super::connect::TCP_SECONDS_MAX;
use super::file::Cluster;
use super::form::listen;
use super::greet::Greeter;
use super::identity::Identity;
use super::members::Members;
use super::mesh_error::MeshError;
use super::notes::Notes;
use super::refusal::Refusal;

/// Between two rounds of calls.
const PAUSE: Duration = Duration::from_millis(300);

/// Asks all other devices for their notices until `enough` says that it needs no more, or
/// for as long as devices wait for each other. Those who ask meanwhile are told `notice`,
/// and who wants to be connected has to wait. Gives whether it was enough.
///
/// # Errors
/// `cannot-listen`, `internal`
pub fn notices(
    cluster: &Cluster,
    me: usize,
    identity: &Identity,
    notice: Vec<u8>,
    enough: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<bool, MeshError> {
    let at = (0, Members::ALL);
    let greeter = Arc::new(Greeter::new(cluster, me, identity, at)?.tells(notice));
    // A caller takes this for one that has to catch up, and calls again.
    greeter.close(Refusal::Newer);
    let closed = Arc::<AtomicBool>::default();
    let door = Door {
        greeter: Arc::clone(&greeter),
        // What there is to be said will be when the mesh is formed.
        notes: Arc::new(Notes::new(Arc::new(|_| {}))),
        called: Box::new(|_| {}),
        closed: Arc::clone(&closed),
    };
    let listener = listen(cluster, me)?;
    listener.set_nonblocking(true).map_err(MeshError::Thread)?;
    std::thread::scope(|scope| {
        let door = std::thread::Builder::new().spawn_scoped(scope, || accept(&listener, door));
        door.map_err(MeshError::Thread)?;
        let deadline = Instant::now() + cluster.mesh.connect;
        let mut others = (0..cluster.devices.len())
            .filter(|device| *device != me)
            .cycle();
        let mut ask = || {
            others
                .next()
                .and_then(|device| ask(&greeter, cluster, device))
        };
        let found = loop {
            let round = 1..cluster.devices.len();
            if round.filter_map(|_| ask()).any(|notice| enough(&notice)) {
                break true;
            }
            if Instant::now() >= deadline {
                break false;
            }
            std::thread::sleep(PAUSE);
        };
        closed.store(true, Ordering::SeqCst);
        Ok(found)
    })
}

fn ask(greeter: &Greeter, cluster: &Cluster, device: usize) -> Option<Vec<u8>> {
    let mut addresses = cluster.devices[device].address.to_socket_addrs().ok()?;
    addresses.find_map(|address| {
        let tcp = TcpStream::connect_timeout(&address, TCP_SECONDS_MAX).ok()?;
        greeter.ask_notice(&tcp, device).ok()
    })
}
