//! The one error of this module.

use std::fmt::Display;
use std::path::Path;

/// Why a file cannot be read or written.
#[derive(thiserror::Error, Clone, Debug, PartialEq)]
#[error("{message}")]
pub struct IoError {
    /// What kind of error, stable.
    pub code: &'static str,
    /// The option of the stage that is at fault: `path`, `text`, `label`,
    /// `unlabelled`, `exclude`.
    pub option: Option<&'static str>,
    /// Lower case, no full stop, names in backticks.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl IoError {
    /// An error of the file itself; `what` follows the file's name.
    pub(super) fn file(code: &'static str, path: &Path, what: impl Display) -> Self {
        Self::new(code, "path", format!("`{}` {what}", path.display()))
    }

    /// An error that `option` is to blame for.
    pub(super) fn new(code: &'static str, option: &'static str, message: String) -> Self {
        Self {
            code,
            option: Some(option),
            message,
            help: None,
        }
    }

    /// The same error with advice.
    pub(super) fn with_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }
}
