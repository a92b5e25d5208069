//! Texts as weighted words and pairs of words: TF-IDF.

use std::cmp::Reverse;
use std::collections::HashMap;

use segue_plugin::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::features::rows::Rows;
use crate::features::words::{Corpus, Lexicon};

/// What becomes a feature, and with which weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TfidfOptions {
    /// The most words in a row that make one feature.
    pub ngrams: usize,
    /// In how many texts a feature must occur.
    pub least_texts: usize,
    /// How many features there are at most: those of the most texts.
    pub most_features: usize,
}

/// The most words of a feature.
pub const LONGEST: usize = 3;

/// Words in a row, by number + 1, filled up with 0.
type Gram = [u32; LONGEST];

/// Features and their weights, as learned from texts.
#[derive(Clone, Debug)]
pub struct Tfidf {
    ngrams: usize,
    features: HashMap<Gram, u32>,
    /// Inverse document frequency of each feature.
    idf: Vec<f32>,
}

/// Each run of up to `ngrams` of `words`.
fn grams(words: &[u32], ngrams: usize) -> impl Iterator<Item = Gram> {
    (0..words.len()).flat_map(move |start| {
        (1..=ngrams.min(words.len() - start)).map(move |length| {
            let mut gram = [0; LONGEST];
            for (place, word) in gram.iter_mut().zip(&words[start..start + length]) {
                *place = word + 1;
            }
            gram
        })
    })
}

impl Tfidf {
    /// Learns features and their weights from the texts number `texts` of `corpus`.
    ///
    /// A feature of d among n texts weighs ln((1 + n) / (1 + d)) + 1.
    pub fn learn(options: &TfidfOptions, corpus: &Corpus, texts: &[usize]) -> Self {
        let mut kept: Vec<(u32, Gram)> = frequencies(options.ngrams, corpus, texts)
            .into_iter()
            .filter(|(_, count)| *count as usize >= options.least_texts)
            .map(|(gram, count)| (count, gram))
            .collect();
        // Of equals the first in the alphabet: neither a map's order nor that of texts that
        // are only judged may change what is learned.
        let places = corpus.lexicon.places();
        let place = |word: u32| word.checked_sub(1).map(|number| places[number as usize]);
        kept.sort_by_cached_key(|(count, gram)| (Reverse(*count), gram.map(place)));
        kept.truncate(options.most_features);
        let idf = |count: u32| (1.0 + texts.len() as f64) / (1.0 + f64::from(count));
        Tfidf {
            ngrams: options.ngrams,
            idf: (kept.iter())
                .map(|(count, _)| (idf(*count).ln() + 1.0) as f32)
                .collect(),
            features: (kept.iter().enumerate())
                .map(|(number, (_, gram))| (*gram, number as u32))
                .collect(),
        }
    }

    /// How many features there are.
    pub fn width(&self) -> usize {
        self.idf.len()
    }

    /// Inverse document frequency of each feature.
    pub fn idf(&self) -> &[f32] {
        &self.idf
    }

    /// Appends the features of a text: (1 + ln tf) idf, scaled to length 1, in order of
    /// their numbers.
    pub fn push(&self, words: &[u32], rows: &mut Rows) {
        let mut found: Vec<u32> = grams(words, self.ngrams)
            .filter_map(|gram| self.features.get(&gram).copied())
            .collect();
        found.sort_unstable();
        let weight = |same: &[u32]| {
            let tf = 1.0 + (same.len() as f32).ln();
            (same[0], tf * self.idf[same[0] as usize])
        };
        let weighted: Vec<(u32, f32)> = found.chunk_by(|a, b| a == b).map(weight).collect();
        let square: f64 = weighted.iter().map(|(_, w)| f64::from(*w).powi(2)).sum();
        let scale = if square > 0.0 {
            square.sqrt().recip()
        } else {
            0.0
        } as f32;
        rows.push(weighted.into_iter().map(|(id, w)| (id, w * scale)));
    }

    /// The features' words, in order of their numbers.
    pub fn names(&self, lexicon: &Lexicon) -> Vec<String> {
        let mut names = vec![String::new(); self.width()];
        for (gram, number) in &self.features {
            let words = gram.iter().filter(|word| **word > 0);
            let words: Vec<&str> = words.map(|word| lexicon.word(word - 1)).collect();
            names[*number as usize] = words.join(" ");
        }
        names
    }

