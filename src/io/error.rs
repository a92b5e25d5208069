//! How errors of files are made.

use std::fmt::Display;
use std::path::Path;

use crate::diagnostic::Diagnostic;

/// An error of the file itself; `what` follows the file's name.
pub(super) fn file_error(code: &str, path: &Path, what: impl Display) -> Diagnostic {
    option_error(code, "path", format!("`{}` {what}", path.display()))
}

/// An error that the stage's option `option` is to blame for: `path`, `text`, `label`,
/// `unlabelled` or `exclude`.
pub(super) fn option_error(code: &str, option: &str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(code, message).option(option)
}
