//! The formats that grow in place.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::{bad_resume, check_batch, open_at, sync_folder, write_failed};
use crate::io::{IoError, Sink};

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
    resume_at: Option<u64>,
) -> Result<Box<dyn Sink>, IoError> {
    let header = encoder.header();
    let position = resume_at.unwrap_or(0);
    let mut file = open_at(path, position)?;
    if position > 0 {
        check_position(path, &mut file, position, &header)?;
    }
    let failed = |error| write_failed(path, error);
    file.set_len(position).map_err(failed)?;
    file.seek(SeekFrom::Start(position)).map_err(failed)?;
    sync_folder(path);
    let mut sink = TextSink {
        path: path.to_owned(),
        file: BufWriter::new(file),
        position,
        schema,
        encoder,
        lines: Vec::new(),
    };
    if position == 0 {
        sink.append(&header)?;
    }
    Ok(Box::new(sink))
}

/// A position to resume at lies behind the header and a line's end.
fn check_position(
    path: &Path,
    file: &mut File,
    position: u64,
    header: &[u8],
) -> Result<(), IoError> {
    let mut start = vec![0; header.len()];
    let mut last = [0];
    let read = file
        .read_exact(&mut start)
        .and_then(|()| file.seek(SeekFrom::Start(position - 1)))
        .and_then(|_| file.read_exact(&mut last));
    if read.is_err() || start != header || position < header.len() as u64 {
        return Err(bad_resume(path, "does not start with the columns to write"));
    }
    if last != *b"\n" {
        let what = format_args!("has no line that ends at byte {position}");
        return Err(bad_resume(path, what));
    }
    Ok(())
}

struct TextSink {
    path: PathBuf,
    file: BufWriter<File>,
    position: u64,
    schema: SchemaRef,
    encoder: Box<dyn Encode>,
    /// Kept for its memory.
    lines: Vec<u8>,
}

impl TextSink {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.position += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .map_err(|error| write_failed(&self.path, error))
    }
}

impl Sink for TextSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), IoError> {
        check_batch(&self.path, &self.schema, batch)?;
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        self.encoder.encode(batch, &mut lines);
        self.append(&lines)?;
        self.lines = lines;
        Ok(())
    }

    fn sync(&mut self) -> Result<u64, IoError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .map_err(|error| write_failed(&self.path, error))?;
        Ok(self.position)
    }

    fn finish(&mut self) -> Result<(), IoError> {
        self.sync().map(|_| ())
    }
}
