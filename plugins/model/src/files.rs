//! Files that are looked at before they are opened: a pipe would block, a device never ends, and
//! what a clone without Git LFS leaves is not the file it is named as.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::ModelError;

/// How the text begins that stands in for a file which Git LFS has not fetched.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Opens a file that a model consists of.
///
/// # Errors
/// `model-missing` when it cannot be read, is a folder, a pipe or a device, or is a Git LFS
/// pointer
pub fn open(path: &Path) -> Result<File, ModelError> {
    let unreadable = |e: std::io::Error| unreadable(path, &e);
    let kind = std::fs::metadata(path).map_err(unreadable)?;
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "a folder"
        } else {
            "a pipe or a device"
        };
        return Err(missing(path, &format!("it is {what}, not a file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut start = [0; POINTER.len()];
    if file.read_exact_at(&mut start, 0).is_ok() && start == POINTER {
        return Err(missing(
            path,
            "it is a Git LFS pointer, which stands in for the file itself",
        )
        .help("fetch the file: `git lfs pull` in its folder, or download it from the hub"));
    }
    Ok(file)
}

/// The text of a file of at most `bytes_max` bytes.
///
/// # Errors
/// As [`open`], and `model-missing` when it is longer or not UTF-8
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, ModelError> {
    let text = String::from_utf8(read(path, bytes_max)?);
    text.map_err(|_| missing(path, "it is not UTF-8 text"))
}

/// The bytes of a file of at most `bytes_max` bytes.
///
/// # Errors
/// As [`open`], and `model-missing` when it is longer
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there are more.
    let mut file = open(path)?.take(bytes_max + 1);
    file.read_to_end(&mut bytes)
        .map_err(|e| unreadable(path, &e))?;
    if bytes.len() as u64 > bytes_max {
        Err(missing(
            path,
            &format!("it is longer than {bytes_max} bytes"),
        ))
    } else {
        Ok(bytes)
    }
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> ModelError {
    missing(path, &error.to_string())
}

fn missing(path: &Path, why: &str) -> ModelError {
    let message = format!("cannot read `{}`: {why}", path.display());
    ModelError::new("model-missing", message)
}
