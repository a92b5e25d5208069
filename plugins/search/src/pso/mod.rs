//! Particle swarms.
//!
//! Two plain versions and one with a falling weight, each as published; they differ from what
//! many codes call PSO. A swarm with weight 1, pulls of 2 and no limit of velocity (Kennedy and
//! Eberhart 1995, and many a demo) diverges, and is not offered. All move every particle at
//! once, where Clerc's code moves them one by one in a random order: so a generation can be
//! scored in parallel. A particle that leaves the box is put on its wall, and that velocity is
//! turned round and halved, in all versions (SPSO-2011's rule).

mod motion;
mod swarm;
mod topology;

use serde::{Deserialize, Serialize};

pub use swarm::Swarm;
pub use topology::Topology;

use crate::error::{Result, demand};
use crate::{Algorithm, Answers, Generation, Quality, Scope};

/// Which rules of motion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// Standard PSO 2011: the next point lies in a sphere around the centre of gravity of the
    /// particle, a point beyond its own best and one beyond its best informant's, so that
    /// turning the axes changes nothing. w = 1/(2 ln 2), c = 1/2 + ln 2, adaptive random
    /// topology with K = 3, 40 particles.
    ///
    /// # Source
    /// Clerc, "Standard Particle Swarm Optimisation", 2012 (hal-00764996); Zambrano-Bigiarini,
    /// Clerc and Rojas, CEC 2013. As in Clerc's code, the radius is uniform, not the density.
    #[default]
    #[serde(rename = "spso-2011")]
    Spso2011,
    /// χ = 0.7298, φ₁ = φ₂ = 2.05, every coordinate by itself; a ring, unless another topology
    /// is named.
    ///
    /// # Source
    /// Clerc and Kennedy, IEEE TEC 6(1), 2002; Bratton and Kennedy, SIS 2007
    Constriction,
    /// Weight falls from 0.9 to 0.4 over [`PsoOptions::generations`], c = 2, velocity at most
    /// half the box; global.
    ///
    /// # Source
    /// Shi and Eberhart, CEC 1999. Other swarms with a dynamic weight differ in the curve.
    Dynamic,
}

/// Options of `pso`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PsoOptions {
    /// Which rules of motion.
    pub version: Version,
    /// Candidates a generation.
    pub particles: usize,
    /// Who informs whom, where not the version's own.
    pub topology: Option<Topology>,
    /// Over how many generations `dynamic` lowers its weight.
    pub generations: u64,
}

impl Default for PsoOptions {
    fn default() -> Self {
        Self {
            version: Version::default(),
            particles: 40,
            topology: None,
            generations: 1000,
        }
    }
}

impl PsoOptions {
    /// Whether every number can be what it is.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<()> {
        demand(
            self.particles >= 2,
            "particles",
            self.particles,
            "at least 2",
        )?;
        demand(
            self.generations >= 1,
            "generations",
            self.generations,
            "at least 1",
        )
    }

    pub(crate) fn topology(&self) -> Topology {
        self.topology.unwrap_or(match self.version {
            Version::Spso2011 => Topology::AdaptiveRandom,
            Version::Constriction => Topology::Ring,
            Version::Dynamic => Topology::Global,
        })
    }
}

/// `pso`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pso {
    swarm: Swarm,
}

impl Pso {
    /// A swarm at its start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: PsoOptions, scope: Scope) -> Result<Self> {
        options.check()?;
        Ok(Self {
            swarm: Swarm::new(options, scope),
        })
    }
}

impl Algorithm for Pso {
    fn ask(&self) -> &Generation {
        &self.swarm.asked
    }

    fn tell(&mut self, answers: &Answers) {
        self.swarm.remember(&answers.qualities);
        self.swarm.advance();
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        self.swarm.rebase(before, after);
    }

    fn inject(&mut self, position: &[f64], quality: &Quality) {
        self.swarm.inject(position, quality);
    }
}
