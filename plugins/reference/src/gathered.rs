//! What has reached an operator that is to learn.

use segue_plugin::arrow_array::{Array, StringArray};
use segue_plugin::{Batch, Error, Result};

use crate::features::Features;
use crate::rows::Examples;
use crate::words::Corpus;

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To learn from.
    Train,
    /// To choose the best epoch by.
    Validation,
    /// To be judged.
    Test,
}

/// All rows: texts as word numbers, because texts take five times as much.
#[derive(Default)]
pub struct Gathered {
    /// The texts.
    pub corpus: Corpus,
    rows: Vec<Gotten>,
}

struct Gotten {
    role: Role,
    review: u64,
    class: Option<u32>,
}

/// The class that each row's `truth` names; `None` for a row without one.
///
/// # Errors
/// `unknown-label`
pub fn classes(truth: &StringArray, labels: &[String]) -> Result<Vec<Option<u32>>> {
    let class = |name: Option<&str>| match name.filter(|name| !name.is_empty()) {
        None => Ok(None),
        Some(name) => match labels.iter().position(|label| label == name) {
            Some(class) => Ok(Some(class as u32)),
            None => {
                let message = format!("`{name}` is none of the labels `{}`", labels.join("`, `"));
                Err(Error::new("unknown-label", message).option("labels"))
            }
        },
    };
    truth.iter().map(class).collect()
}

/// The `role` of each row; without that column each is to learn from.
///
/// # Errors
/// `unknown-role`
pub fn roles(batch: &Batch) -> Result<Vec<Role>> {
    let role = |name: Option<&str>| match name {
        None | Some("train") => Ok(Role::Train),
        Some("validation") => Ok(Role::Validation),
        Some("test") => Ok(Role::Test),
        Some(other) => {
            let message = format!("`{other}` is none of the roles `train`, `validation`, `test`");
            Err(Error::new("unknown-role", message))
        }
    };
    match batch.columns().column_by_name("role") {
        None => Ok(vec![Role::Train; batch.rows()]),
        Some(_) => batch.text("role")?.iter().map(role).collect(),
    }
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
            self.rows.push(Gotten {
                role,
                review: reviews.value(row),
                class,
            });
        }
        Ok(())
    }

    /// Numbers of the texts with this role; to learn or choose by, only those with a class.
    pub fn texts(&self, role: Role) -> Vec<usize> {
        let fits = |row: &Gotten| row.role == role && (role == Role::Test || row.class.is_some());
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
