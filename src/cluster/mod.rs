//! Devices: cluster files, identities, and the mesh that timely runs over.
//!
//! timely's own start-up takes any connection for a peer, and its threads panic when a
//! peer is gone. Here connections are made and authenticated first (mutual TLS, each
//! certificate pinned in the cluster file), every peer is told apart from strangers
//! and from devices that run something else, and what timely is given for sockets never
//! fails: a peer that is gone is told to [`OnLoss`], and timely ends as if all were done.
//!
//! # How a host uses it
//! 1. [`check`] a cluster file, [`Identity::load`] this device's identity, [`listen`].
//! 2. [`form`] the mesh. [`MeshError::Outdated`] means: again, with that generation.
//! 3. At once, since a peer that takes nothing is lost too, give [`Mesh::streams`] to
//!    timely's `initialize_networking_from_sockets`, and what comes of it to
//!    `timely::execute::execute_from`. What takes long, such as loading models, is done
//!    before, or inside the workers.
//! 4. A worker that has seen the end of the dataflow (its probe is done) calls
//!    [`Mesh::finish`] before it returns. Without it, the other devices take the end of
//!    this one for a failure: so a worker that panics, or is stopped early, is noticed.
//! 5. [`OnLoss`] is called at once when a device is lost. It stores the [`Loss`] and
//!    asks the workers to stop: they drop their dataflows and return. Up to there
//!    nothing fails, but nothing comes from the lost device, and what is sent to it is
//!    thrown away. When the workers have returned, timely's threads end without a
//!    panic, so that joining its guards returns.
//! 6. The host calls [`Mesh::leave_after`] with the loss, or [`Mesh::leave`] when the
//!    failure is its own, and so tells the others which device is to blame, without
//!    waiting for them to find out. Best before the workers stop, and not inside
//!    [`OnLoss`], since a peer that hangs can hold it up.
//!
//! The first loss is the one to report: those that follow come of it.

mod accept;
mod account;
mod address;
mod boundary;
mod connect;
mod file;
mod fingerprint;
mod form;
mod frame;
mod greet;
mod greet_error;
mod handshake;
mod hello;
mod identity;
mod identity_error;
mod link;
mod loss;
mod meeting;
mod members;
mod mesh;
mod mesh_error;
mod notes;
mod notice;
mod peer;
mod pin;
mod porter;
mod raw;
mod refusal;
mod size;
mod stream;
#[cfg(test)]
mod tests;

pub use account::{Account, Compare, Difference};
pub use file::{Cluster, Device, DeviceSpans, Patience, Place, check};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use form::{Formation, Survivors, form, listen};
pub use greet::Heard;
pub use hello::{Hello, HelloError, Wish, parse_answer, parse_hello};
pub use identity::Identity;
pub use identity_error::IdentityError;
pub use loss::{Loss, LossReason, OnLoss};
pub use members::Members;
pub use mesh::{Mesh, Traffic};
pub use mesh_error::{MeshError, Missing};
pub use notes::Log;
pub use notice::notices;
pub use porter::{Porter, porter};
pub use refusal::Refusal;
pub use stream::Stream;
