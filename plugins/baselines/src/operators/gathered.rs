//! What has reached an operator that is to learn.

use segue_learn::columns::{self, Role};
use segue_learn::labels::class;
use segue_plugin::arrow_array::{Array, StringArray};
use segue_plugin::{Batch, Error, Result};

use crate::features::Features;
use crate::features::rows::Examples;
use crate::features::words::Corpus;

/// All rows: texts as word numbers, because texts take five times as much.
#[derive(Default)]
pub struct Gathered {
    /// The texts.
    pub corpus: Corpus,
    rows: Vec<Known>,
}

struct Known {
    role: Role,
    review: u64,
    class: Option<u32>,
}

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
}
