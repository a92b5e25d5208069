//! What the options of the operators share.

use schemars::JsonSchema;
use segue_learn::labels::sentiments;
use segue_plugin::{Error, ModelPath, OutputPath, Result};
use serde::Deserialize;

use crate::models::network::LearningOptions;

/// The options that every operator has, with the same defaults.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Common {
    /// A folder with a trained model: it judges, and nothing is learned.
    pub model: Option<ModelPath>,
    /// The folder that the trained model is written to.
    pub output: Option<OutputPath>,
    /// What the classes 0, 1, ... are called.
    pub labels: Vec<String>,
    /// Other options in one, as a search gives its best: `cost=2.5,ngrams=3`.
    pub options: String,
}

impl Default for Common {
    fn default() -> Self {
        Common {
            model: None,
            output: None,
            labels: sentiments(),
            options: String::new(),
        }
    }
}

impl Common {
    /// Refuses fewer than two labels, and a label named twice.
    ///
    /// # Errors
    /// `bad-option`
    pub fn check(&self) -> Result<()> {
        let labels = &self.labels;
        let twice = |at: usize| labels[..at].contains(&labels[at]);
        let wrong = match (0..labels.len()).find(|at| twice(*at)) {
            Some(at) => format!("`labels` has `{}` twice", labels[at]),
            None if labels.len() < 2 => "`labels` must name at least two".to_owned(),
            None => return Ok(()),
        };
        Err(Error::new("bad-option", wrong).option("labels"))
    }
}

/// Refuses an option's value unless it is `right`; `wanted` says what it must be.
///
/// # Errors
/// `bad-option`
pub fn check(right: bool, option: &str, wanted: &str) -> Result<()> {
    if right {
        Ok(())
    } else {
        Err(Error::new("bad-option", format!("`{option}` must be {wanted}")).option(option))
    }
}

/// The most of anything that a network over reduced texts has: more takes a memory that nobody has
/// before a search could do anything with it.
const MOST: usize = 10_000;

/// Refuses a size that is not from `least` to [`MOST`].
///
/// # Errors
/// `bad-option`
pub fn check_size(size: usize, least: usize, option: &str) -> Result<()> {
    let right = (least..=MOST).contains(&size);
    check(right, option, &format!("from {least} to {MOST}"))
}

/// Refuses what nothing can be learned with.
///
/// # Errors
/// `bad-option`
pub fn check_learning(learning: &LearningOptions) -> Result<()> {
    check(learning.batch > 0, "batch", "over 0")?;
    check(learning.adam.rate > 0.0, "rate", "over 0")?;
    check(learning.adam.decay >= 0.0, "decay", "at least 0")
}
