//! Tensors and states as bytes, and files that are there whole or not at all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use half::f16;
use safetensors::{Dtype, SafeTensors, View};
use segue_plugin::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where the small part of a state lies in the header.
const STATE: &str = "state";

/// A tensor to store.
#[derive(Clone, Debug)]
pub struct Stored<'a> {
    values: &'a [f32],
    /// Row-major.
    shape: Vec<usize>,
    /// In 16 bits, rounded to the nearest.
    half: bool,
}

impl<'a> Stored<'a> {
    /// `values` as a tensor of `shape`, whose product is their number.
    pub fn new(values: &'a [f32], shape: Vec<usize>, half: bool) -> Self {
        Stored {
            values,
            shape,
            half,
        }
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.half {
            true => Dtype::F16,
            false => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.values.iter();
        let bytes: Vec<u8> = match self.half {
            true => (values.flat_map(|v| f16::from_f32(*v).to_le_bytes())).collect(),
            false => values.flat_map(|v| v.to_le_bytes()).collect(),
        };
        bytes.into()
    }

    fn data_len(&self) -> usize {
        let bytes = if self.half { 2 } else { 4 };
        self.values.len() * bytes
    }
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

/// Named tensors as the bytes of a safetensors file, with `metadata` in its header.
///
/// # Errors
/// `write-failed`
pub fn pack_tensors<'a, N: AsRef<str> + Ord + Display>(
    tensors: impl IntoIterator<Item = (N, Stored<'a>)>,
    metadata: Option<(&str, String)>,
) -> Result<Vec<u8>> {
    let metadata = metadata.map(|(name, text)| HashMap::from([(name.to_owned(), text)]));
    safetensors::serialize(tensors, metadata).map_err(|e| failed(&e))
}

/// Named vectors as the bytes of a safetensors file.
///
/// # Errors
/// `write-failed`
pub fn pack<N: AsRef<str> + Ord + Display>(vectors: &[(N, &[f32])]) -> Result<Vec<u8>> {
    pack_tensors(flat(vectors), None)
}

/// As [`pack`], with `state` in the header.
///
/// # Errors
/// `write-failed`
pub fn pack_state<N: AsRef<str> + Ord + Display>(
    state: &impl Serialize,
    vectors: &[(N, &[f32])],
) -> Result<Vec<u8>> {
    let state = serde_json::to_string(state).map_err(|e| failed(&e))?;
    pack_tensors(flat(vectors), Some((STATE, state)))
}

fn flat<'a, N: AsRef<str>>(
    vectors: &'a [(N, &[f32])],
) -> impl Iterator<Item = (&'a str, Stored<'a>)> {
    let stored = |values: &'a [f32]| Stored::new(values, vec![values.len()], false);
    vectors
        .iter()
        .map(move |(name, values)| (name.as_ref(), stored(values)))
}

fn failed(error: &dyn Display) -> Error {
    Error::new("write-failed", error.to_string())
}

/// Named vectors, by name.
pub type Vectors = HashMap<String, Vec<f32>>;

/// What [`pack`] packed.
///
/// # Errors
/// What is wrong with `bytes`
pub fn unpack(bytes: &[u8]) -> Result<Vectors, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let vector = |(name, view): (String, safetensors::tensor::TensorView<'_>)| match view.dtype() {
        Dtype::F32 => Ok((name, numbers(view.data()))),
        other => Err(format!("`{name}` is {other:?}, not F32")),
    };
    file.tensors().into_iter().map(vector).collect()
}

/// What [`pack_state`] packed.
///
/// # Errors
/// `no-state`
pub fn unpack_state<S: DeserializeOwned>(bytes: &[u8]) -> Result<(S, Vectors)> {
    let unusable = |e: &dyn Display| Error::new("no-state", format!("cannot go on: {e}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| unusable(&e))?;
    let state = header.metadata().as_ref().and_then(|all| all.get(STATE));
    let state = state.ok_or_else(|| unusable(&"it is not the state of a stage that learns"))?;
    let state = serde_json::from_str(state).map_err(|e| unusable(&e))?;
    Ok((state, unpack(bytes).map_err(|e| unusable(&e))?))
}

/// Writes `bytes` to `path` by way of another file, so that it is there whole or not at all.
///
/// # Errors
/// `write-failed`
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| {
        let message = format!("cannot write `{}`: {e}", path.display());
        Error::new("write-failed", message)
    };
    let new = path.with_extension("new");
    let mut file = File::create(&new).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_and_nothing_else_is_one() {
        let vectors = [("b", &[1.5, f32::MIN_POSITIVE][..]), ("a", &[])];
        let bytes = pack_state(&(7, "log"), &vectors).unwrap();
        let (state, found): ((u32, String), _) = unpack_state(&bytes).unwrap();
        assert_eq!(state, (7, "log".to_owned()));
        assert_eq!((&found["a"][..], &found["b"][..]), (&[][..], vectors[0].1));
        let none = |bytes: &[u8]| unpack_state::<(u32, String)>(bytes).unwrap_err().code;
        assert_eq!(none(&bytes[..bytes.len() - 1]), "no-state");
        assert_eq!(none(&pack(&vectors).unwrap()), "no-state");
        assert_eq!(none(b""), "no-state");
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.txt");
        write_whole(&path, b"first").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = write_whole(&folder.path().join("no/a.txt"), b"").unwrap_err();
        assert_eq!(error.code, "write-failed");
    }
}
