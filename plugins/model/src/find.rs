//! Which weights a model's folder has.

use std::path::{Path, PathBuf};

use crate::error::ModelError;

/// Where a model's weights are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// One file of safetensors.
    Safetensors(PathBuf),
    /// Several, and this is their index.
    SafetensorsIndex(PathBuf),
    /// A whole graph.
    Onnx(PathBuf),
    /// PyTorch's own file.
    Torch(PathBuf),
    /// Several of them, and this is their index.
    TorchIndex(PathBuf),
}

type Kind = fn(PathBuf) -> Found;

/// The best first.
const FILES: [(&str, Kind); 5] = [
    ("model.safetensors", Found::Safetensors),
    ("model.safetensors.index.json", Found::SafetensorsIndex),
    ("model.onnx", Found::Onnx),
    ("pytorch_model.bin", Found::Torch),
    ("pytorch_model.bin.index.json", Found::TorchIndex),
];

/// Files that show what a folder without weights is, and what to do about it.
const OTHERS: [(&str, &str); 6] = [
    (
        "adapter_model.safetensors",
        "it is an adapter: merge it into its base (`merge_and_unload`) and save that",
    ),
    (
        "adapter_model.bin",
        "it is an adapter: merge it into its base (`merge_and_unload`) and save that",
    ),
    (
        "tf_model.h5",
        "it has TensorFlow's weights: load them with `from_tf=True` and save them with `save_pretrained`",
    ),
    (
        "flax_model.msgpack",
        "it has Flax's weights: load them with `from_flax=True` and save them with `save_pretrained`",
    ),
    (
        "model.ckpt.index",
        "it has TensorFlow's weights: load them with `from_tf=True` and save them with `save_pretrained`",
    ),
    (
        "training_args.bin",
        "it is of a training run: take the folder of one of its checkpoints",
    ),
];

/// The weights that `path` names: a folder's, or the `.onnx` file itself.
///
/// # Errors
/// `model-missing`, with what is there instead
pub fn find(path: &Path) -> Result<Found, ModelError> {
    if is_onnx(path) {
        return Ok(Found::Onnx(path.into()));
    }
    if path.is_file() {
        let message = format!("`{}` is a file, and a model is a folder", path.display());
        let help = "give the folder that has `config.json` too";
        return Err(ModelError::new("model-missing", message).help(help));
    }
    // A link that leads nowhere is there too, and opening it says what is wrong.
    let there = |(name, _): &&(&str, Kind)| path.join(name).symlink_metadata().is_ok();
    match FILES.iter().find(there) {
        Some((name, kind)) => Ok(kind(path.join(name))),
        None => Err(nothing(path)),
    }
}

/// The model's folder: `path` itself, or of an `.onnx` file the folder with its `config.json`,
/// which is its own or the one above.
pub fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|_| is_onnx(path));
    let Some(parent) = parent else {
        return path;
    };
    let has_config = |folder: &&Path| folder.join("config.json").exists();
    let above = parent.parent().filter(has_config);
    match above {
        Some(above) if !has_config(&parent) => above,
        _ => parent,
    }
}

fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "onnx") && !path.is_dir()
}

fn nothing(folder: &Path) -> ModelError {
    let message = format!(
        "cannot read `{}`: there are no weights",
        folder.join("model.safetensors").display()
    );
    let error = ModelError::new("model-missing", message);
    let graphs = onnx_files(folder);
    if let Some(first) = graphs.first() {
        return error.help(format!(
            "there is an ONNX file: give `{}` as `model`",
            first.display()
        ));
    }
    let other = OTHERS.iter().find(|(name, _)| folder.join(name).exists());
    match other {
        Some((_, help)) => error.help(*help),
        None => error.help(
            "a model is a folder with `config.json` and `model.safetensors` (in one or several files), `model.onnx` or `pytorch_model.bin`",
        ),
    }
}

/// Those in the folder and in its `onnx`; `model.onnx` first.
fn onnx_files(folder: &Path) -> Vec<PathBuf> {
    let entries = [folder.join("onnx"), folder.into()]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
    let mut all: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_onnx(path))
        .collect();
    all.sort_by_key(|path| (!path.ends_with("model.onnx"), path.clone()));
    all
}
