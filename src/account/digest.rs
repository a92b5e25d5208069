//! What is in a file, in few bytes.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// Read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Length and SHA-256 of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How long it is.
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

impl Digest {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = ring::digest::digest(&SHA256, bytes);
        Digest {
            bytes: bytes.len() as u64,
            sha256: hexadecimal(digest.as_ref()),
        }
    }

    /// Of a file, which is read in pieces.
    fn of_file(file: &mut File) -> std::io::Result<Self> {
        let (mut context, mut bytes) = (Context::new(&SHA256), 0);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut chunk)? {
                0 => break,
                count => {
                    context.update(&chunk[..count]);
                    bytes += count as u64;
                }
            }
        }
        let sha256 = hexadecimal(context.finish().as_ref());
        Ok(Digest { bytes, sha256 })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.sha256.get(..12).unwrap_or_default();
        write!(f, "{} bytes, sha256 {start}...", self.bytes)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digests of files, each made once for as long as size and time of the file stay.
#[derive(Debug, Default)]
pub struct Digests {
    known: Mutex<HashMap<(PathBuf, u64, SystemTime), Digest>>,
}

impl Digests {
    /// The digest of the file at `path`.
    ///
    /// # Errors
    /// Why it cannot be read
    pub fn file(&self, path: &Path) -> std::io::Result<Digest> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            // A pipe or a device might never end.
            return Err(std::io::Error::other("it is not a regular file"));
        }
        let key = metadata.modified().ok();
        let key = key.map(|time| (path.to_owned(), metadata.len(), time));
        if let Some(known) = key.as_ref().and_then(|key| lock().get(key).cloned()) {
            return Ok(known);
        }
        let digest = Digest::of_file(&mut File::open(path)?)?;
        if let Some(key) = key {
            lock().insert(key, digest.clone());
        }
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let bytes: Vec<u8> = (0..CHUNK_BYTES * 2 + 7).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let digests = Digests::default();
        assert_eq!(digests.file(&path).unwrap(), Digest::of(&bytes));
        std::fs::write(&path, &bytes[1..]).unwrap();
        assert_eq!(digests.file(&path).unwrap(), Digest::of(&bytes[1..]));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").sha256, empty);
    }

    #[test]
    fn what_may_never_end_is_not_read() {
        assert!(Digests::default().file(Path::new("/dev/zero")).is_err());
        assert!(Digests::default().file(Path::new("/")).is_err());
    }
}
