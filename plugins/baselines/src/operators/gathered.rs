//! What has reached an operator that is to learn.

use segue_learn::columns::{self, Role};
use segue_learn::labels::class;
use segue_learn::lists::Lists;
use segue_learn::store::{Packed, Stored, pack_tensors};
use segue_plugin::arrow_array::{Array, StringArray};
use segue_plugin::{Batch, Error, Result};

use crate::features::Features;
use crate::features::rows::Examples;
use crate::features::words::Corpus;

/// All rows: texts as word numbers, because texts take five times as much.
#[derive(Debug, Default, PartialEq)]
pub struct Gathered {
    /// The texts.
    pub corpus: Corpus,
    rows: Vec<Known>,
}

#[derive(Debug, PartialEq)]
struct Known {
    role: Role,
    review: u64,
    class: Option<u32>,
}

/// How a row without a class is packed.
const NONE: u32 = u32::MAX;

/// The class that each row's `truth` names; `None` for a row without one.
///
/// # Errors
/// `unknown-label`
pub fn classes(truth: &StringArray, labels: &[String]) -> Result<Vec<Option<u32>>> {
    let number = |name: Option<&str>| match name.filter(|name| !name.is_empty()) {
        None => Ok(None),
        Some(name) => match class(name, labels) {
            Some(class) => Ok(Some(class as u32)),
            None => {
                let message = format!("`{name}` is none of the labels `{}`", labels.join("`, `"));
                Err(Error::new("unknown-label", message).option("labels"))
            }
        },
    };
    truth.iter().map(number).collect()
}

/// The `role` of each row; one without any is to learn from.
///
/// # Errors
/// `unknown-role`
pub fn roles(batch: &Batch) -> Result<Vec<Role>> {
    let roles = columns::roles(batch)?.into_iter();
    Ok(roles.map(|role| role.unwrap_or(Role::Train)).collect())
}

impl Gathered {
    /// Takes in a batch with `review`, `text`, `truth` and maybe `role`.
    ///
    /// # Errors
    /// `missing-column`, `column-mismatch`, `unknown-label`, `unknown-role`
    pub fn add(&mut self, batch: &Batch, labels: &[String]) -> Result<()> {
        let (reviews, texts) = (batch.u64("review")?, batch.text("text")?);
        let classes = classes(batch.text("truth")?, labels)?;
        let roles = roles(batch)?;
        for (row, (class, role)) in classes.into_iter().zip(roles).enumerate() {
            let text = if texts.is_valid(row) {
                texts.value(row)
            } else {
                ""
            };
            self.corpus.push(text);
            self.rows.push(Known {
                role,
                review: reviews.value(row),
                class,
            });
        }
        Ok(())
    }

    /// Numbers of the texts with this role; to learn or choose by, only those with a class.
    pub fn texts(&self, role: Role) -> Vec<usize> {
        let fits = |row: &Known| row.role == role && (role == Role::Test || row.class.is_some());
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, row)| fits(row))
            .map(|(at, _)| at)
            .collect()
    }

    /// What was to choose by is to learn from too.
    pub fn learn_from_all(&mut self) {
        for row in &mut self.rows {
            if row.role == Role::Validation {
                row.role = Role::Train;
            }
        }
    }

    /// The number that the source gave text number `at`.
    pub fn review(&self, at: usize) -> u64 {
        self.rows[at].review
    }

    /// The true class of text number `at`.
    pub fn class(&self, at: usize) -> Option<u32> {
        self.rows[at].class
    }

    /// The texts number `texts`, which all have classes, as `features`.
    pub fn examples(&self, features: &Features, texts: &[usize]) -> Examples {
        let class = |at: &usize| self.class(*at).unwrap_or_default();
        Examples {
            rows: features.rows(&self.corpus, texts),
            classes: texts.iter().map(class).collect(),
        }
    }

    /// All of it as bytes.
    ///
    /// # Errors
    /// `write-failed`
    pub fn pack(&self) -> Result<Vec<u8>> {
        let (words, texts) = (self.corpus.lexicon.words().join("\n"), self.corpus.texts());
        let lengths: Vec<u32> = texts.iter().map(|text| text.len() as u32).collect();
        let of = |part: fn(&Known) -> u32| self.rows.iter().map(part).collect::<Vec<_>>();
        let low = of(|row| row.review as u32);
        let high = of(|row| (row.review >> 32) as u32);
        let roles = of(|row| row.role as u32);
        let classes = of(|row| row.class.unwrap_or(NONE));
        let tensors = [
            ("words", Stored::text(&words)),
            ("numbers", Stored::integers(texts.numbers())),
            ("lengths", Stored::integers(&lengths)),
            ("reviews-low", Stored::integers(&low)),
            ("reviews-high", Stored::integers(&high)),
            ("roles", Stored::integers(&roles)),
            ("classes", Stored::integers(&classes)),
        ];
        pack_tensors(tensors, None)
    }

    /// What [`Gathered::pack`] packed.
    ///
    /// # Errors
    /// What is wrong with `bytes`
    pub fn unpack(bytes: &[u8]) -> Result<Self, String> {
        let packed = Packed::open(bytes)?;
        let integers = |name: &str| packed.integers(name);
        let numbers = integers("numbers")?;
        let (mut texts, mut rest) = (Lists::default(), numbers.as_slice());
        for length in integers("lengths")? {
            let (text, others) = rest
                .split_at_checked(length as usize)
                .ok_or("a text is cut off")?;
            texts.push(text.iter().copied());
            rest = others;
        }
        let words = packed
            .text("words")?
            .split('\n')
            .filter(|word| !word.is_empty());
        let corpus = Corpus::from_parts(words, texts).ok_or("a text has an unknown word")?;
        let reviews = integers("reviews-low")?
            .into_iter()
            .zip(integers("reviews-high")?);
        let classes = integers("roles")?.into_iter().zip(integers("classes")?);
        let row = |((low, high), (role, class)): ((u32, u32), (u32, u32))| {
            let roles = [Role::Train, Role::Validation, Role::Test];
            let role = roles.into_iter().find(|known| *known as u32 == role);
            Ok(Known {
                role: role.ok_or("a row has an unknown role")?,
                review: u64::from(low) | u64::from(high) << 32,
                class: Some(class).filter(|class| *class != NONE),
            })
        };
        let rows: Vec<Known> = reviews.zip(classes).map(row).collect::<Result<_, &str>>()?;
        if rows.len() == corpus.len() {
            Ok(Gathered { corpus, rows })
        } else {
            Err("it has not as many texts as rows".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_gathered_comes_back() {
        let row = |role, review, class| Known {
            role,
            review,
            class,
        };
        let mut gathered = Gathered::default();
        for text in ["a film, a plot!", "", "naïve film"] {
            gathered.corpus.push(text);
        }
        gathered.rows = vec![
            row(Role::Test, u64::MAX - 1, None),
            row(Role::Validation, 1, Some(0)),
            row(Role::Train, 1 << 40, Some(7)),
        ];
        for gathered in [gathered, Gathered::default()] {
            let bytes = gathered.pack().unwrap();
            let mut again = Gathered::unpack(&bytes).unwrap();
            assert_eq!(again, gathered);
            // A word that was met keeps its number, and a new one gets the next.
            let next = gathered.corpus.lexicon.len() as u32;
            assert_eq!(again.corpus.lexicon.number("scene"), next);
            assert!(Gathered::unpack(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}
