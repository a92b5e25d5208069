//! Random directions through the space of all weights.

use serde::{Deserialize, Serialize};

use crate::random::{Purpose, Random};

/// A matrix of as many rows as weights and as many columns as the subspace has dimensions, each
/// column of length 1. It is never stored: every row comes from (seed, row).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    seed: u64,
    rows: usize,
    /// Normal entries: each weight moves with every coordinate, at the price of rows times
    /// columns. Else each weight moves with one coordinate, this way or that, which costs as
    /// little as a copy; then columns are orthogonal.
    dense: bool,
    /// One over the length of each column.
    scales: Vec<f64>,
}

impl Projection {
    pub(super) fn new(rows: usize, columns: usize, seed: u64, dense: bool) -> Self {
        let mut plain = Self {
            seed,
            rows,
            dense,
            scales: vec![1.0; columns],
        };
        let mut squares = vec![0.0; columns];
        for row in 0..if columns == 0 { 0 } else { rows } {
            plain.entries(row, |column, value| squares[column] += value * value);
        }
        // A column without an entry stays empty.
        let scale = |square: f64| {
            if square > 0.0 {
                1.0 / square.sqrt()
            } else {
                0.0
            }
        };
        plain.scales = squares.into_iter().map(scale).collect();
        plain
    }

    pub(super) fn dimensions(&self) -> usize {
        self.scales.len()
    }

    /// One row times a vector of the subspace.
    pub(super) fn row(&self, row: usize, along: &[f64]) -> f64 {
        let mut sum = 0.0;
        self.entries(row, |column, value| sum += value * along[column]);
        sum
    }

    /// The transposed matrix times a vector of all weights.
    pub(super) fn transposed(&self, vector: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.dimensions()];
        for (row, weight) in vector.iter().enumerate() {
            self.entries(row, |column, value| sums[column] += value * weight);
        }
        sums
    }

    /// Visits what is not 0 in a row.
    #[inline]
    fn entries(&self, row: usize, mut visit: impl FnMut(usize, f64)) {
        let mut random = Random::new(self.seed, row as u64, 0, Purpose::Projection);
        if self.dense {
            for (column, scale) in self.scales.iter().enumerate() {
                visit(column, scale * random.gaussian());
            }
        } else {
            let column = random.below(self.scales.len());
            let sign = if random.bits() & 1 == 0 { 1.0 } else { -1.0 };
            visit(column, sign * self.scales[column]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_length_one_and_are_nearly_orthogonal() {
        for dense in [true, false] {
            let projection = Projection::new(4000, 5, 3, dense);
            for one in 0..5 {
                let mut along = [0.0; 5];
                along[one] = 1.0;
                let column: Vec<f64> = (0..4000).map(|row| projection.row(row, &along)).collect();
                for (other, product) in projection.transposed(&column).iter().enumerate() {
                    let (want, error) = if one == other {
                        (1.0, 1e-12)
                    } else {
                        (0.0, 0.08)
                    };
                    assert!(
                        (product - want).abs() < error,
                        "{dense} {one} {other}: {product}"
                    );
                }
            }
        }
    }
}
