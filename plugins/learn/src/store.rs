//! Tensors and states as bytes, and files that are there whole or not at all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use half::f16;
use safetensors::{Dtype, SafeTensors, View};
use segue_plugin::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where the small part of a state lies in the header.
const STATE: &str = "state";

/// A tensor to store.
#[derive(Clone, Debug)]
pub struct Stored<'a> {
    values: Values<'a>,
    /// Row-major.
    shape: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Values<'a> {
    Floats(&'a [f32]),
    /// In 16 bits, rounded to the nearest.
    Halves(&'a [f32]),
    Integers(&'a [u32]),
    Bytes(&'a [i8]),
    Plain(&'a [u8]),
}

impl<'a> Stored<'a> {
    /// `values` as a tensor of `shape`, whose product is their number; `half` stores 16 bits of
    /// each.
    pub fn new(values: &'a [f32], shape: Vec<usize>, half: bool) -> Self {
        let values = if half {
            Values::Halves(values)
        } else {
            Values::Floats(values)
        };
        Stored { values, shape }
    }

    /// `values` as a vector.
    pub fn integers(values: &'a [u32]) -> Self {
        Stored {
            values: Values::Integers(values),
            shape: vec![values.len()],
        }
    }

    /// Bytes with sign as a tensor of `shape`, whose product is their number.
    pub fn bytes(values: &'a [i8], shape: Vec<usize>) -> Self {
        Stored {
            values: Values::Bytes(values),
            shape,
        }
    }

    /// The bytes of `text` as a vector.
    pub fn text(text: &'a str) -> Self {
        Stored {
            values: Values::Plain(text.as_bytes()),
            shape: vec![text.len()],
        }
    }

    /// Whether each number of a tensor is there, as [`without_zeros`] gives it.
    pub fn mask(bits: &'a [u8]) -> Self {
        Stored {
            values: Values::Plain(bits),
            shape: vec![bits.len()],
        }
    }

    /// Whether 16 bits hold what is to be stored in 16 bits: a number that is finite would be
    /// read back as one that is not.
    fn check(&self, name: &impl Display) -> Result<()> {
        let Values::Halves(values) = self.values else {
            return Ok(());
        };
        let lost = |v: &&f32| v.is_finite() && f16::from_f32(**v).is_infinite();
        let Some(value) = values.iter().find(lost) else {
            return Ok(());
        };
        let most = f16::MAX;
        let message = format!(
            "`{name}` has the number {value}, and 16 bits hold {most} at most: store 32 bits"
        );
        Err(Error::new("too-large", message))
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::Floats(_) => Dtype::F32,
            Values::Halves(_) => Dtype::F16,
            Values::Integers(_) => Dtype::U32,
            Values::Bytes(_) => Dtype::I8,
            Values::Plain(_) => Dtype::U8,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.values {
            Values::Floats(values) => bytes(values, |v| v.to_le_bytes()).into(),
            Values::Halves(values) => bytes(values, |v| f16::from_f32(v).to_le_bytes()).into(),
            Values::Integers(values) => bytes(values, |v| v.to_le_bytes()).into(),
            Values::Bytes(values) => bytes(values, |v| v.to_le_bytes()).into(),
            Values::Plain(bytes) => bytes.into(),
        }
    }

    fn data_len(&self) -> usize {
        match self.values {
            Values::Floats(values) => size_of_val(values),
            Values::Halves(values) => 2 * values.len(),
            Values::Integers(values) => size_of_val(values),
            Values::Bytes(values) => values.len(),
            Values::Plain(bytes) => bytes.len(),
        }
    }
}

/// `N` bytes of each value; in a loop over memory that is there, which is as fast as copying.
fn bytes<T: Copy, const N: usize>(values: &[T], of: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    let mut bytes = vec![0; N * values.len()];
    for (to, value) in bytes.as_chunks_mut::<N>().0.iter_mut().zip(values) {
        *to = of(*value);
    }
    bytes
}

/// A bit for each of `values`, the first of a byte lowest, and the values whose bits are set: all
/// that are not 0, or with `half` do not become 0 in 16 bits.
pub fn without_zeros(values: &[f32], half: bool) -> (Vec<u8>, Vec<f32>) {
    let is_zero = |value: f32| {
        if half {
            f16::from_f32(value).to_bits() == 0
        } else {
            value.to_bits() == 0
        }
    };
    let mut mask = vec![0; values.len().div_ceil(8)];
    let mut kept = Vec::new();
    for (at, value) in values.iter().enumerate() {
        if !is_zero(*value) {
            mask[at / 8] |= 1 << (at % 8);
            kept.push(*value);
        }
    }
    (mask, kept)
}

/// Named tensors as the bytes of a safetensors file, with `metadata` in its header.
///
/// # Errors
/// `write-failed`; `too-large` for a number that 16 bits do not hold
pub fn pack_tensors<'a, N: AsRef<str> + Ord + Display>(
    tensors: impl IntoIterator<Item = (N, Stored<'a>)>,
    metadata: Option<(&str, String)>,
) -> Result<Vec<u8>> {
    let tensors: Vec<_> = tensors.into_iter().collect();
    for (name, tensor) in &tensors {
        tensor.check(name)?;
    }
    let metadata = metadata.map(|(name, text)| HashMap::from([(name.to_owned(), text)]));
    safetensors::serialize(tensors, metadata).map_err(|e| failed(&e))
}

/// Named vectors as the bytes of a safetensors file.
///
/// # Errors
/// `write-failed`
pub fn pack<N: AsRef<str>>(vectors: &[(N, &[f32])]) -> Result<Vec<u8>> {
    pack_tensors(flat(vectors), None)
}

/// As [`pack`], with `state` in the header.
///
/// # Errors
/// `write-failed`
pub fn pack_state<N: AsRef<str>>(
    state: &impl Serialize,
    vectors: &[(N, &[f32])],
) -> Result<Vec<u8>> {
    let state = serde_json::to_string(state).map_err(|e| failed(&e))?;
    pack_tensors(flat(vectors), Some((STATE, state)))
}

fn flat<'a, N: AsRef<str>>(
    vectors: &'a [(N, &[f32])],
) -> impl Iterator<Item = (&'a str, Stored<'a>)> {
    let stored = |values: &'a [f32]| Stored::new(values, vec![values.len()], false);
    vectors
        .iter()
        .map(move |(name, values)| (name.as_ref(), stored(values)))
}

fn failed(error: &dyn Display) -> Error {
    Error::new("write-failed", error.to_string())
}

/// What [`pack_tensors`] packed.
#[derive(Debug)]
pub struct Packed<'a>(SafeTensors<'a>);

impl<'a> Packed<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// What is wrong with `bytes`
    pub fn open(bytes: &'a [u8]) -> Result<Self, String> {
        SafeTensors::deserialize(bytes)
            .map(Packed)
            .map_err(|e| e.to_string())
    }

    /// A vector of f32.
    ///
    /// # Errors
    /// When there is none called `name`
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, String> {
        Ok(numbers(self.data(name, Dtype::F32)?, f32::from_le_bytes))
    }

    /// A vector of u32.
    ///
    /// # Errors
    /// When there is none called `name`
    pub fn integers(&self, name: &str) -> Result<Vec<u32>, String> {
        Ok(numbers(self.data(name, Dtype::U32)?, u32::from_le_bytes))
    }

    /// A text.
    ///
    /// # Errors
    /// When there is none called `name`
    pub fn text(&self, name: &str) -> Result<&'a str, String> {
        let bytes = self.data(name, Dtype::U8)?;
        std::str::from_utf8(bytes).map_err(|e| format!("`{name}` is not a text: {e}"))
    }

    fn data(&self, name: &str, wanted: Dtype) -> Result<&'a [u8], String> {
        let view = self.0.tensor(name).map_err(|e| e.to_string())?;
        match view.dtype() {
            found if found == wanted => Ok(view.data()),
            found => Err(format!("`{name}` is {found:?}, not {wanted:?}")),
        }
    }
}

