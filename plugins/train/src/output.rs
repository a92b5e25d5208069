//! A trained model as a folder.

use std::path::Path;

use segue_plugin::{Error, Result};

use crate::checkpoint::write_whole;
use crate::config::ModelShape;
use crate::params;

/// Writes `config.json`, `model.safetensors` and the tokenizer of the model in `base`.
///
/// # Errors
/// `write-failed`, `model-missing`
pub fn write_model(
    folder: &Path,
    base: &Path,
    (shape, vectors): (&ModelShape, &[Vec<f32>]),
    config: &str,
    half_precision: bool,
) -> Result<()> {
    let weights = params::file(shape, vectors, half_precision)?;
    write_whole(&folder.join("model.safetensors"), &weights)?;
    write_whole(&folder.join("config.json"), config.as_bytes())?;
    let mut copied = 0;
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.txt",
    ] {
        // Each of them may be missing, not all.
        if let Ok(bytes) = std::fs::read(base.join(name)) {
            write_whole(&folder.join(name), &bytes)?;
            copied += 1;
        }
    }
    match copied {
        0 => {
            let message = format!("`{}` has no `tokenizer.json`", base.display());
            Err(Error::new("model-missing", message).option("model"))
        }
        _ => Ok(()),
    }
}
