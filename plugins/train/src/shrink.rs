//! A smaller model out of a larger one: of the layers that are kept, dimensions, head dimensions
//! and inner units are taken out, those with the least absolute weight first.

use std::ops::Range;

use segue_plugin::{Error, Result};

use crate::config::ModelShape;
use crate::layer::{Dense, LayerShape};
use crate::params::{LAYERS, NORM, POSITIONS, TYPES, WORDS};

/// Which parts of a model are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Dimensions of the hidden states.
    pub hidden: Vec<usize>,
    /// Layers.
    pub layers: Vec<usize>,
}

/// The sizes to reach; the number of heads stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The layers to keep, ascending.
    pub layers: Vec<usize>,
    /// The hidden size; heads become smaller by the same factor.
    pub hidden: usize,
    /// The most that the inner size of a feed-forward block may be.
    pub inner: usize,
}

/// A matrix (outputs, inputs) in a flat vector.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    inputs: usize,
}

impl<'a> Matrix<'a> {
    /// The matrix of `part` in a layer's vector.
    pub fn of(vector: &'a [f32], part: &Dense) -> Self {
        let inputs = part.weight.len() / part.bias.len();
        Matrix {
            data: &vector[part.weight.clone()],
            inputs,
        }
    }

    fn row(self, row: usize) -> &'a [f32] {
        &self.data[row * self.inputs..(row + 1) * self.inputs]
    }

    /// The L1 norm of a row.
    pub fn row_weight(self, row: usize) -> f64 {
        self.row(row).iter().map(|x| f64::from(x.abs())).sum()
    }

    /// Adds the L1 norm of each column.
    pub fn add_columns(self, weights: &mut [f64]) {
        for row in self.data.chunks_exact(self.inputs) {
            for (weight, x) in weights.iter_mut().zip(row) {
                *weight += f64::from(x.abs());
            }
        }
    }

    /// The sub-matrix of `rows` and `columns`.
    pub fn cut(self, rows: &[usize], columns: &[usize], out: &mut Vec<f32>) {
        for row in rows {
            let row = self.row(*row);
            out.extend(columns.iter().map(|column| row[*column]));
        }
    }
}

/// The `count` indices of `range` with the largest weights, ascending.
fn largest(range: Range<usize>, count: usize, weight: impl Fn(usize) -> f64) -> Vec<usize> {
    let mut all: Vec<usize> = range.collect();
    // Stable: of equal weights the first stays.
    all.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)));
    all.truncate(count);
    all.sort_unstable();
    all
}

fn pick(from: &[f32], indices: &[usize], out: &mut Vec<f32>) {
    out.extend(indices.iter().map(|i| from[*i]));
}

/// Makes the model of `target` out of `vectors`, a model of `shape`; its word embeddings count
/// for what of the hidden dimensions is kept, as do all matrices that read or write them.
///
/// # Errors
/// `bad-shape` when the target is no part of the model
pub fn shrink(
    shape: &ModelShape,
    vectors: &[Vec<f32>],
    target: &Target,
) -> Result<(ModelShape, Vec<Vec<f32>>, Kept)> {
    check(shape, target)?;
    let hidden = kept_hidden(shape, vectors, target);
    let layers = target.layers.iter().map(|layer| {
        let large = shape.layers[*layer];
        LayerShape {
            hidden: target.hidden,
            head_size: large.head_size * target.hidden / large.hidden,
            inner: target.inner.min(large.inner),
            ..large
        }
    });
    let small = ModelShape {
        hidden: target.hidden,
        layers: layers.collect(),
        ..shape.clone()
    };
    let h = shape.hidden;
    let rows = |vector: &[f32]| {
        let mut out = Vec::new();
        vector
            .chunks_exact(h)
            .for_each(|row| pick(row, &hidden, &mut out));
        out
    };
    let mut cut = vec![
        rows(&vectors[WORDS]),
        rows(&vectors[POSITIONS]),
        rows(&vectors[TYPES]),
        rows(&vectors[NORM]),
    ];
    for (layer, small) in target.layers.iter().zip(&small.layers) {
        let (large, vector) = (shape.layers[*layer], &vectors[LAYERS + layer]);
        cut.push(shrink_layer(large, *small, vector, &hidden));
    }
    let pooler = &vectors[LAYERS + shape.layers.len()];
    let mut out = Vec::new();
    let matrix = Matrix {
        data: &pooler[..h * h],
        inputs: h,
    };
    matrix.cut(&hidden, &hidden, &mut out);
    pick(&pooler[h * h..], &hidden, &mut out);
    cut.push(out);
    let classifier = &vectors[LAYERS + shape.layers.len() + 1];
    let (weight, bias) = classifier.split_at(shape.labels * h);
    let mut out = rows(weight);
    out.extend_from_slice(bias);
    cut.push(out);
    let layers = target.layers.clone();
    Ok((small, cut, Kept { hidden, layers }))
}

