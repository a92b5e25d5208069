//! A swarm whose worse half is bred from its better half.
//!
//! Each generation the better half, by what the particles remember, moves as in `pso`; each of
//! the others becomes a child of two of the better half, chosen by tournament, and starts from
//! there at rest, with nothing to remember but what it finds.
//!
//! # Source
//! Juang, "A Hybrid of Genetic Algorithm and Particle Swarm Optimization for Recurrent Network
//! Design" (HGAPSO), IEEE Trans. SMC B 34(2), 2004
//!
//! # What differs
//! There the swarm has constriction and one-point crossover; here it has `pso`'s rules, and
//! crossover and mutation are `ga`'s. Parents are crossed where they remember to have been best,
//! not where they have just moved, which has not been scored.

use serde::{Deserialize, Serialize};

use crate::Purpose;
use crate::error::Result;
use crate::ga::GaOptions;
use crate::pso::{PsoOptions, Swarm};
use crate::quality::ranked;
use crate::{Algorithm, Answers, Generation, Quality, Scope};

/// Options of `pso-ga`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PsoGaOptions {
    /// Of the swarm.
    pub pso: PsoOptions,
    /// Of tournament, crossover and mutation; there are as many parents as half the particles.
    pub ga: GaOptions,
}

/// `pso-ga`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PsoGa {
    options: PsoGaOptions,
    swarm: Swarm,
}

impl PsoGa {
    /// A swarm at its start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: PsoGaOptions, scope: Scope) -> Result<Self> {
        options.pso.check()?;
        options.ga.check()?;
        let swarm = Swarm::new(options.pso.clone(), scope);
        Ok(Self { options, swarm })
    }

    fn breed(&mut self, order: &[usize]) {
        let Self { options, swarm } = self;
        let (better, worse) = order.split_at(order.len().div_ceil(2));
        let qualities: Vec<Quality> = better
            .iter()
            .map(|&particle| swarm.remembered[particle])
            .collect();
        for &particle in worse {
            let random = &mut swarm
                .scope()
                .random(swarm.asked.number, particle, Purpose::Move);
            let one = better[options.ga.parent(&qualities, random)];
            let other = better[options.ga.parent(&qualities, random)];
            let mut child = vec![0.0; swarm.asked.dimensions];
            options
                .ga
                .child(swarm.memory(one), swarm.memory(other), &mut child, random);
            swarm.put(particle, &child);
            swarm.remembered[particle] = Quality::WORST;
        }
    }
}

impl Algorithm for PsoGa {
    fn ask(&self) -> &Generation {
        &self.swarm.asked
    }

    fn tell(&mut self, answers: &Answers) {
        self.swarm.remember(&answers.qualities);
        let order = ranked(&self.swarm.remembered);
        self.swarm.asked.number += 1;
        self.swarm.fly(&order[..order.len().div_ceil(2)]);
        self.breed(&order);
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        self.swarm.rebase(before, after);
    }

    fn inject(&mut self, position: &[f64], quality: &Quality) {
        self.swarm.inject(position, quality);
    }
}
