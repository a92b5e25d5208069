//! Reviews that came by a side input, all of them, as tokens.

use segue_learn::columns::{Role, roles};
use segue_learn::lists::Lists;
use segue_plugin::{Batch, Columns, Result, list_u32};

use crate::batch::{Examples, Use, check_tokens, class};
use crate::config::ModelShape;
use crate::course::Lesson;
use crate::model::Tokens;

/// All reviews.
#[derive(Debug, Default)]
pub struct Gathered {
    tokens: Lists,
    rows: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    role: Role,
    review: u64,
    class: Option<usize>,
}

/// How many are looked at at once: about as many as a step has.
const BATCH: usize = 32;

/// The columns that [`Gathered::add`] reads at `port`.
pub fn reads(columns: Columns, port: &str) -> Columns {
    columns
        .reads_at(port, "review", "u64")
        .reads_at(port, "tokens", list_u32())
        .reads_at(port, "truth", "utf8")
        .reads_at(port, "role", "utf8")
}

impl Gathered {
    /// Takes in a batch, for a model of `shape` whose classes are called `labels`.
    ///
    /// # Errors
    /// `bad-label`, `bad-token`, `too-long`, `unknown-role`
    pub fn add(&mut self, batch: &Batch, shape: &ModelShape, labels: &[String]) -> Result<()> {
        let reviews = batch.u64("review")?;
        let truth = batch.text("truth")?.iter();
        let classes: Vec<Option<usize>> = truth
            .map(|name| name.map(|name| class(name, labels)).transpose())
            .collect::<Result<_>>()?;
        let roles = roles(batch)?;
        for (at, tokens) in batch.lists_u32("tokens")?.enumerate() {
            check_tokens(tokens, shape)?;
            self.tokens.push(tokens.iter().copied());
            self.rows.push(Known {
                role: roles[at].unwrap_or(Role::Train),
                review: reviews.value(at),
                class: classes[at],
            });
        }
        Ok(())
    }

    /// Numbers of the rows with this role; to learn or choose by, only those with a class.
    pub fn rows(&self, role: Role) -> Vec<usize> {
        let fits = |row: &Known| row.role == role && (role == Role::Test || row.class.is_some());
        let rows = self.rows.iter().enumerate();
        let fitting = rows.filter(|(_, row)| fits(row));
        fitting.map(|(at, _)| at).collect()
    }

    /// The number that the source gave row number `at`.
    pub fn review(&self, at: usize) -> u64 {
        self.rows[at].review
    }

    /// The true class of row number `at`.
    pub fn class(&self, at: usize) -> Option<usize> {
        self.rows[at].class
    }

    /// What a step learns from.
    pub fn lesson(&self, lesson: &Lesson) -> Examples {
        Examples {
            tokens: self.tokens(&lesson.rows),
            classes: self.classes(&lesson.rows),
            used_for: Use::Train,
            epoch: Some(lesson.epoch),
            progress: lesson.progress,
        }
    }

    /// The tokens of these rows.
    pub fn tokens(&self, rows: &[usize]) -> Tokens {
        Tokens::new(rows.iter().map(|row| self.tokens.list(*row)))
    }

    /// The true classes of these rows.
    pub fn classes(&self, rows: &[usize]) -> Vec<Option<usize>> {
        rows.iter().map(|row| self.class(*row)).collect()
    }

    /// These rows, a few at a time.
    pub fn batches<'a>(&'a self, rows: &'a [usize]) -> impl Iterator<Item = Look> {
        rows.chunks(BATCH)
            .map(|rows| (self.tokens(rows), self.classes(rows)))
    }
}

/// Tokens and true classes of some rows.
pub type Look = (Tokens, Vec<Option<usize>>);
