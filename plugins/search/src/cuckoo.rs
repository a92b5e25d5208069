//! Cuckoo search by Lévy flights.
//!
//! Two generations take turns. In the first each nest gets a flight: x + 0.01 L (x − best) g,
//! with L a Lévy number by Mantegna's method and g a normal one, coordinate by coordinate. In the
//! second a cuckoo's egg is found in each nest, and with [`CuckooOptions::discovery`] a coordinate
//! is replaced: x + r (a − b), with a and b of two other nests, r uniform. A nest takes what is
//! better than what it has.
//!
//! # Source
//! Yang and Deb, "Cuckoo Search via Lévy Flights", NaBIC 2009, and "Engineering Optimisation by
//! Cuckoo Search", IJMMNO 1(4), 2010; Mantegna, Physical Review E 49, 1994
//!
//! # What differs
//! In the paper an egg competes with a random nest's, in its authors' code with its own, as here.
//! In that code a coordinate is replaced with probability 1 − pₐ (a comparison the wrong way
//! round), here with pₐ as the paper says. Steps are shares of the box.

use serde::{Deserialize, Serialize};

use crate::Purpose;
use crate::error::{Result, demand};
use crate::generation::{row, row_mut};
use crate::quality;
use crate::{Algorithm, Answers, Generation, Quality, Random, Scope};

/// Options of `cuckoo`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CuckooOptions {
    /// Candidates a generation.
    pub nests: usize,
    /// The probability that an egg is found, pₐ, coordinate by coordinate.
    pub discovery: f64,
    /// Of the Lévy distribution, from 1 to 2: the smaller, the more long flights.
    pub beta: f64,
    /// How long flights are.
    pub step: f64,
}

impl Default for CuckooOptions {
    fn default() -> Self {
        Self {
            nests: 25,
            discovery: 0.25,
            beta: 1.5,
            step: 0.01,
        }
    }
}

impl CuckooOptions {
    /// Whether every number can be what it is.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<()> {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        demand(self.nests >= 3, "nests", self.nests, "at least 3")?;
        demand(
            share(self.discovery),
            "discovery",
            self.discovery,
            "from 0 to 1",
        )?;
        demand(
            (1.0..2.0).contains(&self.beta),
            "beta",
            self.beta,
            "from 1 to less than 2",
        )?;
        demand(
            self.step >= 0.0 && self.step.is_finite(),
            "step",
            self.step,
            "0 or more",
        )
    }
}

/// A Lévy flight.
pub(crate) struct Levy {
    power: f64,
    deviation: f64,
}

impl Levy {
    /// Mantegna's σ for `beta`.
    pub fn new(beta: f64) -> Self {
        let above = libm::tgamma(1.0 + beta) * libm::sin(0.5 * std::f64::consts::PI * beta);
        let below = libm::tgamma(0.5 * (1.0 + beta)) * beta * libm::exp2(0.5 * (beta - 1.0));
        Self {
            power: 1.0 / beta,
            deviation: libm::pow(above / below, 1.0 / beta),
        }
    }

    /// One number.
    pub fn draw(&self, random: &mut Random) -> f64 {
        let (u, v) = (random.gaussian(), random.gaussian());
        self.deviation * u / libm::pow(v.abs(), self.power)
    }

    /// Where a flight leads from `here`; `best` stays where it is.
    pub fn fly(&self, step: f64, points: (&[f64], &[f64]), next: &mut [f64], random: &mut Random) {
        let (here, best) = points;
        for ((next, x), best) in next.iter_mut().zip(here).zip(best) {
            let length = step * self.draw(random) * random.gaussian();
            let to = x + length * (x - best);
            // A flight of infinite length, times no distance, leads nowhere.
            *next = if to.is_nan() { *x } else { to.clamp(0.0, 1.0) };
        }
    }
}

/// What some coordinates become when an egg is found.
pub(crate) fn discover(
    rate: f64,
    here: &[f64],
    (a, b): (&[f64], &[f64]),
    next: &mut [f64],
    random: &mut Random,
) {
    let length = random.uniform();
    for (((next, x), a), b) in next.iter_mut().zip(here).zip(a).zip(b) {
        let found = random.uniform() < rate;
        *next = if found {
            (x + length * (a - b)).clamp(0.0, 1.0)
        } else {
            *x
        };
    }
}

/// `cuckoo`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cuckoo {
    options: CuckooOptions,
    scope: Scope,
    asked: Generation,
    /// (nests, dimensions)
    nests: Vec<f64>,
    qualities: Vec<Quality>,
}

impl Cuckoo {
    /// Nests at their start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: CuckooOptions, scope: Scope) -> Result<Self> {
        options.check()?;
        let asked = scope.first(options.nests);
        let nests = asked.positions.clone();
        let qualities = vec![Quality::WORST; options.nests];
        Ok(Self {
            options,
            scope,
            asked,
            nests,
            qualities,
        })
    }

    fn keep(&mut self, qualities: &[Quality]) {
        let width = self.scope.dimensions;
        for (nest, quality) in qualities.iter().enumerate() {
            if quality.beats(&self.qualities[nest]) {
                self.qualities[nest] = *quality;
                row_mut(&mut self.nests, width, nest).copy_from_slice(self.asked.position(nest));
            }
        }
    }

    fn lay(&mut self) {
        self.asked.number += 1;
        let (number, width) = (self.asked.number, self.scope.dimensions);
        let (count, levy) = (self.qualities.len(), Levy::new(self.options.beta));
        let best = quality::best(&self.qualities);
        let nests = |nest: usize| row(&self.nests, width, nest);
        for nest in 0..count {
            let random = &mut self.scope.random(number, nest, Purpose::Move);
            let next = self.asked.position_mut(nest);
            if number % 2 == 1 {
                let points = (nests(nest), nests(best));
                levy.fly(self.options.step, points, next, random);
            } else {
                let others = (nests(random.below(count)), nests(random.below(count)));
                discover(self.options.discovery, nests(nest), others, next, random);
            }
        }
    }
}

impl Algorithm for Cuckoo {
    fn ask(&self) -> &Generation {
        &self.asked
    }

    fn tell(&mut self, answers: &Answers) {
        self.keep(&answers.qualities);
        self.lay();
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        for quality in &mut self.qualities {
            *quality = quality.rebased(before, after);
        }
    }

    fn inject(&mut self, position: &[f64], quality: &Quality) {
        let ranks = quality::ranked(&self.qualities);
        let (Some(&best), Some(&worst)) = (ranks.first(), ranks.last()) else {
            return;
        };
        if quality.beats(&self.qualities[best]) {
            self.qualities[worst] = *quality;
            row_mut(&mut self.nests, self.scope.dimensions, worst).copy_from_slice(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mantegna_s_deviation_for_one_and_a_half() {
        let levy = Levy::new(1.5);
        assert!(
            (levy.deviation - 0.696_575).abs() < 1e-6,
            "{}",
            levy.deviation
        );
    }

    #[test]
    fn flights_have_heavy_tails() {
        let (levy, mut random) = (Levy::new(1.5), Random::new(1, 0, 0, Purpose::Move));
        let far = (0..100_000)
            .filter(|_| levy.draw(&mut random).abs() > 10.0)
            .count();
        // A normal number would be there never; P(|L| > 10) of a stable law is about 0.013.
        assert!((500..3000).contains(&far), "{far}");
    }
}
