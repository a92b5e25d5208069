//! What may keep devices from coming together.

use std::io;
use std::time::Duration;

use super::fingerprint::Fingerprint;
use super::members::Members;
use super::refusal::Refusal;

/// Why there is no mesh.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// As the cluster file has it.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// The device has another certificate than the cluster file says.
    #[error("the identity {found} is not the one that the cluster file has for `{name}`: {wanted}")]
    Identity {
        /// Of this device.
        name: String,
        /// In the cluster file.
        wanted: Fingerprint,
        /// What it has.
        found: Fingerprint,
    },
    /// Not all came in time.
    #[error("after {} s these devices are missing: {}", .waited.as_secs_f64(), list(.missing))]
    Missing {
        /// How long they were waited for.
        waited: Duration,
        /// Who is missing.
        missing: Vec<Missing>,
        /// Whether not one of the others was there.
        nobody: bool,
    },
    /// A device runs something else.
    #[error("`{name}` at {address} refuses: {why}")]
    Refused {
        /// Its name.
        name: String,
        /// Its address.
        address: String,
        /// Of what kind its reason is.
        refusal: Refusal,
        /// Its reason.
        why: String,
    },
    /// Another device is further: this one has to begin again with its generation.
    #[error("another device is at generation {generation} of the run already")]
    Outdated {
        /// The other's.
        generation: u64,
        /// Who takes part in it.
        members: Members,
    },
    /// The others go on in a way that this device cannot plan.
    #[error("the others go on without a device, which cannot be planned here: {0}")]
    Survivors(String),
    /// There is nothing left to do.
    #[error("the run is complete")]
    Done,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A device that did not come, and why as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The last that went wrong.
    pub why: String,
}

impl MeshError {
    /// Stable, lower case, words joined by `-`.
    pub fn code(&self) -> &'static str {
        match self {
            MeshError::Listen { .. } => "cannot-listen",
            MeshError::Identity { .. } => "wrong-identity",
            MeshError::Missing { .. } => "missing-devices",
            MeshError::Refused { refusal, .. } => match refusal {
                Refusal::Version => "other-version",
                Refusal::Plan => "different-plan",
                Refusal::Files => "different-files",
                Refusal::Device | Refusal::Devices | Refusal::Workers => "different-cluster",
                _ => "refused",
            },
            MeshError::Outdated { .. } => "older-generation",
            MeshError::Survivors(_) => "different-plan",
            MeshError::Done => "done",
            MeshError::Tls(_) | MeshError::Thread(_) => "internal",
        }
    }
}

/// As people are shown them.
pub fn list(missing: &[Missing]) -> String {
    let one = |m: &Missing| format!("`{}` at {} ({})", m.name, m.address, m.why);
    missing.iter().map(one).collect::<Vec<_>>().join(", ")
}
