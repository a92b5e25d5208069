//! The formats that grow in place.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crc32fast::Hasher;

use super::{bad_resume, check_batch, check_still, open_at, sync_folder, verify, write_failed};
use crate::diagnostic::Diagnostic;
use crate::io::{Position, Sink};

/// Turns batches into the lines of a text format.
pub trait Encode: Send {
    /// What the file starts with.
    fn header(&self) -> Vec<u8>;

    /// Appends the rows of `batch`, each with its `\n`.
    fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>);
}

/// See [`crate::io::create`].
pub fn create(
    path: &Path,
    schema: SchemaRef,
    encoder: Box<dyn Encode>,
    resume_at: Option<Position>,
) -> Result<Box<dyn Sink>, Diagnostic> {
    let header = encoder.header();
    let resume_at = resume_at.filter(|position| position.bytes > 0);
    let (mut file, sum) = open_at(path, resume_at)?;
    if let Some(position) = resume_at {
        check_header(path, &mut file, position, &header)?;
    }
    sync_folder(path);
    let mut sink = TextSink {
        path: path.to_owned(),
        file: BufWriter::new(file),
        bytes: resume_at.map_or(0, |position| position.bytes),
        sum,
        schema,
        encoder,
        lines: Vec::new(),
    };
    if resume_at.is_none() {
        sink.append(&header)?;
    }
    Ok(Box::new(sink))
}

/// A position to resume at lies behind the header.
fn check_header(
    path: &Path,
    file: &mut File,
    position: Position,
    header: &[u8],
) -> Result<(), Diagnostic> {
    let mut start = vec![0; header.len()];
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.read_exact(&mut start))
        .and_then(|()| file.seek(SeekFrom::Start(position.bytes)));
    if read.is_err() || start != header || position.bytes < header.len() as u64 {
        return Err(bad_resume(path, "does not start with the columns to write"));
    }
    Ok(())
}

struct TextSink {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    sum: Hasher,
    schema: SchemaRef,
    encoder: Box<dyn Encode>,
    /// Kept for its memory.
    lines: Vec<u8>,
}

impl TextSink {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Diagnostic> {
        self.bytes += bytes.len() as u64;
        self.sum.update(bytes);
        self.file
            .write_all(bytes)
            .map_err(|error| write_failed(&self.path, error))
    }
}

impl Sink for TextSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Diagnostic> {
        check_batch(&self.path, &self.schema, batch)?;
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        self.encoder.encode(batch, &mut lines);
        self.append(&lines)?;
        self.lines = lines;
        Ok(())
    }

    fn position(&self) -> Position {
        Position {
            bytes: self.bytes,
            crc32: self.sum.clone().finalize(),
        }
    }

    fn sync(&mut self) -> Result<(), Diagnostic> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .map_err(|error| write_failed(&self.path, error))?;
        check_still(self.file.get_ref(), &self.path, self.bytes)
    }

    fn finish(&mut self) -> Result<Position, Diagnostic> {
        self.sync()?;
        // Something may have cut it off and left a hole that later rows hid.
        verify(&self.path, self.position())?;
        Ok(self.position())
    }
}
