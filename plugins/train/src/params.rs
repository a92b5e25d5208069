//! A model's parameters: a few flat vectors, and the names they have in a file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use candle_core::DType;
use candle_core::pickle::PthTensors;
use half::f16;
use half::slice::HalfFloatSliceExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use segue_plugin::{Error, Result};

use crate::config::ModelShape;

/// A tensor of the file: its name and shape, and where it lies in its vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// As Hugging Face names it, behind the prefix.
    pub name: String,
    /// Row-major.
    pub shape: Vec<usize>,
    /// Within the vector.
    pub range: Range<usize>,
}

impl Part {
    /// Whether weight decay applies: to matrices, not to biases and norms.
    pub fn decays(&self) -> bool {
        self.shape.len() == 2
    }
}

/// A tensor's name and shape.
type Named = (String, Vec<usize>);

/// Which vector is which.
pub const WORDS: usize = 0;
/// The position table.
pub const POSITIONS: usize = 1;
/// The token type table.
pub const TYPES: usize = 2;
/// The norm of the embeddings.
pub const NORM: usize = 3;
/// The first encoder layer.
pub const LAYERS: usize = 4;

/// The parts of each vector of a model: word, position and type tables, the embeddings' norm,
/// the encoder layers, pooler, classifier.
pub fn parts(shape: &ModelShape) -> Vec<Vec<Part>> {
    let h = shape.layer.hidden;
    let table =
        |name: &str, rows: usize| line(vec![(format!("embeddings.{name}.weight"), vec![rows, h])]);
    let norm = |name: &str| {
        let tensor = |what: &str| (format!("{name}.LayerNorm.{what}"), vec![h]);
        vec![tensor("weight"), tensor("bias")]
    };
    let mut all = vec![
        table("word_embeddings", shape.words),
        table("position_embeddings", shape.positions),
        table("token_type_embeddings", shape.types),
        line(norm("embeddings")),
    ];
    for layer in 0..shape.layers {
        all.push(line(layer_tensors(shape, layer, &norm)));
    }
    all.push(line(dense("pooler.dense", h, h)));
    all.push(line(dense("classifier", shape.labels, h)));
    all
}

fn layer_tensors(
    shape: &ModelShape,
    layer: usize,
    norm: &dyn Fn(&str) -> Vec<Named>,
) -> Vec<Named> {
    let (h, f) = (shape.layer.hidden, shape.layer.inner);
    let of = |rest: &str| format!("encoder.layer.{layer}.{rest}");
    let heads = ["query", "key", "value"].map(|part| of(&format!("attention.self.{part}")));
    // The three weights first, then the three biases: together one dense layer of 3 H outputs.
    let mut tensors: Vec<_> = heads
        .iter()
        .map(|name| (format!("{name}.weight"), vec![h, h]))
        .collect();
    tensors.extend(heads.iter().map(|name| (format!("{name}.bias"), vec![h])));
    tensors.extend(dense(&of("attention.output.dense"), h, h));
    tensors.extend(norm(&of("attention.output")));
    tensors.extend(dense(&of("intermediate.dense"), f, h));
    tensors.extend(dense(&of("output.dense"), h, f));
    tensors.extend(norm(&of("output")));
    tensors
}

fn dense(name: &str, outputs: usize, inputs: usize) -> Vec<Named> {
    vec![
        (format!("{name}.weight"), vec![outputs, inputs]),
        (format!("{name}.bias"), vec![outputs]),
    ]
}

fn line(tensors: Vec<Named>) -> Vec<Part> {
    let mut at = 0;
    (tensors.into_iter())
        .map(|(name, shape)| {
            let from = at;
            at += shape.iter().product::<usize>();
            Part {
                name,
                shape,
                range: from..at,
            }
        })
        .collect()
}

/// Numbers in a vector of `parts`.
pub fn length(parts: &[Part]) -> usize {
    parts.last().map_or(0, |part| part.range.end)
}

/// Reads a model's vectors from `folder`, from `model.safetensors` or else `pytorch_model.bin`; a
/// pooler or classifier that is not there is drawn from a normal distribution, by `seed`.
///
/// # Errors
/// `model-missing`, `model-mismatch`
pub fn read(folder: &Path, shape: &ModelShape, seed: u64) -> Result<Vec<Vec<f32>>> {
    let (safe, torch) = (folder.join("model.safetensors"), folder.join(TORCH));
    let path = if !safe.exists() && torch.exists() {
        torch
    } else {
        safe
    };
    let bad = |why: String| Error::new("model-mismatch", format!("`{}` {why}", path.display()));
    let unreadable = |e: &dyn std::fmt::Display| bad(format!("cannot be read: {e}"));
    let bytes;
    let stored = if path.ends_with(TORCH) {
        let old = |e| {
            unreadable(&format!(
                "{e}; if it is older than PyTorch 1.6, save it anew"
            ))
        };
        Stored::Torch(PthTensors::new(&path, None).map_err(old)?)
    } else {
        bytes = std::fs::read(&path).map_err(|e| {
            let message = format!("cannot read `{}`: {e}", path.display());
            Error::new("model-missing", message)
        })?;
        Stored::Safe(SafeTensors::deserialize(&bytes).map_err(|e| unreadable(&e))?)
    };
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut vectors = Vec::new();
    for parts in parts(shape) {
        let mut vector = Vec::with_capacity(length(&parts));
        for part in &parts {
            match stored.numbers(part).map_err(bad)? {
                Some(values) => vector.extend(values),
                None if part.name.starts_with("pooler") || part.name.starts_with("classifier") => {
                    vector.extend(drawn(part, &mut random));
                }
                None => return Err(bad(format!("has no tensor `{}`", part.name))),
            }
        }
        vectors.push(vector);
    }
    Ok(vectors)
}

