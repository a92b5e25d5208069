//! From a TCP connection to one with a device of the cluster: TLS, then hellos, all
//! within a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::file::Cluster;
use super::fingerprint::Fingerprint;
use super::hello::{
    ANSWER_BYTES, HELLO_BYTES, Hello, HelloError, Refusal, VERSION_AT, Wish, answer, parse_answer,
    parse_hello,
};
use super::identity::Identity;
use super::link::lock;
use super::members::Members;
use super::pin::{self, NotPinned};

/// How long a connection may take from its first byte until it is a device's.
pub const GREETING_SECONDS_MAX: Duration = Duration::from_secs(3);
/// The longest notice that is believed.
const NOTICE_BYTES_MAX: usize = 1 << 20;
/// Never resolved and never sent, but TLS wants a name.
const NO_NAME: &str = "segue.invalid";

/// What this device says and expects.
pub struct Greeter {
    ours: Hello,
    peers: Vec<Peer>,
    /// For each device.
    calls: Vec<Arc<ClientConfig>>,
    answers: Arc<ServerConfig>,
    /// What every caller is told, where none is wanted.
    closed: Mutex<Option<Refusal>>,
    /// What is told to whoever asks.
    notice: Vec<u8>,
}

struct Peer {
    identity: Fingerprint,
    workers: usize,
}

/// Why a connection did not become a device's.
#[derive(Debug, thiserror::Error)]
pub enum GreetError {
    /// It ended.
    #[error("it closed the connection")]
    Closed,
    /// It was too slow, or said nothing.
    #[error("it did not introduce itself within {} s", GREETING_SECONDS_MAX.as_secs())]
    Slow,
    /// Its certificate is not the one in the cluster file.
    #[error("its identity {0} is not the one in the cluster file")]
    Unknown(Fingerprint),
    /// The certificate shown to it is not in its own cluster file.
    #[error("it does not accept the identity of this device, {0}: its cluster file must have it")]
    Unwelcome(Fingerprint),
    /// It shows no certificate.
    #[error("it has no identity")]
    Anonymous,
    /// It speaks no TLS, or a wrong one.
    #[error("it does not speak this protocol: {0}")]
    Tls(rustls::Error),
    /// Its hello is none.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// This device refuses it; with what it said, but for its number, which is that of
    /// its certificate.
    #[error("{0}")]
    Refused(Refusal, Hello),
    /// It refuses this device; with what it said.
    #[error("{}", .0.mirrored())]
    RefusedBy(Refusal, Hello),
    /// It wanted to know how things are, and now does.
    #[error("it only asked")]
    Asked,
    /// The system says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl GreetError {
    /// What kind it is, for saying each once.
    pub fn kind(&self) -> &'static str {
        match self {
            GreetError::Closed => "closed",
            GreetError::Slow => "slow",
            GreetError::Unknown(_) => "unknown-identity",
            GreetError::Unwelcome(_) => "unwelcome",
            GreetError::Anonymous => "anonymous",
            GreetError::Tls(_) => "not-tls",
            GreetError::Hello(_) => "not-hello",
            GreetError::Io(_) => "io",
            GreetError::Asked => "asked",
            GreetError::Refused(refusal, _) | GreetError::RefusedBy(refusal, _) => match refusal {
                Refusal::Version => "version",
                Refusal::Older => "older-generation",
                Refusal::Newer => "newer-generation",
                Refusal::Device | Refusal::Devices | Refusal::Workers => "different-cluster",
                Refusal::Plan => "different-plan",
                Refusal::Without => "without",
                Refusal::Done => "done",
                Refusal::Malformed | Refusal::Other(_) => "refused",
            },
        }
    }
}

impl Greeter {
    /// What device number `me` of `cluster` says and expects.
    ///
    /// # Errors
    /// What TLS says of its own defaults
    pub fn new(
        cluster: &Cluster,
        me: usize,
        identity: &Identity,
        plan_hash: [u8; 32],
        (generation, members): (u64, Members),
        notice: Vec<u8>,
    ) -> Result<Self, rustls::Error> {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let ours = Hello {
            device: number(me),
            devices: number(cluster.devices.len()),
            workers: number(cluster.devices[me].workers),
            wish: Wish::Link,
            generation,
            plan_hash,
            members,
        };
        let peers: Vec<Peer> = (cluster.devices.iter())
            .map(|device| Peer {
                identity: device.identity,
                workers: device.workers,
            })
            .collect();
        let call = |peer: &Peer| pin::client_config(identity, peer.identity).map(Arc::new);
        let calls = peers.iter().map(call).collect::<Result<_, _>>()?;
        let pinned = peers.iter().map(|peer| peer.identity).collect();
        let answers = Arc::new(pin::server_config(identity, pinned)?);
        Ok(Greeter {
            ours,
            peers,
            calls,
            answers,
            closed: Mutex::default(),
            notice,
        })
    }

