//! A small convolutional network over fixed word vectors, whose weights a search looks for.
//!
//! Filters of 1 to some words, ReLU, the largest value and the mean of each over the text, one
//! logit. What a filter makes of a word is worked out once a candidate, for every word of the
//! vocabulary; then a text is additions alone.

use std::ops::Range;
use std::sync::Arc;

use segue_kernels::Isa;
use segue_learn::scorer::{Scorer, check_count};
use segue_plugin::{Error, Result};
use serde::{Deserialize, Serialize};

use super::conv_kernel::{Multiply, Pool};
use crate::features::rows::{Examples, Rows};
use crate::models::head::Score;
use crate::models::{Epoch, Model};

/// Filters that are worked on at once.
pub const LANES: usize = 8;

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
    fn widths(self) -> impl Iterator<Item = usize> {
        (1..=self.widest).flat_map(move |width| std::iter::repeat_n(width, self.eights))
    }

    /// Filters, eight at a time.
    fn groups(self) -> impl Iterator<Item = Group> {
        let (mut weights, mut products) = (0, 0);
        self.widths().map(move |width| {
            let group = Group {
                width,
                weights: weights..weights + (width * self.embedding + 1) * LANES,
                products: products..products + width * LANES,
            };
            (weights, products) = (group.weights.end, group.products.end);
            group
        })
    }

    /// How many filters there are.
    fn filters(self) -> usize {
        self.widest * self.eights * LANES
    }

    /// Weights of all filters.
    pub fn convolution(self) -> usize {
        self.groups().map(|group| group.weights.len()).sum()
    }

    /// How many weights are searched: those of the filters, one for the largest value and one
    /// for the mean of each, and a bias.
    pub fn weights(self) -> usize {
        self.convolution() + 2 * self.filters() + 1
    }

    /// Words times filters that a word's row of products has.
    fn products(self) -> usize {
        self.widths().sum::<usize>() * LANES
    }
}

/// Eight filters of one width.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) width: usize,
    /// Their own: (width, embedding, 8), then the 8 biases.
    pub(super) weights: Range<usize>,
    /// Theirs in a word's row.
    pub(super) products: Range<usize>,
}

/// What eight filters make of a text, after ReLU: their largest values over all windows, and
/// their means.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pooled {
    pub(super) top: [f32; LANES],
    pub(super) mean: [f32; LANES],
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
        for group in self.options.groups() {
            self.multiply(&group);
        }
    }

    fn multiply(&mut self, group: &Group) {
        self.isa.run(Multiply {
            embedding: self.options.embedding,
            table: &self.table,
            weights: &self.weights[group.weights.clone()],
            group,
            row: self.options.products(),
            products: &mut self.products,
        });
    }

    /// What `group` makes of the texts `range`, one behind the other.
    fn pool(&self, group: &Group, rows: &Rows, range: Range<usize>, pooled: &mut [Pooled]) {
        self.isa.run(Pool {
            biases: &self.weights[group.weights.end - LANES..group.weights.end],
            group,
            row: self.options.products(),
            products: &self.products,
            rows,
            range,
            pooled,
        });
    }

    /// Of one text, for which `pooled` gives what each group made of it.
    fn logit(&self, pooled: impl Iterator<Item = Pooled>) -> f32 {
        let last = &self.weights[self.options.convolution()..];
        let (most, last) = last.split_at(self.options.filters());
        let (means, bias) = last.split_at(self.options.filters());
        let mut logit = bias[0];
        let own = most.as_chunks().0.iter().zip(means.as_chunks().0);
        for (pooled, (most, means)) in pooled.zip(own) {
            let (most, means): (&[f32; LANES], &[f32; LANES]) = (most, means);
            for lane in 0..LANES {
                logit += most[lane] * pooled.top[lane];
                logit += means[lane] * pooled.mean[lane];
            }
        }
        logit
    }

    /// The logits of the texts `range`.
    pub fn logits(&self, rows: &Rows, range: Range<usize>) -> Vec<f32> {
        let texts = range.len();
        let groups = self.options.widths().count();
        let mut pooled = vec![Pooled::default(); groups * texts];
        for (number, group) in self.options.groups().enumerate() {
            let own = &mut pooled[number * texts..][..texts];
            self.pool(&group, rows, range.clone(), own);
        }
        let of = |text| pooled.iter().skip(text).step_by(texts).copied();
        (0..texts).map(|text| self.logit(of(text))).collect()
    }
}

/// Scores candidates on texts.
///
/// A search in blocks of coordinates changes a few weights from one candidate to the next, so what
/// filters make of the texts is kept, and worked out again for those alone whose weights are
/// others. That changes no bit.
pub struct Judge {
    conv: Conv,
    texts: Arc<Examples>,
    /// Whether `pooled` is what the network's weights make of the texts.
    known: bool,
    /// (groups, texts)
    pooled: Vec<Pooled>,
}

impl Judge {
    /// With the network `conv`, whose word vectors stay as they are.
    pub fn new(conv: Conv, texts: Arc<Examples>) -> Self {
        let groups = conv.options.widths().count();
        let pooled = vec![Pooled::default(); groups * texts.rows.len()];
        Judge {
            conv,
            texts,
            known: false,
            pooled,
        }
    }

    /// How well these weights do.
    pub fn judge(&mut self, weights: &[f32]) -> Score {
        let texts = self.texts.rows.len();
        let last = std::mem::replace(&mut self.conv.weights, weights.to_vec());
        for (number, group) in self.conv.options.groups().enumerate() {
            let own = group.weights.clone();
            if self.known && last[own.clone()] == weights[own] {
                continue;
            }
            self.conv.multiply(&group);
            let pooled = &mut self.pooled[number * texts..][..texts];
            self.conv.pool(&group, &self.texts.rows, 0..texts, pooled);
        }
        self.known = true;
        let mut score = Score::default();
        for (text, class) in self.texts.classes.iter().enumerate() {
            let pooled = self.pooled.iter().skip(text).step_by(texts);
            let logit = self.conv.logit(pooled.copied());
            let wrong = f64::from(if *class == 1 { -logit } else { logit });
            score.loss += wrong.max(0.0) + libm::log1p(libm::exp(-wrong.abs()));
            score.accuracy += f64::from(u8::from((logit > 0.0) == (*class == 1)));
        }
        score.loss /= texts.max(1) as f64;
        score.accuracy /= texts.max(1) as f64;
        score
    }
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

    #[test]
    fn what_is_kept_changes_no_score() {
        let mut random = Random::new(2, 0, 0, Purpose::Move);
        let mut numbers =
            |count: usize| -> Vec<f32> { (0..count).map(|_| random.gaussian() as f32).collect() };
        let (table, weights) = (numbers(5 * 3), numbers(OPTIONS.weights()));
        let mut texts = Examples {
            rows: Rows::new(5),
            classes: vec![0, 1, 1],
        };
        let tokens: [&[u32]; 3] = [&[0, 4, 4, 2], &[3, 1], &[2, 2, 1]];
        (tokens.iter()).for_each(|tokens| texts.rows.push_tokens(tokens.iter().copied()));
        let texts = Arc::new(texts);
        let fresh = || {
            let mut conv = Conv::new(OPTIONS, 5);
            conv.set_table(table.clone());
            Judge::new(conv, Arc::clone(&texts))
        };
        let mut judge = fresh();
        for changed in 0..weights.len() {
            let mut other = weights.clone();
            other[changed] += 1.5;
            assert_eq!(judge.judge(&other), fresh().judge(&other), "{changed}");
        }
    }
}
