//! Why a connection did not become a device's.

use std::fmt;
use std::io::{self, ErrorKind};

use super::fingerprint::Fingerprint;
use super::handshake::GREETING_SECONDS_MAX;
use super::hello::{Hello, HelloError};
use super::pin::NotPinned;
use super::refusal::Refusal;

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
    pub(super) fn refused(refusal: Refusal, theirs: Hello, difference: Option<String>) -> Self {
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

/// What an error of a connection says about who is at its other end.
pub fn greet_error(error: io::Error) -> GreetError {
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
