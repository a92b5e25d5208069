//! A trained model as a folder.

use std::path::Path;

use segue_learn::store::write_whole;
use segue_model::{ModelError, files};
use segue_plugin::{Error, Result};

use crate::config::ModelShape;
use crate::params;

/// Far more than any tokenizer has.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The files of a model's tokenizer, by name.
pub type Tokenizer = Vec<(&'static str, Vec<u8>)>;

/// Reads the tokenizer of the model in `base`: at the start, so that a model without one does
/// not show after an hour of training.
///
/// # Errors
/// `model-missing`
pub fn read_tokenizer(base: &Path) -> Result<Tokenizer> {
    let names = [
        "tokenizer.json",
        "vocab.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ];
    // Most of them may be missing.
    let there = |name: &&str| base.join(name).exists();
    let read = |name| Ok((name, files::read(&base.join(name), FILE_BYTES_MAX)?));
    let files: Tokenizer =
        (names.into_iter().filter(there).map(read)).collect::<Result<_, ModelError>>()?;
    match files.first() {
        Some((first, _)) if names[..2].contains(first) => Ok(files),
        _ => {
            let base = base.display();
            let message = format!("`{base}` has neither `tokenizer.json` nor `vocab.txt`");
            Err(Error::new("model-missing", message))
        }
    }
}

/// Writes `config.json`, `model.safetensors` and the files of `tokenizer`.
///
/// # Errors
/// `write-failed`
pub fn write_model(
    folder: &Path,
    tokenizer: &Tokenizer,
    (shape, vectors): (&ModelShape, &[Vec<f32>]),
    config: &str,
    half_precision: bool,
) -> Result<()> {
    let weights = params::file(shape, vectors, half_precision)?;
    write_files(folder, tokenizer, &weights, config)
}

/// The same, of weights that are bytes already.
///
/// # Errors
/// `write-failed`
pub fn write_files(
    folder: &Path,
    tokenizer: &Tokenizer,
    weights: &[u8],
    config: &str,
) -> Result<()> {
    write_whole(&folder.join("model.safetensors"), weights)?;
    write_whole(&folder.join("config.json"), config.as_bytes())?;
    for (name, bytes) in tokenizer {
        write_whole(&folder.join(name), bytes)?;
    }
    Ok(())
}
