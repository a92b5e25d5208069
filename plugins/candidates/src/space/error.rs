//! What can be wrong with a space.

/// Why a space, or a point of one, makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
