//! A safetensors file: its header, and positioned reads of single tensors.
//!
//! Nothing is mapped: a segment touches the bytes of its own tensors and no others.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use segue_kernels::Quantized;

use crate::error::ModelError;
use crate::files::{self, unreadable};
use crate::header::{HEADER_BYTES_MAX, Header};
use crate::stored::Stored;

/// What follows a tensor's name in the name of its scales.
const SCALES: &str = "_scale";

/// What follows the name of a tensor without zeros in the names of its two parts: a bit for each
/// of its numbers, the first of a byte lowest, and the numbers whose bits are set.
const MASK: &str = "_mask";
const KEPT: &str = "_kept";

/// An open file and its header.
#[derive(Debug)]
pub(crate) struct SafeFile {
    path: PathBuf,
    file: File,
    header: Header,
    data_start: u64,
    bytes: u64,
}

impl SafeFile {
    /// Opens `path` and reads its header only.
    ///
    /// # Errors
    /// `model-missing`, `model-truncated`, or `model-mismatch` when it is not a safetensors file.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = files::open(path)?;
        let bytes = file.metadata().map_err(|e| unreadable(path, &e))?.len();
        let header_bytes = header_length(path, &file, bytes)?;
        let mut header = vec![0; header_bytes as usize];
        let read = file.read_exact_at(&mut header, 8);
        read.map_err(|e| unreadable(path, &e))?;
        let header = Header::parse(&header).map_err(|why| {
            mismatch(path, &format!("has an unreadable header: {why}"))
                .help("copy or download the file again")
        })?;
        let this = Self {
            path: path.into(),
            data_start: 8 + header_bytes,
            file,
            header,
            bytes,
        };
        this.check_end()?;
        Ok(this)
    }

    /// The names of its tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let sparse = self.header.sparse.keys();
        (self.header.tensors.keys().chain(sparse)).map(String::as_str)
    }

    /// The shape of tensor `name`, which is called `shown` for people.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let dense = self.header.tensors.get(name).map(|info| &info.shape);
        let shape = dense.or_else(|| self.header.sparse.get(name))?;
        Some(shape)
    }

    /// Bytes of tensor `name` in the type that the file stores, its zeros and its scales among
    /// them, checked to be all there.
    ///
    /// # Errors
    /// `model-mismatch` or `model-truncated`
    pub fn stored_bytes(&self, name: &str) -> Result<u64, ModelError> {
        if self.header.sparse.contains_key(name) {
            let sparse = self.locate_sparse(name)?;
            return Ok((sparse.count * width(sparse.kept.0).unwrap_or_default()) as u64);
        }
        match self.locate(name)? {
            (Dtype::I8, _, bytes) => Ok((bytes + self.locate_scales(name)?.1) as u64),
            (_, _, bytes) => Ok(bytes as u64),
        }
    }

    /// Reads tensor `name`.
    ///
    /// # Errors
    /// As [`Self::stored_bytes`], and `model-missing` when the read itself fails.
    pub fn read(&self, name: &str) -> Result<Stored, ModelError> {
        let (dtype, raw) = if self.header.sparse.contains_key(name) {
            self.read_sparse(name)?
        } else {
            let (dtype, at, bytes) = self.locate(name)?;
            (dtype, self.bytes_at(at, bytes)?)
        };
        let pairs = || raw.as_chunks::<2>().0.iter();
        let fours = || raw.as_chunks::<4>().0.iter();
        Ok(match dtype {
            Dtype::F16 => Stored::F16(pairs().map(|b| f16::from_le_bytes(*b)).collect()),
            Dtype::BF16 => Stored::Bf16(pairs().map(|b| bf16::from_le_bytes(*b)).collect()),
            Dtype::I8 => {
                let (at, bytes) = self.locate_scales(name)?;
                let scales = self.bytes_at(at, bytes)?;
                let scales = scales.as_chunks::<4>().0.iter();
                Stored::Int8(Quantized {
                    numbers: raw.into_iter().map(u8::cast_signed).collect(),
                    scales: scales.map(|b| f32::from_le_bytes(*b)).collect(),
                })
            }
            _ => Stored::F32(fours().map(|b| f32::from_le_bytes(*b)).collect()),
        })
    }

    fn bytes_at(&self, at: u64, bytes: usize) -> Result<Vec<u8>, ModelError> {
        let mut raw = vec![0; bytes];
        let read = self.file.read_exact_at(&mut raw, at);
        read.map_err(|e| unreadable(&self.path, &e))?;
        Ok(raw)
    }

    /// First byte and length of the scales of tensor `name`: f32, one a row.
    fn locate_scales(&self, name: &str) -> Result<(u64, usize), ModelError> {
        let scales = format!("{name}{SCALES}");
        let shape = self.shape(name).unwrap_or_default();
        let rows = shape.first().copied().unwrap_or_default();
        let fits = |found: &[usize]| found == [rows] || found == [rows, 1];
        if shape.len() != 2 || !self.shape(&scales).is_some_and(fits) {
            let what = format!("stores `{name}` as I8, but has no scale for each row of it");
            return Err(mismatch(&self.path, &what)
                .help(format!("bytes are read with `{scales}`, an f32 a row")));
        }
        match self.locate(&scales)? {
            (Dtype::F32, at, bytes) => Ok((at, bytes)),
            (other, ..) => Err(
                mismatch(&self.path, &format!("stores `{scales}` as {other:?}"))
                    .help("scales of bytes are f32"),
            ),
        }
    }

    /// Where the two parts of a tensor without zeros are.
    fn locate_sparse(&self, name: &str) -> Result<Sparse, ModelError> {
        let mismatch = |what: String| mismatch(&self.path, &what);
        let shape = self.shape(name).unwrap_or_default();
        let count = shape.iter().try_fold(1, |n: usize, d| n.checked_mul(*d));
        let [mask, kept] = [MASK, KEPT].map(|part| format!("{name}{part}"));
        let (Some(count), Some(bits)) = (count, self.header.tensors.get(&mask)) else {
            return Err(mismatch(format!(
                "says that `{name}` of shape {shape:?} is stored without its zeros, but has no \
                 `{mask}` for it"
            )));
        };
        if bits.dtype != Dtype::U8 || bits.shape != [count.div_ceil(8)] {
            let (dtype, found) = (bits.dtype, &bits.shape);
            return Err(mismatch(format!(
                "has `{mask}` as {dtype:?} of shape {found:?}, but a bit for each of {count} \
                 numbers is {} bytes",
                count.div_ceil(8)
            )));
        }
        let (_, at, bytes) = self.locate_as(&mask, 1)?;
        let kept = match self.locate(&kept)? {
            (Dtype::I8, ..) => {
                return Err(mismatch(format!("stores `{kept}` as I8"))
                    .help("what is left of a tensor is f32, f16 or bf16"));
            }
            found => found,
        };
        let mask = (at, bytes);
        Ok(Sparse { count, mask, kept })
    }

    /// The bytes of a tensor that is stored without zeros, and their type.
    fn read_sparse(&self, name: &str) -> Result<(Dtype, Vec<u8>), ModelError> {
        let Sparse {
            count,
            mask: (at, bytes),
            kept: (dtype, kept_at, kept_bytes),
        } = self.locate_sparse(name)?;
        let (mask, kept) = (
            self.bytes_at(at, bytes)?,
            self.bytes_at(kept_at, kept_bytes)?,
        );
        let width = width(dtype).unwrap_or(1);
        let set: usize = mask.iter().map(|byte| byte.count_ones() as usize).sum();
        let beyond = mask
            .last()
            .is_some_and(|last| count % 8 > 0 && last >> (count % 8) != 0);
        if set * width != kept.len() || beyond {
            let what = format!(
                "has {} numbers in `{name}{KEPT}`, but `{name}{MASK}` sets {set} bits for {count}",
                kept.len() / width
            );
            return Err(mismatch(&self.path, &what).help("copy or download the file again"));
        }
        let mut all = vec![0; count * width];
        let mut kept = kept.chunks_exact(width);
        for (number, to) in all.chunks_exact_mut(width).enumerate() {
            if mask[number / 8] >> (number % 8) & 1 == 1
                && let Some(value) = kept.next()
            {
                to.copy_from_slice(value);
            }
        }
        Ok((dtype, all))
    }

    /// Type, first byte in the file, and length in bytes of a tensor of weights.
    fn locate(&self, name: &str) -> Result<(Dtype, u64, usize), ModelError> {
        let mismatch = |what: String| mismatch(&self.path, &what);
        let Some(info) = self.header.tensors.get(name) else {
            return Err(mismatch(format!("has no tensor `{name}`")));
        };
        match width(info.dtype) {
            Some(width) => self.locate_as(name, width),
            None => Err(mismatch(format!("stores `{name}` as {:?}", info.dtype))
                .help("f32, f16, bf16 and int8 weights can be read")),
        }
    }

    /// The same of a tensor whose numbers take `width` bytes each.
    fn locate_as(&self, name: &str, width: usize) -> Result<(Dtype, u64, usize), ModelError> {
        let mismatch = |what: String| mismatch(&self.path, &what);
        let Some(info) = self.header.tensors.get(name) else {
            return Err(mismatch(format!("has no tensor `{name}`")));
        };
        let count = info
            .shape
            .iter()
            .try_fold(width, |n: usize, d| n.checked_mul(*d));
        let (from, to) = info.data_offsets;
        let Some(needed) = count.filter(|needed| to.checked_sub(from) == Some(*needed)) else {
            return Err(mismatch(format!(
                "gives `{name}` the bytes {from}..{to}, but its shape {:?} takes others",
                info.shape
            )));
        };
        match self.data_start.checked_add(to as u64) {
            Some(end) if end <= self.bytes => {}
            _ => return Err(self.truncated(name, from, to)),
        }
        Ok((info.dtype, self.data_start + from as u64, needed))
    }

    /// A file that is longer than its tensors has a header of another file.
    fn check_end(&self) -> Result<(), ModelError> {
        let end = self.data_start.checked_add(self.header.data_bytes() as u64);
        if end.is_some_and(|end| end < self.bytes) {
            let what = format!(
                "has {} bytes, but its tensors end at {}",
                self.bytes,
                end.unwrap_or_default()
            );
            return Err(mismatch(&self.path, &what).help("copy or download the file again"));
        }
        Ok(())
    }

    fn truncated(&self, name: &str, from: usize, to: usize) -> ModelError {
        ModelError::new(
            "model-truncated",
            format!(
                "`{}` ends after {} bytes, but `{name}` takes bytes {from}..{to} behind a header of {}",
                self.path.display(),
                self.bytes,
                self.data_start
            ),
        )
        .help("copy or download the file again")
    }
}

