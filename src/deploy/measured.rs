//! Where the profile is that a graph is planned by.

use std::path::{Path, PathBuf};

use super::automatic::Measured;
use super::load::{Errors, read_text};
use super::target::Request;
use crate::account::Digest;
use crate::diagnostic::Sources;
use crate::profile;

/// Where the profile of the cluster whose file is at `cluster` is, unless it is named:
/// `cluster.profile.toml` beside `cluster.toml`.
pub fn profile_beside(cluster: &Path) -> PathBuf {
    cluster.with_extension("profile.toml")
}

/// The profile that `request` names, or the one beside its cluster file, where there is one.
/// `sources` gets its text.
///
/// # Errors
/// Every error of the profile
pub fn measured(request: &Request, sources: &mut Sources) -> Result<Option<Measured>, Errors> {
    let beside = || {
        request
            .on
            .file()
            .map(profile_beside)
            .filter(|path| path.exists())
    };
    match request.profile.clone().or_else(beside) {
        Some(path) => read_profile(&path, sources).map(Some),
        None => Ok(None),
    }
}

/// The profile at `path`.
///
/// # Errors
/// That it cannot be read, or every error in it
pub fn read_profile(path: &Path, sources: &mut Sources) -> Result<Measured, Errors> {
    let text = read_text(path).map_err(|error| Errors::alone(error, sources))?;
    let digest = Digest::of(text.as_bytes());
    let number = sources.add(path.to_string_lossy(), text);
    let profile = profile::parse(sources, number);
    let profile = profile.map_err(|errors| Errors::of(errors, sources, path))?;
    Ok(Measured { profile, digest })
}
