//! Buffered bytes of a text file, with lines counted.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Seek};
use std::path::PathBuf;

use super::unreadable;
use crate::io::{IoError, ReadOptions};

const BUFFER_BYTES: usize = 64 * 1024;
const RECORD_BYTES_MIN: usize = 16 * 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A text file being read.
pub struct Input {
    path: PathBuf,
    reader: BufReader<File>,
    bytes: u64,
    consumed: u64,
    line: u64,
    record_bytes_max: usize,
}

impl Input {
    /// Stands behind the byte order mark, if there is one.
    pub fn new(file: File, options: &ReadOptions) -> Result<Self, IoError> {
        let bytes = file
            .metadata()
            .map_err(|error| unreadable(&options.path, &error))?
            .len();
        let mut input = Self {
            path: options.path.clone(),
            reader: BufReader::with_capacity(BUFFER_BYTES, file),
            bytes,
            consumed: 0,
            line: 1,
            record_bytes_max: options.max_bytes.saturating_mul(16).max(RECORD_BYTES_MIN),
        };
        input.skip_mark()?;
        Ok(input)
    }

    /// The line of the next byte, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// How much of the file is consumed, 0 to 1.
    pub fn progress(&self) -> f64 {
        // The file may grow while it is read.
        (self.consumed as f64 / self.bytes.max(1) as f64).min(1.0)
    }

    /// The bytes at hand; none only at the end of the file.
    pub fn fill(&mut self) -> Result<&[u8], IoError> {
        loop {
            match self.reader.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&self.path, &error)),
            }
        }
        Ok(self.reader.buffer())
    }

    /// Takes `count` of the bytes at hand.
    pub fn consume(&mut self, count: usize) {
        let taken = self.reader.buffer().iter().take(count);
        self.line += taken.filter(|byte| **byte == b'\n').count() as u64;
        self.consumed += count as u64;
        self.reader.consume(count);
    }

    /// Back to the start.
    pub fn rewind(&mut self) -> Result<(), IoError> {
        self.reader
            .rewind()
            .map_err(|error| unreadable(&self.path, &error))?;
        self.consumed = 0;
        self.line = 1;
        self.skip_mark()
    }

    /// Keeps a record without end from taking all memory.
    ///
    /// # Errors
    /// `record-too-large`, naming `line`, where the record starts.
    pub fn check_record(&self, bytes: usize, line: u64) -> Result<(), IoError> {
        let limit = self.record_bytes_max;
        if bytes <= limit {
            return Ok(());
        }
        let what = format_args!("has a record at line {line} that is longer than {limit} bytes");
        Err(
            IoError::file("record-too-large", &self.path, what).with_help(Some(format!(
                "see whether a quote is left open at line {line}"
            ))),
        )
    }

    fn skip_mark(&mut self) -> Result<(), IoError> {
        if self.fill()?.starts_with(BYTE_ORDER_MARK) {
            self.consume(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }
}
