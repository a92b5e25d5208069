//! What stages and loop edges gave to keep, in a file of its own beside the journal.
//!
//! A line of JSON names the parts and their lengths, then they follow, one after another.
//! The journal's line has the file's name, length and CRC-32. The file of the next commit
//! has another name: until the journal speaks of that one, this one stays.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use serde::{Deserialize, Serialize};

use crate::dataflow::parcel::Part;
use crate::diagnostic::Diagnostic;

/// Where what was given lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// The file's name, beside the journal.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Its checksum.
    pub crc32: u32,
}

/// The rows that were on their way round one loop edge: what the stage gave at the last
/// time of the cut, each batch with which part of that it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoopRows(pub Vec<Part>);

/// All that was given to keep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// By stage, as the stage made it.
    pub stages: BTreeMap<String, Vec<u8>>,
    /// By the loop edge's number, in the order of the plan.
    pub loops: BTreeMap<usize, LoopRows>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(rename = "segue-state")]
    version: u32,
    stages: Vec<(String, usize)>,
    loops: Vec<(usize, usize)>,
}

impl Kept {
    /// Whether nothing is to be kept.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.loops.is_empty()
    }

    /// As the bytes of a file.
    ///
    /// # Errors
    /// `internal` when rows cannot be encoded
    pub fn encode(&self) -> Result<Vec<u8>, Diagnostic> {
        let failed = |e: ArrowError| Diagnostic::new("internal", format!("rows of a loop: {e}"));
        let loops: Vec<(usize, Vec<u8>)> = (self.loops.iter())
            .map(|(edge, rows)| Ok((*edge, encode_rows(&rows.0)?)))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let head = Head {
            version: 2,
            stages: (self.stages.iter())
                .map(|(n, s)| (n.clone(), s.len()))
                .collect(),
            loops: loops.iter().map(|(edge, b)| (*edge, b.len())).collect(),
        };
        let head = serde_json::to_string(&head);
        let mut bytes = head.unwrap_or_default().into_bytes();
        bytes.push(b'\n');
        self.stages.values().for_each(|state| bytes.extend(state));
        loops.iter().for_each(|(_, rows)| bytes.extend(rows));
        Ok(bytes)
    }

    /// From the bytes of a file.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        let mut rest = &bytes[end + 1..];
        let mut take = |length: usize| {
            let (part, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(part)
        };
        let mut kept = Kept::default();
        for (name, length) in head.stages {
            kept.stages.insert(name, take(length)?.to_vec());
        }
        for (edge, length) in head.loops {
            kept.loops.insert(edge, decode_rows(take(length)?)?);
        }
        (head.version == 2 && rest.is_empty()).then_some(kept)
    }
}

/// Each as the length of its part's number, that number, the length of an Arrow stream, and
/// that stream.
fn encode_rows(batches: &[Part]) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::new();
    for (part, batch) in batches {
        bytes.extend((part.len() as u64).to_le_bytes());
        part.iter()
            .for_each(|number| bytes.extend(number.to_le_bytes()));
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(batch)?;
        let frame = writer.into_inner()?;
        bytes.extend((frame.len() as u64).to_le_bytes());
        bytes.extend(frame);
    }
    Ok(bytes)
}

fn decode_rows(mut bytes: &[u8]) -> Option<LoopRows> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let length = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).ok();
        let (numbers, rest) = bytes.split_first_chunk::<8>()?;
        let (numbers, rest) = rest.split_at_checked(length(numbers)?.checked_mul(4)?)?;
        let part = numbers.as_chunks().0.iter();
        let part: Vec<u32> = part.map(|number| u32::from_le_bytes(*number)).collect();
        let (frame, rest) = rest.split_first_chunk::<8>()?;
        let (frame, rest) = rest.split_at_checked(length(frame)?)?;
        let batch = StreamReader::try_new(frame, None).ok()?.next()?.ok()?;
        rows.push((part, batch));
        bytes = rest;
    }
    Some(LoopRows(rows))
}