    /// Every caller is told `refusal` from now on.
    pub fn close(&self, refusal: Refusal) {
        *lock(&self.closed) = Some(refusal);
    }

    /// This device's number.
    pub fn me(&self) -> usize {
        usize::try_from(self.ours.device).unwrap_or(usize::MAX)
    }

    /// Introduces this device to device number `device` over `tcp`, or only asks it how
    /// things are.
    ///
    /// # Errors
    /// Why the two do not come together
    pub fn call(
        &self,
        tcp: &TcpStream,
        device: usize,
        wish: Wish,
    ) -> Result<Box<Connection>, GreetError> {
        let mut tcp = Within::new(tcp, GREETING_SECONDS_MAX);
        let (tls, bytes) = self.introduce(&mut tcp, device, wish)?;
        let (verdict, theirs) = parse_answer(&bytes)?;
        verdict.map_err(|refusal| GreetError::RefusedBy(refusal, theirs))?;
        let workers = self.peers[device].workers;
        (self.ours.accepts(&theirs, device, workers))
            .map_err(|refusal| GreetError::Refused(refusal, theirs))?;
        Ok(tls)
    }

    /// The notice of device number `device`, whatever else it says.
    ///
    /// # Errors
    /// Why there is none to be had
    pub fn ask_notice(&self, tcp: &TcpStream, device: usize) -> Result<Vec<u8>, GreetError> {
        let mut tcp = Within::new(tcp, GREETING_SECONDS_MAX);
        let (mut tls, bytes) = self.introduce(&mut tcp, device, Wish::Notice)?;
        // Yes or no, as long as it is an answer.
        let _answer = parse_answer(&bytes)?;
        let mut length = [0; 4];
        receive(&mut tls, &mut tcp, &mut length).map_err(greet_error)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > NOTICE_BYTES_MAX {
            return Err(HelloError::Length(length).into());
        }
        let mut notice = vec![0; length];
        receive(&mut tls, &mut tcp, &mut notice).map_err(greet_error)?;
        Ok(notice)
    }

    /// Shakes hands and says who this is; gives the answer.
    fn introduce(
        &self,
        tcp: &mut Within<'_>,
        device: usize,
        wish: Wish,
    ) -> Result<(Box<Connection>, [u8; ANSWER_BYTES]), GreetError> {
        let name = ServerName::try_from(NO_NAME).map_err(io::Error::other);
        let client = ClientConnection::new(
            Arc::clone(&self.calls[device]),
            name.map_err(GreetError::Io)?,
        );
        let mut tls = Box::new(Connection::from(client.map_err(GreetError::Tls)?));
        let mut bytes = [0; ANSWER_BYTES];
        let hello = Hello { wish, ..self.ours };
        shake_hands(&mut tls, tcp)
            .and_then(|()| send(&mut tls, tcp, &hello.to_bytes()))
            .and_then(|()| receive(&mut tls, tcp, &mut bytes))
            .map_err(|error| self.caller_error(error))?;
        Ok((tls, bytes))
    }

