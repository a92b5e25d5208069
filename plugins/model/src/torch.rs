//! PyTorch's own file.

use std::fmt::Display;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::pickle::PthTensors;
use candle_core::{DType, Tensor};

use crate::error::ModelError;
use crate::files;
use crate::stored::Stored;

/// How a ZIP archive begins, which such a file is since PyTorch 1.6.
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// An open file.
pub(crate) struct TorchFile {
    path: PathBuf,
    tensors: PthTensors,
}

impl TorchFile {
    /// Opens `path` and reads what tensors it has.
    ///
    /// # Errors
    /// `model-missing`, or `model-mismatch` when it is not such a file
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = files::open(path)?;
        let mut start = [0; 4];
        if file.read_exact_at(&mut start, 0).is_err() || start != ZIP {
            let why = "it is not a file of PyTorch 1.6 or newer";
            return Err(bad(path, &why));
        }
        Ok(Self {
            tensors: guarded(path, || PthTensors::new(path, None))?,
            path: path.into(),
        })
    }

    /// The names of its tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.tensors.tensor_infos().keys().map(String::as_str)
    }

    /// The shape of tensor `name`.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(self.tensors.tensor_infos().get(name)?.layout.dims())
    }

    /// Bytes of tensor `name` as the file stores it.
    ///
    /// # Errors
    /// `model-mismatch`
    pub fn stored_bytes(&self, name: &str) -> Result<u64, ModelError> {
        let info = self.tensors.tensor_infos().get(name);
        let info = info.ok_or_else(|| bad(&self.path, &format!("it has no tensor `{name}`")))?;
        match info.dtype {
            DType::F32 | DType::F16 | DType::BF16 => {
                Ok((info.layout.shape().elem_count() * info.dtype.size_in_bytes()) as u64)
            }
            other => Err(bad(&self.path, &format!("it stores `{name}` as {other:?}"))
                .help("f32, f16 and bf16 weights can be read")),
        }
    }

    /// Reads tensor `name`.
    ///
    /// # Errors
    /// `model-mismatch`
    pub fn read(&self, name: &str) -> Result<Stored, ModelError> {
        self.stored_bytes(name)?;
        let tensor = guarded(&self.path, || self.tensors.get(name))?;
        let tensor =
            tensor.ok_or_else(|| bad(&self.path, &format!("it has no tensor `{name}`")))?;
        guarded(&self.path, || numbers(&tensor))
    }
}

fn numbers(tensor: &Tensor) -> candle_core::Result<Stored> {
    let flat = tensor.flatten_all()?;
    Ok(match flat.dtype() {
        DType::F16 => Stored::F16(flat.to_vec1()?),
        DType::BF16 => Stored::Bf16(flat.to_vec1()?),
        _ => Stored::F32(flat.to_vec1()?),
    })
}

/// Runs `work` on a file that may be damaged, on which the library that reads it can also panic.
fn guarded<T>(path: &Path, work: impl FnOnce() -> candle_core::Result<T>) -> Result<T, ModelError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| bad(path, &e)),
        Err(_) => Err(bad(path, &"it is damaged")),
    }
}

fn bad(path: &Path, why: &dyn Display) -> ModelError {
    let message = format!("`{}` cannot be read: {why}", path.display());
    ModelError::new("model-mismatch", message)
        .help("save the model anew with `save_pretrained`, which writes `model.safetensors`")
}
