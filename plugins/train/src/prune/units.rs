//! Heads and inner units: what each weighs, and models without some of them.

use crate::config::ModelShape;
use crate::layer::LayerShape;
use crate::params::LAYERS;
use crate::shrink::Matrix;

/// One number a head and one an inner unit of a layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Of each head.
    pub heads: Vec<f64>,
    /// Of each inner unit.
    pub inner: Vec<f64>,
}

/// Which heads and inner units of a layer stay, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Heads.
    pub heads: Vec<usize>,
    /// Inner units.
    pub inner: Vec<usize>,
}

impl Scores {
    /// Zeros for a layer of `shape`.
    pub fn zeros(shape: LayerShape) -> Self {
        Scores {
            heads: vec![0.0; shape.heads],
            inner: vec![0.0; shape.inner],
        }
    }

    /// The `heads` heads and `inner` inner units with the largest scores.
    pub fn largest(&self, heads: usize, inner: usize) -> Kept {
        Kept {
            heads: largest(&self.heads, heads),
            inner: largest(&self.inner, inner),
        }
    }
}

/// The places of the `count` largest, ascending; of equals the first.
fn largest(scores: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// The L1 norm of all weights that a head or inner unit of a layer has: rows of the matrices that
/// make it and columns of the one that takes it.
pub fn absolute_weights(shape: LayerShape, vector: &[f32]) -> Scores {
    let parts = shape.parts();
    let (a, size) = (shape.attention(), shape.head_size);
    let qkv = Matrix::of(vector, &parts.qkv);
    let mut by_row = vec![0.0; a];
    Matrix::of(vector, &parts.output).add_columns(&mut by_row);
    for (row, weight) in by_row.iter_mut().enumerate() {
        *weight += [0, a, 2 * a]
            .map(|part| qkv.row_weight(part + row))
            .iter()
            .sum::<f64>();
    }
    let up = Matrix::of(vector, &parts.up);
    let mut inner = vec![0.0; shape.inner];
    Matrix::of(vector, &parts.down).add_columns(&mut inner);
    for (unit, weight) in inner.iter_mut().enumerate() {
        *weight += up.row_weight(unit);
    }
    Scores {
        heads: by_row
            .chunks_exact(size)
            .map(|rows| rows.iter().sum())
            .collect(),
        inner,
    }
}

/// The model of `kept` alone, for each layer.
pub fn remove(
    shape: &ModelShape,
    vectors: &[Vec<f32>],
    kept: &[Kept],
) -> (ModelShape, Vec<Vec<f32>>) {
    let (mut small, mut made) = (shape.clone(), vectors.to_vec());
    for (layer, kept) in kept.iter().enumerate() {
        let large = shape.layers[layer];
        small.layers[layer] = LayerShape {
            heads: kept.heads.len(),
            inner: kept.inner.len(),
            ..large
        };
        made[LAYERS + layer] = cut(large, &vectors[LAYERS + layer], kept);
    }
    (small, made)
}

/// Columns or rows of `heads`.
fn of_heads(heads: &[usize], size: usize) -> Vec<usize> {
    let columns = heads.iter().flat_map(|head| head * size..(head + 1) * size);
    columns.collect()
}

fn cut(large: LayerShape, vector: &[f32], kept: &Kept) -> Vec<f32> {
    let parts = large.parts();
    let (a, all) = (large.attention(), (0..large.hidden).collect::<Vec<_>>());
    let columns = of_heads(&kept.heads, large.head_size);
    let rows: Vec<usize> = [0, a, 2 * a]
        .iter()
        .flat_map(|part| columns.iter().map(move |column| part + column))
        .collect();
    let mut out = Vec::new();
    let pick = |from: &[f32], out: &mut Vec<f32>, rows: &[usize]| {
        out.extend(rows.iter().map(|row| from[*row]));
    };
    Matrix::of(vector, &parts.qkv).cut(&rows, &all, &mut out);
    pick(&vector[parts.qkv.bias], &mut out, &rows);
    Matrix::of(vector, &parts.output).cut(&all, &columns, &mut out);
    out.extend_from_slice(&vector[parts.output.bias]);
    out.extend_from_slice(&vector[parts.output_norm]);
    Matrix::of(vector, &parts.up).cut(&kept.inner, &all, &mut out);
    pick(&vector[parts.up.bias], &mut out, &kept.inner);
    Matrix::of(vector, &parts.down).cut(&all, &kept.inner, &mut out);
    out.extend_from_slice(&vector[parts.down.bias]);
    out.extend_from_slice(&vector[parts.down_norm]);
    out
}

/// Which numbers of each vector belong to nothing that is `kept`: with zeros there, a model says
/// what the one without them says.
pub fn places_of_others(shape: &ModelShape, vectors: &[Vec<f32>], kept: &[Kept]) -> Vec<Vec<bool>> {
    let mut gone: Vec<Vec<bool>> = vectors.iter().map(|v| vec![false; v.len()]).collect();
    for (layer, kept) in kept.iter().enumerate() {
        let (large, gone) = (shape.layers[layer], &mut gone[LAYERS + layer]);
        let (parts, h, a) = (large.parts(), large.hidden, large.attention());
        let columns = of_heads(&kept.heads, large.head_size);
        let is_gone = |kept: &[usize], count: usize| {
            let mut gone = vec![true; count];
            kept.iter().for_each(|at| gone[*at] = false);
            gone
        };
        let (heads, inner) = (is_gone(&columns, a), is_gone(&kept.inner, large.inner));
        for row in (0..3 * a).filter(|row| heads[row % a]) {
            gone[parts.qkv.weight.start + row * h..][..h].fill(true);
            gone[parts.qkv.bias.start + row] = true;
        }
        for row in (0..large.inner).filter(|row| inner[*row]) {
            gone[parts.up.weight.start + row * h..][..h].fill(true);
            gone[parts.up.bias.start + row] = true;
        }
        for (i, gone) in gone[parts.output.weight].iter_mut().enumerate() {
            *gone = heads[i % a];
        }
        for (i, gone) in gone[parts.down.weight].iter_mut().enumerate() {
            *gone = inner[i % large.inner];
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{logits, shape, vectors};

    fn kept() -> Vec<Kept> {
        let some = |heads: &[usize], inner: &[usize]| Kept {
            heads: heads.to_vec(),
            inner: inner.to_vec(),
        };
        vec![some(&[0, 2], &[1, 2, 3, 5, 8, 13]), some(&[1], &[0, 13])]
    }

    #[test]
    fn a_model_without_units_is_one_in_which_they_are_zero() {
        let shape = shape();
        let whole = vectors(&shape);
        let (small, made) = remove(&shape, &whole, &kept());
        assert_eq!((small.layers[0].heads, small.layers[1].inner), (2, 2));
        let mut zeroed = whole.clone();
        for (vector, gone) in zeroed
            .iter_mut()
            .zip(places_of_others(&shape, &whole, &kept()))
        {
            let places = vector.iter_mut().zip(gone);
            places.filter(|(_, gone)| *gone).for_each(|(x, _)| *x = 0.0);
        }
        let (expected, found) = (logits(&shape, &zeroed), logits(&small, &made));
        for (a, b) in expected.iter().zip(&found) {
            assert!((a - b).abs() < 1e-5, "{expected:?} {found:?}");
        }
        assert!(logits(&shape, &whole) != expected);
    }

    #[test]
    fn all_that_is_kept_is_the_same_model() {
        let shape = shape();
        let whole = vectors(&shape);
        let layers = shape.layers.iter();
        let kept: Vec<Kept> = layers
            .map(|layer| Scores::zeros(*layer).largest(layer.heads, layer.inner))
            .collect();
        assert!(remove(&shape, &whole, &kept) == (shape.clone(), whole.clone()));
        let gone = places_of_others(&shape, &whole, &kept);
        assert!(gone.iter().flatten().all(|gone| !gone));
    }

    #[test]
    fn a_head_and_a_unit_weigh_what_their_weights_do() {
        let shape = shape();
        let layer = shape.layers[0];
        let mut vector = vec![0.0; layer.parts().down_norm.end];
        let (parts, h, a) = (layer.parts(), layer.hidden, layer.attention());
        // A query of head 1, a value of head 2, and what takes head 1.
        vector[parts.qkv.weight.start + 5 * h] = -2.0;
        vector[parts.qkv.weight.start + (2 * a + 9) * h + 3] = 4.0;
        vector[parts.output.weight.start + 7 * a + 6] = 0.5;
        vector[parts.up.weight.start + 3 * h + 1] = 1.0;
        vector[parts.down.weight.start + 2 * layer.inner + 3] = -1.0;
        let scores = absolute_weights(layer, &vector);
        assert_eq!(scores.heads, [0.0, 2.5, 4.0]);
        assert_eq!(scores.inner[3], 2.0);
        assert_eq!(scores.inner.iter().sum::<f64>(), 2.0);
        let kept = scores.largest(2, 2);
        assert_eq!((kept.heads, kept.inner), (vec![1, 2], vec![0, 3]));
    }
}
