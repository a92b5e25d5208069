//! A model's parameters: a few flat vectors, and the names they have in a file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use segue_learn::store::{Stored, pack_tensors, without_zeros};
use segue_model::{TensorSpec, Weights};
use segue_plugin::{Error, Result};

use crate::config::{Config, ModelShape};

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
    let h = shape.hidden;
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
    for layer in 0..shape.layers.len() {
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
    let (h, a, f) = (
        shape.hidden,
        shape.layers[layer].attention(),
        shape.layers[layer].inner,
    );
    let of = |rest: &str| format!("encoder.layer.{layer}.{rest}");
    let heads = ["query", "key", "value"].map(|part| of(&format!("attention.self.{part}")));
    // The three weights first, then the three biases: together one dense layer of 3 A outputs.
    let mut tensors: Vec<_> = heads
        .iter()
        .map(|name| (format!("{name}.weight"), vec![a, h]))
        .collect();
    tensors.extend(heads.iter().map(|name| (format!("{name}.bias"), vec![a])));
    tensors.extend(dense(&of("attention.output.dense"), h, a));
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

/// Opens the weights in `folder`, and checks that all there must be are there.
///
/// # Errors
/// `model-missing`, `model-mismatch`, `model-truncated`
pub fn open(folder: &Path, config: &Config) -> Result<Weights> {
    let weights = Weights::open(&segue_model::find(folder)?, &config.model)?;
    for part in parts(&config.shape).iter().flatten() {
        if !is_drawn(part, config, &weights) {
            weights.check(&spec(part))?;
        }
    }
    Ok(weights)
}

/// Reads a model's vectors; a pooler or classifier that is not there, or is one of another task,
/// is drawn from a normal distribution, by `seed`.
///
/// # Errors
/// As [`open`], and `not-finite`
pub fn read(folder: &Path, config: &Config, seed: u64) -> Result<Vec<Vec<f32>>> {
    let weights = open(folder, config)?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut vectors = Vec::new();
    for parts in parts(&config.shape) {
        let mut vector = Vec::with_capacity(length(&parts));
        for part in &parts {
            if is_drawn(part, config, &weights) {
                vector.extend(drawn(part, &mut random))
            } else {
                vector.extend(finite(part, weights.read(&spec(part))?)?)
            }
        }
        vectors.push(vector);
    }
    Ok(vectors)
}

fn is_drawn(part: &Part, config: &Config, weights: &Weights) -> bool {
    let is_classifier = part.name.starts_with("classifier");
    let of_head = is_classifier || part.name.starts_with("pooler");
    let of_other_task = is_classifier && config.model.says_classes() == Some(false);
    of_head && (of_other_task || !weights.has(&part.name))
}

fn spec(part: &Part) -> TensorSpec {
    TensorSpec {
        name: part.name.clone(),
        shape: part.shape.clone(),
    }
}

fn finite(part: &Part, values: Vec<f32>) -> Result<Vec<f32>> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(values),
        Some(value) => {
            let message = format!(
                "the model has the value {value} in `{}`, and nothing can be learnt from there",
                part.name
            );
            Err(Error::new("not-finite", message))
        }
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

/// The tensors of a model: what each is called in its file, and its numbers.
fn named<'a>(
    parts: &'a [Vec<Part>],
    vectors: &'a [Vec<f32>],
) -> impl Iterator<Item = (String, &'a Part, &'a [f32])> {
    let parts = parts.iter().zip(vectors);
    parts.flat_map(|(parts, vector)| {
        parts.iter().map(move |part| {
            let name = if part.name.starts_with("classifier") {
                part.name.clone()
            } else {
                format!("bert.{}", part.name)
            };
            (name, part, &vector[part.range.clone()])
        })
    })
}

