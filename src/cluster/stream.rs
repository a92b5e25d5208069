//! What timely is given for a socket.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use timely::communication::allocator::zero_copy::stream::Stream as TimelyStream;

use super::frame::DATA_BYTES_MAX;
use super::peer::Peer;

/// A connection to one device, as timely uses it: one clone reads, one writes.
///
/// It never gives timely an error, since that would be a panic. When the device is
/// lost, [`OnLoss`](super::OnLoss) is told; from then on writing goes nowhere, and reading waits until
/// timely has ended its writing, which it does when the workers here have ended: then
/// the stream of messages is ended properly.
pub struct Stream {
    peer: Arc<Peer>,
    wrote: bool,
}

impl Stream {
    pub(super) fn new(peer: Arc<Peer>) -> Self {
        Stream { peer, wrote: false }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            Ok(0)
        } else {
            Ok(self.peer.read(buffer))
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wrote = true;
        let count = bytes.len().min(DATA_BYTES_MAX);
        if count > 0 {
            self.peer.write(&bytes[..count]);
        }
        Ok(count)
    }

    /// Nothing is held back, so there is nothing to do.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TimelyStream for Stream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Stream::new(Arc::clone(&self.peer)))
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        if nonblocking {
            Err(io::ErrorKind::Unsupported.into())
        } else {
            Ok(())
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.peer.end_writing();
        }
        Ok(())
    }
}

impl Drop for Stream {
    /// A sending thread that panicked has not ended its writing.
    fn drop(&mut self) {
        if self.wrote {
            self.peer.end_writing();
        }
    }
}
