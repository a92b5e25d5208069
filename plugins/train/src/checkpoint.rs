//! A trainer's state on disk, so that a crash costs minutes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use segue_plugin::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where the small part of the state lies in the file's header.
const STATE: &str = "state";

/// Writes `state` and named vectors to `path`, all or nothing.
///
/// # Errors
/// `write-failed`
pub fn save(path: &Path, state: &impl Serialize, vectors: &[(String, &[f32])]) -> Result<()> {
    let told = |e: &dyn std::fmt::Display| {
        Error::new(
            "write-failed",
            format!("cannot write `{}`: {e}", path.display()),
        )
    };
    let state = serde_json::to_string(state).map_err(|e| told(&e))?;
    let views: Vec<(String, Numbers<'_>)> = vectors
        .iter()
        .map(|(name, values)| (name.clone(), Numbers(values, [values.len()])))
        .collect();
    let metadata = HashMap::from([(STATE.to_owned(), state)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| told(&e))?;
    write_whole(path, &bytes)
}

/// Writes `bytes` to `path` by way of another file, so that it is there whole or not at all.
///
/// # Errors
/// `write-failed`
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let told = |e: std::io::Error| {
        Error::new(
            "write-failed",
            format!("cannot write `{}`: {e}", path.display()),
        )
    };
    let new = path.with_extension("new");
    let mut file = File::create(&new).map_err(told)?;
    file.write_all(bytes).map_err(told)?;
    file.sync_all().map_err(told)?;
    fs::rename(&new, path).map_err(told)
}

/// Reads what [`save`] wrote.
///
/// # Errors
/// `no-checkpoint`
pub fn load<S: DeserializeOwned>(path: &Path) -> Result<(S, HashMap<String, Vec<f32>>)> {
    let told = |e: &dyn std::fmt::Display| {
        Error::new(
            "no-checkpoint",
            format!("cannot go on from `{}`: {e}", path.display()),
        )
    };
    let bytes = fs::read(path).map_err(|e| told(&e))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| told(&e))?;
    let state = header.metadata().as_ref().and_then(|all| all.get(STATE));
    let state = serde_json::from_str(state.map_or("", String::as_str)).map_err(|e| told(&e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| told(&e))?;
    let numbers = |view: &TensorView<'_>| {
        let (chunks, _) = view.data().as_chunks::<4>();
        chunks.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let vectors = file
        .tensors()
        .iter()
        .map(|(name, view)| (name.clone(), numbers(view)))
        .collect();
    Ok((state, vectors))
}

struct Numbers<'a>(&'a [f32], [usize; 1]);

impl safetensors::View for Numbers<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.1
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.0
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
            .into()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.0)
    }
}
