//! `model.safetensors`: its header, and positioned reads of single tensors.
//!
//! Nothing is mapped: a segment touches the bytes of its own tensors and no others.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use crate::error::ModelError;
use crate::tensors::{ANCHOR, TensorSpec};

/// The format's own limit for a header, in bytes.
const HEADER_BYTES_MAX: u64 = 100_000_000;

/// An open weight file and its header.
pub(crate) struct WeightFile {
    path: PathBuf,
    file: File,
    tensors: HashMap<String, TensorInfo>,
    data_start: u64,
    bytes: u64,
}

/// Numbers as the file holds them.
#[derive(Debug)]
pub(crate) enum Stored {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl WeightFile {
    /// Opens `path` and reads its header only.
    ///
    /// # Errors
    /// `model-missing`, `model-truncated`, or `model-mismatch` when it is no safetensors file.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let missing = |e: std::io::Error| {
            ModelError::new(
                "model-missing",
                format!("cannot read `{}`: {e}", path.display()),
            )
        };
        let file = File::open(path).map_err(missing)?;
        let bytes = file.metadata().map_err(missing)?.len();
        let header_bytes = header_length(path, &file, bytes)?;
        let mut header = vec![0; header_bytes as usize];
        file.read_exact_at(&mut header, 8).map_err(missing)?;
        Ok(Self {
            tensors: parse_header(path, &header)?,
            data_start: 8 + header_bytes,
            path: path.into(),
            file,
            bytes,
        })
    }

    /// What stands before `encoder.` in the tensor names: `bert.` or nothing.
    ///
    /// # Errors
    /// `model-mismatch` when no encoder is in the file.
    pub fn prefix(&self) -> Result<String, ModelError> {
        let mut found: Vec<&str> = self
            .tensors
            .keys()
            .filter_map(|name| name.strip_suffix(ANCHOR))
            .collect();
        found.sort_unstable();
        match found.first() {
            Some(prefix) => Ok((*prefix).into()),
            None => Err(self.mismatch(format!("has no tensor `bert.{ANCHOR}`"))),
        }
    }

    /// Whether the file holds a tensor called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Checks that `spec` is in the file with its shape, a known type, and all its bytes.
    ///
    /// # Errors
    /// `model-mismatch` or `model-truncated`.
    pub fn check(&self, spec: &TensorSpec) -> Result<(), ModelError> {
        self.locate(spec).map(drop)
    }

    /// Reads `spec` as the file stores it.
    ///
    /// # Errors
    /// As [`Self::check`], and `model-missing` when the read itself fails.
    pub fn read_stored(&self, spec: &TensorSpec) -> Result<Stored, ModelError> {
        let (dtype, at, bytes) = self.locate(spec)?;
        let mut raw = vec![0; bytes];
        self.file.read_exact_at(&mut raw, at).map_err(|e| {
            ModelError::new(
                "model-missing",
                format!("cannot read `{}`: {e}", self.path.display()),
            )
        })?;
        let pairs = || raw.as_chunks::<2>().0.iter();
        Ok(match dtype {
            Dtype::F16 => Stored::F16(pairs().map(|b| f16::from_le_bytes(*b)).collect()),
            Dtype::BF16 => Stored::Bf16(pairs().map(|b| bf16::from_le_bytes(*b)).collect()),
            _ => Stored::F32(
                raw.as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b))
                    .collect(),
            ),
        })
    }

    /// Reads `spec` as f32.
    ///
    /// # Errors
    /// As [`Self::read_stored`].
    pub fn read(&self, spec: &TensorSpec) -> Result<Vec<f32>, ModelError> {
        Ok(match self.read_stored(spec)? {
            Stored::F32(values) => values,
            Stored::F16(values) => values.to_f32_vec(),
            Stored::Bf16(values) => values.to_f32_vec(),
        })
    }

    /// Bytes of `spec` as the file stores it.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn stored_bytes(&self, spec: &TensorSpec) -> Result<u64, ModelError> {
        self.locate(spec).map(|(_, _, bytes)| bytes as u64)
    }

    /// Type, first byte in the file, and length in bytes of a checked tensor.
    fn locate(&self, spec: &TensorSpec) -> Result<(Dtype, u64, usize), ModelError> {
        let TensorSpec { name, shape } = spec;
        let Some(info) = self.tensors.get(name) else {
            return Err(self.mismatch(format!("has no tensor `{name}`")));
        };
        if info.shape != *shape {
            return Err(self.mismatch(format!(
                "has `{name}` of shape {:?}, but `config.json` asks for {shape:?}",
                info.shape
            )));
        }
        let width = match info.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            other => {
                return Err(self
                    .mismatch(format!("stores `{name}` as {other:?}"))
                    .help("f32, f16 and bf16 weights can be read"));
            }
        };
        let needed = shape.iter().product::<usize>() * width;
        let (from, to) = info.data_offsets;
        if to.checked_sub(from) != Some(needed) {
            return Err(self.mismatch(format!(
                "gives `{name}` the bytes {from}..{to}, but its shape takes {needed}"
            )));
        }
        match self.data_start.checked_add(to as u64) {
            Some(end) if end <= self.bytes => {}
            _ => return Err(self.truncated(name, from, to)),
        }
        Ok((info.dtype, self.data_start + from as u64, needed))
    }

    fn mismatch(&self, what: String) -> ModelError {
        ModelError::new(
            "model-mismatch",
            format!("`{}` {what}", self.path.display()),
        )
    }

    fn truncated(&self, name: &str, from: usize, to: usize) -> ModelError {
        ModelError::new(
            "model-truncated",
            format!(
                "`{}` ends after {} bytes, but `{name}` takes bytes {from}..{to} behind a header of {}",
                self.path.display(),
                self.bytes,
                self.data_start
            ),
        )
        .help("copy or download the file again")
    }
}

/// Length of the header in bytes, checked against the file's.
fn header_length(path: &Path, file: &File, bytes: u64) -> Result<u64, ModelError> {
    let mut prefix = [0; 8];
    let stated = match file.read_exact_at(&mut prefix, 0) {
        Ok(()) => u64::from_le_bytes(prefix),
        Err(_) => u64::MAX,
    };
    if bytes >= 8 && stated > HEADER_BYTES_MAX {
        let message = format!("`{}` is no safetensors file", path.display());
        return Err(ModelError::new("model-mismatch", message));
    }
    if bytes < 8 || stated > bytes - 8 {
        let needed = stated.saturating_add(8);
        let message = match bytes {
            0..8 => format!(
                "`{}` is {bytes} bytes long, too short for a header",
                path.display()
            ),
            _ => format!(
                "`{}` is {bytes} bytes long, but its header alone takes {needed}",
                path.display()
            ),
        };
        return Err(
            ModelError::new("model-truncated", message).help("copy or download the file again")
        );
    }
    Ok(stated)
}

fn parse_header(path: &Path, header: &[u8]) -> Result<HashMap<String, TensorInfo>, ModelError> {
    let bad = |e: serde_json::Error| {
        ModelError::new(
            "model-mismatch",
            format!("`{}` has an unreadable header: {e}", path.display()),
        )
    };
    let entries: HashMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(bad)?;
    entries
        .into_iter()
        .filter(|(name, _)| name != "__metadata__")
        .map(|(name, value)| Ok((name, serde_json::from_value(value).map_err(bad)?)))
        .collect()
}
