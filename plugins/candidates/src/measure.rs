//! What an evaluator tells a search of a model.

use schemars::JsonSchema;
use serde::Deserialize;

/// The number by which a model is judged.
///
/// A search minimises where it is told nothing else, so the loss stands first: who leaves out
/// both options does not find the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The mean loss of a row, to be minimised.
    #[default]
    Loss,
    /// The part of the rows that is judged right: the search has to `maximize` it.
    Accuracy,
}

impl Measure {
    /// The one of the two that is asked for.
    pub fn of(self, loss: f64, accuracy: f64) -> f64 {
        match self {
            Measure::Loss => loss,
            Measure::Accuracy => accuracy,
        }
    }
}

/// What a model costs, besides how it judges: columns that an evaluator adds where it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// How many weights it has.
    Parameters,
    /// How large they are.
    Bytes,
    /// How long it takes to judge the rows that it is scored on: the one that differs from run to
    /// run, and with it what a search finds.
    Seconds,
}

impl Cost {
    /// Of its column.
    pub fn name(self) -> &'static str {
        match self {
            Cost::Parameters => "parameters",
            Cost::Bytes => "bytes",
            Cost::Seconds => "seconds",
        }
    }
}