    /// As [`Tfidf::names`] and [`Tfidf::idf`] gave it; its words are numbered by the
    /// lexicon that comes with it.
    ///
    /// # Errors
    /// `bad-model` when names and weights do not fit together
    pub fn from_names(ngrams: usize, names: &[&str], idf: Vec<f32>) -> Result<(Self, Lexicon)> {
        let (mut lexicon, mut features) = (Lexicon::default(), HashMap::new());
        for (number, name) in names.iter().enumerate() {
            let parts = name.split(' ').filter(|word| !word.is_empty());
            let numbers: Vec<u32> = parts.map(|word| lexicon.number(word)).collect();
            let whole = grams(&numbers, ngrams).nth(numbers.len().wrapping_sub(1));
            let gram = whole.filter(|_| numbers.len() <= ngrams);
            let new =
                gram.and_then(|gram| features.insert(gram, number as u32).is_none().then_some(()));
            new.ok_or_else(|| bad(format!("`{name}` is no feature, or one that came before")))?;
        }
        if idf.len() != features.len() {
            return Err(bad(format!(
                "{} weights for {} features",
                idf.len(),
                features.len()
            )));
        }
        Ok((
            Tfidf {
                ngrams,
                features,
                idf,
            },
            lexicon,
        ))
    }
}

fn bad(message: String) -> Error {
    Error::new("bad-model", message).option("model")
}

/// In how many of the texts each run of words occurs.
fn frequencies(ngrams: usize, corpus: &Corpus, texts: &[usize]) -> HashMap<Gram, u32> {
    let mut frequencies = HashMap::new();
    let mut distinct = Vec::new();
    for text in texts {
        distinct.clear();
        distinct.extend(grams(corpus.text(*text), ngrams));
        distinct.sort_unstable();
        distinct.dedup();
        for gram in &distinct {
            *frequencies.entry(*gram).or_insert(0) += 1;
        }
    }
    frequencies
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: TfidfOptions = TfidfOptions {
        ngrams: 2,
        least_texts: 1,
        most_features: usize::MAX,
    };

    fn corpus() -> Corpus {
        let mut corpus = Corpus::default();
        for text in ["good good film", "bad film", "good"] {
            corpus.push(text);
        }
        corpus
    }

    #[test]
    fn frequent_features_come_first_and_rare_ones_weigh_more() {
        let corpus = corpus();
        let tfidf = Tfidf::learn(&OPTIONS, &corpus, &[0, 1, 2]);
        // Two texts have `good` and `film`, one has each other.
        let names = tfidf.names(&corpus.lexicon);
        assert_eq!(
            names,
            ["film", "good", "bad", "bad film", "good film", "good good"]
        );
        let idf = [
            1.287_682, 1.287_682, 1.693_147, 1.693_147, 1.693_147, 1.693_147,
        ];
        for (found, expected) in tfidf.idf().iter().zip(idf) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn a_row_has_sublinear_counts_and_length_one() {
        let corpus = corpus();
        let tfidf = Tfidf::learn(&OPTIONS, &corpus, &[0, 1, 2]);
        let mut rows = Rows::new(tfidf.width());
        tfidf.push(corpus.text(0), &mut rows);
        // good: (1 + ln 2) 1.287682 = 2.180236; film 1.287682; two pairs 1.693147;
        // the root of the sum of their squares is 3.484974.
        let expected = [
            (0, 0.369_495),
            (1, 0.625_610),
            (4, 0.485_842),
            (5, 0.485_842),
        ];
        let found: Vec<_> = rows.row(0).iter().collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.0, expected.0);
            assert!(
                (found.1 - expected.1).abs() < 1e-5,
                "{found:?} {expected:?}"
            );
        }
    }

    #[test]
    fn what_was_not_learned_is_no_feature() {
        let mut corpus = corpus();
        corpus.push("dull film");
        let options = TfidfOptions {
            least_texts: 2,
            ..OPTIONS
        };
        let tfidf = Tfidf::learn(&options, &corpus, &[0, 1, 2]);
        assert_eq!(tfidf.names(&corpus.lexicon), ["film", "good"]);
        let mut rows = Rows::new(tfidf.width());
        tfidf.push(corpus.text(3), &mut rows);
        tfidf.push(&[], &mut rows);
        assert_eq!(rows.row(0).iter().collect::<Vec<_>>(), [(0, 1.0)]);
        assert_eq!(rows.row(1).iter().count(), 0);
        let one = TfidfOptions {
            most_features: 1,
            ..options
        };
        assert_eq!(Tfidf::learn(&one, &corpus, &[0, 1, 2]).width(), 1);
    }

    #[test]
    fn names_and_weights_make_the_same_features() {
        let corpus = corpus();
        let tfidf = Tfidf::learn(&OPTIONS, &corpus, &[0, 1, 2]);
        let names = tfidf.names(&corpus.lexicon);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (again, lexicon) = Tfidf::from_names(2, &names, tfidf.idf().to_vec()).unwrap();
        assert_eq!(again.names(&lexicon), names);
        let (mut left, mut right) = (Rows::new(6), Rows::new(6));
        tfidf.push(corpus.text(0), &mut left);
        again.push(&lexicon.known("good good film"), &mut right);
        assert_eq!(left, right);
    }

    #[test]
    fn names_that_make_no_features_are_refused() {
        for names in [&["good", "good"][..], &["a b c"], &[""], &["one", "two"]] {
            let error = Tfidf::from_names(2, names, vec![1.0]).unwrap_err();
            assert_eq!(error.code, "bad-model");
        }
    }
}
