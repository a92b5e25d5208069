//! How a child comes from two parents.

use serde::{Deserialize, Serialize};

use crate::Random;
use crate::error::{Result, demand};

/// How a child comes from two parents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Crossover {
    /// Each coordinate uniform between both parents' and beyond by this share of their distance.
    Blx {
        /// 0.5 as published: spread neither grows nor shrinks much.
        alpha: f64,
    },
    /// Each coordinate, with probability 1/2, from the density that one-point crossover of
    /// binary numbers would have.
    Sbx {
        /// The larger, the closer to a parent: 2 to 20.
        eta: f64,
    },
}

impl Default for Crossover {
    fn default() -> Self {
        Crossover::Blx { alpha: 0.5 }
    }
}

impl Crossover {
    pub(super) fn check(&self) -> Result<()> {
        let good = |number: f64| number >= 0.0 && number.is_finite();
        match *self {
            Crossover::Blx { alpha } => demand(good(alpha), "alpha", alpha, "0 or more"),
            Crossover::Sbx { eta } => demand(good(eta), "eta", eta, "0 or more"),
        }
    }

    pub(super) fn cross(&self, one: &[f64], other: &[f64], child: &mut [f64], random: &mut Random) {
        for ((child, &one), &other) in child.iter_mut().zip(one).zip(other) {
            *child = match *self {
                Crossover::Blx { alpha } => {
                    let beyond = alpha * (one - other).abs();
                    random.between(one.min(other) - beyond, one.max(other) + beyond)
                }
                Crossover::Sbx { eta } => blend(one, other, eta, random),
            };
        }
    }
}

/// Simulated binary crossover of one coordinate.
fn blend(one: f64, other: f64, eta: f64, random: &mut Random) -> f64 {
    let (coin, side) = random.pair();
    if coin < 0.5 {
        return one;
    }
    let u = random.uniform();
    let spread = if u <= 0.5 {
        libm::pow(2.0 * u, 1.0 / (eta + 1.0))
    } else {
        libm::pow(1.0 / (2.0 * (1.0 - u)), 1.0 / (eta + 1.0))
    };
    let half = if side < 0.5 { -0.5 } else { 0.5 };
    0.5 * (one + other) + half * spread * (other - one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn children(crossover: Crossover) -> Vec<f64> {
        let mut random = Random::new(1, 0, 0, Purpose::Move);
        let mut child = vec![0.0; 20_000];
        crossover.cross(
            &vec![0.4; 20_000],
            &vec![0.6; 20_000],
            &mut child,
            &mut random,
        );
        child
    }

    fn moments(values: &[f64]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        (
            mean,
            values
                .iter()
                .map(|value| (value - mean).powi(2))
                .sum::<f64>()
                / count,
        )
    }

    #[test]
    fn blx_is_uniform_over_the_widened_range() {
        let all = children(Crossover::Blx { alpha: 0.5 });
        assert!(all.iter().all(|value| (0.3..0.7).contains(value)));
        let (mean, variance) = moments(&all);
        assert!((mean - 0.5).abs() < 0.003 && (variance - 0.4 * 0.4 / 12.0).abs() < 3e-4);
    }

    #[test]
    fn sbx_leaves_half_and_keeps_the_mean_of_the_rest() {
        let all = children(Crossover::Sbx { eta: 15.0 });
        let crossed: Vec<f64> = all.iter().copied().filter(|value| *value != 0.4).collect();
        assert!((crossed.len() as f64 / 20_000.0 - 0.5).abs() < 0.02);
        let (mean, _) = moments(&crossed);
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
    }
}