/// Writes `kept` of the cut at `time` beside the journal at `journal`; it is on disk when
/// this returns.
///
/// # Errors
/// `write-failed`
pub fn write(journal: &Path, time: u64, kept: &Kept) -> Result<Option<Stored>, Diagnostic> {
    if kept.is_empty() {
        return Ok(None);
    }
    let bytes = kept.encode()?;
    let path = at(journal, time);
    let put = || -> std::io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    put().map_err(|e| {
        let path = path.display();
        Diagnostic::new("write-failed", format!("cannot write `{path}`: {e}"))
    })?;
    crate::io::sync_folder(&path);
    let name = path.file_name().unwrap_or_default();
    Ok(Some(Stored {
        file: name.to_string_lossy().into_owned(),
        bytes: bytes.len() as u64,
        crc32: crc32fast::hash(&bytes),
    }))
}

/// What `stored` speaks of, beside the journal at `journal`.
///
/// # Errors
/// `bad-resume` when it is gone, or is not as it was written
pub fn read(journal: &Path, stored: &Stored) -> Result<Kept, Diagnostic> {
    let path = journal.with_file_name(&stored.file);
    let bad = |what: String| {
        Diagnostic::new("bad-resume", format!("`{}` {what}", path.display()))
            .help("leave out `--resume` to start afresh")
    };
    let bytes = std::fs::read(&path).map_err(|e| bad(format!("cannot be read: {e}")))?;
    let right = bytes.len() as u64 == stored.bytes && crc32fast::hash(&bytes) == stored.crc32;
    let kept = Kept::decode(&bytes).filter(|_| right);
    kept.ok_or_else(|| bad("is not as it was written".to_owned()))
}

/// Removes what `stored` speaks of: it is not needed any more.
pub fn remove(journal: &Path, stored: &Stored) {
    // What stays behind is never read again.
    let _ = std::fs::remove_file(journal.with_file_name(&stored.file));
}

/// Removes what crashes left beside the journal at `journal`, but for what `keep` speaks of.
pub fn sweep(journal: &Path, keep: Option<&Stored>) {
    let begins = begin(journal);
    let folder = journal.parent().filter(|folder| *folder != Path::new(""));
    let found = std::fs::read_dir(folder.unwrap_or(Path::new(".")));
    for entry in found.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let time = name.strip_prefix(&begins);
        let digits = |time: &str| !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit());
        let kept = keep.is_some_and(|stored| stored.file == name);
        if time.is_some_and(digits) && !kept && is_ours(&entry.path()) {
            // What stays behind is never read again.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_ours(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(15).read_to_end(&mut start));
    read.is_ok() && b"{\"segue-state\":".starts_with(start.as_slice())
}

fn at(journal: &Path, time: u64) -> PathBuf {
    journal.with_file_name(format!("{}{time}", begin(journal)))
}

fn begin(journal: &Path) -> String {
    let name = journal.file_name().unwrap_or_default().to_string_lossy();
    let output = name.strip_suffix(".journal").unwrap_or(&name);
    format!("{output}.state-")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, UInt64Array};

    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![3, 4]));
        let rows = arrow_array::RecordBatch::try_from_iter([("x", column)]).unwrap();
        let kept = Kept {
            stages: [("a\n".to_owned(), vec![1, 2, 3]), ("b".to_owned(), vec![])].into(),
            loops: [
                (
                    0,
                    LoopRows(vec![(vec![0], rows.clone()), (vec![], rows.slice(1, 1))]),
                ),
                (1, LoopRows(vec![])),
            ]
            .into(),
        };
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("out.jsonl.journal");
        let stored = write(&journal, 7, &kept).unwrap().unwrap();
        assert_eq!(stored.file, "out.jsonl.state-7");
        assert_eq!(read(&journal, &stored).unwrap(), kept);
        let path = folder.path().join(&stored.file);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read(&journal, &stored).unwrap_err().code, "bad-resume");
    }
}
