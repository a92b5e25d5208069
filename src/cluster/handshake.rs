//! Bytes over TLS, all within a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::Connection;

use super::greet_error::{GreetError, greet_error};
use super::hello::HelloError;

/// How long a connection may take from its first byte until it is a device's.
pub const GREETING_SECONDS_MAX: Duration = Duration::from_secs(3);

/// TLS's own greeting.
pub fn shake_hands(tls: &mut Connection, tcp: &mut Within<'_>) -> io::Result<()> {
    while tls.is_handshaking() {
        tls.complete_io(tcp)?;
    }
    flush(tls, tcp)
}

/// Sends all of `bytes`.
pub fn send(tls: &mut Connection, tcp: &mut Within<'_>, bytes: &[u8]) -> io::Result<()> {
    tls.writer().write_all(bytes)?;
    flush(tls, tcp)
}

/// Fills `bytes`.
pub fn receive(tls: &mut Connection, tcp: &mut Within<'_>, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match tls.reader().read(bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes = &mut bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if tls.read_tls(tcp)? == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                if let Err(error) = tls.process_new_packets() {
                    // The peer is told what was wrong, if it still listens.
                    let _ = flush(tls, tcp);
                    return Err(io::Error::other(error));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Four bytes of length, and so many bytes.
pub fn receive_long(
    tls: &mut Connection,
    tcp: &mut Within<'_>,
    longest: usize,
) -> Result<Vec<u8>, GreetError> {
    let mut length = [0; 4];
    receive(tls, tcp, &mut length).map_err(greet_error)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > longest {
        return Err(HelloError::Length(length).into());
    }
    let mut bytes = vec![0; length];
    receive(tls, tcp, &mut bytes).map_err(greet_error)?;
    Ok(bytes)
}

/// As [`receive_long`] takes it.
pub fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn flush(tls: &mut Connection, tcp: &mut Within<'_>) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(tcp)?;
    }
    Ok(())
}

/// A socket whose reads and writes all together may last [`GREETING_SECONDS_MAX`].
pub struct Within<'a> {
    tcp: &'a TcpStream,
    until: Instant,
}

impl<'a> Within<'a> {
    /// From now on.
    pub fn new(tcp: &'a TcpStream) -> Self {
        Within {
            tcp,
            until: Instant::now() + GREETING_SECONDS_MAX,
        }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        match self.until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Within<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(self.left()?)?;
        self.tcp.read(buffer)
    }
}

impl Write for Within<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(self.left()?)?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
