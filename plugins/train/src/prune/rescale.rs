//! What is left made to do as the whole did, layer by layer, without a gradient.

use std::sync::{Arc, Mutex};

use segue_kernels::training::{Mask, Onto, View, matmul};
use segue_plugin::Result;

use crate::config::ModelShape;
use crate::layer::{Dense, EncoderLayer, LayerShape, Saved};
use crate::model::{Model, Tokens};
use crate::params::LAYERS;
use crate::pool::Pool;
use crate::trainer::internal;

/// How strongly weights stay what they were, as a part of the mean square of what they multiply.
const RIDGE: f64 = 0.01;

/// A model: its sizes and its vectors.
type Whole<'a> = (&'a ModelShape, &'a [Vec<f32>]);

/// Which half of a layer.
#[derive(Clone, Copy)]
enum Half {
    Attention,
    FeedForward,
}

/// Changes the second matrix and bias of each half of each layer of `small`, a model that lost
/// heads or inner units, by least squares: over `reviews`, what leaves the half shall be what
/// leaves it in `whole`, given what `small` has made of the layers before.
///
/// # Errors
/// None that whole models could cause
///
/// # Source
/// After the mask tuning of Kwon et al., arXiv:2204.09656, section 4.3, with the whole matrix
/// instead of a factor a unit
pub fn rescale(
    whole: Whole<'_>,
    (small, vectors): (&ModelShape, &mut [Vec<f32>]),
    reviews: &[Tokens],
    threads: usize,
) -> Result<()> {
    let embedded = Model::new(whole.0.clone(), whole.1, threads).map_err(internal)?;
    let mut states: Vec<[Vec<f32>; 2]> = Vec::new();
    for tokens in reviews {
        let state = embedded.embed(tokens).map_err(internal)?;
        states.push([state.clone(), state]);
    }
    let pool = Arc::new(Pool::default());
    for layer in 0..small.layers.len() {
        let run = |shape: LayerShape, tokens: &Tokens| EncoderLayer {
            shape,
            starts: Arc::clone(&tokens.starts),
            mask: Mask::NONE,
            taught: None,
            cost: Arc::default(),
            training: true,
            pool: Arc::clone(&pool),
            threads,
            saved: Mutex::default(),
        };
        let (theirs, ours) = (whole.0.layers[layer], small.layers[layer]);
        let from = &whole.1[LAYERS + layer];
        for half in [Half::Attention, Half::FeedForward] {
            let mut squares = Squares::new(half.inputs(ours), ours.hidden);
            for (tokens, [x, y]) in reviews.iter().zip(&states) {
                let (_, wanted) = run(theirs, tokens).forward(x, from);
                let (_, found) = run(ours, tokens).forward(y, &vectors[LAYERS + layer]);
                let missing = half.end(&wanted).iter().zip(half.end(&found));
                let missing: Vec<f32> = missing.map(|(a, b)| a - b).collect();
                squares.add(half.features(&found), &missing, threads);
                run(ours, tokens).recycle(found);
                run(theirs, tokens).recycle(wanted);
            }
            squares.solve_into(half.part(ours), &mut vectors[LAYERS + layer]);
        }
        for (tokens, [x, y]) in reviews.iter().zip(&mut states) {
            *x = run(theirs, tokens).forward(x, from).0;
            *y = run(ours, tokens).forward(y, &vectors[LAYERS + layer]).0;
        }
    }
    Ok(())
}

impl Half {
    fn inputs(self, shape: LayerShape) -> usize {
        match self {
            Half::Attention => shape.attention(),
            Half::FeedForward => shape.inner,
        }
    }

    fn part(self, shape: LayerShape) -> Dense {
        match self {
            Half::Attention => shape.parts().output,
            Half::FeedForward => shape.parts().down,
        }
    }

    /// What its second matrix takes.
    fn features(self, saved: &Saved) -> &[f32] {
        match self {
            Half::Attention => &saved.context,
            Half::FeedForward => &saved.activated,
        }
    }

    /// What it gives to its norm.
    fn end(self, saved: &Saved) -> &[f32] {
        match self {
            Half::Attention => &saved.middle,
            Half::FeedForward => &saved.end,
        }
    }
}

/// The sums of a least-squares problem: features (n, K) and a one, times X (K + 1, H), shall be
/// what is missing (n, H).
struct Squares {
    width: usize,
    hidden: usize,
    /// (K + 1, K + 1)
    gram: Vec<f64>,
    /// (K + 1, H)
    wanted: Vec<f64>,
}

impl Squares {
    fn new(inputs: usize, hidden: usize) -> Self {
        let width = inputs + 1;
        Squares {
            width,
            hidden,
            gram: vec![0.0; width * width],
            wanted: vec![0.0; width * hidden],
        }
    }

