//! Vectors of words, from the texts that they occur in together.

use super::prepared::Prepared;
use super::reduced::{Reduced, ReducedOptions};
use super::rows::Rows;
use super::tokens::FIRST;

/// A vector for each token of `tokens`: (tokens, `options.dims`), where `words` has the same words as
/// weighted features, in the same order.
///
/// A word's vector is what the word adds to the numbers that a text is [reduced](Reduced) to; then
/// each number is scaled to a mean square of 1 over all words of the texts. Tokens that are not
/// words have vectors of 0. No gradient is involved; with `naive_bayes` the classes are.
///
/// # Source
/// Deerwester et al., Indexing by latent semantic analysis, JASIS 41(6), 1990
pub fn vectors(words: &Prepared, tokens: &Rows, options: ReducedOptions) -> Vec<f32> {
    let dims = options.dims;
    let reduced = Reduced::learn(&words.train, options);
    let mut table = vec![0.0; tokens.width() * dims];
    let rows = table.chunks_exact_mut(dims).skip(FIRST as usize);
    let factors = reduced.map().chunks_exact(dims);
    for ((row, factors), weight) in rows.zip(factors).zip(words.features.weights()) {
        for (to, factor) in row.iter_mut().zip(factors) {
            *to = weight * factor;
        }
    }
    let (mut squares, mut count) = (vec![0.0_f64; dims], 0.0_f64);
    for id in tokens.iter().flat_map(|row| row.ids) {
        let row = &table[*id as usize * dims..][..dims];
        for (sum, x) in squares.iter_mut().zip(row) {
            *sum += f64::from(*x).powi(2);
        }
        count += 1.0;
    }
    let scale = |square: &f64| {
        if *square > 0.0 {
            (count / square).sqrt() as f32
        } else {
            0.0
        }
    };
    let scales: Vec<f32> = squares.iter().map(scale).collect();
    for row in table.chunks_exact_mut(dims) {
        row.iter_mut()
            .zip(&scales)
            .for_each(|(x, scale)| *x *= scale);
    }
    table
}
