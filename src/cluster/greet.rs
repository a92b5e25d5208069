//! From a TCP connection to one with a device of the cluster: TLS, then hellos, all
//! within a deadline.

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::account::{ACCOUNT_BYTES_MAX, Account, Difference};
use super::file::Cluster;
use super::fingerprint::Fingerprint;
use super::greet_error::{GreetError, Refused, greet_error};
use super::handshake::{Within, receive, receive_long, send, shake_hands, with_length};
use super::hello::{
    ANSWER_BYTES, HELLO_BYTES, Hello, HelloError, VERSION_AT, Wish, answer, parse_answer,
    parse_hello,
};
use super::identity::Identity;
use super::link::lock;
use super::members::Members;
use super::pin;
use super::refusal::Refusal;

/// The longest notice that is believed.
const NOTICE_BYTES_MAX: usize = 1 << 20;
/// What a caller finds of whoever says that its run is complete, where that is another.
const OTHER_RUN: &str = "the run that it has completed is not this one";
/// What a caller sends back when it has heard that the run is complete.
const HEARD: u8 = 1;
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
    heard: Heard,
}

/// What a device does when it hears that the run of a plan with this hash is complete, before it
/// says that it has: whether it is the plan that it runs.
pub type Heard = Arc<dyn Fn([u8; 32]) -> bool + Send + Sync>;

struct Peer {
    name: String,
    identity: Fingerprint,
    workers: usize,
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
            heard: Arc::new(|_| true),
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

    /// The same, and what it does when it hears that the run is complete.
    pub fn hears(self, heard: Heard) -> Self {
        Greeter { heard, ..self }
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
        let mut tcp = Within::new(tcp);
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
            let (refusal, text) = match refusal {
                Refusal::Done if !(self.heard)(theirs.plan_hash) => {
                    (Refusal::Plan, Some(OTHER_RUN.to_owned()))
                }
                refusal => (refusal.mirrored(), text),
            };
            if refusal == Refusal::Done {
                // Whoever is not told so waits a little in vain.
                let _ = send(&mut tls, &mut tcp, &[HEARD]);
            }
            return Err(GreetError::RefusedBy(Refused {
                difference: text.filter(|_| refusal.is_of_run()),
                refusal,
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
    /// Why it is missing
    pub fn ask_notice(&self, tcp: &TcpStream, device: usize) -> Result<Vec<u8>, GreetError> {
        let mut tcp = Within::new(tcp);
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
        let mut tcp = Within::new(tcp);
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
        if verdict.is_err() {
            // It knows when it says so: killed before, it would never hear it again. One that
            // runs something else does not.
            receive(&mut tls, &mut tcp, &mut [0]).map_err(|_| GreetError::Asked)?;
        }
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
