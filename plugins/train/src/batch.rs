//! What a trainer reads from a batch of the dataflow.

use segue_learn::columns::{self, Pass, Role};
use segue_plugin::{Batch, Columns, Error, Result, list_u32};

use crate::config::ModelShape;
use crate::model::Tokens;

/// What the rows of a batch are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Steps.
    Train,
    /// The held-out accuracy.
    Validate,
}

/// A batch, as a trainer sees it.
#[derive(Debug)]
pub struct Examples {
    /// The reviews.
    pub tokens: Tokens,
    /// Each review's class; `None` where it is not known.
    pub classes: Vec<Option<usize>>,
    /// What they are for: a batch has rows of one kind only.
    pub used_for: Use,
    /// From 0; `None` for reviews that are looked at after every epoch.
    pub epoch: Option<u32>,
    /// The part of all its source's epochs that is done with this batch.
    pub progress: f32,
}

/// The columns of [`Examples`].
pub fn reads(columns: Columns) -> Columns {
    columns
        .reads("tokens", list_u32())
        .reads("truth", "utf8")
        .reads("role", "utf8")
        .reads("epoch", "u32")
        .reads("progress", "f32")
}

impl Examples {
    /// Reads a batch for a model of `shape` whose classes are called `labels`.
    ///
    /// # Errors
    /// `bad-label`, `bad-token`, `too-long`, `mixed-roles`
    pub fn read(batch: &Batch, shape: &ModelShape, labels: &[String]) -> Result<Self> {
        let rows: Vec<&[u32]> = batch.lists_u32("tokens")?.collect();
        for row in &rows {
            check_tokens(row, shape)?;
        }
        let classes = (batch.text("truth")?.iter())
            .map(|name| name.map(|name| class(name, labels)).transpose())
            .collect::<Result<_>>()?;
        let Pass { epoch, progress } = columns::pass(batch)?;
        Ok(Examples {
            tokens: Tokens::new(rows.iter().copied()),
            classes,
            used_for: used_for(batch)?,
            epoch,
            progress,
        })
    }
}

/// Refuses tokens that a model of `shape` cannot read.
///
/// # Errors
/// `bad-token`, `too-long`
pub fn check_tokens(row: &[u32], shape: &ModelShape) -> Result<()> {
    if let Some(token) = row.iter().find(|token| **token as usize >= shape.words) {
        let words = shape.words;
        let message = format!("token {token} is outside the model's vocabulary of {words}");
        return Err(Error::new("bad-token", message));
    }
    if row.is_empty() || row.len() > shape.positions {
        let (count, positions) = (row.len(), shape.positions);
        let message = format!("a review has {count} tokens; the model takes 1 to {positions}");
        return Err(Error::new("too-long", message));
    }
    Ok(())
}

/// The class of this name.
///
/// # Errors
/// `bad-label`
pub fn class(name: &str, labels: &[String]) -> Result<usize> {
    segue_learn::labels::class(name, labels).ok_or_else(|| {
        let known = labels.join("`, `");
        let message = format!("a review's label is `{name}`, not one of `{known}`");
        Error::new("bad-label", message).option("labels")
    })
}

fn used_for(batch: &Batch) -> Result<Use> {
    match columns::one_role(batch)? {
        Role::Train => Ok(Use::Train),
        Role::Validation => Ok(Use::Validate),
        Role::Test => {
            let message = "reviews with the role `test` must not reach a trainer";
            Err(Error::new("mixed-roles", message))
        }
    }
}
