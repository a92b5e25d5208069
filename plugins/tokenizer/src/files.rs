//! The files of a model's tokenizer: found, and read up to a bound.

use std::path::{Path, PathBuf};

use segue_model::{ModelError, files};
use segue_plugin::{Error, Result};
use serde_json::Value;

/// The largest vocabulary that is read, in bytes: twice the largest that is in common use.
const VOCABULARY_MAX: u64 = 64 << 20;

/// The largest of the small JSON files.
const CONFIG_MAX: u64 = 8 << 20;

/// Where the vocabulary is.
pub enum Files {
    /// `tokenizer.json`
    Tokenizer(PathBuf),
    /// `vocab.txt`
    Vocabulary(PathBuf),
}

impl Files {
    /// Finds the vocabulary in the folder `model`.
    ///
    /// # Errors
    /// `model-missing`, `bad-model`
    pub fn find(model: &Path) -> Result<Self> {
        let (whole, words) = (model.join("tokenizer.json"), model.join("vocab.txt"));
        if whole.exists() {
            Ok(Files::Tokenizer(whole))
        } else if words.exists() {
            Ok(Files::Vocabulary(words))
        } else {
            let message = format!(
                "`{}` has neither `tokenizer.json` nor `vocab.txt`",
                model.display()
            );
            Err(Error::new("model-missing", message).option("model"))
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Files::Tokenizer(path) | Files::Vocabulary(path) => path,
        }
    }

    /// Its content.
    ///
    /// # Errors
    /// `bad-model`
    pub fn text(&self) -> Result<String> {
        text(self.path(), VOCABULARY_MAX)
    }
}

/// The JSON object in the file `name` of the folder `model`; `None` where there is no such file.
///
/// # Errors
/// `bad-model`
pub fn json(model: &Path, name: &str) -> Result<Option<Value>> {
    let path = model.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let value: Value =
        serde_json::from_str(&text(&path, CONFIG_MAX)?).map_err(|e| bad(&path, e))?;
    if !value.is_object() {
        return Err(bad(&path, "it is not a JSON object"));
    }
    Ok(Some(value))
}

fn text(path: &Path, most: u64) -> Result<String> {
    files::read_text(path, most).map_err(unreadable)
}

/// What `segue-model` says of a file, as this operator says it.
pub fn unreadable(error: ModelError) -> Error {
    Error::new("bad-model", Error::from(error).message).option("model")
}

/// `path` cannot be used because of `reason`.
pub fn bad(path: &Path, reason: impl std::fmt::Display) -> Error {
    let message = format!("cannot use `{}`: {reason}", path.display());
    Error::new("bad-model", message).option("model")
}
