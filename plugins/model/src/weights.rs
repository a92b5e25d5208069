//! A model's weights, whatever files they are in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::files;
use crate::find::Found;
use crate::names::{Naming, TensorSpec};
use crate::safe::SafeFile;
use crate::stored::Stored;
use crate::torch::TorchFile;

/// Far more than the index of any model has.
const INDEX_BYTES_MAX: u64 = 16 << 20;
/// Files that one model may be in.
const FILES_MAX: usize = 1000;

/// The open weights of a model; tensors are read one by one.
pub struct Weights {
    files: Vec<WeightFile>,
    /// The file of each tensor, where there are several.
    index: Option<HashMap<String, usize>>,
    naming: Naming,
    /// What messages call them: the file, or the index.
    path: PathBuf,
}

enum WeightFile {
    Safe(SafeFile),
    Torch(TorchFile),
}

/// Where a tensor is.
enum Place<'a> {
    In(&'a WeightFile, String),
    /// Its family has none, and zeros do the same.
    Zeros,
}

impl Weights {
    /// Opens what [`find`](crate::find) found, reads the headers, and finds out how its tensors
    /// are named.
    ///
    /// # Errors
    /// - `model-missing`: a file cannot be read
    /// - `model-mismatch`: it is not what its name says, or has no encoder of the family; an ONNX
    ///   file has no tensors that could be read
    /// - `model-truncated`: it is shorter than its header
    pub fn open(found: &Found, config: &ModelConfig) -> Result<Self, ModelError> {
        let (path, index) = match found {
            Found::Safetensors(path) | Found::Torch(path) => (path, None),
            Found::SafetensorsIndex(path) | Found::TorchIndex(path) => {
                (path, Some(read_index(path)?))
            }
            Found::Onnx(path) => {
                let message = format!(
                    "`{}` is an ONNX file, whose weights cannot be taken out",
                    path.display()
                );
                return Err(ModelError::new("model-mismatch", message)
                    .help("take the model that it was exported from, with `model.safetensors`"));
            }
        };
        let torch = matches!(found, Found::Torch(_) | Found::TorchIndex(_));
        let open = |path: &Path| {
            if torch {
                TorchFile::open(path).map(WeightFile::Torch)
            } else {
                SafeFile::open(path).map(WeightFile::Safe)
            }
        };
        let (files, index) = match index {
            None => (vec![open(path)?], None),
            Some((names, index)) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                let part = |name: &String| {
                    open(&folder.join(name)).map_err(|e| match e.help {
                        Some(_) => e,
                        None => e.help(format!(
                            "`{}` says that the model is in {} files, and all must be there",
                            path.display(),
                            names.len()
                        )),
                    })
                };
                let files = names.iter().map(part).collect::<Result<_, _>>()?;
                (files, Some(index))
            }
        };
        let shown = path.display().to_string();
        let naming = match &index {
            Some(index) => Naming::find(config, index.keys().map(String::as_str), &shown)?,
            None => match &files[0] {
                WeightFile::Safe(file) => Naming::find(config, file.names(), &shown)?,
                WeightFile::Torch(file) => Naming::find(config, file.names(), &shown)?,
            },
        };
        Ok(Self {
            files,
            index,
            naming,
            path: path.clone(),
        })
    }

    /// Whether there is a classifier.
    pub fn has_classifier(&self) -> bool {
        self.has("classifier.weight")
    }

    /// Whether there is a tensor that BERT calls `name`.
    pub fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    /// Checks that `spec` is there with its shape, a known type, and all its bytes.
    ///
    /// # Errors
    /// `model-mismatch` or `model-truncated`.
    pub fn check(&self, spec: &TensorSpec) -> Result<(), ModelError> {
        self.stored_bytes(spec).map(drop)
    }

    /// Bytes of `spec` in the type that its file stores, its zeros among them where these are left
    /// out.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn stored_bytes(&self, spec: &TensorSpec) -> Result<u64, ModelError> {
        match self.checked(spec)? {
            Place::In(WeightFile::Safe(file), name) => file.stored_bytes(&name),
            Place::In(WeightFile::Torch(file), name) => file.stored_bytes(&name),
            Place::Zeros => Ok(0),
        }
    }

    /// Reads `spec` as its file stores it.
    ///
    /// # Errors
    /// As [`Self::check`], and `model-missing` when the read itself fails.
    pub fn read_stored(&self, spec: &TensorSpec) -> Result<Stored, ModelError> {
        match self.checked(spec)? {
            Place::In(WeightFile::Safe(file), name) => file.read(&name),
            Place::In(WeightFile::Torch(file), name) => file.read(&name),
            Place::Zeros => Ok(Stored::F32(vec![0.0; spec.shape.iter().product()])),
        }
    }

    /// Reads `spec` as f32.
    ///
    /// # Errors
    /// As [`Self::read_stored`].
    pub fn read(&self, spec: &TensorSpec) -> Result<Vec<f32>, ModelError> {
        Ok(self.read_stored(spec)?.into_f32())
    }

    /// Where `spec` is, if it has its shape.
    fn checked(&self, spec: &TensorSpec) -> Result<Place<'_>, ModelError> {
        let TensorSpec { name, shape } = spec;
        let mismatch = |what: String| {
            let message = format!("`{}` {what}", self.path.display());
            ModelError::new("model-mismatch", message)
        };
        let Some(place) = self.place(name) else {
            let stored = self.naming.candidates(name).swap_remove(0);
            let error = mismatch(format!("has no tensor `{stored}`"));
            return Err(if name.starts_with("pooler.") {
                error.help("a classifier without it is one of tokens, not of texts")
            } else {
                error
            });
        };
        if let Place::In(file, stored) = &place {
            let found = file.shape(stored).unwrap_or_default();
            if found != shape {
                return Err(mismatch(format!(
                    "has `{stored}` of shape {found:?}, but `config.json` asks for {shape:?}"
                )));
            }
        }
        Ok(place)
    }

    fn place(&self, name: &str) -> Option<Place<'_>> {
        let stored = self.naming.candidates(name).into_iter().find_map(|name| {
            let file = match &self.index {
                Some(index) => &self.files[*index.get(&name)?],
                None => &self.files[0],
            };
            file.shape(&name)?;
            Some(Place::In(file, name))
        });
        stored.or_else(|| self.naming.is_zero(name).then_some(Place::Zeros))
    }
}

