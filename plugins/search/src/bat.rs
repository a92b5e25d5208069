//! The bat algorithm.
//!
//! Every bat is pulled to the best: v ← v + f (best − x), x ← x + v, with one frequency f a bat
//! and generation. With a probability of 1 − pulse rate it walks around the best instead, by up
//! to the mean loudness times [`BatOptions::walk`] of the box in each coordinate. What is at
//! least as good is accepted with a probability that is the bat's loudness; then the bat gets
//! quieter, A ← α A, and its pulse rate is r₀ (1 − exp(−γ t)).
//!
//! # Source
//! Yang, "A New Metaheuristic Bat-Inspired Algorithm", NICSO 2010
//!
//! # What differs
//! The paper's formula has (x − best), which with positive frequencies leads away from the best;
//! here the sign is the one that its text means. The paper accepts what beats the best of all;
//! here, as in most codes, what is no worse than the bat itself. Loudness has a floor, or a bat
//! that was often right could never be right again; and as an improvement is
//! rare, it falls by α = 0.7 at each, where 0.9 is usual. Yang's own demonstration has constant
//! loudness and pulse rate and cuts the wrong variable to the box; one library repels from the
//! best; one moves by the velocity of the generation before: three other algorithms.

use serde::{Deserialize, Serialize};

use crate::Purpose;
use crate::error::{Result, demand};
use crate::generation::{row, row_mut};
use crate::quality;
use crate::{Algorithm, Answers, Generation, Quality, Random, Scope};

/// Options of `bat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BatOptions {
    /// Candidates a generation.
    pub bats: usize,
    /// Least and greatest frequency; 4 or more would throw bats about.
    pub frequency: (f64, f64),
    /// First loudness, A₀.
    pub loudness: f64,
    /// Least loudness.
    pub quietest: f64,
    /// By what loudness is multiplied, α.
    pub alpha: f64,
    /// Last pulse rate, r₀.
    pub pulse: f64,
    /// How fast the pulse rate rises, γ.
    pub gamma: f64,
    /// The walk of a bat of loudness 1, as a share of the box.
    pub walk: f64,
}

impl Default for BatOptions {
    fn default() -> Self {
        Self {
            bats: 40,
            frequency: (0.0, 2.0),
            loudness: 1.0,
            quietest: 1e-6,
            alpha: 0.7,
            pulse: 0.5,
            gamma: 0.9,
            walk: 0.1,
        }
    }
}

impl BatOptions {
    /// Whether every number can be what it is.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<()> {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let (least, greatest) = self.frequency;
        demand(self.bats >= 2, "bats", self.bats, "at least 2")?;
        demand(
            least <= greatest && greatest < 4.0 && least > -4.0,
            "frequency",
            greatest,
            "a range below 4",
        )?;
        demand(
            share(self.loudness),
            "loudness",
            self.loudness,
            "from 0 to 1",
        )?;
        demand(
            share(self.quietest),
            "quietest",
            self.quietest,
            "from 0 to 1",
        )?;
        demand(share(self.alpha), "alpha", self.alpha, "from 0 to 1")?;
        demand(share(self.pulse), "pulse", self.pulse, "from 0 to 1")?;
        demand(self.gamma >= 0.0, "gamma", self.gamma, "0 or more")?;
        demand(share(self.walk), "walk", self.walk, "from 0 to 1")
    }
}

/// `bat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bat {
    options: BatOptions,
    scope: Scope,
    /// Where the bats might go.
    asked: Generation,
    /// Where they are: (bats, dimensions).
    positions: Vec<f64>,
    velocities: Vec<f64>,
    qualities: Vec<Quality>,
    loudness: Vec<f64>,
    pulse: Vec<f64>,
    best: Vec<f64>,
    quality: Quality,
}

