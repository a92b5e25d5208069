//! What can be wrong with a model or with what it is given.

use std::fmt;

/// Why a model could not be loaded or run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// Stable code, such as `model-mismatch`.
    pub code: &'static str,
    /// What is wrong, naming the file or the value.
    pub message: String,
    /// What to do about it, when that is known.
    pub help: Option<String>,
}

impl ModelError {
    /// An error without a hint.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
        }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ModelError {}

impl From<ModelError> for segue_plugin::Error {
    fn from(error: ModelError) -> Self {
        match error.help {
            Some(help) => Self::new(error.code, format!("{}; {help}", error.message)),
            None => Self::new(error.code, error.message),
        }
    }
}
