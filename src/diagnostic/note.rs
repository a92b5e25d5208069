//! What a user should know though nothing failed.

use serde::{Deserialize, Serialize};

use super::visible;

/// Something that is not an error, such as a column that is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// The stage it is about.
    pub stage: String,
    /// Lower case, no full stop, names in backticks.
    pub message: String,
}

impl Note {
    /// A note on `stage`.
    pub fn new(stage: impl Into<String>, message: impl Into<String>) -> Self {
        Note {
            stage: stage.into(),
            message: message.into(),
        }
    }

    /// The note as people read it: one line, with its end.
    pub fn render(&self) -> String {
        format!(
            "note: `{}`: {}\n",
            visible(&self.stage),
            visible(&self.message)
        )
    }
}
