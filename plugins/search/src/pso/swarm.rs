//! The particles, what they remember, and how a generation follows another.

use serde::{Deserialize, Serialize};

use super::motion::{Motion, Particle};
use super::{PsoOptions, Topology, Version, topology};
use crate::Purpose;
use crate::generation::{row, row_mut};
use crate::quality::{self, ranked};
use crate::{Generation, Quality, Scope};

/// A swarm, for `pso` and for the hybrids that have one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Swarm {
    options: PsoOptions,
    scope: Scope,
    /// Where the particles are.
    pub(crate) asked: Generation,
    /// (particles, dimensions)
    pub(crate) velocities: Vec<f64>,
    /// Each particle's own best: (particles, dimensions).
    pub(crate) memories: Vec<f64>,
    /// How good that is.
    pub(crate) remembered: Vec<Quality>,
    /// Whom each informs, where that is random.
    links: Vec<u32>,
    /// The best particle's number.
    pub(crate) best: usize,
}

impl Swarm {
    pub(crate) fn new(options: PsoOptions, scope: Scope) -> Self {
        let asked = scope.first(options.particles);
        let links = topology::draw(options.particles, &mut scope.random(0, 0, Purpose::Links));
        let mut swarm = Self {
            velocities: vec![0.0; asked.positions.len()],
            memories: asked.positions.clone(),
            remembered: vec![Quality::WORST; options.particles],
            links,
            best: 0,
            options,
            scope,
            asked,
        };
        swarm.start();
        swarm
    }

    /// SPSO-2011 starts with velocities that lead anywhere in the box, or as far as the start is
    /// spread; the others at rest.
    fn start(&mut self) {
        if self.options.version != Version::Spso2011 {
            return;
        }
        let spread = match self.scope.start {
            crate::Start::Around {
                spread: Some(spread),
                ..
            } => spread,
            _ => 1.0,
        };
        let width = self.scope.dimensions;
        for particle in 0..self.options.particles {
            let mut random = self.scope.random(0, particle, Purpose::Move);
            let velocity = row_mut(&mut self.velocities, width, particle);
            for (velocity, x) in velocity.iter_mut().zip(self.asked.position(particle)) {
                *velocity = spread * (random.uniform() - x);
            }
        }
    }

    /// Keeps what is better than what each particle remembers.
    pub(crate) fn remember(&mut self, qualities: &[Quality]) {
        let before = self.remembered[self.best];
        let width = self.scope.dimensions;
        for (particle, quality) in qualities.iter().enumerate() {
            if quality.beats(&self.remembered[particle]) {
                self.remembered[particle] = *quality;
                row_mut(&mut self.memories, width, particle)
                    .copy_from_slice(self.asked.position(particle));
            }
        }
        self.best = quality::best(&self.remembered);
        let improved = self.remembered[self.best].beats(&before);
        if !improved && self.topology() == Topology::AdaptiveRandom {
            let mut random = self.scope.random(self.asked.number + 1, 0, Purpose::Links);
            self.links = topology::draw(self.remembered.len(), &mut random);
        }
    }

    /// The next generation: all move.
    pub(crate) fn advance(&mut self) {
        let all: Vec<usize> = (0..self.remembered.len()).collect();
        self.asked.number += 1;
        self.fly(&all);
    }

    /// These move.
    pub(crate) fn fly(&mut self, particles: &[usize]) {
        let number = self.asked.number;
        let informants = self
            .topology()
            .informants(&self.remembered, &self.links, self.best);
        let mut motion = Motion::new(self.options.version, number, self.options.generations);
        let width = self.scope.dimensions;
        for &particle in particles {
            let informant = informants[particle] as usize;
            motion.step(
                Particle {
                    position: row_mut(&mut self.asked.positions, width, particle),
                    velocity: row_mut(&mut self.velocities, width, particle),
                    own: row(&self.memories, width, particle),
                    other: (informant != particle).then(|| row(&self.memories, width, informant)),
                },
                &mut self.scope.random(number, particle, Purpose::Move),
            );
        }
    }

    fn topology(&self) -> Topology {
        self.options.topology()
    }

    /// How many particles there are.
    pub(crate) fn len(&self) -> usize {
        self.remembered.len()
    }

    /// What a particle remembers.
    pub(crate) fn memory(&self, particle: usize) -> &[f64] {
        row(&self.memories, self.scope.dimensions, particle)
    }

    /// Puts a particle somewhere, at rest.
    pub(crate) fn put(&mut self, particle: usize, position: &[f64]) {
        self.asked.position_mut(particle).copy_from_slice(position);
        row_mut(&mut self.velocities, self.scope.dimensions, particle).fill(0.0);
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn rebase(&mut self, before: &Quality, after: &Quality) {
        for remembered in &mut self.remembered {
            *remembered = remembered.rebased(before, after);
        }
    }

    /// Gives the worst particle something to remember that is better than all it knows.
    pub(crate) fn inject(&mut self, position: &[f64], quality: &Quality) {
        let Some(&worst) = ranked(&self.remembered).last() else {
            return;
        };
        if quality.beats(&self.remembered[self.best]) {
            self.remembered[worst] = *quality;
            row_mut(&mut self.memories, self.scope.dimensions, worst).copy_from_slice(position);
            self.best = worst;
        }
    }
}
