//! From a TCP connection to one with a device of the cluster: TLS, then hellos, all
//! within a deadline.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::account::{ACCOUNT_BYTES_MAX, Account, Difference};
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
    account: Account,
}

struct Peer {
    name: String,
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
    /// This device refuses it.
    #[error("{0}")]
    Refused(Refused),
    /// It refuses this device.
    #[error("{0}")]
    RefusedBy(Refused),
    /// It wanted to know how things are, and now does.
    #[error("it only asked")]
    Asked,
    /// The system says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Why two devices do not come together.
#[derive(Debug)]
pub struct Refused {
    /// The answer that was given.
    pub refusal: Refusal,
    /// What the other said of itself, but for its number where it called, which is that of
    /// its certificate.
    pub theirs: Hello,
    /// What differs, where that is known.
    pub difference: Option<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.difference, self.refusal) {
            (None, refusal) => refusal.fmt(f),
            (Some(what), Refusal::Files) => f.write_str(what),
            (Some(what), refusal) => write!(f, "{refusal}: {what}"),
        }
    }
}

impl GreetError {
    /// This device refuses the one that says `theirs`.
    fn refused(refusal: Refusal, theirs: Hello, difference: Option<String>) -> Self {
        GreetError::Refused(Refused {
            refusal,
            theirs,
            difference,
        })
    }

    /// What kind it is, for saying each once.
    pub fn kind(&self) -> &str {
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
            GreetError::Refused(refused) | GreetError::RefusedBy(refused)
                if refused.difference.is_some() =>
            {
                refused.difference.as_deref().unwrap_or_default()
            }
            GreetError::Refused(refused) | GreetError::RefusedBy(refused) => {
                match refused.refusal {
                    Refusal::Version => "version",
                    Refusal::Older => "older-generation",
                    Refusal::Newer => "newer-generation",
                    Refusal::Device | Refusal::Devices | Refusal::Workers => "different-cluster",
                    Refusal::Plan => "different-plan",
                    Refusal::Files => "different-files",
                    Refusal::Without => "without",
                    Refusal::Done => "done",
                    Refusal::Malformed | Refusal::Other(_) => "refused",
                }
            }
        }
    }
}

impl Greeter {
    /// What device number `me` of `cluster` says and expects; of its run nothing.
    ///
    /// # Errors
    /// What TLS says of its own defaults
    pub fn new(
        cluster: &Cluster,
        me: usize,
        identity: &Identity,
        (generation, members): (u64, Members),
    ) -> Result<Self, rustls::Error> {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let ours = Hello {
            device: number(me),
            devices: number(cluster.devices.len()),
            workers: number(cluster.devices[me].workers),
            wish: Wish::Link,
            generation,
            plan_hash: [0; 32],
            members,
        };
        let peers: Vec<Peer> = (cluster.devices.iter())
            .map(|device| Peer {
                name: device.name.clone(),
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
            notice: Vec::new(),
            account: Account::default(),
        })
    }

    /// The same, and what it runs.
    pub fn runs(self, plan_hash: [u8; 32], account: Account) -> Self {
        let ours = Hello {
            plan_hash,
            ..self.ours
        };
        Greeter {
            ours,
            account,
            ..self
        }
    }

    /// The same, and what it tells whoever asks.
    pub fn tells(self, notice: Vec<u8>) -> Self {
        Greeter { notice, ..self }
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
        let (mut tls, bytes) = self.introduce(&mut tcp, device, wish)?;
        let (verdict, theirs) = parse_answer(&bytes)?;
        let difference = match wish {
            Wish::Link => {
                let account = receive_long(&mut tls, &mut tcp, ACCOUNT_BYTES_MAX)?;
                self.difference(&account, device)
            }
            Wish::Standing | Wish::Notice => None,
        };
        let text = difference.as_ref().map(|one| one.text.clone());
        if let Err(refusal) = verdict {
            return Err(GreetError::RefusedBy(Refused {
                difference: text.filter(|_| refusal.is_of_run()),
                refusal: refusal.mirrored(),
                theirs,
            }));
        }
        let workers = self.peers[device].workers;
        let verdict = self.ours.accepts(&theirs, device, workers);
        let verdict = verdict.and(difference.map_or(Ok(()), |one| Err(one.refusal())));
        match verdict {
            Ok(()) => Ok(tls),
            Err(refusal) => {
                let text = text.filter(|_| refusal.is_of_run());
                Err(GreetError::refused(refusal, theirs, text))
            }
        }
    }

    /// What differs in the account of device number `device`.
    fn difference(&self, account: &[u8], device: usize) -> Option<Difference> {
        (self.account.compare)(account, &self.peers[device].name)
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
        receive_long(&mut tls, &mut tcp, NOTICE_BYTES_MAX)
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
        let mut said = hello.to_bytes().to_vec();
        if wish == Wish::Link {
            said.extend(with_length(&self.account.told));
        }
        shake_hands(&mut tls, tcp)
            .and_then(|()| send(&mut tls, tcp, &said))
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
        let mut difference = None;
        if theirs.is_ok_and(|theirs| theirs.wish == Wish::Link) {
            let account = receive_long(&mut tls, &mut tcp, ACCOUNT_BYTES_MAX)?;
            difference = self.difference(&account, device);
        }
        let same = difference.as_ref().map_or(Ok(()), |one| Err(one.refusal()));
        let verdict = theirs
            .map_err(Refusal::from)
            .and_then(|theirs| self.accepts(&theirs, device))
            .and(same);
        let mut said = answer(verdict, &self.ours).to_vec();
        match theirs.as_ref().map(|theirs| theirs.wish) {
            Ok(Wish::Link) => said.extend(with_length(&self.account.told)),
            Ok(Wish::Notice) => said.extend(with_length(&self.notice)),
            Ok(Wish::Standing) | Err(_) => {}
        }
        let answered = send(&mut tls, &mut tcp, &said);
        let theirs = Hello {
            device: u32::try_from(device).unwrap_or(u32::MAX),
            ..theirs?
        };
        if theirs.wish == Wish::Notice {
            return Err(answered.map_or_else(greet_error, |()| GreetError::Asked));
        }
        let verdict = verdict.map_err(|refusal| {
            let text = difference.map(|one| one.text);
            (refusal, text.filter(|_| refusal.is_of_run()))
        });
        let refused = |(refusal, text)| GreetError::refused(refusal, theirs, text);
        if !matches!(verdict, Err((Refusal::Done, _))) {
            verdict.clone().map_err(refused)?;
        }
        answered.map_err(greet_error)?;
        // Only now it knows.
        verdict.map_err(refused)?;
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
        if theirs.wish != Wish::Link || theirs.device > self.ours.device {
            Ok(())
        } else {
            Err(Refusal::Device)
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

/// Four bytes of length, and so many bytes.
fn receive_long(
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

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
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
