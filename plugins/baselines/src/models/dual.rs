//! A linear support vector machine's weights, by dual coordinate descent.
//!
//! Written here because no crate fits: `linfa-svm` and `smartcore` want dense matrices
//! (25,000 reviews x 1,000,000 features are 100 GB), and `liblinear` on crates.io wraps
//! an old C++ code through an unmaintained crate (`failure`).

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use crate::features::rows::{Row, Rows};

/// One class against all others, being learned.
///
/// Minimises over w, with the bias as one more weight, on a feature that is always 1:
/// |w|^2 / 2 + C sum_i max(0, 1 - y_i w.x_i)^2
///
/// # Source
/// Hsieh et al., A dual coordinate descent method for large-scale linear SVM, ICML 2008,
/// algorithm 1 for the squared loss
#[derive(Clone, Debug)]
pub struct Dual {
    /// Half of 1 / C: the diagonal that the squared loss adds.
    diagonal: f64,
    /// Gradients that differ less than this are even.
    tolerance: f64,
    /// One number for each example, not below 0.
    alpha: Vec<f64>,
    /// |x_i|^2 + 1 + diagonal
    curvature: Vec<f64>,
    /// One weight for each feature, then the bias.
    weights: Vec<f64>,
    order: Vec<u32>,
}

/// x.w + bias; `weights` has the bias at its end.
fn margin(row: Row<'_>, weights: &[f64]) -> f64 {
    let bias = weights.last().copied().unwrap_or_default();
    row.iter()
        .fold(bias, |sum, (id, x)| sum + f64::from(x) * weights[id])
}

impl Dual {
    /// Knows nothing yet; `cost` is C, above 0.
    pub fn new(rows: &Rows, cost: f64, tolerance: f64) -> Self {
        let diagonal = 0.5 / cost;
        let square = |row: Row<'_>| row.iter().map(|(_, x)| f64::from(x).powi(2)).sum::<f64>();
        Dual {
            diagonal,
            tolerance,
            alpha: vec![0.0; rows.len()],
            curvature: rows
                .iter()
                .map(|row| square(row) + 1.0 + diagonal)
                .collect(),
            weights: vec![0.0; rows.width() + 1],
            order: (0..rows.len() as u32).collect(),
        }
    }

    /// One weight for each feature, then the bias.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Visits every row once, in random order; `sign` is 1 for the rows of the class, and
    /// -1 for the others. Gives the mean squared hinge loss as it was met on the way, and
    /// whether all gradients are even.
    pub fn pass(
        &mut self,
        rows: &Rows,
        sign: impl Fn(usize) -> f64,
        random: &mut ChaCha8Rng,
    ) -> (f64, bool) {
        self.order.shuffle(random);
        let (mut loss, mut low, mut high) = (0.0, f64::INFINITY, f64::NEG_INFINITY);
        for place in 0..self.order.len() {
            let at = self.order[place] as usize;
            let (row, sign) = (rows.row(at), sign(at));
            let margin = sign * margin(row, &self.weights);
            loss += (1.0 - margin).max(0.0).powi(2);
            let gradient = margin - 1.0 + self.diagonal * self.alpha[at];
            let projected = if self.alpha[at] > 0.0 {
                gradient
            } else {
                gradient.min(0.0)
            };
            (low, high) = (low.min(projected), high.max(projected));
            if projected.abs() > 1e-12 {
                let moved = (self.alpha[at] - gradient / self.curvature[at]).max(0.0);
                self.add(row, (moved - self.alpha[at]) * sign);
                self.alpha[at] = moved;
            }
        }
        (
            loss / self.order.len().max(1) as f64,
            high - low <= self.tolerance,
        )
    }

    fn add(&mut self, row: Row<'_>, step: f64) {
        for (id, x) in row.iter() {
            self.weights[id] += step * f64::from(x);
        }
        if let Some(bias) = self.weights.last_mut() {
            *bias += step;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn solve(rows: &Rows, signs: &[f64], cost: f64) -> Dual {
        let mut dual = Dual::new(rows, cost, 1e-9);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let even = (0..10_000).any(|_| dual.pass(rows, |at| signs[at], &mut random).1);
        assert!(even, "no end");
        dual
    }

    #[test]
    fn two_points_have_the_weights_of_the_closed_form() {
        // x = 1 and x = -1 with y = x: by symmetry the bias is 0, and the slope of
        // w^2 / 2 + 2 C (1 - w)^2 is 0 at w = 4 C / (1 + 4 C).
        let mut rows = Rows::new(1);
        rows.push([(0, 1.0)]);
        rows.push([(0, -1.0)]);
        for cost in [0.1, 1.0, 10.0] {
            let dual = solve(&rows, &[1.0, -1.0], cost);
            let expected = 4.0 * cost / (1.0 + 4.0 * cost);
            assert!(
                (dual.weights()[0] - expected).abs() < 1e-8,
                "{:?}",
                dual.weights()
            );
            assert!(dual.weights()[1].abs() < 1e-8);
        }
    }

    #[test]
    fn the_slope_of_the_primal_is_zero_at_the_solution() {
        let mut rows = Rows::new(3);
        rows.push([(0, 0.9), (1, 0.3)]);
        rows.push([(1, 0.8), (2, 0.5)]);
        rows.push([(0, 0.2), (2, 1.0)]);
        rows.push([(2, 0.4)]);
        let (signs, cost) = ([1.0, -1.0, -1.0, 1.0], 0.7);
        let dual = solve(&rows, &signs, cost);
        let mut slope = dual.weights().to_vec();
        for (row, sign) in rows.iter().zip(signs) {
            let short = (1.0 - sign * margin(row, dual.weights())).max(0.0);
            for (id, x) in row.iter().chain([(3, 1.0)]) {
                slope[id] -= 2.0 * cost * short * sign * f64::from(x);
            }
        }
        assert!(slope.iter().all(|part| part.abs() < 1e-7), "{slope:?}");
    }
}
