//! From texts to numbered words.

use std::collections::HashMap;

use segue_learn::lists::Lists;

/// Calls `each` with every word of `text`, in lower case: runs of letters, digits and
/// the apostrophes between them. `!` and `?` are words of their own, because they tell
/// how a thing is meant.
pub fn words(text: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    let mut end = |word: &mut String| {
        let bare = word.trim_end_matches('\'');
        if !bare.is_empty() {
            each(bare);
        }
        word.clear();
    };
    for letter in text.chars() {
        match letter {
            '\'' | '\u{2019}' if !word.is_empty() => word.push('\''),
            '!' | '?' => {
                end(&mut word);
                word.push(letter);
                end(&mut word);
            }
            _ if letter.is_alphanumeric() => word.extend(letter.to_lowercase()),
            _ => end(&mut word),
        }
    }
    end(&mut word);
}

/// The words met so far, numbered from 0 in the order they were met.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lexicon {
    numbers: HashMap<Box<str>, u32>,
    words: Vec<Box<str>>,
}

impl Lexicon {
    /// The number of `word`, which it gets now if it is new.
    pub fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        // Texts of 2^32 different words fit no memory.
        let number = self.words.len() as u32;
        self.words.push(word.into());
        self.numbers.insert(word.into(), number);
        number
    }

    /// The number of `word`, if it was met.
    pub fn find(&self, word: &str) -> Option<u32> {
        self.numbers.get(word).copied()
    }

    /// The numbers of a text's words; all words that were not met share one that no other
    /// has.
    pub fn known(&self, text: &str) -> Vec<u32> {
        let mut numbers = Vec::new();
        let unknown = self.words.len() as u32;
        words(text, |word| {
            numbers.push(self.find(word).unwrap_or(unknown))
        });
        numbers
    }

    /// The word with this number, which must have been given by this lexicon.
    pub fn word(&self, number: u32) -> &str {
        &self.words[number as usize]
    }

    /// For each word's number its place in the alphabet: an order that does not depend on
    /// which texts came first.
    pub fn places(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.words.len() as u32).collect();
        order.sort_unstable_by_key(|number| &self.words[*number as usize]);
        let mut places = vec![0; order.len()];
        for (number, place) in order.into_iter().zip(0..) {
            places[number as usize] = place;
        }
        places
    }

    /// All words, in order of their numbers.
    pub fn words(&self) -> &[Box<str>] {
        &self.words
    }

    /// How many different words were met.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// Texts as the numbers of their words: a fifth of what the texts themselves take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corpus {
    /// Every word of every text.
    pub lexicon: Lexicon,
    texts: Lists,
}

impl Corpus {
    /// Appends `text`.
    pub fn push(&mut self, text: &str) {
        let mut numbers = Vec::new();
        words(text, |word| numbers.push(self.lexicon.number(word)));
        self.texts.push(numbers);
    }

    /// From words in order of their numbers, and texts of such numbers; `None` where these do not
    /// fit together.
    pub fn from_parts<'a>(words: impl Iterator<Item = &'a str>, texts: Lists) -> Option<Self> {
        let mut lexicon = Lexicon::default();
        for (at, word) in words.enumerate() {
            if lexicon.number(word) as usize != at {
                return None;
            }
        }
        let known = |number: &u32| (*number as usize) < lexicon.len();
        let fits = texts.numbers().iter().all(known);
        fits.then_some(Corpus { lexicon, texts })
    }

    /// The words of all texts.
    pub fn texts(&self) -> &Lists {
        &self.texts
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The words of text number `at`, which must be below [`Corpus::len`].
    pub fn text(&self, at: usize) -> &[u32] {
        self.texts.list(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let mut found = Vec::new();
        words(text, |word| found.push(word.to_owned()));
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn words_are_letters_digits_and_inner_apostrophes() {
        check("", &[]);
        check("It's GOOD, isn't it", &["it's", "good", "isn't", "it"]);
        check("'quoted' 10/10", &["quoted", "10", "10"]);
        check("don\u{2019}t... Ü!", &["don't", "ü", "!"]);
        check("What?!", &["what", "?", "!"]);
    }

    #[test]
    fn a_word_keeps_its_number() {
        let mut corpus = Corpus::default();
        corpus.push("good bad good");
        corpus.push("");
        corpus.push("bad film");
        assert_eq!(corpus.text(0), [0, 1, 0]);
        assert_eq!(corpus.text(1), [0_u32; 0]);
        assert_eq!(corpus.text(2), [1, 2]);
        assert_eq!(corpus.lexicon.word(2), "film");
        assert_eq!(corpus.lexicon.find("plot"), None);
        assert_eq!(corpus.lexicon.places(), [2, 0, 1]);
        assert_eq!(corpus.lexicon.known("a good plot"), [3, 0, 3]);
    }
}
