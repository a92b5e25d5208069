//! One other device while the run lasts: what is sent to it, what comes from it, and
//! what becomes of timely when it is gone.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::boundary::Boundary;
use super::frame::{Kind, leave_bytes};
use super::link::{Got, Link, lock};
use super::loss::{Loss, LossReason, OnLoss};

/// Why a device leaves when nobody has said it.
const UNSAID: &str = "it stopped before the run was complete";

/// One device and the connection to it.
pub struct Peer {
    device: usize,
    name: String,
    /// The names of all devices.
    names: Arc<[String]>,
    link: Arc<Link>,
    on_loss: OnLoss,
    fate: Mutex<Fate>,
    fate_changed: Condvar,
    boundary: Mutex<Boundary>,
}

#[derive(Default)]
struct Fate {
    /// The run is complete: writing ends with [`Kind::End`].
    finished: bool,
    /// Nothing more is to be sent or told.
    over: bool,
    /// timely will write no more.
    writer_done: bool,
    /// The peer has ended its run properly.
    peer_ended: bool,
}

impl Peer {
    pub fn new(device: usize, names: Arc<[String]>, link: Arc<Link>, on_loss: OnLoss) -> Arc<Self> {
        Arc::new(Peer {
            device,
            name: names[device].clone(),
            names,
            link,
            on_loss,
            fate: Mutex::default(),
            fate_changed: Condvar::new(),
            boundary: Mutex::default(),
        })
    }

    pub fn traffic(&self) -> (u64, u64) {
        self.link.traffic()
    }

    #[cfg(test)]
    pub fn cut(&self) {
        self.link.cut();
    }

    #[cfg(test)]
    pub fn hang(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.link.hang()
    }

    /// Whether the peer's run has ended properly.
    pub fn ended(&self) -> bool {
        lock(&self.fate).peer_ended
    }

    pub fn finish(&self) {
        lock(&self.fate).finished = true;
    }

    /// Tells the peer that this device leaves; of what happens afterwards nobody is told.
    /// Whether it was there to be told.
    pub fn leave(&self, blamed: usize, for_good: bool, reason: &str) -> bool {
        let mut fate = lock(&self.fate);
        let was_over = std::mem::replace(&mut fate.over, true);
        drop(fate);
        if !was_over {
            self.link
                .send_last(Kind::Leave, &leave_bytes(blamed, for_good, reason));
        }
        !was_over
    }

    /// Takes what still comes until the peer closes, or the link is cut: a connection closed
    /// with bytes unread is reset, and what was said last might not arrive.
    pub fn drain(&self) {
        while self.link.next(&mut [0; 1 << 12]).is_ok() {}
    }

    /// The peer is lost: tells it, once.
    fn lose(&self, device: usize, for_good: bool, reason: LossReason) {
        let mut fate = lock(&self.fate);
        let was_over = std::mem::replace(&mut fate.over, true);
        drop(fate);
        self.link.cut();
        if !was_over {
            let name = self.names[device].clone();
            (self.on_loss)(Loss {
                device,
                name,
                reason,
                for_good,
            });
        }
    }

    fn left(&self, blamed: u32, for_good: bool, text: String) {
        match usize::try_from(blamed)
            .ok()
            .filter(|b| *b < self.names.len())
        {
            Some(blamed) if blamed != self.device => {
                self.lose(
                    blamed,
                    for_good,
                    LossReason::Told {
                        by: self.name.clone(),
                        text,
                    },
                );
            }
            _ => self.lose(self.device, for_good, LossReason::Left(text)),
        }
    }

    /// Ends the writing side, properly only if the run is complete.
    pub fn end_writing(&self) {
        let mut fate = lock(&self.fate);
        fate.writer_done = true;
        let (finished, over) = (fate.finished, fate.over);
        drop(fate);
        self.fate_changed.notify_all();
        match finished {
            // No device has this number: none is to blame.
            false => drop(self.leave(self.names.len(), false, UNSAID)),
            true if !over => self.link.send_last(Kind::End, &[]),
            true => {}
        }
    }

    /// The proper end, once timely's workers are gone and no one sees what it is made of.
    fn read_end(&self, buffer: &mut [u8]) -> usize {
        let mut fate = lock(&self.fate);
        while !fate.writer_done {
            fate = self
                .fate_changed
                .wait(fate)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(fate);
        lock(&self.boundary).fill(buffer)
    }

    pub fn read(&self, buffer: &mut [u8]) -> usize {
        let fate = lock(&self.fate);
        let (over, peer_ended) = (fate.over, fate.peer_ended);
        drop(fate);
        if peer_ended {
            return 0;
        }
        if over {
            // The link is cut soon, if not by the peer.
            self.drain();
            return self.read_end(buffer);
        }
        match self.link.next(buffer) {
            Ok(Got::Data(count)) => {
                lock(&self.boundary).pass(&buffer[..count]);
                return count;
            }
            Ok(Got::End) if lock(&self.boundary).ended() => {
                lock(&self.fate).peer_ended = true;
                return 0;
            }
            Ok(Got::Leave {
                blamed,
                for_good,
                reason,
            }) => self.left(blamed, for_good, reason),
            Ok(got) => {
                self.lose(
                    self.device,
                    false,
                    LossReason::Protocol(format!("it sent {got:?} too soon")),
                );
            }
            Err(reason) => self.lose(self.device, false, reason),
        }
        self.read_end(buffer)
    }

    pub fn write(&self, bytes: &[u8]) {
        if lock(&self.fate).over {
            return;
        }
        match self.link.send(Kind::Data, bytes) {
            // The reader finds out why: there may be words of the peer's to be read yet.
            Ok(()) | Err(LossReason::Closed | LossReason::Failed(_)) => {}
            // A device that has ended its run needs none of this.
            Err(_) if lock(&self.fate).peer_ended => {}
            Err(reason) => self.lose(self.device, false, reason),
        }
    }
}
