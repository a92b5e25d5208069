//! Texts as a few numbers: the directions in which their weighted words differ most.
//!
//! The directions span the range of the texts' matrix, as subspace iteration finds it from a
//! seeded start; then they are turned and scaled so that over the texts that they were learned
//! from each number has the mean 0 and the variance 1, and no two go together. A search over the
//! weights of a linear layer so has a landscape that is about equally steep in every coordinate.
//!
//! # Source
//! Halko, Martinsson and Tropp, SIAM Review 53(2), 2011, algorithm 4.4; the orthogonal bases are
//! those of Cholesky's factor
//! # What differs
//! Sums are in a fixed order, with no multiply-add in one rounding, so that every processor and
//! any number of workers give the same bytes.

use segue_candidates::random::{Purpose, Random};
use segue_kernels::Isa;

use super::linear::{Axpy, Cholesky, gram, scatter, weigh};
use super::ratios::log_ratios;
use super::rows::{Examples, Row, Rows};

/// How texts are reduced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReducedOptions {
    /// How many numbers a text becomes. Where texts have fewer directions the rest are 0.
    pub dims: usize,
    /// Whether features are first scaled by how much they tell of a class.
    pub naive_bayes: bool,
    /// In how many texts of each class a feature counts as seen besides.
    pub smoothing: f64,
    /// Of the start.
    pub seed: u64,
}

/// A search sees the texts that features were counted on, on which what is rare tells more than on
/// others: so 10 rather than 1. Found on IMDB's training reviews, judging those of films held out.
pub const SMOOTHING: f64 = 10.0;

/// Rounds of the subspace iteration.
const ROUNDS: usize = 2;

/// A map from features to a few numbers.
#[derive(Clone, Debug)]
pub struct Reduced {
    dims: usize,
    /// (features, dims)
    map: Vec<f32>,
    /// What is taken from each number.
    means: Vec<f32>,
}

impl Reduced {
    /// Learns the directions from `train`.
    pub fn learn(train: &Examples, options: ReducedOptions) -> Self {
        let ReducedOptions { dims, seed, .. } = options;
        let (isa, width) = (Isa::detect(), train.rows.width());
        let factors = if options.naive_bayes {
            log_ratios(train, 1, options.smoothing, |_| 1.0)
        } else {
            vec![1.0; width]
        };
        let mut rows = Rows::new(width);
        for row in train.rows.iter() {
            rows.push(row.iter().map(|(id, x)| (id as u32, x * factors[id])));
        }
        let mut map = start(width, dims, seed);
        let mut texts = weigh(isa, &rows, &map, dims);
        for _ in 0..ROUNDS {
            Cholesky::of(gram(isa, &texts, dims), dims).divide(isa, &mut texts);
            scatter(isa, &rows, &texts, (&mut map, dims));
            texts = weigh(isa, &rows, &map, dims);
        }
        let mut means = centre(isa, &mut texts, dims);
        let mut covariance = gram(isa, &texts, dims);
        let share = 1.0 / rows.len().max(1) as f32;
        covariance.iter_mut().for_each(|sum| *sum *= share);
        let spread = Cholesky::of(covariance, dims);
        spread.divide(isa, &mut map);
        spread.divide(isa, &mut means);
        for (row, factor) in map.chunks_exact_mut(dims).zip(&factors) {
            row.iter_mut().for_each(|x| *x *= factor);
        }
        Reduced { dims, map, means }
    }

    /// How many numbers a text becomes.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// What each feature adds to the numbers: (features, dims).
    pub fn map(&self) -> &[f32] {
        &self.map
    }

    /// The numbers of a text.
    pub fn of(&self, row: Row<'_>) -> Vec<f32> {
        let isa = Isa::detect();
        let mut sum: Vec<f32> = self.means.iter().map(|mean| -mean).collect();
        for (id, factor) in row.iter() {
            let values = &self.map[id * self.dims..][..self.dims];
            isa.run(Axpy {
                sum: &mut sum,
                factor,
                values,
            });
        }
        sum
    }

