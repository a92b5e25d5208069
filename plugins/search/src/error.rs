//! What can be wrong with a search.

/// Why a search cannot be made or go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number that an option cannot be.
    #[error("`{option}` is {value}, but must be {must}")]
    Option {
        /// As the user writes it.
        option: &'static str,
        /// What it is.
        value: String,
        /// What it has to be.
        must: &'static str,
    },
    /// As many answers as candidates are needed.
    #[error("{answers} answers to {candidates} candidates")]
    Answers {
        /// How many came.
        answers: usize,
        /// How many were asked for.
        candidates: usize,
    },
    /// An answer whose shape is not that of what was asked.
    #[error("the answer to candidate {candidate} has {got} {what}, but must have {want}")]
    Shape {
        /// Its number in the generation.
        candidate: usize,
        /// What was counted.
        what: &'static str,
        /// How many came.
        got: usize,
        /// How many are needed.
        want: usize,
    },
    /// Objectives that cannot be weighed.
    #[error("objectives need weights above 0")]
    Goal,
    /// A saved search that this version does not read, or that is damaged.
    #[error("a saved search cannot be read: {0}")]
    Saved(String),
    /// A space, or a point of one, that makes no sense.
    #[error(transparent)]
    Space(#[from] segue_candidates::space::Error),
}

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// An option's error, unless `holds`.
pub(crate) fn demand(
    holds: bool,
    option: &'static str,
    value: impl ToString,
    must: &'static str,
) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::Option {
            option,
            value: value.to_string(),
            must,
        })
    }
}
