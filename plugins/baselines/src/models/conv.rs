//! A small convolutional network over fixed word vectors, whose weights a search looks for.
//!
//! Filters of 1 to some words, ReLU, the largest value and the mean of each over the text, one
//! logit. What a filter makes of a word is worked out once a candidate, for every word of the
//! vocabulary; then a text is additions alone.

use std::ops::Range;

use segue_kernels::{Isa, Kernel, Simd};
use segue_learn::scorer::{Scorer, check_count};
use segue_plugin::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::features::rows::{Examples, Rows};
use crate::models::head::Score;
use crate::models::{Epoch, Model};

/// Filters that are worked on at once.
pub const LANES: usize = 8;

/// A mean over a text differs less from text to text than the largest value does.
const MEANS: f32 = 10.0;

/// Its shape.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvOptions {
    /// Numbers of a word's vector.
    pub embedding: usize,
    /// Filters of each width, in eights.
    pub eights: usize,
    /// Filters see from 1 to so many words at once.
    pub widest: usize,
}

impl ConvOptions {
    /// Groups of eight filters, each with its width.
    fn groups(self) -> impl Iterator<Item = usize> {
        (1..=self.widest).flat_map(move |width| std::iter::repeat_n(width, self.eights))
    }

    /// Weights of a group: (width, embedding, 8), then the 8 biases.
    fn group(self, width: usize) -> usize {
        (width * self.embedding + 1) * LANES
    }

    /// How many filters there are.
    fn filters(self) -> usize {
        self.widest * self.eights * LANES
    }

    /// Weights of all filters.
    pub fn convolution(self) -> usize {
        self.groups().map(|width| self.group(width)).sum()
    }

    /// How many weights are searched: those of the filters, one for the largest value and one
    /// for the mean of each, and a bias.
    pub fn weights(self) -> usize {
        self.convolution() + 2 * self.filters() + 1
    }

    /// Words times filters that a word's row of products has.
    fn products(self) -> usize {
        self.groups().sum::<usize>() * LANES
    }
}

/// The network.
#[derive(Clone, Debug)]
pub struct Conv {
    options: ConvOptions,
    isa: Isa,
    /// (words, embedding)
    table: Vec<f32>,
    weights: Vec<f32>,
    /// (words, [`ConvOptions::products`]), of these weights.
    products: Vec<f32>,
}

impl Conv {
    /// One that knows nothing, for `width` different tokens.
    pub fn new(options: ConvOptions, width: usize) -> Self {
        Conv {
            options,
            isa: Isa::detect(),
            table: vec![0.0; width * options.embedding],
            weights: vec![0.0; options.weights()],
            products: vec![0.0; width * options.products()],
        }
    }

    /// Takes the vectors of all words: (words, embedding).
    pub fn set_table(&mut self, table: Vec<f32>) {
        self.table = table;
    }

    /// Takes what is searched: [`ConvOptions::weights`] numbers.
    pub fn set_searched(&mut self, weights: &[f32]) {
        self.weights.copy_from_slice(weights);
        self.isa.run(Multiply {
            options: self.options,
            table: &self.table,
            weights,
            products: &mut self.products,
        });
    }

    /// The logits of the texts `range`.
    pub fn logits(&self, rows: &Rows, range: Range<usize>) -> Vec<f32> {
        let mut logits = vec![0.0; range.len()];
        self.isa.run(Convolve {
            conv: self,
            rows,
            range,
            logits: &mut logits,
        });
        logits
    }

    /// How well these weights do on `examples`.
    pub fn judge(&mut self, weights: &[f32], examples: &Examples) -> Score {
        self.set_searched(weights);
        let mut score = Score::default();
        let count = examples.rows.len();
        for (logit, class) in (self.logits(&examples.rows, 0..count).iter()).zip(&examples.classes)
        {
            let wrong = f64::from(if *class == 1 { -logit } else { *logit });
            score.loss += wrong.max(0.0) + libm::log1p(libm::exp(-wrong.abs()));
            score.accuracy += f64::from(u8::from((*logit > 0.0) == (*class == 1)));
        }
        score.loss /= count.max(1) as f64;
        score.accuracy /= count.max(1) as f64;
        score
    }
}

struct Multiply<'a> {
    options: ConvOptions,
    table: &'a [f32],
    weights: &'a [f32],
    products: &'a mut [f32],
}

impl Kernel for Multiply<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let ConvOptions { embedding, .. } = self.options;
        let vectors = self.table.chunks_exact(embedding);
        let rows = self.products.chunks_exact_mut(self.options.products());
        for (vector, products) in vectors.zip(rows) {
            let (mut weights, mut products) = (self.weights, products);
            for width in self.options.groups() {
                let (own, rest) = weights.split_at(self.options.group(width));
                let (out, others) = products.split_at_mut(width * LANES);
                for (place, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                    let own = &own[place * embedding * LANES..][..embedding * LANES];
                    let mut sum = [0.0_f32; LANES];
                    for (x, own) in vector.iter().zip(own.as_chunks::<LANES>().0) {
                        for lane in 0..LANES {
                            sum[lane] += *x * own[lane];
                        }
                    }
                    *out = sum;
                }
                (weights, products) = (rest, others);
            }
        }
    }
}

struct Convolve<'a> {
    conv: &'a Conv,
    rows: &'a Rows,
    range: Range<usize>,
    logits: &'a mut [f32],
}

