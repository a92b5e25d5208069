//! The whole module, over real sockets on this machine.

mod dataflow;
mod ends;
mod file;
mod link;
mod losses;
mod refusals;
mod strangers;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::link::lock;
use super::*;
use crate::diagnostic::Sources;

/// Devices `d0`, `d1`, ... on this machine.
pub struct Devices {
    pub cluster: Cluster,
    pub identities: Vec<Identity>,
    listeners: Vec<Mutex<Option<TcpListener>>>,
    /// What each device noted.
    pub notes: Vec<Arc<Mutex<Vec<String>>>>,
    /// What each device lost.
    pub losses: Vec<Arc<Mutex<Vec<Loss>>>>,
}

pub fn devices(count: usize) -> Devices {
    let identities: Vec<Identity> = (0..count)
        .map(|i| Identity::generate(&format!("d{i}")).unwrap())
        .collect();
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut text = "format = 1\n[mesh]\nconnect-seconds = 300\nfailure-seconds = 3\n".to_owned();
    for (identity, listener) in identities.iter().zip(&listeners) {
        let (address, print) = (listener.local_addr().unwrap(), identity.fingerprint);
        text += &format!(
            "[device.{}]\naddress = \"{address}\"\nidentity = \"{print}\"\n",
            identity.name
        );
    }
    let mut sources = Sources::new();
    let source = sources.add("cluster.toml", text);
    Devices {
        cluster: check(&sources, source).unwrap(),
        identities,
        listeners: listeners
            .into_iter()
            .map(|listener| Mutex::new(Some(listener)))
            .collect(),
        notes: (0..count).map(|_| Arc::default()).collect(),
        losses: (0..count).map(|_| Arc::default()).collect(),
    }
}

/// How one device differs from what the others expect.
#[derive(Clone, Default)]
pub struct Twist {
    pub plan_hash: [u8; 32],
    pub account: Account,
    pub generation: u64,
    pub cluster: Option<Cluster>,
    pub identity: Option<Identity>,
}

impl Devices {
    /// Where device `i` listens.
    pub fn address(&self, i: usize) -> SocketAddr {
        self.cluster.devices[i].address.parse().unwrap()
    }

    /// Forms device `i`'s mesh.
    pub fn form(&self, i: usize, twist: Twist) -> Result<Mesh, MeshError> {
        let listener = lock(&self.listeners[i]).take();
        let cluster = twist.cluster.as_ref().unwrap_or(&self.cluster);
        let (notes, losses) = (Arc::clone(&self.notes[i]), Arc::clone(&self.losses[i]));
        form(Formation {
            cluster,
            me: i,
            identity: twist.identity.as_ref().unwrap_or(&self.identities[i]),
            plan_hash: twist.plan_hash,
            account: twist.account,
            generation: twist.generation,
            members: Members::ALL,
            commits: None,
            survivors: None,
            notice: Vec::new(),
            heard: Arc::new(|_| true),
            listener: listener.map_or_else(|| listen(&self.cluster, i), Ok)?,
            log: Arc::new(move |line: &str| lock(&notes).push(line.to_owned())),
            on_loss: Arc::new(move |loss| lock(&losses).push(loss)),
        })
    }

    /// The cluster, with less time to come together.
    pub fn hasty(&self) -> Cluster {
        let mut cluster = self.cluster.clone();
        cluster.mesh.connect = Duration::from_secs(4);
        cluster
    }

    /// All meshes, each formed on a thread of its own.
    pub fn form_all(&self) -> Vec<Mesh> {
        let form = |i| self.form(i, Twist::default()).unwrap();
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..self.identities.len())
                .map(|i| scope.spawn(move || form(i)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }
}

/// Waits until `done`; gives whether it came to be before all patience was at an end, on the
/// slowest machine.
pub fn wait_for(done: impl Fn() -> bool) -> bool {
    let end = std::time::Instant::now() + Duration::from_secs(300);
    while !done() {
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Counts panics of timely's threads anywhere in this process; there must be none.
pub fn panics() -> usize {
    static SEEN: OnceLock<Arc<std::sync::atomic::AtomicUsize>> = OnceLock::new();
    let seen = SEEN.get_or_init(|| {
        let seen: Arc<std::sync::atomic::AtomicUsize> = Arc::default();
        let (count, before) = (Arc::clone(&seen), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            if thread
                .name()
                .is_some_and(|name| name.starts_with("timely:"))
            {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
            before(panic);
        }));
        seen
    });
    seen.load(std::sync::atomic::Ordering::SeqCst)
}