fn check(shape: &ModelShape, target: &Target) -> Result<()> {
    let bad = |option: &str, message: String| Err(Error::new("bad-shape", message).option(option));
    let divides =
        |layer: &LayerShape| (layer.head_size * target.hidden).is_multiple_of(layer.hidden);
    let divides = shape.layers.iter().all(divides);
    if target.hidden == 0 || target.hidden > shape.hidden || !divides {
        let (to, from) = (target.hidden, shape.hidden);
        let heads = shape
            .layers
            .first()
            .map_or(1, |layer| from / layer.head_size);
        return bad(
            "hidden",
            format!("`hidden` is {to}; it must be a multiple of the {heads} heads, up to {from}"),
        );
    }
    let from = shape.layers.iter().map(|layer| layer.inner).max();
    let from = from.unwrap_or_default();
    if target.inner == 0 || target.inner > from {
        let to = target.inner;
        return bad(
            "inner",
            format!("`inner` is {to}; it must be from 1 to {from}"),
        );
    }
    let ascending = target.layers.windows(2).all(|pair| pair[0] < pair[1]);
    let last = target.layers.last();
    if !ascending || last.is_none_or(|last| *last >= shape.layers.len()) {
        let count = shape.layers.len();
        return bad(
            "layers",
            format!("`layers` must be some of 0 to {}, ascending", count - 1),
        );
    }
    Ok(())
}

fn kept_hidden(shape: &ModelShape, vectors: &[Vec<f32>], target: &Target) -> Vec<usize> {
    let h = shape.hidden;
    let mut weights = vec![0.0; h];
    let words = Matrix {
        data: &vectors[WORDS],
        inputs: h,
    };
    words.add_columns(&mut weights);
    // The table has many more rows than a layer: its mean row counts like one.
    weights
        .iter_mut()
        .for_each(|weight| *weight /= shape.words as f64);
    for layer in &target.layers {
        let vector = &vectors[LAYERS + layer];
        let parts = shape.layers[*layer].parts();
        for reads in [&parts.qkv, &parts.up] {
            Matrix::of(vector, reads).add_columns(&mut weights);
        }
        for written in [&parts.output, &parts.down] {
            let matrix = Matrix::of(vector, written);
            for (row, weight) in weights.iter_mut().enumerate() {
                *weight += matrix.row_weight(row);
            }
        }
    }
    largest(0..h, target.hidden, |i| weights[i])
}

