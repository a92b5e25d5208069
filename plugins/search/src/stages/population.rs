//! `ga`, `bat`, `cuckoo` and `cma-es`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::common::Common;
use super::search::{Options, SearchStage};
use crate::Method;
use crate::bat::BatOptions;
use crate::cma::CmaOptions;
use crate::cuckoo::CuckooOptions;
use crate::ga::{Crossover, GaOptions, Mutation};

/// Searches with a genetic algorithm over real numbers, in which 50 parents and as many children
/// compete; see [`crate::ga`].
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct GaSearch {
    /// What every search is asked too.
    #[serde(flatten)]
    pub common: Common,
    /// Children a generation: as many as parents where not given.
    pub children: Option<usize>,
    /// How many parents may stay: all where not given.
    pub elites: Option<usize>,
    /// How many compete to be a parent.
    pub tournament: usize,
    /// How children come from parents.
    pub crossover: Crossing,
    /// Of `blx`: how far children lie beyond their parents, as a share of their distance.
    pub alpha: f64,
    /// Of `sbx` and `polynomial`: the larger, the closer to the parent.
    pub distribution_index: f64,
    /// The share of children that have two parents.
    pub crossover_rate: f64,
    /// How children change.
    pub mutation: Change,
    /// Of `gaussian`: the standard deviation, as a share of the box.
    pub deviation: f64,
    /// The share of coordinates that change: one of them on average where not given.
    pub mutation_rate: Option<f64>,
}

/// How children come from parents.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Crossing {
    /// Blend crossover.
    #[default]
    Blx,
    /// Simulated binary crossover.
    Sbx,
}

/// How children change.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// By a normal number.
    #[default]
    Gaussian,
    /// By Deb's polynomial density.
    Polynomial,
}

/// The operator `ga`.
pub type GaStage = SearchStage<GaSearch>;

impl Default for GaSearch {
    fn default() -> Self {
        let ga = GaOptions::default();
        GaSearch {
            common: Common::default(),
            children: ga.children,
            elites: ga.elites,
            tournament: ga.tournament,
            crossover: Crossing::default(),
            alpha: 0.5,
            distribution_index: 15.0,
            crossover_rate: ga.crossover_rate,
            mutation: Change::default(),
            deviation: 0.05,
            mutation_rate: ga.mutation_rate,
        }
    }
}

impl Options for GaSearch {
    fn common(&self) -> &Common {
        &self.common
    }

    fn method(&self) -> Method {
        let (alpha, deviation) = (self.alpha, self.deviation);
        let eta = self.distribution_index;
        Method::Ga(GaOptions {
            parents: self
                .common
                .population
                .unwrap_or(GaOptions::default().parents),
            children: self.children,
            elites: self.elites,
            tournament: self.tournament,
            crossover: match self.crossover {
                Crossing::Blx => Crossover::Blx { alpha },
                Crossing::Sbx => Crossover::Sbx { eta },
            },
            crossover_rate: self.crossover_rate,
            mutation: match self.mutation {
                Change::Gaussian => Mutation::Gaussian { deviation },
                Change::Polynomial => Mutation::Polynomial { eta },
            },
            mutation_rate: self.mutation_rate,
        })
    }
}

/// Searches with 40 bats, drawn to the best, that walk about it as their loudness falls; see
/// [`crate::bat`] for which of the published versions it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct BatSearch {
    /// What every search is asked too.
    #[serde(flatten)]
    pub common: Common,
    /// The least frequency.
    pub least_frequency: f64,
    /// The greatest frequency; 4 or more would throw bats about.
    pub most_frequency: f64,
    /// The first loudness.
    pub loudness: f64,
    /// The least loudness.
    pub quietest: f64,
    /// By what loudness is multiplied.
    pub alpha: f64,
    /// The last pulse rate.
    pub pulse: f64,
    /// How fast the pulse rate rises.
    pub gamma: f64,
    /// The walk of a bat of loudness 1, as a share of the box.
    pub walk: f64,
}

/// The operator `bat`.
pub type BatStage = SearchStage<BatSearch>;

impl Default for BatSearch {
    fn default() -> Self {
        let bat = BatOptions::default();
        BatSearch {
            common: Common::default(),
            least_frequency: bat.frequency.0,
            most_frequency: bat.frequency.1,
            loudness: bat.loudness,
            quietest: bat.quietest,
            alpha: bat.alpha,
            pulse: bat.pulse,
            gamma: bat.gamma,
            walk: bat.walk,
        }
    }
}

impl Options for BatSearch {
    fn common(&self) -> &Common {
        &self.common
    }

    fn method(&self) -> Method {
        Method::Bat(BatOptions {
            bats: self.common.population.unwrap_or(BatOptions::default().bats),
            frequency: (self.least_frequency, self.most_frequency),
            loudness: self.loudness,
            quietest: self.quietest,
            alpha: self.alpha,
            pulse: self.pulse,
            gamma: self.gamma,
            walk: self.walk,
        })
    }
}

/// Searches with 25 cuckoos' nests and Lévy flights; see [`crate::cuckoo`].
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct CuckooSearch {
    /// What every search is asked too.
    #[serde(flatten)]
    pub common: Common,
    /// The probability that an egg is found, coordinate by coordinate.
    pub discovery: f64,
    /// Of the Lévy distribution, from 1 to 2: the smaller, the more long flights.
    pub beta: f64,
    /// How long flights are.
    pub step: f64,
}

/// The operator `cuckoo`.
pub type CuckooStage = SearchStage<CuckooSearch>;

impl Default for CuckooSearch {
    fn default() -> Self {
        let cuckoo = CuckooOptions::default();
        CuckooSearch {
            common: Common::default(),
            discovery: cuckoo.discovery,
            beta: cuckoo.beta,
            step: cuckoo.step,
        }
    }
}

impl Options for CuckooSearch {
    fn common(&self) -> &Common {
        &self.common
    }

    fn method(&self) -> Method {
        Method::Cuckoo(CuckooOptions {
            nests: self
                .common
                .population
                .unwrap_or(CuckooOptions::default().nests),
            discovery: self.discovery,
            beta: self.beta,
            step: self.step,
        })
    }
}

/// Searches with a normal distribution whose covariance it learns; see [`crate::cma`].
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct CmaSearch {
    /// What every search is asked too.
    #[serde(flatten)]
    pub common: Common,
    /// The first step size, as a share of the box; of the spread where one is given.
    pub sigma: f64,
    /// Learns a variance a coordinate instead of all covariances, as many coordinates need.
    pub separable: bool,
    /// Whether bad steps shrink the covariance.
    pub active: bool,
}

/// The operator `cma-es`.
pub type CmaStage = SearchStage<CmaSearch>;

impl Default for CmaSearch {
    fn default() -> Self {
        let cma = CmaOptions::default();
        CmaSearch {
            common: Common::default(),
            sigma: cma.sigma,
            separable: cma.separable,
            active: cma.active,
        }
    }
}

impl Options for CmaSearch {
    fn common(&self) -> &Common {
        &self.common
    }

    fn method(&self) -> Method {
        Method::CmaEs(CmaOptions {
            candidates: self.common.population,
            sigma: self.sigma,
            separable: self.separable,
            active: self.active,
        })
    }
}
