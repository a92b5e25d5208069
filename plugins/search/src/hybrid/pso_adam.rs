//! A swarm whose best particles walk downhill.
//!
//! Every [`PsoAdamOptions::every`] generations the best particles return to their own best and
//! ask for some of Adam's steps from there; where these lead is where they are then, and what
//! they remember if it is better. All others move as in `pso`. So the evaluator needs a gradient,
//! and the search none.
//!
//! # Source
//! Adam: Kingma and Ba, ICLR 2015. A search that keeps what was learned in a lifetime:
//! Whitley, Gordon and Mathias, PPSN 1994. "PSO-Adam" is several things in the literature: the
//! swarm before Adam, Adam's step within the velocity, and this, the memetic one.

use serde::{Deserialize, Serialize};

use crate::error::{Result, demand};
use crate::pso::{PsoOptions, Swarm};
use crate::quality::ranked;
use crate::{Algorithm, Answers, Generation, Quality, Scope, Task};

/// Options of `pso-adam`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PsoAdamOptions {
    /// Of the swarm.
    pub pso: PsoOptions,
    /// Generations from one walk downhill to the next.
    pub every: u64,
    /// How many particles walk.
    pub walkers: usize,
    /// Adam's steps a walk.
    pub steps: u32,
    /// Adam's learning rate, of weights.
    pub rate: f64,
}

impl Default for PsoAdamOptions {
    fn default() -> Self {
        Self {
            pso: PsoOptions::default(),
            every: 5,
            walkers: 4,
            steps: 10,
            rate: 0.01,
        }
    }
}

impl PsoAdamOptions {
    /// Whether every number can be what it is.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<()> {
        self.pso.check()?;
        let walkers = self.walkers;
        demand(self.every >= 1, "every", self.every, "at least 1")?;
        demand(
            walkers <= self.pso.particles,
            "walkers",
            walkers,
            "at most `particles`",
        )?;
        let rate = self.rate;
        demand(rate > 0.0 && rate.is_finite(), "rate", rate, "more than 0")
    }
}

/// `pso-adam`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PsoAdam {
    options: PsoAdamOptions,
    swarm: Swarm,
}

impl PsoAdam {
    /// A swarm at its start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: PsoAdamOptions, scope: Scope) -> Result<Self> {
        options.check()?;
        let swarm = Swarm::new(options.pso.clone(), scope);
        Ok(Self { options, swarm })
    }

    /// Sends the best downhill, where it is time.
    fn send(&mut self) {
        self.swarm.asked.tasks.clear();
        if !self.swarm.asked.number.is_multiple_of(self.options.every) {
            return;
        }
        let Self { options, swarm } = self;
        swarm.asked.tasks = vec![Task::FULL; swarm.len()];
        for &particle in ranked(&swarm.remembered).iter().take(options.walkers) {
            let home = swarm.memory(particle).to_vec();
            swarm.put(particle, &home);
            swarm.asked.tasks[particle] = Task::Adam {
                steps: options.steps,
                rate: options.rate,
            };
        }
    }
}

impl Algorithm for PsoAdam {
    fn ask(&self) -> &Generation {
        &self.swarm.asked
    }

    fn tell(&mut self, answers: &Answers) {
        for (particle, position) in &answers.improved {
            self.swarm.put(*particle, position);
        }
        self.swarm.remember(&answers.qualities);
        self.swarm.advance();
        self.send();
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        self.swarm.rebase(before, after);
    }

    fn inject(&mut self, position: &[f64], quality: &Quality) {
        self.swarm.inject(position, quality);
    }
}
