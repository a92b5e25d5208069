//! The rows of a Parquet file until it is complete.
//!
//! A spool is a row of frames: a length and a checksum, 8 bytes each with the
//! least first, then as many bytes of an Arrow IPC stream that holds one batch.
//! It only grows, and may be cut off behind any frame. The checksum is there
//! because the IPC reader panics on some damaged messages.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema};
use crc32fast::Hasher;

use super::{bad_resume, check_still, has_columns, in_the_way, open_at, write_failed};
use crate::diagnostic::Diagnostic;
use crate::io::Position;

/// Bytes of a frame before its stream.
const HEAD_BYTES: u64 = 16;

/// A spool being written.
pub struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    sum: Hasher,
}

impl Spool {
    /// Opens the spool at `path`, cut off at `resume_at`; `None` starts it afresh.
    ///
    /// # Errors
    /// `bad-resume` when it is not as it was written, when no frame ends there, or
    /// when it holds other columns than `schema`; `in-use`; `in-the-way`.
    pub fn open(
        path: &Path,
        schema: &Schema,
        resume_at: Option<Position>,
    ) -> Result<Self, Diagnostic> {
        if resume_at.is_none() && !is_spool(path) {
            return Err(in_the_way(path));
        }
        let (mut file, sum) = open_at(path, resume_at)?;
        let bytes = resume_at.map_or(0, |position| position.bytes);
        check_frames(path, &mut file, schema, bytes)?;
        file.seek(SeekFrom::Start(bytes))
            .map_err(|error| write_failed(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            bytes,
            sum,
        })
    }

    pub fn append(&mut self, batch: &RecordBatch) -> Result<(), Diagnostic> {
        let failed = |error| write_failed(&self.path, error);
        let frame = encode(batch).map_err(|error| write_failed(&self.path, error))?;
        for part in [head(&frame).as_slice(), &frame] {
            self.file.write_all(part).map_err(failed)?;
            self.sum.update(part);
            self.bytes += part.len() as u64;
        }
        Ok(())
    }

    /// Where the frames end.
    pub fn position(&self) -> Position {
        Position {
            bytes: self.bytes,
            crc32: self.sum.clone().finalize(),
        }
    }

    /// Puts all frames on disk.
    pub fn sync(&mut self) -> Result<(), Diagnostic> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .map_err(|error| write_failed(&self.path, error))?;
        check_still(self.file.get_ref(), &self.path, self.bytes)
    }

    /// The batches from the start. Needs a `sync` before.
    pub fn batches(&self) -> Result<Batches, Diagnostic> {
        Batches::open(&self.path)
    }
}

fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

fn head(frame: &[u8]) -> [u8; HEAD_BYTES as usize] {
    let mut head = [0; HEAD_BYTES as usize];
    head[..8].copy_from_slice(&(frame.len() as u64).to_le_bytes());
    head[8..].copy_from_slice(&checksum(frame).to_le_bytes());
    head
}

/// FNV-1a with 64 bits.
fn checksum(frame: &[u8]) -> u64 {
    frame.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Whether the file at `path` may be replaced: there is none, or it begins as a spool.
pub fn is_spool(path: &Path) -> bool {
    let mut start = Vec::new();
    match File::open(path) {
        Err(error) => error.kind() == ErrorKind::NotFound,
        Ok(file) if !file.metadata().is_ok_and(|found| found.is_file()) => false,
        Ok(file) => {
            let read = file.take(HEAD_BYTES + 4).read_to_end(&mut start);
            // A crash may have torn it; no text has a zero byte in it.
            let length = start.iter().skip(5).take(3);
            let stream = start.iter().skip(16);
            read.is_ok()
                && (start.is_empty() || start.len() > 5)
                && length.copied().all(|byte| byte == 0)
                && stream.copied().all(|byte| byte == 0xff)
        }
    }
}

fn check_frames(
    path: &Path,
    file: &mut File,
    schema: &Schema,
    position: u64,
) -> Result<(), Diagnostic> {
    let mut end = 0;
    while end < position {
        let length = frame_length(file, end).map_err(|error| write_failed(path, error))?;
        end = end.saturating_add(HEAD_BYTES).saturating_add(length);
    }
    if end != position {
        let what = format_args!("has no frame that ends at byte {position}");
        return Err(bad_resume(path, what));
    }
    match Batches::open(path)?.next() {
        Some(Ok(batch)) if !has_columns(&batch.schema(), schema) => {
            Err(bad_resume(path, "holds other columns than those to write"))
        }
        Some(Err(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Length of the frame at `start`; past the file's end a length that fits nowhere.
fn frame_length(file: &mut File, start: u64) -> std::io::Result<u64> {
    let mut length = [0; 8];
    file.seek(SeekFrom::Start(start))?;
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(u64::MAX),
        read => read.map(|()| u64::from_le_bytes(length)),
    }
}

/// The batches of a spool, in order.
pub struct Batches {
    path: PathBuf,
    file: BufReader<File>,
}

impl Batches {
    fn open(path: &Path) -> Result<Self, Diagnostic> {
        let file = File::open(path).map_err(|error| write_failed(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::new(file),
        })
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let mut found = [0; HEAD_BYTES as usize];
        if self.file.fill_buf()?.is_empty() {
            return Ok(None);
        }
        self.file.read_exact(&mut found)?;
        let [a, b, c, d, e, f, g, h, ..] = found;
        let length = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let mut frame = Vec::new();
        // Grows as it reads: a wrong length must not claim memory.
        (&mut self.file).take(length).read_to_end(&mut frame)?;
        if head(&frame) != found {
            return Err(ArrowError::IpcError("a frame is not as written".into()));
        }
        let mut stream = StreamReader::try_new(frame.as_slice(), None)?;
        stream.next().transpose()
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, Diagnostic>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose()?;
        Some(read.map_err(|error| bad_resume(&self.path, format_args!("is damaged: {error}"))))
    }
}