/// The file that PyTorch itself writes.
const TORCH: &str = "pytorch_model.bin";

/// A file of tensors.
enum Stored<'a> {
    Safe(SafeTensors<'a>),
    Torch(PthTensors),
}

impl Stored<'_> {
    /// The numbers of `part`, under its name with or without the prefix; `None` where it is not
    /// there.
    fn numbers(&self, part: &Part) -> std::result::Result<Option<Vec<f32>>, String> {
        for name in [format!("bert.{}", part.name), part.name.clone()] {
            let found = match self {
                Stored::Safe(file) => (file.tensor(&name).ok())
                    .map(|tensor| numbers(&tensor, part))
                    .transpose()?,
                Stored::Torch(file) => torch_numbers(file, &name, part)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

fn torch_numbers(
    file: &PthTensors,
    name: &str,
    part: &Part,
) -> std::result::Result<Option<Vec<f32>>, String> {
    let told = |e: candle_core::Error| format!("cannot be read at `{name}`: {e}");
    let Some(tensor) = file.get(name).map_err(told)? else {
        return Ok(None);
    };
    check_shape(tensor.dims(), part)?;
    let flat = tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all());
    flat.and_then(|t| t.to_vec1()).map(Some).map_err(told)
}

fn check_shape(found: &[usize], part: &Part) -> std::result::Result<(), String> {
    if found == part.shape {
        return Ok(());
    }
    let (name, asked) = (&part.name, &part.shape);
    Err(format!("has `{name}` of shape {found:?}, not {asked:?}"))
}

fn numbers(tensor: &TensorView<'_>, part: &Part) -> std::result::Result<Vec<f32>, String> {
    check_shape(tensor.shape(), part)?;
    let data = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => Ok(data
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect()),
        Dtype::F16 => {
            let all: Vec<f16> = data
                .as_chunks::<2>()
                .0
                .iter()
                .map(|b| f16::from_le_bytes(*b))
                .collect();
            Ok(all.to_f32_vec())
        }
        other => Err(format!(
            "stores `{}` as {other:?}; f32 and f16 can be read",
            part.name
        )),
    }
}

/// What BERT starts with: matrices from N(0, 0.02), biases 0.
fn drawn(part: &Part, random: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    let count = part.range.len();
    if !part.decays() {
        return vec![0.0; count];
    }
    let mut normal = || {
        // Box and Muller, 1958; 1 - u so that the logarithm is finite.
        let (u, v): (f64, f64) = (random.random(), random.random());
        0.02 * (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    (0..count).map(|_| normal() as f32).collect()
}

/// The bytes of `model.safetensors`.
///
/// # Errors
/// `write-failed` when the library says no
pub fn file(shape: &ModelShape, vectors: &[Vec<f32>], half_precision: bool) -> Result<Vec<u8>> {
    let mut stored: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (parts, vector) in parts(shape).iter().zip(vectors) {
        for part in parts {
            let values = &vector[part.range.clone()];
            let bytes = match half_precision {
                true => values
                    .iter()
                    .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                    .collect(),
                false => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            };
            let name = match part.name.starts_with("classifier") {
                true => part.name.clone(),
                false => format!("bert.{}", part.name),
            };
            stored.insert(name, (part.shape.clone(), bytes));
        }
    }
    let dtype = if half_precision {
        Dtype::F16
    } else {
        Dtype::F32
    };
    let failed = |e: safetensors::SafeTensorError| Error::new("write-failed", e.to_string());
    let views = (stored.iter())
        .map(|(name, (shape, bytes))| Ok((name, TensorView::new(dtype, shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(failed)?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(views, Some(metadata)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerShape;

    /// What `testdata/make.py` wrote in both formats.
    fn shape() -> ModelShape {
        let layer = LayerShape {
            hidden: 4,
            heads: 2,
            inner: 6,
            eps: 1e-12,
        };
        ModelShape {
            layer,
            layers: 1,
            words: 5,
            positions: 3,
            types: 2,
            labels: 2,
        }
    }

    #[test]
    fn pytorch_s_own_files_are_read_like_others() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let safe = read(&folder.join("safe"), &shape(), 1).unwrap();
        let torch = read(&folder.join("torch"), &shape(), 1).unwrap();
        assert_eq!(safe, torch);
        assert_eq!(torch[NORM], [0.5, 1.5, 2.5, 3.5, 0.0, 0.25, 0.5, 0.75]);
    }

    #[test]
    fn a_file_that_is_no_model() {
        let folder = tempfile::tempdir().unwrap();
        let error = || read(folder.path(), &shape(), 1).unwrap_err();
        assert_eq!(error().code, "model-missing");
        std::fs::write(folder.path().join(TORCH), b"\x80\x02 old").unwrap();
        assert_eq!(error().code, "model-mismatch");
        assert!(error().message.contains("save it anew"), "{:?}", error());
        let other = ModelShape {
            positions: 4,
            ..shape()
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/torch");
        let error = read(&folder, &other, 1).unwrap_err();
        assert!(
            error.message.contains("shape [3, 4], not [4, 4]"),
            "{error:?}"
        );
    }
}
