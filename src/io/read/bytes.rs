//! A text file's bytes as UTF-8: unpacked, and decoded from another encoding.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{Decoder, DecoderResult, Encoding};

use super::sniff::{self, Packed};

/// Bytes looked at to tell what a file is.
const PEEK_BYTES: usize = 4096;
const BLOCK_BYTES: usize = 64 * 1024;
/// What a decoder leaves in place of bytes that are not of the encoding. It is not UTF-8
/// either, so that the record is found wanting where it is checked.
const UNDECODABLE: u8 = 0xff;

/// The stream, and how it is made.
pub struct Bytes {
    reader: Box<dyn Read + Send>,
    /// Bytes of the file itself that were taken.
    taken: Arc<AtomicU64>,
    /// Whether the bytes given are those of the file.
    pub plain: bool,
}

/// Why a file is not read as text.
pub enum Unfit {
    /// It cannot be read.
    Io(std::io::Error),
    /// It is something else, and what to do about it.
    Other(&'static str, String),
}

impl From<std::io::Error> for Unfit {
    fn from(error: std::io::Error) -> Self {
        Unfit::Io(error)
    }
}

impl Bytes {
    /// The text in `file`, which stands at its start. Without an encoding it is UTF-8, or
    /// what its byte order mark says.
    pub fn new(file: File, encoding: Option<&'static Encoding>) -> Result<Self, Unfit> {
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            file,
            taken: Arc::clone(&taken),
        };
        let (start, raw) = peek(Box::new(counted))?;
        let packed = sniff::packed(&start);
        let (start, reader) = match packed {
            None => (start, raw),
            Some(Packed::Gzip) => peek(Box::new(flate2::bufread::MultiGzDecoder::new(
                BufReader::with_capacity(BLOCK_BYTES, raw),
            )))?,
            Some(Packed::Zstd) => peek(Box::new(zstd::stream::read::Decoder::new(raw)?))?,
        };
        let mark = Encoding::for_bom(&start).map(|(encoding, _)| encoding);
        let encoding = match (encoding, mark) {
            // A mark is in the file itself, and an option may be of another file.
            (_, Some(marked)) => Some(marked),
            (Some(asked), None) => Some(asked),
            (None, None) => match sniff::not_text(&start) {
                Some((what, help)) => return Err(Unfit::Other(what, help)),
                None => None,
            },
        };
        let encoding = encoding.filter(|encoding| *encoding != encoding_rs::UTF_8);
        Ok(match encoding {
            None => Bytes {
                reader,
                taken,
                plain: packed.is_none(),
            },
            Some(encoding) => Bytes {
                reader: Box::new(Decoding::new(reader, encoding)),
                taken,
                plain: false,
            },
        })
    }

    /// Bytes of the file that were taken so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// The first bytes, and a reader of all of them.
fn peek(mut reader: Box<dyn Read + Send>) -> std::io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(PEEK_BYTES as u64)
        .read_to_end(&mut start)?;
    let whole = Cursor::new(start.clone()).chain(reader);
    Ok((start, Box::new(whole)))
}

struct Counted {
    file: File,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// UTF-8 from another encoding.
struct Decoding {
    inner: Box<dyn Read + Send>,
    decoder: Decoder,
    raw: Vec<u8>,
    /// What of `raw` is not decoded yet.
    start: usize,
    ended: bool,
    finished: bool,
    text: Vec<u8>,
    given: usize,
}

impl Decoding {
    fn new(inner: Box<dyn Read + Send>, encoding: &'static Encoding) -> Self {
        Decoding {
            inner,
            decoder: encoding.new_decoder_with_bom_removal(),
            raw: Vec::new(),
            start: 0,
            ended: false,
            finished: false,
            text: Vec::new(),
            given: 0,
        }
    }

    fn refill(&mut self) -> std::io::Result<()> {
        if self.start == self.raw.len() && !self.ended {
            self.raw.resize(BLOCK_BYTES, 0);
            let count = self.inner.read(&mut self.raw)?;
            self.raw.truncate(count);
            self.start = 0;
            self.ended = count == 0;
        }
        self.text.resize(BLOCK_BYTES * 3 + 16, 0);
        self.given = 0;
        let room = self.text.len() - 1;
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.raw[self.start..],
            &mut self.text[..room],
            self.ended,
        );
        self.start += read;
        self.text.truncate(written);
        match result {
            DecoderResult::Malformed(..) => self.text.push(UNDECODABLE),
            DecoderResult::InputEmpty => self.finished = self.ended,
            DecoderResult::OutputFull => {}
        }
        Ok(())
    }
}

impl Read for Decoding {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.given == self.text.len() && !self.finished {
            self.refill()?;
        }
        let count = buffer.len().min(self.text.len() - self.given);
        buffer[..count].copy_from_slice(&self.text[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