/// Where a tensor that is stored without its zeros lies.
struct Sparse {
    /// How many numbers it has.
    count: usize,
    /// First byte and length of the bits.
    mask: (u64, usize),
    /// Type, first byte and length of the numbers that are not zero.
    kept: (Dtype, u64, usize),
}

/// Bytes of a weight.
fn width(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::F32 => Some(4),
        Dtype::F16 | Dtype::BF16 => Some(2),
        Dtype::I8 => Some(1),
        _ => None,
    }
}

fn mismatch(path: &Path, what: &str) -> ModelError {
    ModelError::new("model-mismatch", format!("`{}` {what}", path.display()))
}

/// Length of the header in bytes, checked against the file's.
fn header_length(path: &Path, file: &File, bytes: u64) -> Result<u64, ModelError> {
    let short = |needed: u64| {
        let message = format!(
            "`{}` is {bytes} bytes long, but its header alone takes {needed}",
            path.display()
        );
        ModelError::new("model-truncated", message).help("copy or download the file again")
    };
    let mut prefix = [0; 8];
    if file.read_exact_at(&mut prefix, 0).is_err() {
        return Err(short(8));
    }
    let stated = u64::from_le_bytes(prefix);
    if stated > HEADER_BYTES_MAX {
        return Err(mismatch(path, "is not a safetensors file"));
    }
    if stated > bytes - 8 {
        Err(short(8 + stated))
    } else {
        Ok(stated)
    }
}
