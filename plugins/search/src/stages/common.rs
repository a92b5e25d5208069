//! The options that every search has.

use schemars::JsonSchema;
use segue_plugin::Error;
use serde::Deserialize;

use crate::blocks::BlockOptions;
use crate::space::Space;
use crate::{Goal, Method, Setup, Start, Stop};

/// The options that every search has, with the same defaults.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Common {
    /// How many numbers a candidate has; each is from 0 to 1, and the evaluator says what it stands for.
    #[schemars(range(min = 1))]
    pub dimensions: usize,
    /// All random numbers come from it.
    pub seed: u64,
    /// It ends after so many generations; after 100 when no other end is named.
    pub generations: Option<u64>,
    /// It ends with the generation that reaches so many evaluations.
    pub evaluations: Option<u64>,
    /// It ends when the best fitness is at least as good as this.
    pub target: Option<f64>,
    /// It ends after so many generations without a better one.
    pub patience: Option<u64>,
    /// Whether more fitness is better.
    pub maximize: bool,
    /// Candidates a generation, where the algorithm's own number is not wanted.
    pub population: Option<usize>,
    /// Where it starts: in so much of each coordinate's range around the middle, and with the middle itself; left out, anywhere.
    pub spread: Option<f64>,
    /// Searches so many coordinates at a time, within the best of all others (cooperation); 0 is all at once.
    pub block: usize,
    /// How many candidates make one batch, which one replica scores.
    #[schemars(range(min = 1))]
    pub chunk: usize,
}

impl Default for Common {
    fn default() -> Self {
        Common {
            dimensions: 10,
            seed: 0,
            generations: None,
            evaluations: None,
            target: None,
            patience: None,
            maximize: false,
            population: None,
            spread: None,
            block: 0,
            chunk: 1,
        }
    }
}

/// Generations of a search whose end nobody named.
const GENERATIONS: u64 = 100;

impl Common {
    /// A search by `method`, in blocks where they are asked for.
    pub fn setup(&self, method: Method) -> Setup {
        let method = match self.block {
            0 => method,
            size => Method::Blocks(
                BlockOptions {
                    size,
                    ..BlockOptions::default()
                },
                Box::new(method),
            ),
        };
        let dimensions = self.dimensions;
        let start = match self.spread {
            None => Start::Uniform,
            Some(spread) => Start::Around {
                at: vec![0.5; dimensions],
                spread: Some(spread),
            },
        };
        let goal = match self.maximize {
            true => Goal::maximize(),
            false => Goal::minimize(),
        };
        Setup {
            method,
            space: Space::Unit { dimensions },
            goal,
            seed: self.seed,
            start,
            stop: self.stop(),
            // Points of a box of real numbers hardly ever come twice.
            cache: 0,
        }
    }

    fn stop(&self) -> Stop {
        let unnamed =
            self.evaluations.is_none() && self.target.is_none() && self.patience.is_none();
        Stop {
            generations: self.generations.or(unnamed.then_some(GENERATIONS)),
            evaluations: self.evaluations,
            target: self.target,
            patience: self.patience,
        }
    }
}

/// A search's error, at the option that it names.
pub fn refused(error: crate::Error) -> Error {
    match &error {
        crate::Error::Option { option, .. } => {
            let option = match *option {
                "particles" | "parents" | "bats" | "nests" | "candidates" => "population",
                "size" => "block",
                other => other,
            };
            Error::new("bad-option", error.to_string()).option(option)
        }
        _ => Error::new("bad-search", error.to_string()),
    }
}
