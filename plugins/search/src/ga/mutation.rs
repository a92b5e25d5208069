//! How a child changes.

use serde::{Deserialize, Serialize};

use crate::Random;
use crate::error::{Result, demand};

/// How a child changes, in the coordinates that do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Mutation {
    /// By a normal number.
    Gaussian {
        /// Its standard deviation, as a share of the box.
        deviation: f64,
    },
    /// By Deb's polynomial density, which reaches from wall to wall of the box.
    Polynomial {
        /// The larger, the smaller the change: about 1 / eta of the box.
        eta: f64,
    },
}

impl Default for Mutation {
    fn default() -> Self {
        Mutation::Gaussian { deviation: 0.05 }
    }
}

impl Mutation {
    pub(super) fn check(&self) -> Result<()> {
        match *self {
            Mutation::Gaussian { deviation } => {
                let good = deviation >= 0.0 && deviation.is_finite();
                demand(good, "deviation", deviation, "0 or more")
            }
            Mutation::Polynomial { eta } => {
                demand(eta >= 0.0 && eta.is_finite(), "eta", eta, "0 or more")
            }
        }
    }

    pub(super) fn mutate(&self, rate: f64, child: &mut [f64], random: &mut Random) {
        let mut at = gap(rate, random);
        while at < child.len() {
            child[at] = match *self {
                Mutation::Gaussian { deviation } => child[at] + deviation * random.gaussian(),
                Mutation::Polynomial { eta } => polynomial(child[at].clamp(0.0, 1.0), eta, random),
            };
            at = at.saturating_add(1).saturating_add(gap(rate, random));
        }
    }
}

/// How many coordinates are left alone before the next that changes: one number a change, not one
/// a coordinate.
fn gap(rate: f64, random: &mut Random) -> usize {
    if rate >= 1.0 {
        return 0;
    }
    // ln(1 - u) / ln(1 - rate) is geometric; what is too large, or infinite, is the largest.
    (libm::log(1.0 - random.uniform()) / libm::log1p(-rate)) as usize
}

/// Deb's polynomial mutation of one coordinate of [0, 1].
fn polynomial(value: f64, eta: f64, random: &mut Random) -> f64 {
    let (u, power) = (random.uniform(), 1.0 / (eta + 1.0));
    let change = if u < 0.5 {
        libm::pow(
            2.0 * u + (1.0 - 2.0 * u) * libm::pow(1.0 - value, eta + 1.0),
            power,
        ) - 1.0
    } else {
        let far = 2.0 * (1.0 - u) + (2.0 * u - 1.0) * libm::pow(value, eta + 1.0);
        1.0 - libm::pow(far, power)
    };
    value + change
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    #[test]
    fn as_many_coordinates_change_as_the_rate_says() {
        for (mutation, rate) in [
            (Mutation::Gaussian { deviation: 0.1 }, 0.1),
            (Mutation::Polynomial { eta: 20.0 }, 0.01),
            (Mutation::default(), 1.0),
            (Mutation::default(), 0.0),
        ] {
            let mut random = Random::new(1, 0, 0, Purpose::Move);
            let mut child = vec![0.3; 100_000];
            mutation.mutate(rate, &mut child, &mut random);
            let changed = child.iter().filter(|value| **value != 0.3).count();
            let want = rate * 100_000.0;
            assert!(
                (changed as f64 - want).abs() <= 5.0 * want.sqrt(),
                "{rate}: {changed}"
            );
        }
    }

    #[test]
    fn a_polynomial_stays_in_the_box() {
        let mut random = Random::new(2, 0, 0, Purpose::Move);
        for value in [0.0, 1e-9, 0.5, 1.0] {
            for _ in 0..10_000 {
                let next = polynomial(value, 20.0, &mut random);
                assert!((-1e-12..=1.0 + 1e-12).contains(&next), "{value} to {next}");
            }
        }
    }
}
