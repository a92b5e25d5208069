//! What a point of the unit box stands for.
//!
//! Algorithms see [0, 1] in every coordinate and nothing else; a space says what that means, and
//! when two points mean the same.

mod domain;
mod error;
mod grammar;
mod projection;
mod weights;

use serde::{Deserialize, Serialize};

pub use domain::{Domain, Scale, Value};
pub use error::{Error, Result};
pub use projection::Projection;
pub use weights::{Extent, Weights};

use crate::digest::Digest;

/// What is searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Space {
    /// The unit box itself.
    Unit {
        /// Its coordinates.
        dimensions: usize,
    },
    /// Options by name.
    Options(Options),
    /// The weights of a model.
    Weights(Weights),
}

impl Space {
    /// Coordinates of the unit box.
    pub fn dimensions(&self) -> usize {
        match self {
            Space::Unit { dimensions } => *dimensions,
            Space::Options(options) => options.0.len(),
            Space::Weights(weights) => weights.dimensions(),
        }
    }

    /// The same number for points that stand for the same values. Of a subspace of weights: for
    /// the same point.
    pub fn digest(&self, position: &[f64], digest: &mut Digest) {
        match self {
            Space::Unit { .. } => position.iter().for_each(|x| digest.word(x.to_bits())),
            Space::Options(options) => {
                for ((_, domain), x) in options.0.iter().zip(position) {
                    digest.word(domain.bits(*x));
                }
            }
            Space::Weights(weights) => weights.digest(position, digest),
        }
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<()> {
        match self {
            Space::Unit { dimensions: 0 } => Err(Error("no coordinates".into())),
            Space::Unit { .. } => Ok(()),
            Space::Options(options) => options.check(),
            Space::Weights(weights) => weights.check(),
        }
    }
}

/// Options by name, each with its domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options(pub Vec<(String, Domain)>);

impl Options {
    /// What a point stands for.
    pub fn decode(&self, position: &[f64]) -> Vec<Value> {
        self.0
            .iter()
            .zip(position)
            .map(|((_, domain), x)| domain.decode(*x))
            .collect()
    }

    /// A point that stands for these values.
    ///
    /// # Errors
    /// A value outside its domain.
    pub fn encode(&self, values: &[Value]) -> Result<Vec<f64>> {
        if values.len() != self.0.len() {
            return Err(Error(format!(
                "{} values for {} options",
                values.len(),
                self.0.len()
            )));
        }
        let encode = |((name, domain), value): (&(String, Domain), _)| {
            let outside = || Error(format!("`{name}` cannot be {value}"));
            domain.encode(value).ok_or_else(outside)
        };
        self.0.iter().zip(values).map(encode).collect()
    }

    /// As text: `rate=0.001,layers=3,kernel=rbf`. Reading it gives the same values, bit by bit.
    pub fn text(&self, values: &[Value]) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .zip(values)
            .map(|((name, _), value)| format!("{name}={value}"))
            .collect();
        parts.join(",")
    }

    /// What [`Self::text`] wrote.
    ///
    /// # Errors
    /// A name that is missing or out of order, or a value outside its domain.
    pub fn parse(&self, text: &str) -> Result<Vec<Value>> {
        let parts: Vec<&str> = text.split(',').collect();
        if parts.len() != self.0.len() {
            return Err(Error(format!(
                "{} values for {} options",
                parts.len(),
                self.0.len()
            )));
        }
        let parse = |((name, domain), part): (&(String, Domain), &str)| {
            let value = part
                .trim()
                .split_once('=')
                .filter(|(key, _)| key.trim() == name);
            let (_, value) =
                value.ok_or_else(|| Error(format!("`{name}=...` is missing in `{text}`")))?;
            let value = value.trim();
            let outside = || Error(format!("`{name}` cannot be {value}"));
            domain.parse(value).ok_or_else(outside)
        };
        self.0.iter().zip(parts).map(parse).collect()
    }

    fn check(&self) -> Result<()> {
        if self.0.is_empty() {
            return Err(Error("no options to search".into()));
        }
        for (at, (name, domain)) in self.0.iter().enumerate() {
            if !is_word(name) || self.0[..at].iter().any(|(other, _)| other == name) {
                return Err(Error(format!(
                    "`{name}` cannot name one of several options"
                )));
            }
            domain
                .check()
                .map_err(|problem| Error(format!("`{name}`: {problem}")))?;
        }
        Ok(())
    }
}

/// Whether it can stand in a text form.
fn is_word(text: &str) -> bool {
    let apart = |letter: char| letter.is_whitespace() || matches!(letter, ',' | '=');
    !text.is_empty() && !text.contains(apart)
}
