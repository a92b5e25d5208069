//! What may be wrong with a key, a certificate, and their files.

use std::path::PathBuf;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Its name could not be a file's.
    #[error("`{0}` cannot be the name of an identity: use letters, digits, `-` and `_`")]
    Name(String),
    /// There is one of that name.
    #[error("{} exists, and an identity is never overwritten", .0.display())]
    Exists(PathBuf),
    /// No such file.
    #[error("there is no {}: make one with `segue identity new {name}`", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Of the identity.
        name: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Others could take the key.
    #[error("others may read {path}: say `chmod 600 {path}`", path = .0.display())]
    Open(PathBuf),
    /// A file with something else in it.
    #[error("{} holds no {what} in PEM: {error}", .path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
        /// What is wrong.
        error: String,
    },
    /// Files of two identities.
    #[error("the key in {} is not the one of the certificate beside it", .0.display())]
    Mismatch(PathBuf),
    /// A key or certificate of a kind that is not known here.
    #[error("{} cannot be used: {error}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
    /// The system gives no randomness.
    #[error("no key can be made: {0}")]
    Generate(String),
}

impl IdentityError {
    /// Stable, lower case, words joined by `-`.
    pub fn code(&self) -> &'static str {
        match self {
            IdentityError::Name(_) => "bad-name",
            IdentityError::Exists(_) => "identity-exists",
            IdentityError::Missing { .. } => "missing-identity",
            IdentityError::Io { .. } => "unreadable-identity",
            IdentityError::Open(_) => "key-open",
            IdentityError::NotPem { .. } => "not-pem",
            IdentityError::Mismatch(_) => "key-mismatch",
            IdentityError::Unusable { .. } => "unusable-identity",
            IdentityError::Generate(_) => "no-key",
        }
    }
}
