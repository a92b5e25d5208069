//! How good a candidate is, and which of two is the better.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// What a search minimises.
///
/// One that was scored in full is better than one that was stopped early; then a feasible one is
/// better than one that is not; of two that are not, the one with the smaller violation; of two
/// that are, the one with the smaller fitness. So no penalty has to be weighed against fitness.
///
/// # Source
/// Deb, Computer Methods in Applied Mechanics and Engineering 186, 2000, section 3
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// How many rungs of a [ladder](crate::halving) it did not climb: 0 where there is none.
    pub missing: u32,
    /// By how much it breaks the constraints: 0 where it breaks none.
    pub violation: f64,
    /// To be minimised.
    pub fitness: f64,
}

impl Quality {
    /// Worse than anything that was scored; what a number that is not finite counts as.
    pub const WORST: Self = Self {
        missing: u32::MAX,
        violation: f64::INFINITY,
        fitness: f64::INFINITY,
    };

    /// Of one that breaks no constraint.
    pub fn feasible(fitness: f64) -> Self {
        Self::new(fitness, 0.0)
    }

    /// Of one that breaks constraints by `violation`, which is 0 or more. What is not finite, or
    /// a violation below 0, is no verdict: it counts as [`Self::WORST`].
    pub fn new(fitness: f64, violation: f64) -> Self {
        if fitness.is_finite() && violation.is_finite() && violation >= 0.0 {
            // 0.0 for -0.0, so that equal ones are the same bytes.
            Self {
                missing: 0,
                violation: violation + 0.0,
                fitness: fitness + 0.0,
            }
        } else {
            Self::WORST
        }
    }

    /// Whether it is a verdict at all.
    pub fn is_finite(&self) -> bool {
        self.fitness.is_finite()
    }

    /// Whether it was scored and breaks no constraint.
    pub fn is_feasible(&self) -> bool {
        self.is_finite() && self.violation == 0.0
    }

    /// Best first. Equal ones stay in the order of their candidates wherever this is used.
    pub fn order(&self, other: &Self) -> Ordering {
        (self.missing.cmp(&other.missing))
            .then(self.violation.total_cmp(&other.violation))
            .then(self.fitness.total_cmp(&other.fitness))
    }

    /// Whether it is the better one; of two equal ones neither is.
    #[inline]
    pub fn beats(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Less
    }

    /// The same, after what surrounds it has changed from `before` to `after`: what a block of
    /// coordinates remembers was scored among other values of all other coordinates. Exact where
    /// blocks add up, an estimate elsewhere.
    pub fn rebased(&self, before: &Self, after: &Self) -> Self {
        let finite = self.is_finite() && before.is_finite() && after.is_finite();
        if !finite {
            return *self;
        }
        let violation = self.violation + (after.violation - before.violation);
        Self {
            missing: self.missing,
            // What broke a constraint may do so still, though others break it less: only a score
            // can say that it does not.
            violation: if self.violation > 0.0 && violation <= 0.0 {
                self.violation
            } else {
                violation.max(0.0)
            },
            fitness: self.fitness + (after.fitness - before.fitness),
        }
    }
}

/// The number of the best, the first of equal ones.
pub(crate) fn best(qualities: &[Quality]) -> usize {
    let better = |best, number| {
        if Quality::beats(&qualities[number], &qualities[best]) {
            number
        } else {
            best
        }
    };
    (1..qualities.len()).fold(0, better)
}

/// Numbers, best first; equal ones in order.
pub(crate) fn ranked(qualities: &[Quality]) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..qualities.len()).collect();
    numbers.sort_by(|&a, &b| qualities[a].order(&qualities[b]));
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feasible_beats_infeasible_whatever_their_fitness() {
        let good = Quality::feasible(1e300);
        let bad = Quality::new(-1e300, 1e-300);
        assert!(good.beats(&bad) && !bad.beats(&good));
    }

    #[test]
    fn of_two_infeasible_ones_the_smaller_violation_wins() {
        assert!(Quality::new(9.0, 1.0).beats(&Quality::new(0.0, 2.0)));
        assert!(Quality::new(1.0, 1.0).beats(&Quality::new(2.0, 1.0)));
    }

    #[test]
    fn what_is_not_finite_is_worse_than_all_that_is() {
        for fitness in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Quality::feasible(fitness), Quality::WORST);
            assert_eq!(Quality::new(0.0, fitness), Quality::WORST);
        }
        assert_eq!(Quality::new(0.0, -1.0), Quality::WORST);
        let stopped = Quality {
            missing: 9,
            ..Quality::new(f64::MAX, f64::MAX)
        };
        assert!(stopped.beats(&Quality::WORST));
    }

    #[test]
    fn what_broke_a_constraint_is_not_feasible_because_others_are() {
        let memory = Quality::new(1.0, 0.5);
        let (before, after) = (Quality::new(3.0, 0.6), Quality::new(2.0, 0.0));
        let rebased = memory.rebased(&before, &after);
        assert!(
            !rebased.is_feasible() && rebased.fitness == 0.0,
            "{rebased:?}"
        );
        // Blocks that add up are followed exactly.
        let less = Quality::new(2.0, 0.4);
        let followed = memory.rebased(&before, &less).violation;
        assert!((followed - 0.3).abs() < 1e-12, "{followed}");
    }

    #[test]
    fn equal_ones_stay_in_order() {
        let qualities = [2.0, 1.0, 1.0, 2.0].map(Quality::feasible);
        assert_eq!(best(&qualities), 1);
        assert_eq!(ranked(&qualities), [1, 2, 0, 3]);
    }
}