fn numbers<T>(bytes: &[u8], of: impl Fn([u8; 4]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|bytes| of(*bytes)).collect()
}

/// That a stage cannot go on from what it was given, because of `reason`.
pub fn no_state(reason: impl Display) -> Error {
    Error::new("no-state", format!("cannot go on: {reason}"))
}

/// What [`pack_state`] packed.
///
/// # Errors
/// `no-state`
pub fn unpack_state<S: DeserializeOwned>(bytes: &[u8]) -> Result<(S, Packed<'_>)> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(no_state)?;
    let state = header.metadata().as_ref().and_then(|all| all.get(STATE));
    let state = state.ok_or_else(|| no_state("it is not the state of a stage that learns"))?;
    let state = serde_json::from_str(state).map_err(no_state)?;
    Ok((state, Packed::open(bytes).map_err(no_state)?))
}

/// For `#[serde(with = "exact")]`: a number as its bits, since JSON may not give back the last of
/// them.
pub mod exact {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Gives the bits.
    ///
    /// # Errors
    /// Those of `serializer`
    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(number.to_bits())
    }

    /// Takes the bits.
    ///
    /// # Errors
    /// Those of `deserializer`
    pub fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

/// Makes the folder that a model will be written to: at the start, as a model may take hours.
///
/// # Errors
/// `write-failed`
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| {
        let message = format!("cannot make the folder `{}`: {e}", folder.display());
        Error::new("write-failed", message).option("output")
    })
}

