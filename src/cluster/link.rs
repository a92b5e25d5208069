//! One authenticated connection, from which frames can be read while others write.
//!
//! TLS has one state for both directions. It stands behind a mutex that is held only
//! while bytes in memory are sealed or opened, never while the socket is read or
//! written: so a reader never waits for a writer that waits for the peer, and two
//! devices that both send without end cannot block each other. Writers take turns
//! behind a mutex of their own, so that records leave in the order they were sealed.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustls::Connection;

use super::frame::{self, HEADER_BYTES, Kind};
use super::loss::LossReason;

/// How long a peer that is left has to take note of it.
const LEAVING_SECONDS_MAX: Duration = Duration::from_secs(1);
/// Sealed bytes taken from the socket at once.
const READ_BYTES: usize = 1 << 17;

/// See the module.
pub struct Link {
    tcp: TcpStream,
    tls: Mutex<Box<Connection>>,
    reader: Mutex<Reader>,
    /// Sealed bytes on their way into the socket.
    writer: Mutex<Vec<u8>>,
    /// Whether a frame left since the keeper last looked.
    wrote: AtomicBool,
    /// Whether nothing is to be sent any more.
    ended: AtomicBool,
    /// Whether the connection is to be cut if the peer does not do it.
    leaving: AtomicBool,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    patience: Duration,
}

struct Reader {
    sealed: Box<[u8]>,
    start: usize,
    end: usize,
    /// What is still to come of a data frame.
    data_left: usize,
}

/// What a peer sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    /// So many bytes of timely's.
    Data(usize),
    /// It is connected to all.
    Ready,
    /// It is done.
    End,
    /// It gives up.
    Leave {
        /// The device to blame, or a number that none has.
        blamed: u32,
        /// Whether that device will not come back by itself.
        for_good: bool,
        /// Why.
        reason: String,
    },
}

impl Link {
    /// Takes over a connection that has shaken hands; a peer that is silent for
    /// `patience` is lost. A thread of its own keeps the peer from thinking that of us.
    ///
    /// # Errors
    /// What the system says
    pub fn new(
        tcp: TcpStream,
        mut tls: Box<Connection>,
        patience: Duration,
    ) -> io::Result<Arc<Self>> {
        tcp.set_nodelay(true)?;
        // The system's own clock for this is late by up to a few hundredths.
        let timeout = patience - patience / 16;
        tcp.set_read_timeout(Some(timeout))?;
        tcp.set_write_timeout(Some(timeout))?;
        // A frame is sealed whole, and leaves TLS at once.
        tls.set_buffer_limit(None);
        let sealed = vec![0; READ_BYTES].into_boxed_slice();
        let link = Arc::new(Link {
            tcp,
            tls: Mutex::new(tls),
            reader: Mutex::new(Reader {
                sealed,
                start: 0,
                end: 0,
                data_left: 0,
            }),
            writer: Mutex::default(),
            wrote: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            sent_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            patience,
        });
        let weak = Arc::downgrade(&link);
        std::thread::Builder::new()
            .name("mesh:keeper".to_owned())
            .spawn(move || keep(&weak, patience / 8))?;
        Ok(link)
    }

    /// Waits for the next frame that is no ping. Data goes to `buffer`, as much of it
    /// as is there; `buffer` must not be empty.
    ///
    /// # Errors
    /// Why nothing will come any more
    pub fn next(&self, buffer: &mut [u8]) -> Result<Got, LossReason> {
        let mut reader = lock(&self.reader);
        loop {
            if reader.data_left > 0 {
                let wanted = reader.data_left.min(buffer.len());
                let count = self.open(&mut reader, &mut buffer[..wanted])?;
                reader.data_left -= count;
                return Ok(Got::Data(count));
            }
            let mut header = [0; HEADER_BYTES];
            self.open_all(&mut reader, &mut header)?;
            let (kind, length) = frame::parse_frame_header(header)
                .map_err(|error| LossReason::Protocol(error.to_string()))?;
            match kind {
                Kind::Ping => {}
                Kind::Data => reader.data_left = length,
                Kind::Ready => return Ok(Got::Ready),
                Kind::End => return Ok(Got::End),
                Kind::Leave => {
                    let mut bytes = vec![0; length];
                    self.open_all(&mut reader, &mut bytes)?;
                    let (blamed, for_good, reason) = frame::parse_leave(&bytes);
                    return Ok(Got::Leave {
                        blamed,
                        for_good,
                        reason,
                    });
                }
            }
        }
    }

    /// Sends a frame, and waits until the system has taken it.
    ///
    /// # Errors
    /// Why it could not
    pub fn send(&self, kind: Kind, bytes: &[u8]) -> Result<(), LossReason> {
        let mut writer = lock(&self.writer);
        if self.ended.load(Ordering::SeqCst) {
            Err(LossReason::Closed)
        } else {
            self.write(&mut writer, kind, bytes)
        }
    }

