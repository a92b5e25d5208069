//! A swarm that breaks out by Lévy flights.
//!
//! Generations take turns: the swarm moves; each particle's own best makes a Lévy flight; the
//! swarm moves; eggs are found in what the particles remember. What a flight or an egg finds
//! replaces what the particle remembers, where it is better; the particle itself stays on its
//! course.
//!
//! # Source
//! The swarm: [`crate::pso`]; flights and eggs: [`crate::cuckoo`]. Published hybrids of the two
//! (Ghodrati and Lotfi 2012, among others) let cuckoos move by velocities instead; what this one
//! is stands here.

use serde::{Deserialize, Serialize};

use crate::Purpose;
use crate::cuckoo::{CuckooOptions, Levy, discover};
use crate::error::Result;
use crate::generation::row;
use crate::pso::{PsoOptions, Swarm};
use crate::{Algorithm, Answers, Generation, Quality, Scope};

/// Options of `pso-cs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PsoCsOptions {
    /// Of the swarm.
    pub pso: PsoOptions,
    /// Of flights and eggs; there are as many nests as particles.
    pub cuckoo: CuckooOptions,
}

/// `pso-cs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PsoCs {
    options: PsoCsOptions,
    swarm: Swarm,
    /// Where the particles are while something else is asked; empty while they are asked.
    waiting: Vec<f64>,
}

impl PsoCs {
    /// A swarm at its start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: PsoCsOptions, scope: Scope) -> Result<Self> {
        options.pso.check()?;
        options.cuckoo.check()?;
        let swarm = Swarm::new(options.pso.clone(), scope);
        Ok(Self {
            options,
            swarm,
            waiting: Vec::new(),
        })
    }

    /// Flights, or eggs.
    fn lay(&mut self) {
        let Self {
            options,
            swarm,
            waiting,
        } = self;
        swarm.asked.number += 1;
        waiting.clone_from(&swarm.asked.positions);
        let (number, width, count) = (swarm.asked.number, swarm.asked.dimensions, swarm.len());
        let levy = Levy::new(options.cuckoo.beta);
        let memories = swarm.memories.clone();
        let memory = |particle: usize| row(&memories, width, particle);
        for particle in 0..count {
            let random = &mut swarm.scope().random(number, particle, Purpose::Move);
            let next = swarm.asked.position_mut(particle);
            if number % 4 == 1 {
                let points = (memory(particle), memory(swarm.best));
                levy.fly(options.cuckoo.step, points, next, random);
            } else {
                let others = (memory(random.below(count)), memory(random.below(count)));
                discover(
                    options.cuckoo.discovery,
                    memory(particle),
                    others,
                    next,
                    random,
                );
            }
        }
    }
}

impl Algorithm for PsoCs {
    fn ask(&self) -> &Generation {
        &self.swarm.asked
    }

    fn tell(&mut self, answers: &Answers) {
        self.swarm.remember(&answers.qualities);
        if self.swarm.asked.number.is_multiple_of(2) {
            self.lay();
        } else {
            self.swarm.asked.positions = std::mem::take(&mut self.waiting);
            self.swarm.advance();
        }
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        self.swarm.rebase(before, after);
    }

    fn inject(&mut self, position: &[f64], quality: &Quality) {
        self.swarm.inject(position, quality);
    }
}