impl Kernel for Convolve<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Conv {
            options, weights, ..
        } = self.conv;
        let (filters, last) = weights.split_at(options.convolution());
        let (most, last) = last.split_at(options.filters());
        let (means, bias) = last.split_at(options.filters());
        for (text, logit) in self.range.zip(self.logits) {
            let tokens = self.rows.row(text).ids;
            let (mut start, mut from) = (0, 0);
            *logit = bias[0];
            for (group, width) in options.groups().enumerate() {
                let biases = &filters[start + width * options.embedding * LANES..];
                let (top, mean) = pool(self.conv, tokens, (from, width), biases);
                for lane in 0..LANES {
                    let filter = group * LANES + lane;
                    *logit += most[filter] * top[lane];
                    *logit += means[filter] * mean[lane];
                }
                start += options.group(width);
                from += width * LANES;
            }
        }
    }
}

/// The largest value over all windows and the mean of eight filters, after ReLU. Their products
/// begin at `from` in a word's row.
#[inline(always)]
fn pool(
    conv: &Conv,
    tokens: &[u32],
    (from, width): (usize, usize),
    biases: &[f32],
) -> ([f32; LANES], [f32; LANES]) {
    let row = conv.options.products();
    let (mut top, mut sum) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let mut bias = [0.0; LANES];
    bias.copy_from_slice(&biases[..LANES]);
    let windows = tokens.windows(width);
    let share = MEANS / windows.len().max(1) as f32;
    for window in windows {
        let mut value = bias;
        for (place, token) in window.iter().enumerate() {
            let at = *token as usize * row + from + place * LANES;
            for (value, product) in value.iter_mut().zip(&conv.products[at..at + LANES]) {
                *value += product;
            }
        }
        for lane in 0..LANES {
            let positive = if value[lane] > 0.0 { value[lane] } else { 0.0 };
            top[lane] = if positive > top[lane] {
                positive
            } else {
                top[lane]
            };
            sum[lane] += positive;
        }
    }
    (top, sum.map(|sum| sum * share))
}

impl Scorer for Conv {
    type Features = Rows;

    fn classes(&self) -> usize {
        2
    }

    fn weight_count(&self) -> usize {
        self.table.len() + self.weights.len()
    }

    fn weights(&self) -> Result<Vec<f32>> {
        Ok([&self.table[..], &self.weights].concat())
    }

    fn set_weights(&mut self, weights: &[f32]) -> Result<()> {
        check_count(weights.len(), self.weight_count())?;
        let (table, searched) = weights.split_at(self.table.len());
        self.set_table(table.to_vec());
        self.set_searched(searched);
        Ok(())
    }

    fn scores(&self, rows: &Rows, range: Range<usize>) -> Result<Vec<f32>> {
        let second = |logit: f32| (1.0 / (1.0 + libm::exp(-f64::from(logit)))) as f32;
        let logits = self.logits(rows, range).into_iter().map(second);
        Ok(logits.flat_map(|share| [1.0 - share, share]).collect())
    }
}

impl Model for Conv {
    fn begin(&mut self, _train: &Examples) -> Result<()> {
        let message = "the weights of this network are searched, not learned: see `cnn-fitness`";
        Err(Error::new("not-trainable", message))
    }

    fn epoch(&mut self, train: &Examples) -> Result<Epoch> {
        self.begin(train)?;
        Ok(Epoch {
            loss: 0.0,
            converged: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use segue_candidates::random::{Purpose, Random};

    use super::*;

    const OPTIONS: ConvOptions = ConvOptions {
        embedding: 3,
        eights: 1,
        widest: 2,
    };

    /// The logit, plainly.
    fn plain(table: &[f32], weights: &[f32], tokens: &[u32]) -> f64 {
        let (mut start, mut all) = (0, Vec::new());
        for width in 1..=2 {
            for filter in 0..LANES {
                let value = |window: &[u32]| {
                    let mut sum = weights[start + width * 3 * LANES + filter];
                    for (place, token) in window.iter().enumerate() {
                        for at in 0..3 {
                            let weight = weights[start + (place * 3 + at) * LANES + filter];
                            sum += table[*token as usize * 3 + at] * weight;
                        }
                    }
                    f64::from(sum.max(0.0))
                };
                let values: Vec<f64> = tokens.windows(width).map(value).collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                all.push((values.iter().fold(0.0_f64, |a, b| a.max(*b)), 10.0 * mean));
            }
            start += (width * 3 + 1) * LANES;
        }
        let weight = |at: usize| f64::from(weights[start + at]);
        let pooled = all.iter().enumerate();
        pooled
            .map(|(at, (top, mean))| weight(at) * top + weight(at + all.len()) * mean)
            .sum::<f64>()
            + weight(2 * all.len())
    }

    #[test]
    fn logits_are_those_of_the_plain_network() {
        let mut random = Random::new(1, 0, 0, Purpose::Move);
        let mut numbers =
            |count: usize| -> Vec<f32> { (0..count).map(|_| random.gaussian() as f32).collect() };
        let (table, weights) = (numbers(5 * 3), numbers(OPTIONS.weights()));
        let mut rows = Rows::new(5);
        let texts: [&[u32]; 2] = [&[0, 4, 4, 2], &[3, 1]];
        texts
            .iter()
            .for_each(|tokens| rows.push_tokens(tokens.iter().copied()));
        let mut conv = Conv::new(OPTIONS, 5);
        conv.set_weights(&[&table[..], &weights].concat()).unwrap();
        assert_eq!(conv.weights().unwrap().len(), conv.weight_count());
        for (logit, tokens) in conv.logits(&rows, 0..2).iter().zip(texts) {
            let wanted = plain(&table, &weights, tokens);
            assert!(
                (f64::from(*logit) - wanted).abs() < 1e-4,
                "{logit} {wanted}"
            );
        }
    }
}
