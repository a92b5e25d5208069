//! The options that every search has.

use schemars::JsonSchema;
use segue_plugin::Error;
use serde::Deserialize;

use crate::blocks::BlockOptions;
use crate::error::demand;
use crate::halving::HalvingOptions;
use crate::space::{Options, Space};
use crate::{Method, Result, Setup, Start, Stop};

use super::objectives::Judged;

/// The options that every search has, with the same defaults.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Common {
    /// How many numbers a candidate has; each is from 0 to 1, and the evaluator says what it stands for.
    #[schemars(range(min = 1))]
    pub dimensions: usize,
    /// The options that it searches in place of plain numbers, such as `rate = 1e-4..1e-2 log`, `layers = 1..4` and `kernel = linear | rbf`.
    pub space: Vec<String>,
    /// The options of the first candidate, such as `rate=1e-3,layers=2`; those it does not name are in the middle.
    pub start: String,
    /// Successive halving: on how many rungs a candidate is scored, each time with more effort, the last time in full; 1 is none.
    #[schemars(range(min = 1))]
    pub rungs: u32,
    /// Of the candidates on a rung one in so many climbs, to be scored with so many times the effort.
    #[schemars(range(min = 2))]
    pub eta: u32,
    /// All random numbers come from it.
    pub seed: u64,
    /// It ends after so many generations; after 100 when no other end is named.
    #[schemars(range(min = 1))]
    pub generations: Option<u64>,
    /// It ends with the generation that reaches so many evaluations.
    #[schemars(range(min = 1))]
    pub evaluations: Option<u64>,
    /// It ends when the best fitness is at least as good as this.
    pub target: Option<f64>,
    /// It ends after so many generations without a better one.
    #[schemars(range(min = 1))]
    pub patience: Option<u64>,
    /// Whether more fitness is better.
    pub maximize: bool,
    /// The columns of the evaluator that are made good, in place of `fitness` alone: which way, and for the weighted sum of several its weight, such as `fitness = minimize` and `parameters = minimize 1e-7`.
    pub objectives: Vec<String>,
    /// What a candidate must not break, by columns of the evaluator, such as `bytes <= 1e6`: one that does is worse than all that do not.
    pub constraints: Vec<String>,
    /// Candidates a generation, where the algorithm's own number is not wanted.
    #[schemars(range(min = 1))]
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
            space: Vec::new(),
            start: String::new(),
            rungs: 1,
            eta: HalvingOptions::default().eta,
            seed: 0,
            generations: None,
            evaluations: None,
            target: None,
            patience: None,
            maximize: false,
            objectives: Vec::new(),
            constraints: Vec::new(),
            population: None,
            spread: None,
            block: 0,
            chunk: 1,
        }
    }
}

/// Generations of a search whose end nobody named.
const GENERATIONS: u64 = 100;

/// Scores of candidates in a space of options that are remembered.
const CACHE: usize = 1 << 16;

/// Numbers of a generation: beyond, memory ends before the search does.
const NUMBERS: usize = 100_000_000;

impl Common {
    /// A search by `method`, in blocks and with halving where they are asked for.
    ///
    /// # Errors
    /// A space or a first candidate that cannot be
    pub fn setup(&self, method: Method) -> Result<Setup> {
        let space = match self.space.as_slice() {
            [] => Space::Unit {
                dimensions: self.dimensions,
            },
            lines => Space::Options(Options::read(lines)?),
        };
        let goal = self.judged()?.goal;
        self.check_sizes(space.dimensions())?;
        let one = goal.count() == 1 || self.target.is_none();
        let target = self.target.unwrap_or_default();
        demand(
            one,
            "target",
            target,
            "left out where there are several `objectives`",
        )?;
        Ok(Setup {
            method: self.nested(method),
            start: self.first(&space)?,
            goal,
            seed: self.seed,
            stop: self.stop(),
            // Points of a box of real numbers hardly ever come twice.
            cache: match space {
                Space::Options(_) => CACHE,
                _ => 0,
            },
            space,
        })
    }

    /// That a generation has room in memory.
    fn check_sizes(&self, dimensions: usize) -> Result<()> {
        let must = "at most a hundred million";
        demand(dimensions <= NUMBERS, "dimensions", dimensions, must)?;
        let candidates = self.population.unwrap_or(1);
        let numbers = candidates.saturating_mul(dimensions);
        let must = "so small that a generation has a hundred million numbers at most";
        demand(numbers <= NUMBERS, "population", candidates, must)
    }

    /// What it looks at of what an evaluator says.
    ///
    /// # Errors
    /// An objective or a constraint that cannot be read
    pub fn judged(&self) -> Result<Judged> {
        Judged::read(&self.objectives, &self.constraints, self.maximize)
    }

    fn nested(&self, method: Method) -> Method {
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
        match self.rungs {
            0 | 1 => method,
            rungs => Method::Halving(
                HalvingOptions {
                    eta: self.eta,
                    rungs,
                },
                Box::new(method),
            ),
        }
    }

    fn first(&self, space: &Space) -> Result<Start> {
        let named = !self.start.trim().is_empty();
        if !named && self.spread.is_none() {
            return Ok(Start::Uniform);
        }
        let at = match space {
            Space::Options(options) => options.place(&self.start)?,
            space => {
                let must = "left out where `space` names no options";
                demand(!named, "start", &self.start, must)?;
                vec![0.5; space.dimensions()]
            }
        };
        Ok(Start::Around {
            at,
            spread: self.spread,
        })
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
        crate::Error::Space(_) => Error::new("bad-option", error.to_string()).option("space"),
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

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::super::population::{BatSearch, CmaSearch, CuckooSearch, GaSearch};
    use super::super::search::Options;
    use super::super::swarm::{PsoAdamSearch, PsoCsSearch, PsoGaSearch, PsoSearch};
    use super::*;

    fn read<O: DeserializeOwned>(options: &Value) -> O {
        serde_json::from_value(options.clone()).unwrap()
    }

    #[test]
    fn no_algorithm_has_an_option_of_its_own_with_the_name_of_one_that_all_have() {
        let given = json!({
            "dimensions": 3, "space": ["a = 1..2"], "start": "a=1", "rungs": 2, "eta": 5,
            "seed": 9, "generations": 4, "evaluations": 7, "target": 0.5, "patience": 6,
            "maximize": true, "objectives": ["a = minimize"], "constraints": ["b <= 1"],
            "population": 11, "spread": 0.25, "block": 2, "chunk": 3,
        });
        let schema = schemars::schema_for!(Common);
        let all = schema.get("properties").and_then(Value::as_object).unwrap();
        assert!(all.keys().eq(given.as_object().unwrap().keys()), "{all:?}");
        let expected = format!("{:?}", read::<Common>(&given));
        let of = |common: &Common| assert_eq!(format!("{common:?}"), expected);
        of(read::<PsoSearch>(&given).common());
        of(read::<GaSearch>(&given).common());
        of(read::<BatSearch>(&given).common());
        of(read::<CuckooSearch>(&given).common());
        of(read::<CmaSearch>(&given).common());
        of(read::<PsoGaSearch>(&given).common());
        of(read::<PsoCsSearch>(&given).common());
        of(read::<PsoAdamSearch>(&given).common());
    }

    #[test]
    fn a_first_candidate_needs_options_to_be_named() {
        let common = Common {
            start: "rate=0.1".to_owned(),
            ..Common::default()
        };
        let error = refused(common.setup(PsoSearch::default().method()).unwrap_err());
        assert_eq!(error.option.as_deref(), Some("start"), "{error}");
    }
}