    /// Lets whoever called over `tcp` introduce itself, and tells it whether it is
    /// accepted. Gives the device's number too.
    ///
    /// # Errors
    /// Why the two do not come together
    pub fn answer(&self, tcp: &TcpStream) -> Result<(usize, Box<Connection>), GreetError> {
        let server = ServerConnection::new(Arc::clone(&self.answers)).map_err(GreetError::Tls)?;
        let mut tls = Box::new(Connection::from(server));
        let mut tcp = Within::new(tcp, GREETING_SECONDS_MAX);
        shake_hands(&mut tls, &mut tcp).map_err(greet_error)?;
        let device = self.device_of(tls.peer_certificates())?;
        let mut bytes = [0; HELLO_BYTES];
        let (start, rest) = bytes.split_at_mut(VERSION_AT.end);
        receive(&mut tls, &mut tcp, start).map_err(greet_error)?;
        // A hello of another version may have another length.
        let theirs = match parse_hello(start) {
            Err(error @ HelloError::Version(_)) => Err(error),
            _ => {
                receive(&mut tls, &mut tcp, rest).map_err(greet_error)?;
                parse_hello(&bytes)
            }
        };
        let verdict = theirs
            .map_err(Refusal::from)
            .and_then(|theirs| self.accepts(&theirs, device));
        let answered = send(&mut tls, &mut tcp, &answer(verdict, &self.ours));
        if theirs.is_ok_and(|theirs| theirs.wish == Wish::Notice) {
            let length = u32::try_from(self.notice.len()).unwrap_or(u32::MAX);
            let notice = [&length.to_be_bytes(), self.notice.as_slice()].concat();
            let told = answered.and_then(|()| send(&mut tls, &mut tcp, &notice));
            return Err(told.map_or_else(greet_error, |()| GreetError::Asked));
        }
        let theirs = Hello {
            device: u32::try_from(device).unwrap_or(u32::MAX),
            ..theirs?
        };
        if verdict != Err(Refusal::Done) {
            verdict.map_err(|refusal| GreetError::Refused(refusal, theirs))?;
        }
        answered.map_err(greet_error)?;
        // Only now it knows.
        verdict.map_err(|refusal| GreetError::Refused(refusal, theirs))?;
        match theirs.wish {
            Wish::Link => Ok((device, tls)),
            Wish::Standing | Wish::Notice => Err(GreetError::Asked),
        }
    }

    fn accepts(&self, theirs: &Hello, device: usize) -> Result<(), Refusal> {
        if let Some(refusal) = *lock(&self.closed) {
            return Err(refusal);
        }
        self.ours
            .accepts(theirs, device, self.peers[device].workers)?;
        if !self.ours.members.has(device) {
            return Err(Refusal::Without);
        }
        // Only a device further down the list calls, unless it only asks.
        match theirs.wish != Wish::Link || theirs.device > self.ours.device {
            true => Ok(()),
            false => Err(Refusal::Device),
        }
    }

    fn device_of(&self, chain: Option<&[CertificateDer<'_>]>) -> Result<usize, GreetError> {
        let certificate = chain
            .and_then(|chain| chain.first())
            .ok_or(GreetError::Anonymous)?;
        let print = Fingerprint::of(certificate);
        let device = self.peers.iter().position(|peer| peer.identity == print);
        device.ok_or(GreetError::Unknown(print))
    }

    /// A caller learns that its certificate is not accepted after the handshake only,
    /// by an alert.
    fn caller_error(&self, error: io::Error) -> GreetError {
        match greet_error(error) {
            GreetError::Tls(rustls::Error::AlertReceived(
                rustls::AlertDescription::CertificateUnknown
                | rustls::AlertDescription::BadCertificate
                | rustls::AlertDescription::AccessDenied
                | rustls::AlertDescription::UnknownCA
                | rustls::AlertDescription::UnsupportedCertificate
                | rustls::AlertDescription::DecryptError,
            )) => match self.peers.get(self.me()) {
                Some(me) => GreetError::Unwelcome(me.identity),
                None => GreetError::Closed,
            },
            error => error,
        }
    }
}

fn shake_hands(tls: &mut Connection, tcp: &mut Within<'_>) -> io::Result<()> {
    while tls.is_handshaking() {
        tls.complete_io(tcp)?;
    }
    flush(tls, tcp)
}

fn send(tls: &mut Connection, tcp: &mut Within<'_>, bytes: &[u8]) -> io::Result<()> {
    tls.writer().write_all(bytes)?;
    flush(tls, tcp)
}

fn receive(tls: &mut Connection, tcp: &mut Within<'_>, mut bytes: &mut [u8]) -> io::Result<()> {
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

fn flush(tls: &mut Connection, tcp: &mut Within<'_>) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(tcp)?;
    }
    Ok(())
}

fn greet_error(error: io::Error) -> GreetError {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, error.kind()) {
        (Some(rustls::Error::NoCertificatesPresented), _) => GreetError::Anonymous,
        (Some(tls), _) => match NotPinned::inside(tls) {
            Some(NotPinned(print)) => GreetError::Unknown(*print),
            None => GreetError::Tls(tls.clone()),
        },
        (None, ErrorKind::TimedOut | ErrorKind::WouldBlock) => GreetError::Slow,
        (
            None,
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe,
        ) => GreetError::Closed,
        _ => GreetError::Io(error),
    }
}

/// A socket whose reads and writes all together may last so long.
struct Within<'a> {
    tcp: &'a TcpStream,
    until: Instant,
}

impl<'a> Within<'a> {
    fn new(tcp: &'a TcpStream, time: Duration) -> Self {
        Within {
            tcp,
            until: Instant::now() + time,
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