/// One layer's parameters, in the order of [`LayerShape::parts`].
fn shrink_layer(
    large: LayerShape,
    small: LayerShape,
    vector: &[f32],
    hidden: &[usize],
) -> Vec<f32> {
    let parts = large.parts();
    let (qkv, output) = (
        Matrix::of(vector, &parts.qkv),
        Matrix::of(vector, &parts.output),
    );
    let (h, a) = (large.hidden, large.attention());
    let (size, keep) = (large.head_size, small.head_size);
    let mut output_columns = vec![0.0; a];
    output.add_columns(&mut output_columns);
    let (mut pairs, mut values) = (Vec::new(), Vec::new());
    for head in 0..large.heads {
        let range = head * size..(head + 1) * size;
        // A query's and a key's dimension only count together.
        let pair = |i: usize| qkv.row_weight(i) * qkv.row_weight(a + i);
        pairs.extend(largest(range.clone(), keep, pair));
        let value = |i: usize| qkv.row_weight(2 * a + i) * output_columns[i];
        values.extend(largest(range, keep, value));
    }
    let (up, down) = (
        Matrix::of(vector, &parts.up),
        Matrix::of(vector, &parts.down),
    );
    let mut down_columns = vec![0.0; large.inner];
    down.add_columns(&mut down_columns);
    let inner = largest(0..large.inner, small.inner, |i| {
        up.row_weight(i) * down_columns[i]
    });

    let shifted =
        |indices: &[usize], by: usize| -> Vec<usize> { indices.iter().map(|i| i + by).collect() };
    let (keys, value_rows) = (shifted(&pairs, a), shifted(&values, 2 * a));
    let mut out = Vec::with_capacity(small.parts().down_norm.end);
    // Scores are divided by the root of the head's size, which is another now.
    let scale = (keep as f32 / size as f32).sqrt();
    qkv.cut(&pairs, hidden, &mut out);
    out.iter_mut().for_each(|x| *x *= scale);
    qkv.cut(&keys, hidden, &mut out);
    qkv.cut(&value_rows, hidden, &mut out);
    let bias = &vector[parts.qkv.bias];
    out.extend(pairs.iter().map(|i| bias[*i] * scale));
    pick(bias, &keys, &mut out);
    pick(bias, &value_rows, &mut out);
    output.cut(hidden, &values, &mut out);
    pick(&vector[parts.output.bias], hidden, &mut out);
    let norm = |range: Range<usize>, out: &mut Vec<f32>| {
        let (weight, bias) = vector[range].split_at(h);
        pick(weight, hidden, out);
        pick(bias, hidden, out);
    };
    norm(parts.output_norm, &mut out);
    up.cut(&inner, hidden, &mut out);
    pick(&vector[parts.up.bias], &inner, &mut out);
    down.cut(hidden, &inner, &mut out);
    pick(&vector[parts.down.bias], hidden, &mut out);
    norm(parts.down_norm, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::logits;
    use crate::params::{length, parts};
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    fn shape() -> ModelShape {
        let layer = LayerShape {
            hidden: 12,
            heads: 3,
            head_size: 4,
            inner: 8,
            eps: 1e-5,
        };
        ModelShape {
            hidden: layer.hidden,
            layers: vec![layer; 3],
            words: 9,
            positions: 7,
            types: 2,
            labels: 2,
            eps: layer.eps,
        }
    }

    fn vectors(shape: &ModelShape) -> Vec<Vec<f32>> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
        let mut draw = |count| (0..count).map(|_| random.random::<f32>() - 0.5).collect();
        let lengths = parts(shape).into_iter().map(|parts| length(&parts));
        lengths.map(&mut draw).collect()
    }

    fn target(layers: &[usize], hidden: usize, inner: usize) -> Target {
        Target {
            layers: layers.to_vec(),
            hidden,
            inner,
        }
    }

    #[test]
    fn nothing_taken_out_is_the_same_model() {
        let shape = shape();
        let vectors = vectors(&shape);
        let (small, cut, kept) = shrink(&shape, &vectors, &target(&[0, 1, 2], 12, 8)).unwrap();
        assert!(small == shape && cut == vectors);
        assert_eq!(kept.hidden, (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn inner_units_without_weight_go_first_and_change_nothing() {
        let shape = shape();
        let mut vectors = vectors(&shape);
        let parts = shape.layers[0].parts();
        for layer in 0..3 {
            let vector = &mut vectors[LAYERS + layer];
            for unit in [1, 4, 6] {
                for row in 0..shape.hidden {
                    vector[parts.down.weight.start + row * shape.layers[0].inner + unit] = 0.0;
                }
            }
        }
        let (small, cut, _) = shrink(&shape, &vectors, &target(&[0, 1, 2], 12, 5)).unwrap();
        assert!(small.layers.iter().all(|layer| layer.inner == 5));
        for (a, b) in logits(&small, &cut).iter().zip(logits(&shape, &vectors)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn the_layers_that_stay_are_those_named() {
        let shape = shape();
        let vectors = vectors(&shape);
        let (small, cut, _) = shrink(&shape, &vectors, &target(&[0, 2], 12, 8)).unwrap();
        assert_eq!(small.layers.len(), 2);
        assert!(cut[LAYERS] == vectors[LAYERS] && cut[LAYERS + 1] == vectors[LAYERS + 2]);
    }

    /// Scores are (q k) / √size: with fewer dimensions a head's query has to be smaller.
    #[test]
    fn a_query_is_scaled_for_the_smaller_head() {
        let shape = shape();
        let vectors = vectors(&shape);
        let (small, cut, kept) = shrink(&shape, &vectors, &target(&[1], 9, 8)).unwrap();
        assert_eq!((small.hidden, kept.hidden.len()), (9, 9));
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), {
            let lengths = parts(&small).into_iter().map(|parts| length(&parts));
            lengths.collect::<Vec<_>>()
        });
        let query = cut[LAYERS][small.layers[0].parts().qkv.bias.start];
        let bias = &vectors[LAYERS + 1][shape.layers[1].parts().qkv.bias];
        let scale = (3.0f32 / 4.0).sqrt();
        let found = bias[..4].iter().any(|b| (b * scale - query).abs() < 1e-6);
        assert!(found, "{query} is none of {:?} times {scale}", &bias[..4]);
    }

    #[test]
    fn what_is_no_part_is_refused() {
        let shape = shape();
        let vectors = vectors(&shape);
        for (bad, option) in [
            (target(&[0], 10, 8), "hidden"),
            (target(&[0], 15, 8), "hidden"),
            (target(&[0], 12, 9), "inner"),
            (target(&[0], 12, 0), "inner"),
            (target(&[2, 0], 12, 8), "layers"),
            (target(&[3], 12, 8), "layers"),
            (target(&[], 12, 8), "layers"),
        ] {
            let error = shrink(&shape, &vectors, &bad).unwrap_err();
            assert_eq!(error.option.as_deref(), Some(option), "{bad:?}");
        }
    }
}
