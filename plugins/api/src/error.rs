//! What goes wrong in a plugin.

use std::fmt;

/// What every call of a stage returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure that the host shows at the graph file's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Stable, lower case, words joined by `-`: `bad-option`.
    pub code: String,
    /// Lower case, no full stop, names in backticks.
    pub message: String,
    /// The option at fault, where one is.
    pub option: Option<String>,
}

impl Error {
    /// A failure of kind `code`.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Error {
            code: code.into(),
            message: message.into(),
            option: None,
        }
    }

    /// The same failure, blamed on the option `name`.
    pub fn option(mut self, name: impl Into<String>) -> Self {
        self.option = Some(name.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Error {}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Error::new("arrow", error.to_string())
    }
}
