//! A file's format, told by its ending.

use crate::diagnostic::Diagnostic;
use crate::io::error::file_error;
use std::path::Path;

const ENDINGS: [(&str, Format); 5] = [
    ("csv", Format::Csv { delimiter: b',' }),
    ("tsv", Format::Csv { delimiter: b'\t' }),
    ("jsonl", Format::JsonLines),
    ("ndjson", Format::JsonLines),
    ("parquet", Format::Parquet),
];

/// Endings behind another.
const PACKED: [&str; 4] = ["gz", "gzip", "zst", "zstd"];

/// The formats this module reads and writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// Comma or tab separated, quoted as RFC 4180 says.
    Csv {
        /// What stands between two fields.
        delimiter: u8,
    },
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format of the file at `path`, which may be packed: `reviews.csv.gz`.
    ///
    /// # Errors
    /// `unknown-format`
    pub fn of_packed(path: &Path) -> Result<Self, Diagnostic> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if PACKED
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
        {
            Self::of(&path.with_extension("")).map_err(|_| unknown(path))
        } else {
            Self::of(path)
        }
    }

    /// The format of `path`; the ending's letter case does not matter.
    ///
    /// # Errors
    /// `unknown-format`
    pub fn of(path: &Path) -> Result<Self, Diagnostic> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        ENDINGS
            .iter()
            .find(|(known, _)| ending.eq_ignore_ascii_case(known))
            .map(|(_, format)| *format)
            .ok_or_else(|| unknown(path))
    }
}

fn unknown(path: &Path) -> Diagnostic {
    let endings = ENDINGS.map(|(ending, _)| format!("`.{ending}`")).join(", ");
    file_error(
        "unknown-format",
        path,
        format_args!("has none of the endings {endings}"),
    )
}