    /// Sends the frame after which nothing follows; of several, the first counts.
    pub fn send_last(&self, kind: Kind, bytes: &[u8]) {
        let mut writer = lock(&self.writer);
        if !self.ended.swap(true, Ordering::SeqCst) {
            self.leaving.store(kind == Kind::Leave, Ordering::SeqCst);
            // Whether it arrives or not, this is the end.
            let _ = self.write(&mut writer, kind, bytes);
            let _ = self.tcp.shutdown(Shutdown::Write);
        }
    }

    /// Cuts the connection; who reads or writes at this moment comes back with an error.
    pub fn cut(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    /// Bytes sent and received, as they were on the wire.
    pub fn traffic(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.sent_bytes), read(&self.received_bytes))
    }

    /// Changes the keys of this direction.
    #[cfg(test)]
    pub fn refresh_keys(&self) {
        assert!(lock(&self.tls).refresh_traffic_keys().is_ok());
    }

    /// Stands still as if the process did: nothing is sent while the guard is held.
    #[cfg(test)]
    pub fn hang(&self) -> MutexGuard<'_, Vec<u8>> {
        lock(&self.writer)
    }

    fn write(&self, sealed: &mut Vec<u8>, kind: Kind, bytes: &[u8]) -> Result<(), LossReason> {
        let failed = |error: io::Error| LossReason::of(&error, false, self.patience);
        self.seal(sealed, kind, bytes).map_err(failed)?;
        self.wrote.store(true, Ordering::Relaxed);
        let written = (&self.tcp).write_all(sealed);
        self.sent_bytes
            .fetch_add(sealed.len() as u64, Ordering::Relaxed);
        sealed.clear();
        written.map_err(|error| {
            // Half a record may have left: no other must follow.
            self.cut();
            failed(error)
        })
    }

    fn seal(&self, sealed: &mut Vec<u8>, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let header = frame::frame_header(kind, bytes.len());
        let mut parts = &mut [IoSlice::new(&header), IoSlice::new(bytes)][..];
        let mut tls = lock(&self.tls);
        // Several turns only where the keys are used up and others follow.
        while !parts.is_empty() {
            match tls.writer().write_vectored(parts)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                taken => IoSlice::advance_slices(&mut parts, taken),
            }
        }
        while tls.wants_write() {
            tls.write_tls(sealed)?;
        }
        Ok(())
    }

    fn open_all(&self, reader: &mut Reader, mut buffer: &mut [u8]) -> Result<(), LossReason> {
        while !buffer.is_empty() {
            let count = self.open(reader, buffer)?;
            buffer = &mut buffer[count..];
        }
        Ok(())
    }

    /// At least one opened byte, waiting for the peer if it must.
    fn open(&self, reader: &mut Reader, buffer: &mut [u8]) -> Result<usize, LossReason> {
        let failed = |error: io::Error| LossReason::of(&error, true, self.patience);
        loop {
            if let Some(count) = self.open_at_hand(reader, buffer).map_err(failed)? {
                return Ok(count);
            }
            let count = match (&self.tcp).read(&mut reader.sealed) {
                Ok(0) => return Err(LossReason::Closed),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.map_err(failed)?,
            };
            self.received_bytes
                .fetch_add(count as u64, Ordering::Relaxed);
            (reader.start, reader.end) = (0, count);
        }
    }

    /// Opened bytes, if any can be had from the sealed ones that are here.
    fn open_at_hand(&self, reader: &mut Reader, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut tls = lock(&self.tls);
        loop {
            match tls.reader().read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result.map(Some),
            }
            if reader.start == reader.end {
                return Ok(None);
            }
            reader.start += tls.read_tls(&mut &reader.sealed[reader.start..reader.end])?;
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

/// Sends a ping whenever nothing else was sent for a while, as long as the link is used.
fn keep(link: &Weak<Link>, tick: Duration) {
    loop {
        std::thread::sleep(tick);
        let Some(link) = link.upgrade() else { return };
        if link.ended.load(Ordering::SeqCst) {
            break;
        }
        if link.wrote.swap(false, Ordering::Relaxed) {
            continue;
        }
        // Whoever holds this is writing, which serves as well.
        let Ok(mut writer) = link.writer.try_lock() else {
            continue;
        };
        if !link.ended.load(Ordering::SeqCst) {
            // A failure cuts the link, which its reader notices.
            let _ = link.write(&mut writer, Kind::Ping, &[]);
            link.wrote.store(false, Ordering::Relaxed);
        }
    }
    if link
        .upgrade()
        .is_some_and(|link| link.leaving.load(Ordering::SeqCst))
    {
        std::thread::sleep(LEAVING_SECONDS_MAX);
        link.upgrade().inspect(|link| link.cut());
    }
}

/// The lock, also where a thread has panicked with it: what it guards is only ever
/// changed in whole steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