    fn add(&mut self, features: &[f32], missing: &[f32], threads: usize) {
        let (width, hidden) = (self.width, self.hidden);
        let rows = missing.len() / hidden;
        let mut wide = Vec::with_capacity(rows * width);
        for row in features.chunks_exact(width - 1) {
            wide.extend_from_slice(row);
            wide.push(1.0);
        }
        let x = View::new(&wide, rows, width);
        let product = |y: View<'_>, columns: usize, sum: &mut [f64]| {
            let mut part = vec![0.0; width * columns];
            matmul(&mut part, columns, Onto::Nothing, 1.0, (x.t(), y), threads);
            sum.iter_mut()
                .zip(part)
                .for_each(|(sum, x)| *sum += f64::from(x));
        };
        product(x, width, &mut self.gram);
        product(View::new(missing, rows, hidden), hidden, &mut self.wanted);
    }

    /// Adds the solution to the matrix (H, K) and bias (H) `part` of `vector`.
    fn solve_into(mut self, part: Dense, vector: &mut [f32]) {
        let (width, hidden) = (self.width, self.hidden);
        let diagonal = (0..width - 1).map(|i| self.gram[i * width + i]);
        let ridge = RIDGE * diagonal.sum::<f64>() / (width - 1) as f64;
        for i in 0..width {
            // A feature that is always 0 must not make it singular.
            self.gram[i * width + i] += ridge.max(1e-9);
        }
        solve(&mut self.gram, width, &mut self.wanted, hidden);
        for output in 0..hidden {
            let at = |input: usize| self.wanted[input * hidden + output] as f32;
            let row = &mut vector[part.weight.start + output * (width - 1)..][..width - 1];
            row.iter_mut()
                .enumerate()
                .for_each(|(input, w)| *w += at(input));
            vector[part.bias.start + output] += at(width - 1);
        }
    }
}

/// Solves A X = B for a symmetric, positive definite A (n, n), by Cholesky's decomposition; X
/// stands in B (n, m) then, and A's lower half is its factor.
fn solve(a: &mut [f64], n: usize, b: &mut [f64], m: usize) {
    for i in 0..n {
        for j in 0..=i {
            let (above, row) = a.split_at(i * n);
            let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
            let value = if j == i {
                (row[i] - dot(&row[..i], &row[..i]))
                    .max(f64::MIN_POSITIVE)
                    .sqrt()
            } else {
                let other = &above[j * n..j * n + n];
                (row[j] - dot(&row[..j], &other[..j])) / other[j]
            };
            a[i * n + j] = value;
        }
    }
    let eliminate =
        |b: &mut [f64], row: usize, others: &mut dyn Iterator<Item = (usize, f64)>, by: f64| {
            for (other, factor) in others {
                let (low, high) = (row.min(other), row.max(other));
                let (first, second) = b.split_at_mut(high * m);
                let (first, second) = (&mut first[low * m..][..m], &mut second[..m]);
                let (to, from) = if row == high {
                    (second, first)
                } else {
                    (first, second)
                };
                to.iter_mut()
                    .zip(from)
                    .for_each(|(to, from)| *to -= factor * *from);
            }
            b[row * m..][..m].iter_mut().for_each(|x| *x /= by);
        };
    for i in 0..n {
        let row = &a[i * n..];
        eliminate(b, i, &mut (0..i).map(|j| (j, row[j])), row[i]);
    }
    for i in (0..n).rev() {
        eliminate(
            b,
            i,
            &mut (i + 1..n).map(|j| (j, a[j * n + i])),
            a[i * n + i],
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{logits, shape, vectors};
    use crate::prune::units::{Scores, remove};

    #[test]
    fn a_system_is_solved() {
        let mut a = [4.0, 2.0, 0.4, 2.0, 5.0, 1.0, 0.4, 1.0, 3.0];
        let whole = a;
        let x = [1.0, -2.0, 0.5, 3.0, -1.0, 2.0];
        let mut b = [0.0; 6];
        for i in 0..3 {
            for k in 0..2 {
                b[i * 2 + k] = (0..3).map(|j| whole[i * 3 + j] * x[j * 2 + k]).sum();
            }
        }
        solve(&mut a, 3, &mut b, 2);
        for (found, want) in b.iter().zip(x) {
            assert!((found - want).abs() < 1e-12, "{b:?}");
        }
    }

    #[test]
    fn what_is_left_does_more_like_the_whole() {
        let shape = shape();
        let whole = vectors(&shape);
        let kept: Vec<_> = (shape.layers.iter())
            .map(|layer| Scores::zeros(*layer).largest(layer.heads - 1, layer.inner - 6))
            .collect();
        let (small, cut) = remove(&shape, &whole, &kept);
        let mut reviews = Vec::new();
        for first in 0..8 {
            let rows = [[first, 5, 2, 8, first, 1, 4], [8, 0, 3, first, 4, 7, 7]];
            reviews.push(Tokens::new(rows.iter().map(|row| &row[..])));
        }
        let mut made = cut.clone();
        rescale((&shape, &whole), (&small, &mut made), &reviews, 1).unwrap();
        let expected = logits(&shape, &whole);
        let off = |vectors: &[Vec<f32>]| -> f32 {
            let found = logits(&small, vectors);
            found
                .iter()
                .zip(&expected)
                .map(|(a, b)| (a - b).powi(2))
                .sum()
        };
        let (before, after) = (off(&cut), off(&made));
        assert!(after < 0.5 * before, "{before} {after}");
    }

    #[test]
    fn a_model_that_lost_nothing_stays() {
        let shape = shape();
        let whole = vectors(&shape);
        let mut made = whole.clone();
        let reviews = [Tokens::new([&[1u32, 5, 2, 8][..]].into_iter())];
        rescale((&shape, &whole), (&shape, &mut made), &reviews, 1).unwrap();
        for (a, b) in whole.iter().flatten().zip(made.iter().flatten()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
