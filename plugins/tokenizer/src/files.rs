//! The files of a model's tokenizer: found, and read up to a bound.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

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

/// Reads a file that may be anything: a pipe or a device would never end.
fn text(path: &Path, most: u64) -> Result<String> {
    let about = path.metadata().map_err(|e| bad(path, e))?;
    if !about.is_file() {
        return Err(bad(path, "it is not a regular file"));
    }
    let too_large = || bad(path, format!("it has more than {} MiB", most >> 20));
    if about.len() > most {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| bad(path, e))?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| bad(path, e))?;
    if bytes.len() as u64 > most {
        return Err(too_large());
    }
    let text = String::from_utf8(bytes);
    text.map_err(|_| bad(path, "it is not UTF-8 text"))
}

/// `path` cannot be used because of `reason`.
pub fn bad(path: &Path, reason: impl std::fmt::Display) -> Error {
    let message = format!("cannot use `{}`: {reason}", path.display());
    Error::new("bad-model", message).option("model")
}
