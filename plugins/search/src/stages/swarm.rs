//! `pso` and the hybrids that are made of it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::common::Common;
use super::search::{Options, SearchStage};
use crate::Method;
use crate::cuckoo::CuckooOptions;
use crate::ga::{Crossover, GaOptions, Mutation};
use crate::hybrid::{PsoAdamOptions, PsoCsOptions, PsoGaOptions};
use crate::pso::{PsoOptions, Topology, Version};

/// The rules of a swarm.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
pub enum Rules {
    /// Standard PSO 2011.
    #[default]
    #[serde(rename = "spso-2011")]
    Spso2011,
    /// Constriction, with a ring.
    #[serde(rename = "constriction")]
    Constriction,
    /// A weight that falls from 0.9 to 0.4 over `generations`.
    #[serde(rename = "dynamic")]
    Dynamic,
}

/// Who informs whom.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Informants {
    /// As the version has it.
    #[default]
    Own,
    /// Three drawn at random, again whenever nothing got better.
    AdaptiveRandom,
    /// All.
    Global,
    /// Two neighbours.
    Ring,
}

/// What all swarms are asked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Swarm {
    /// What every search is asked too.
    #[serde(flatten)]
    pub common: Common,
    /// The rules of motion.
    pub version: Rules,
    /// Who informs whom.
    pub topology: Informants,
}

impl Swarm {
    fn options(&self) -> PsoOptions {
        let default = PsoOptions::default();
        PsoOptions {
            version: match self.version {
                Rules::Spso2011 => Version::Spso2011,
                Rules::Constriction => Version::Constriction,
                Rules::Dynamic => Version::Dynamic,
            },
            particles: self.common.population.unwrap_or(default.particles),
            topology: match self.topology {
                Informants::Own => None,
                Informants::AdaptiveRandom => Some(Topology::AdaptiveRandom),
                Informants::Global => Some(Topology::Global),
                Informants::Ring => Some(Topology::Ring),
            },
            generations: self.common.generations.unwrap_or(default.generations),
        }
    }
}

/// Searches with a swarm of 40 particles; see [`crate::pso`] for its versions and their sources.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct PsoSearch {
    /// What all swarms are asked.
    #[serde(flatten)]
    pub swarm: Swarm,
}

/// The operator `pso`.
pub type PsoStage = SearchStage<PsoSearch>;

impl Options for PsoSearch {
    fn common(&self) -> &Common {
        &self.swarm.common
    }

    fn method(&self) -> Method {
        Method::Pso(self.swarm.options())
    }
}

/// Searches with a swarm whose worse half is bred from its better half; see
/// [`PsoGaOptions`].
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct PsoGaSearch {
    /// What all swarms are asked.
    #[serde(flatten)]
    pub swarm: Swarm,
    /// How many compete to be a parent.
    pub tournament: usize,
    /// How far children lie beyond their parents, as a share of their distance (BLX).
    pub alpha: f64,
    /// The share of children that have two parents.
    pub crossover_rate: f64,
    /// The standard deviation of a mutation, as a share of the box.
    pub deviation: f64,
    /// The share of coordinates that mutate: one of them on average where not given.
    pub mutation_rate: Option<f64>,
}

/// The operator `pso-ga`.
pub type PsoGaStage = SearchStage<PsoGaSearch>;

impl Default for PsoGaSearch {
    fn default() -> Self {
        let ga = GaOptions::default();
        PsoGaSearch {
            swarm: Swarm::default(),
            tournament: ga.tournament,
            alpha: 0.5,
            crossover_rate: ga.crossover_rate,
            deviation: 0.05,
            mutation_rate: ga.mutation_rate,
        }
    }
}

impl Options for PsoGaSearch {
    fn common(&self) -> &Common {
        &self.swarm.common
    }

    fn method(&self) -> Method {
        Method::PsoGa(PsoGaOptions {
            pso: self.swarm.options(),
            ga: GaOptions {
                tournament: self.tournament,
                crossover: Crossover::Blx { alpha: self.alpha },
                crossover_rate: self.crossover_rate,
                mutation: Mutation::Gaussian {
                    deviation: self.deviation,
                },
                mutation_rate: self.mutation_rate,
                ..GaOptions::default()
            },
        })
    }
}

/// Searches with a swarm between whose moves cuckoos lay eggs; see [`PsoCsOptions`].
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct PsoCsSearch {
    /// What all swarms are asked.
    #[serde(flatten)]
    pub swarm: Swarm,
    /// The probability that an egg is found, coordinate by coordinate.
    pub discovery: f64,
    /// Of the Lévy distribution, from 1 to 2: the smaller, the more long flights.
    pub beta: f64,
    /// How long flights are.
    pub step: f64,
}

/// The operator `pso-cs`.
pub type PsoCsStage = SearchStage<PsoCsSearch>;

impl Default for PsoCsSearch {
    fn default() -> Self {
        let cuckoo = CuckooOptions::default();
        PsoCsSearch {
            swarm: Swarm::default(),
            discovery: cuckoo.discovery,
            beta: cuckoo.beta,
            step: cuckoo.step,
        }
    }
}

impl Options for PsoCsSearch {
    fn common(&self) -> &Common {
        &self.swarm.common
    }

    fn method(&self) -> Method {
        Method::PsoCs(PsoCsOptions {
            pso: self.swarm.options(),
            cuckoo: CuckooOptions {
                discovery: self.discovery,
                beta: self.beta,
                step: self.step,
                ..CuckooOptions::default()
            },
        })
    }
}

/// Searches with a swarm whose best take Adam's steps now and then, which evaluators with a
/// gradient walk; see [`PsoAdamOptions`].
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct PsoAdamSearch {
    /// What all swarms are asked.
    #[serde(flatten)]
    pub swarm: Swarm,
    /// Generations from one walk to the next.
    pub every: u64,
    /// How many particles walk.
    pub walkers: usize,
    /// Adam's steps a walk.
    pub steps: u32,
    /// Adam's learning rate, of what a coordinate stands for.
    pub rate: f64,
}

/// The operator `pso-adam`.
pub type PsoAdamStage = SearchStage<PsoAdamSearch>;

impl Default for PsoAdamSearch {
    fn default() -> Self {
        let adam = PsoAdamOptions::default();
        PsoAdamSearch {
            swarm: Swarm::default(),
            every: adam.every,
            walkers: adam.walkers,
            steps: adam.steps,
            rate: adam.rate,
        }
    }
}

impl Options for PsoAdamSearch {
    const WALKS: bool = true;

    fn common(&self) -> &Common {
        &self.swarm.common
    }

    fn method(&self) -> Method {
        Method::PsoAdam(PsoAdamOptions {
            pso: self.swarm.options(),
            every: self.every,
            walkers: self.walkers,
            steps: self.steps,
            rate: self.rate,
        })
    }
}
