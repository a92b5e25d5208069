//! The bytes of a text file at hand, with lines counted.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::PathBuf;

use encoding_rs::Encoding;

use super::bytes::{Bytes, Unfit};
use super::unreadable;
use crate::diagnostic::Diagnostic;
use crate::io::ReadOptions;
use crate::io::error::file_error;

const BLOCK_BYTES: usize = 64 * 1024;
const RECORD_BYTES_MIN: usize = 16 * 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A text file being read: a window on it that grows while a record is looked at, and moves on
/// when it is taken.
pub struct Input {
    path: PathBuf,
    file: File,
    encoding: Option<&'static Encoding>,
    stream: Bytes,
    window: Vec<u8>,
    /// Where what is not consumed begins.
    start: usize,
    bytes: u64,
    consumed: u64,
    line: u64,
    /// The longest record that is looked at as a whole.
    pub record_bytes_max: usize,
}

impl Input {
    /// Stands behind the byte order mark, if there is one.
    ///
    /// # Errors
    /// `unreadable`; `bad-file` when it is not text, saying what it is
    pub fn new(file: File, options: &ReadOptions) -> Result<Self, Diagnostic> {
        let path = &options.path;
        let failed = |error: &std::io::Error| unreadable(path, error);
        let bytes = file.metadata().map_err(|error| failed(&error))?.len();
        let mut input = Self {
            stream: stream(&file, path, options.encoding)?,
            path: path.clone(),
            file,
            encoding: options.encoding,
            window: Vec::new(),
            start: 0,
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

    /// Bytes consumed, as text.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// How much of the file is consumed, 0 to 1.
    pub fn progress(&self) -> f64 {
        let taken = if self.stream.plain {
            self.consumed
        } else {
            self.stream.taken()
        };
        // The file may grow while it is read.
        (taken as f64 / self.bytes.max(1) as f64).min(1.0)
    }

    /// The bytes at hand.
    pub fn window(&self) -> &[u8] {
        &self.window[self.start..]
    }

    /// The bytes at hand; none only at the end of the file.
    pub fn fill(&mut self) -> Result<&[u8], Diagnostic> {
        if self.start == self.window.len() {
            self.more()?;
        }
        Ok(self.window())
    }

    /// Adds to the bytes at hand; false when there are no more.
    pub fn more(&mut self) -> Result<bool, Diagnostic> {
        self.window.drain(..self.start);
        self.start = 0;
        let length = self.window.len();
        self.window.resize(length + BLOCK_BYTES, 0);
        let count = loop {
            match self.stream.read(&mut self.window[length..]) {
                Ok(count) => break count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.window.truncate(length);
                    return Err(unreadable(&self.path, &error));
                }
            }
        };
        self.window.truncate(length + count);
        Ok(count > 0)
    }

    /// Takes `count` of the bytes at hand.
    pub fn consume(&mut self, count: usize) {
        let taken = self.window().iter().take(count);
        self.line += taken.filter(|byte| **byte == b'\n').count() as u64;
        self.consumed += count as u64;
        self.start += count;
    }

    /// Passes over the rest of a line, however long; the bytes at hand are part of it.
    pub fn pass_line(&mut self) -> Result<(), Diagnostic> {
        loop {
            let (length, end) = {
                let window = self.window();
                (window.len(), window.iter().position(|byte| *byte == b'\n'))
            };
            self.consume(end.map_or(length, |end| end + 1));
            if end.is_some() {
                return Ok(());
            }
            if !self.more()? {
                return Ok(());
            }
        }
    }

    /// Back to the start.
    pub fn rewind(&mut self) -> Result<(), Diagnostic> {
        self.file
            .rewind()
            .map_err(|error| unreadable(&self.path, &error))?;
        self.stream = stream(&self.file, &self.path, self.encoding)?;
        self.window.clear();
        (self.start, self.consumed, self.line) = (0, 0, 1);
        self.skip_mark()
    }

    fn skip_mark(&mut self) -> Result<(), Diagnostic> {
        while self.window().len() < BYTE_ORDER_MARK.len() && self.more()? {}
        if self.window().starts_with(BYTE_ORDER_MARK) {
            self.consume(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }
}

fn stream(
    file: &File,
    path: &std::path::Path,
    encoding: Option<&'static Encoding>,
) -> Result<Bytes, Diagnostic> {
    let file = file.try_clone().map_err(|error| unreadable(path, &error))?;
    Bytes::new(file, encoding).map_err(|unfit| match unfit {
        Unfit::Io(error) => unreadable(path, &error),
        Unfit::Other(what, help) => {
            file_error("bad-file", path, format_args!("is {what}")).help(help)
        }
    })
}