    /// A linear layer over the numbers as one over the features: for each a weight, and what is
    /// to be added to the bias.
    pub fn unfold(&self, weights: &[f32]) -> (Vec<f32>, f32) {
        let dot = |row: &[f32]| {
            let terms = row.iter().zip(weights);
            terms
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum::<f64>()
        };
        let own = self.map.chunks_exact(self.dims).map(|row| dot(row) as f32);
        (own.collect(), -dot(&self.means) as f32)
    }
}

/// A normal number for each feature and direction.
fn start(width: usize, dims: usize, seed: u64) -> Vec<f32> {
    let mut map = vec![0.0; width * dims];
    let mut numbers = vec![0.0; dims];
    for (feature, row) in map.chunks_exact_mut(dims).enumerate() {
        Random::new(seed, feature as u64, 1, Purpose::Projection).gaussians(&mut numbers);
        for (to, number) in row.iter_mut().zip(&numbers) {
            *to = *number as f32;
        }
    }
    map
}

/// Takes the mean from every column, and gives the means.
fn centre(isa: Isa, rows: &mut [f32], dims: usize) -> Vec<f32> {
    let mut means = vec![0.0_f32; dims];
    let share = 1.0 / (rows.len() / dims).max(1) as f32;
    for values in rows.chunks_exact(dims) {
        isa.run(Axpy {
            sum: &mut means,
            factor: share,
            values,
        });
    }
    for sum in rows.chunks_exact_mut(dims) {
        isa.run(Axpy {
            sum,
            factor: -1.0,
            values: &means,
        });
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 texts of 12 features, drawn.
    fn drawn() -> Examples {
        let mut random = Random::new(1, 0, 0, Purpose::Move);
        let mut rows = Rows::new(12);
        for _ in 0..40 {
            let drawn: Vec<f32> = (0..12).map(|_| random.uniform() as f32).collect();
            // Not every text has every word.
            rows.push((0..12).zip(drawn).filter(|(_, x)| *x > 0.3));
        }
        Examples {
            rows,
            classes: (0..40).map(|text| text % 2).collect(),
        }
    }

    const OPTIONS: ReducedOptions = ReducedOptions {
        dims: 16,
        naive_bayes: true,
        smoothing: 1.0,
        seed: 3,
    };

    #[test]
    fn numbers_have_variance_one_and_do_not_go_together() {
        let train = drawn();
        let reduced = Reduced::learn(&train, OPTIONS);
        let texts: Vec<Vec<f32>> = train.rows.iter().map(|row| reduced.of(row)).collect();
        let product = |a: usize, b: usize| {
            texts
                .iter()
                .map(|text| f64::from(text[a] * text[b]))
                .sum::<f64>()
                / 40.0
        };
        // Twelve features have twelve directions; the others are 0.
        let used: Vec<usize> = (0..16).filter(|at| product(*at, *at) > 0.5).collect();
        assert!((11..=12).contains(&used.len()), "{used:?}");
        for a in 0..16 {
            for b in 0..16 {
                let wanted = f64::from(u8::from(a == b && used.contains(&a)));
                let off = (product(a, b) - wanted).abs();
                assert!(off < 0.01, "{a} {b}: {}", product(a, b));
            }
        }
    }

    #[test]
    fn a_layer_over_numbers_is_one_over_features() {
        let train = drawn();
        let reduced = Reduced::learn(&train, OPTIONS);
        let weights: Vec<f32> = (0..16).map(|at| 0.1 * at as f32 - 0.7).collect();
        let (own, bias) = reduced.unfold(&weights);
        for row in train.rows.iter() {
            let dot = |a: &[f32]| a.iter().zip(&weights).map(|(a, b)| a * b).sum::<f32>();
            let through = dot(&reduced.of(row));
            let direct = bias + row.iter().map(|(id, x)| x * own[id]).sum::<f32>();
            assert!((through - direct).abs() < 1e-3, "{through} {direct}");
        }
    }
}
