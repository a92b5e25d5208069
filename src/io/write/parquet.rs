//! Parquet, made from a spool when all rows are there. The spool stays until it is noted that
//! the file is complete: a file without one is not taken for what a run has made of it.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::spool::{Batches, Spool, is_spool};
use super::{beside, check_batch, in_the_way, sum, sync_folder, write_failed};
use crate::diagnostic::Diagnostic;
use crate::io::{Position, Sink};

const GROUP_ROWS: usize = 8192;

/// Rows handed to the encoder at once; `GROUP_ROWS` is a multiple. Where pages
/// end depends on it, so it must not follow the batches that come in.
const CHUNK_ROWS: usize = 256;

/// See [`crate::io::create`].
pub fn create(
    path: &Path,
    schema: SchemaRef,
    resume_at: Option<Position>,
) -> Result<Box<dyn Sink>, Diagnostic> {
    let spool_path = beside(path, "spool");
    if !is_unfinished(&beside(path, "tmp")) {
        return Err(in_the_way(&beside(path, "tmp")));
    }
    let spool = Spool::open(&spool_path, &schema, resume_at)?;
    sync_folder(path);
    Ok(Box::new(ParquetSink {
        path: path.to_owned(),
        spool_path,
        schema,
        spool,
    }))
}

struct ParquetSink {
    path: PathBuf,
    spool_path: PathBuf,
    schema: SchemaRef,
    spool: Spool,
}

impl Sink for ParquetSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Diagnostic> {
        check_batch(&self.path, &self.schema, batch)?;
        self.spool.append(batch)
    }

    fn position(&self) -> Position {
        self.spool.position()
    }

    fn sync(&mut self) -> Result<(), Diagnostic> {
        self.spool.sync()
    }

    fn finish(&mut self) -> Result<Position, Diagnostic> {
        self.sync()?;
        let failed = |error| write_failed(&self.path, error);
        let unfinished = beside(&self.path, "tmp");
        encode(&unfinished, &self.schema, self.spool.batches()?)?;
        fs::rename(&unfinished, &self.path).map_err(failed)?;
        sync_folder(&self.path);
        let file = File::open(&self.path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let crc32 = sum(&file, bytes).map_err(failed)?.finalize();
        Ok(Position { bytes, crc32 })
    }

    fn sweep(&mut self) {
        // One that stays behind is replaced by the next run.
        let _ = fs::remove_file(&self.spool_path);
    }
}

/// Removes what a crash left of the spool of the file at `path`, which is complete.
pub fn sweep(path: &Path) {
    let spool = beside(path, "spool");
    if is_spool(&spool) {
        // There is none, as a rule.
        let _ = fs::remove_file(spool);
    }
}

/// Whether the file at `path` may be replaced: there is none, or it is what a crash left
/// of one that was being made.
fn is_unfinished(path: &Path) -> bool {
    let mut magic = Vec::new();
    match File::open(path) {
        Err(error) => error.kind() == ErrorKind::NotFound,
        Ok(file) if !file.metadata().is_ok_and(|found| found.is_file()) => false,
        Ok(file) => {
            file.take(4).read_to_end(&mut magic).is_ok() && b"PAR1".starts_with(magic.as_slice())
        }
    }
}

fn encode(path: &Path, schema: &SchemaRef, batches: Batches) -> Result<(), Diagnostic> {
    let failed = |error: ParquetError| write_failed(path, error);
    let file = File::create(path).map_err(|error| write_failed(path, error))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(None)
        .build();
    let mut writer = ArrowWriter::try_new(BufWriter::new(file), schema.clone(), Some(properties))
        .map_err(failed)?;
    let mut chunks = Chunks::new(schema.clone());
    for batch in batches {
        chunks.push(batch?);
        while let Some(chunk) = chunks
            .next_full()
            .map_err(|error| write_failed(path, error))?
        {
            writer.write(&chunk).map_err(failed)?;
        }
    }
    let last = chunks
        .take(CHUNK_ROWS)
        .map_err(|error| write_failed(path, error))?;
    writer.write(&last).map_err(failed)?;
    let mut file = writer.into_inner().map_err(failed)?;
    file.flush()
        .and_then(|()| file.get_ref().sync_all())
        .map_err(|error| write_failed(path, error))
}

/// Cuts rows into chunks of `CHUNK_ROWS`, however they come.
struct Chunks {
    schema: SchemaRef,
    waiting: Vec<RecordBatch>,
    rows: usize,
}

impl Chunks {
    fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            waiting: Vec::new(),
            rows: 0,
        }
    }

    fn push(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        self.waiting.push(batch);
    }

    fn next_full(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.rows >= CHUNK_ROWS {
            self.take(CHUNK_ROWS).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Up to `rows` rows.
    fn take(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let mut missing = rows;
        let mut parts = Vec::new();
        let mut rest = Vec::new();
        for batch in self.waiting.drain(..) {
            let taken = missing.min(batch.num_rows());
            parts.push(batch.slice(0, taken));
            if taken < batch.num_rows() {
                rest.push(batch.slice(taken, batch.num_rows() - taken));
            }
            missing -= taken;
        }
        self.waiting = rest;
        self.rows -= rows - missing;
        concat_batches(&self.schema, &parts)
    }
}
