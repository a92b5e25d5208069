//! All devices, connected.

use std::sync::Arc;

use super::file::Cluster;
use super::link::Link;
use super::loss::{Loss, OnLoss};
use super::peer::Peer;
use super::stream::Stream;

/// This device's connections to all others. Clones are the same mesh.
#[derive(Clone)]
pub struct Mesh {
    /// By device; none to this one.
    devices: Arc<[Option<Arc<Peer>>]>,
}

/// What went over the wire between this device and another, or all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From this device, with everything that TLS adds.
    pub bytes_sent: u64,
    /// To this device, with everything that TLS adds.
    pub bytes_received: u64,
}

impl Mesh {
    pub(super) fn new(cluster: &Cluster, links: Vec<Option<Arc<Link>>>, on_loss: &OnLoss) -> Self {
        let names: Arc<[String]> = cluster
            .devices
            .iter()
            .map(|device| device.name.clone())
            .collect();
        let peer = |(device, link): (usize, Option<Arc<Link>>)| {
            link.map(|link| Peer::new(device, Arc::clone(&names), link, Arc::clone(on_loss)))
        };
        Mesh {
            devices: links.into_iter().enumerate().map(peer).collect(),
        }
    }

    /// One for each device, as timely's `initialize_networking_from_sockets` takes
    /// them; to be taken once.
    pub fn streams(&self) -> Vec<Option<Stream>> {
        let stream = |peer: &Option<Arc<Peer>>| peer.clone().map(Stream::new);
        self.devices.iter().map(stream).collect()
    }

    /// The run is complete: when timely ends, it ends as it should. To be called by
    /// a worker that has seen the whole dataflow's end, before it returns.
    pub fn finish(&self) {
        self.devices
            .iter()
            .flatten()
            .for_each(|device| device.finish());
    }

    /// The run cannot be completed, because of `reason`: tells all others at once, who
    /// each get a [`Loss`] of this device. May last as long as a silent peer has.
    pub fn leave(&self, reason: &str) {
        // No device has this number: it is this one that is to blame.
        self.leave_blaming(self.devices.len(), true, reason, &|_| {});
    }

    /// The same before timely has taken the [`streams`](Self::streams): nobody else reads
    /// from the connections, so it lasts until the others have heard it, or a second.
    pub fn leave_unstarted(&self, reason: &str) {
        self.leave_blaming(self.devices.len(), true, reason, &Peer::drain);
    }

    /// The same as [`leave`](Self::leave), because another device was lost: all others are told which.
    pub fn leave_after(&self, loss: &Loss) {
        self.leave_blaming(
            loss.device,
            loss.for_good,
            &loss.reason.to_string(),
            &|_| {},
        );
    }

    fn leave_blaming(
        &self,
        blamed: usize,
        for_good: bool,
        reason: &str,
        then: &(dyn Fn(&Peer) + Sync),
    ) {
        // Side by side: one who hangs is not to keep the others from knowing.
        std::thread::scope(|scope| {
            for device in self.devices.iter().flatten() {
                let leave = move || {
                    if device.leave(blamed, for_good, reason) {
                        then(device);
                    }
                };
                if std::thread::Builder::new()
                    .spawn_scoped(scope, leave)
                    .is_err()
                {
                    leave();
                }
            }
        });
    }

    /// For each device whether its run has ended properly; so does this one's here.
    pub fn ended(&self) -> Vec<bool> {
        let ended = |peer: &Option<Arc<Peer>>| peer.as_ref().is_none_or(|peer| peer.ended());
        self.devices.iter().map(ended).collect()
    }

    /// What went over the wire so far, to and from all others.
    pub fn traffic(&self) -> Traffic {
        let each = self.devices.iter().flatten().map(|device| device.traffic());
        each.fold(Traffic::default(), |sum, (sent, received)| Traffic {
            bytes_sent: sum.bytes_sent + sent,
            bytes_received: sum.bytes_received + received,
        })
    }

    /// Cuts all connections, as a death of this process does.
    #[cfg(test)]
    pub(super) fn cut(&self) {
        self.devices
            .iter()
            .flatten()
            .for_each(|device| device.cut());
    }

    /// Stands still while the guards are held, as a process that hangs does.
    #[cfg(test)]
    pub(super) fn hang(&self) -> Vec<std::sync::MutexGuard<'_, Vec<u8>>> {
        self.devices
            .iter()
            .flatten()
            .map(|device| device.hang())
            .collect()
    }
}