/// The bytes of `model.safetensors`.
///
/// # Errors
/// `write-failed` when the library says no
pub fn file(shape: &ModelShape, vectors: &[Vec<f32>], half_precision: bool) -> Result<Vec<u8>> {
    let parts = parts(shape);
    let tensors = named(&parts, vectors).map(|(name, part, values)| {
        let tensor = Stored::new(values, part.shape.clone(), half_precision);
        (name, tensor)
    });
    pack_tensors(tensors, Some(("format", "pt".to_owned())))
}

/// The same with each matrix that so takes fewer bytes stored without its zeros, as two tensors:
/// a bit for each number, and the numbers that are not 0. The header gives the matrices' shapes.
///
/// # Errors
/// `write-failed` when the library says no
pub fn sparse_file(
    shape: &ModelShape,
    vectors: &[Vec<f32>],
    half_precision: bool,
) -> Result<Vec<u8>> {
    let parts = parts(shape);
    let width = if half_precision { 2 } else { 4 };
    let all: Vec<_> = named(&parts, vectors)
        .map(|(name, part, values)| {
            let (mask, kept) = without_zeros(values, half_precision);
            let smaller = mask.len() + width * kept.len() < width * values.len();
            (name, part, values, smaller.then_some((mask, kept)))
        })
        .collect();
    let (mut tensors, mut shapes) = (Vec::new(), BTreeMap::new());
    for (name, part, values, sparse) in &all {
        let Some((mask, kept)) = sparse else {
            let tensor = Stored::new(values, part.shape.clone(), half_precision);
            tensors.push((name.clone(), tensor));
            continue;
        };
        tensors.push((format!("{name}_mask"), Stored::mask(mask)));
        let kept = Stored::new(kept, vec![kept.len()], half_precision);
        tensors.push((format!("{name}_kept"), kept));
        shapes.insert(name, &part.shape);
    }
    if shapes.is_empty() {
        return file(shape, vectors, half_precision);
    }
    let shapes = serde_json::to_string(&shapes)
        .map_err(|e| Error::new("write-failed", format!("cannot tell of shapes: {e}")))?;
    pack_tensors(tensors, Some(("segue.sparse", shapes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerShape;

    /// What `testdata/make.py` wrote in both formats.
    fn config(positions: usize) -> Config {
        let model = segue_model::ModelConfig::parse(&format!(
            r#"{{"hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 6,
                "num_hidden_layers": 1, "vocab_size": 5, "max_position_embeddings": {positions}}}"#
        ))
        .unwrap();
        let layer = LayerShape {
            hidden: 4,
            heads: 2,
            head_size: 2,
            inner: 6,
            eps: 1e-12,
        };
        let shape = ModelShape {
            hidden: layer.hidden,
            layers: vec![layer; 1],
            words: 5,
            positions,
            types: 2,
            labels: 2,
            eps: layer.eps,
        };
        Config { model, shape }
    }

    #[test]
    fn pytorch_s_own_files_are_read_like_others() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let safe = read(&folder.join("safe"), &config(3), 1).unwrap();
        let torch = read(&folder.join("torch"), &config(3), 1).unwrap();
        assert_eq!(safe, torch);
        assert_eq!(torch[NORM], [0.5, 1.5, 2.5, 3.5, 0.0, 0.25, 0.5, 0.75]);
    }

    #[test]
    fn a_file_that_is_not_a_model() {
        let folder = tempfile::tempdir().unwrap();
        let error = || read(folder.path(), &config(3), 1).unwrap_err();
        assert_eq!(error().code, "model-missing");
        std::fs::write(folder.path().join("pytorch_model.bin"), b"\x80\x02 old").unwrap();
        assert_eq!(error().code, "model-mismatch");
        assert!(
            error().message.contains("save the model anew"),
            "{:?}",
            error()
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/torch");
        let error = read(&folder, &config(4), 1).unwrap_err();
        assert!(
            error
                .message
                .contains("shape [3, 4], but `config.json` asks for [4, 4]"),
            "{error:?}"
        );
    }
}