/// Writes `bytes` to `path` by way of another file, so that it is there whole or not at all.
///
/// # Errors
/// `write-failed`
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| {
        let message = format!("cannot write `{}`: {e}", path.display());
        Error::new("write-failed", message)
    };
    let new = path.with_extension("new");
    let mut file = File::create(&new).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_16_bits_do_not_hold_is_refused() {
        let pack = |value: f32, half| {
            let values = [1.0, value];
            pack_tensors([("w", Stored::new(&values, vec![2], half))], None)
        };
        assert!(pack(65504.0, true).is_ok() && pack(1e6, false).is_ok());
        let error = pack(-1e6, true).unwrap_err();
        assert!(error.code == "too-large" && error.message.contains("`w` has the number -1000000"));
    }

    #[test]
    fn a_state_comes_back_and_nothing_else_is_one() {
        let vectors = [("b", &[1.5, f32::MIN_POSITIVE][..]), ("a", &[])];
        let bytes = pack_state(&(7, "log"), &vectors).unwrap();
        let (state, found): ((u32, String), _) = unpack_state(&bytes).unwrap();
        assert_eq!(state, (7, "log".to_owned()));
        for (name, vector) in vectors {
            assert_eq!(found.floats(name).unwrap(), vector);
        }
        let none = |bytes: &[u8]| unpack_state::<(u32, String)>(bytes).unwrap_err().code;
        assert_eq!(none(&bytes[..bytes.len() - 1]), "no-state");
        assert_eq!(none(&pack(&vectors).unwrap()), "no-state");
        assert_eq!(none(b""), "no-state");
    }

    #[test]
    fn tensors_of_all_kinds_come_back() {
        let half = Stored::new(&[1.0, -0.25], vec![2, 1], true);
        let tensors = [
            ("half", half),
            ("integers", Stored::integers(&[7, u32::MAX])),
            ("text", Stored::text("naïve")),
        ];
        let bytes = pack_tensors(tensors, None).unwrap();
        let found = Packed::open(&bytes).unwrap();
        assert_eq!(found.integers("integers").unwrap(), [7, u32::MAX]);
        assert_eq!(found.text("text").unwrap(), "naïve");
        assert_eq!(found.data("half", Dtype::F16).unwrap(), [0, 0x3c, 0, 0xb4]);
        assert!(found.floats("half").unwrap_err().contains("F16"));
        assert!(found.floats("none").is_err());
    }

    #[test]
    fn zeros_are_left_out_and_nothing_else() {
        let values = [0.0, -0.0, 1.5, f32::NAN, 1e-9, 0.0, 0.0, 0.0, -2.0];
        let (mask, kept) = without_zeros(&values, false);
        assert_eq!(mask, [0b0001_1110, 1]);
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&kept), bits(&[-0.0, 1.5, f32::NAN, 1e-9, -2.0]));
        // In 16 bits a small number is 0.
        assert_eq!(without_zeros(&values, true).0, [0b0000_1110, 1]);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.txt");
        write_whole(&path, b"first").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = write_whole(&folder.path().join("no/a.txt"), b"").unwrap_err();
        assert_eq!(error.code, "write-failed");
    }
}