impl Bat {
    /// Bats at their start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: BatOptions, scope: Scope) -> Result<Self> {
        options.check()?;
        let asked = scope.first(options.bats);
        Ok(Self {
            positions: asked.positions.clone(),
            velocities: vec![0.0; asked.positions.len()],
            qualities: vec![Quality::WORST; options.bats],
            loudness: vec![options.loudness; options.bats],
            pulse: vec![0.0; options.bats],
            best: asked.positions[..scope.dimensions].to_vec(),
            quality: Quality::WORST,
            options,
            scope,
            asked,
        })
    }

    /// Which bats go where they might.
    fn accept(&mut self, qualities: &[Quality]) {
        let number = self.asked.number;
        for (bat, quality) in qualities.iter().enumerate() {
            let first = number == 0;
            let chance = self.scope.random(number, bat, Purpose::Accept).uniform();
            let loud = chance < self.loudness[bat];
            if first || loud && !self.qualities[bat].beats(quality) {
                self.qualities[bat] = *quality;
                row_mut(&mut self.positions, self.scope.dimensions, bat)
                    .copy_from_slice(self.asked.position(bat));
            }
            if !first && loud && !self.qualities[bat].beats(quality) {
                let options = &self.options;
                self.loudness[bat] = (options.alpha * self.loudness[bat]).max(options.quietest);
                self.pulse[bat] = options.pulse * -libm::expm1(-options.gamma * number as f64);
            }
        }
        let best = quality::best(qualities);
        if number == 0 || qualities[best].beats(&self.quality) {
            self.quality = qualities[best];
            self.best.copy_from_slice(self.asked.position(best));
        }
    }

    fn fly(&mut self) {
        self.asked.number += 1;
        let (number, width) = (self.asked.number, self.scope.dimensions);
        let loudness = self.loudness.iter().sum::<f64>() / self.loudness.len() as f64;
        let reach = loudness * self.options.walk;
        for bat in 0..self.qualities.len() {
            let random = &mut self.scope.random(number, bat, Purpose::Move);
            let walks = random.uniform() > self.pulse[bat];
            let (least, greatest) = self.options.frequency;
            let frequency = random.between(least, greatest);
            let velocity = row_mut(&mut self.velocities, width, bat);
            let here = row(&self.positions, width, bat);
            let next = self.asked.position_mut(bat);
            pull(frequency, here, &self.best, velocity, next);
            if walks {
                walk(reach, &self.best, next, random);
            }
        }
    }
}

/// Velocity and position of a bat that is pulled to the best; on a wall it rests.
fn pull(frequency: f64, here: &[f64], best: &[f64], velocity: &mut [f64], next: &mut [f64]) {
    for (((v, next), x), best) in velocity.iter_mut().zip(next).zip(here).zip(best) {
        *v += frequency * (best - x);
        let to = x + *v;
        *next = to.clamp(0.0, 1.0);
        *v = if *next == to { *v } else { 0.0 };
    }
}

/// A place around the best.
fn walk(reach: f64, best: &[f64], next: &mut [f64], random: &mut Random) {
    for (next, best) in next.iter_mut().zip(best) {
        *next = (best + reach * random.between(-1.0, 1.0)).clamp(0.0, 1.0);
    }
}

impl Algorithm for Bat {
    fn ask(&self) -> &Generation {
        &self.asked
    }

    fn tell(&mut self, answers: &Answers) {
        self.accept(&answers.qualities);
        self.fly();
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        self.quality = self.quality.rebased(before, after);
        for quality in &mut self.qualities {
            *quality = quality.rebased(before, after);
        }
    }

    fn inject(&mut self, position: &[f64], quality: &Quality) {
        if quality.beats(&self.quality) {
            self.quality = *quality;
            self.best.copy_from_slice(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_leads_to_the_best() {
        let (mut velocity, mut next) = (vec![0.0], vec![0.0]);
        pull(0.5, &[0.2], &[0.6], &mut velocity, &mut next);
        assert!((next[0] - 0.4).abs() < 1e-15, "half the way: {next:?}");
    }

    #[test]
    fn a_bat_that_is_right_gets_quieter_and_pulses_more() {
        let mut bat = Bat::new(BatOptions::default(), Scope::new(1, 3)).unwrap();
        for step in 0..5 {
            let scores = vec![Quality::feasible(-f64::from(step)); 40];
            bat.tell(&Answers::scores(scores));
        }
        assert!(bat.loudness.iter().all(|loudness| *loudness < 1.0));
        assert!(bat.pulse.iter().all(|pulse| *pulse > 0.0 && *pulse <= 0.5));
    }
}