impl WeightFile {
    fn shape(&self, name: &str) -> Option<&[usize]> {
        match self {
            WeightFile::Safe(file) => file.shape(name),
            WeightFile::Torch(file) => file.shape(name),
        }
    }
}

/// The files that an index names, and the number of each tensor's.
fn read_index(path: &Path) -> Result<(Vec<String>, HashMap<String, usize>), ModelError> {
    let bad = |why: String| {
        let message = format!("`{}` is not an index of weights: {why}", path.display());
        ModelError::new("model-mismatch", message)
    };
    let text = files::read_text(path, INDEX_BYTES_MAX)?;
    let json: Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let Some(map) = json["weight_map"].as_object() else {
        return Err(bad("it has no `weight_map`".into()));
    };
    let mut files: Vec<String> = Vec::new();
    let mut index = HashMap::new();
    for (tensor, file) in map {
        let name = file.as_str().filter(|name| is_plain(name));
        let name =
            name.ok_or_else(|| bad(format!("`{tensor}` is in {file}, not in a file beside it")))?;
        let number = files.iter().position(|known| known == name);
        let number = number.unwrap_or_else(|| {
            files.push(name.to_owned());
            files.len() - 1
        });
        if files.len() > FILES_MAX {
            return Err(bad(format!("it names more than {FILES_MAX} files")));
        }
        index.insert(tensor.clone(), number);
    }
    if files.is_empty() {
        Err(bad("it names no tensor".into()))
    } else {
        Ok((files, index))
    }
}

/// Whether `name` is a file's name without a folder.
fn is_plain(name: &str) -> bool {
    Path::new(name)
        .file_name()
        .is_some_and(|whole| whole == name)
}
