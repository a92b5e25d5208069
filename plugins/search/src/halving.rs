//! Candidates that do badly are stopped early, where a score takes long.
//!
//! A ladder has rungs of growing effort. All candidates are scored on the first; the best share
//! climbs to the next; those that stay behind are worse than all that climbed. Who climbs is
//! decided by quality and, where that is equal, by number, when all of a rung have been scored:
//! never by who was first. So a rung is a generation.
//!
//! # Source
//! Successive halving: Jamieson and Talwalkar, AISTATS 2016. Hyperband: Li et al., JMLR 18, 2018,
//! without the asynchronous promotion of later versions, which depends on timing.

use serde::{Deserialize, Serialize};

use crate::algorithm::{Method, State};
use crate::error::{Result, demand};
use crate::quality::ranked;
use crate::{Algorithm, Answers, Generation, Quality, Scope, Task};

/// Options of successive halving around another algorithm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HalvingOptions {
    /// One in so many climbs, with so many times the effort.
    pub eta: u32,
    /// How many rungs, the last at full effort.
    pub rungs: u32,
}

impl Default for HalvingOptions {
    fn default() -> Self {
        Self { eta: 3, rungs: 3 }
    }
}

impl HalvingOptions {
    fn check(&self) -> Result<()> {
        demand(self.eta >= 2, "eta", self.eta, "at least 2")?;
        demand(
            (1..=12).contains(&self.rungs),
            "rungs",
            self.rungs,
            "from 1 to 12",
        )
    }
}

/// The candidates of one generation on their way up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ladder {
    eta: u32,
    rungs: u32,
    /// Rungs above the one that is asked.
    above: u32,
    /// Who is on it.
    climbers: Vec<usize>,
    /// What all have so far.
    qualities: Vec<Quality>,
}

impl Ladder {
    fn new(candidates: usize, eta: u32, rungs: u32) -> Self {
        let qualities = vec![Quality::WORST; candidates];
        Self {
            eta,
            rungs,
            above: rungs - 1,
            climbers: (0..candidates).collect(),
            qualities,
        }
    }

    fn is_begun(&self) -> bool {
        self.above + 1 < self.rungs
    }

    fn effort(&self) -> f64 {
        1.0 / libm::pow(f64::from(self.eta), f64::from(self.above))
    }

    /// What is asked on this rung.
    fn pose(&self, all: &Generation, number: u64) -> Generation {
        let mut asked = Generation::new(number, all.dimensions);
        for &climber in &self.climbers {
            asked.positions.extend_from_slice(all.position(climber));
            asked.tasks.push(match all.task(climber) {
                Task::Score { effort } => Task::Score {
                    effort: effort * self.effort(),
                },
                adam => adam,
            });
        }
        asked
    }

    /// Takes a rung's answers; whether it was the last.
    fn climb(&mut self, qualities: &[Quality]) -> bool {
        for (&climber, quality) in self.climbers.iter().zip(qualities) {
            let missing = quality.missing.saturating_add(self.above);
            self.qualities[climber] = Quality {
                missing,
                ..*quality
            };
        }
        if self.above == 0 {
            return true;
        }
        self.above -= 1;
        let count = (self.climbers.len() / self.eta as usize).max(1);
        let mut climbers: Vec<usize> = ranked(qualities)[..count]
            .iter()
            .map(|&place| self.climbers[place])
            .collect();
        climbers.sort_unstable();
        self.climbers = climbers;
        false
    }
}

/// Any algorithm, its candidates on a ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Halving {
    options: HalvingOptions,
    inner: State,
    ladder: Ladder,
    asked: Generation,
    /// Where Adam's steps have led, until the ladder is climbed.
    improved: Vec<(usize, Vec<f64>)>,
}

impl Halving {
    /// At the start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: HalvingOptions, method: &Method, scope: Scope) -> Result<Self> {
        options.check()?;
        let single = !matches!(method, Method::Halving(..) | Method::Hyperband(_));
        demand(
            single,
            "halving",
            "set",
            "unset with this algorithm, which has it",
        )?;
        let inner = method.start(scope)?;
        let ladder = Ladder::new(inner.ask().len(), options.eta, options.rungs);
        let asked = ladder.pose(inner.ask(), 0);
        Ok(Self {
            options,
            inner,
            ladder,
            asked,
            improved: Vec::new(),
        })
    }
}

impl Algorithm for Halving {
    fn ask(&self) -> &Generation {
        &self.asked
    }

    fn tell(&mut self, answers: &Answers) {
        for (place, position) in &answers.improved {
            let climber = self.ladder.climbers[*place];
            self.improved.retain(|(candidate, _)| *candidate != climber);
            self.improved.push((climber, position.clone()));
        }
        if self.ladder.climb(&answers.qualities) {
            let mut improved = std::mem::take(&mut self.improved);
            improved.sort_by_key(|(candidate, _)| *candidate);
            let qualities = std::mem::take(&mut self.ladder.qualities);
            self.inner.tell(&Answers {
                qualities,
                improved,
            });
            self.ladder = Ladder::new(self.inner.ask().len(), self.options.eta, self.options.rungs);
        }
        self.asked = self.ladder.pose(self.inner.ask(), self.asked.number + 1);
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        self.inner.rebase(before, after);
    }

    fn is_midway(&self) -> bool {
        self.ladder.is_begun()
    }
}

/// Options of `hyperband`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HyperbandOptions {
    /// One in so many climbs, with so many times the effort.
    pub eta: u32,
    /// Rungs of the tallest bracket: its first effort is eta^(1 - rungs).
    pub rungs: u32,
}

impl Default for HyperbandOptions {
    fn default() -> Self {
        Self { eta: 3, rungs: 4 }
    }
}

/// `hyperband`: random candidates on ladders of every height, from many that are stopped early
/// to few that are scored in full; then again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hyperband {
    options: HyperbandOptions,
    scope: Scope,
    /// Brackets so far.
    bracket: u64,
    /// All candidates of this bracket.
    all: Generation,
    ladder: Ladder,
    asked: Generation,
}

impl Hyperband {
    /// At the start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: HyperbandOptions, scope: Scope) -> Result<Self> {
        HalvingOptions {
            eta: options.eta,
            rungs: options.rungs,
        }
        .check()?;
        let all = Generation::new(0, scope.dimensions);
        let ladder = Ladder::new(0, options.eta, 1);
        let mut search = Self {
            options,
            scope,
            bracket: 0,
            asked: all.clone(),
            all,
            ladder,
        };
        search.open();
        search.asked = search.ladder.pose(&search.all, 0);
        Ok(search)
    }

    /// Draws the candidates of a bracket.
    fn open(&mut self) {
        let HyperbandOptions { eta, rungs } = self.options;
        let height = rungs - (self.bracket % u64::from(rungs)) as u32;
        // n = ⌈(s_max + 1) / (s + 1) η^s⌉ with s + 1 rungs.
        let widest = u64::from(rungs) * u64::from(eta).pow(height - 1);
        let count = widest.div_ceil(u64::from(height)) as usize;
        let mut scope = self.scope.clone();
        scope.seed = segue_candidates::random::inner_seed(self.scope.seed, self.bracket);
        self.all = scope.first(count);
        self.ladder = Ladder::new(count, eta, height);
    }
}

impl Algorithm for Hyperband {
    fn ask(&self) -> &Generation {
        &self.asked
    }

    fn tell(&mut self, answers: &Answers) {
        if self.ladder.climb(&answers.qualities) {
            self.bracket += 1;
            self.open();
        }
        self.asked = self.ladder.pose(&self.all, self.asked.number + 1);
    }

    fn rebase(&mut self, _before: &Quality, _after: &Quality) {}

    fn is_midway(&self) -> bool {
        self.ladder.is_begun()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_ones_climb_and_equal_ones_by_number() {
        let mut ladder = Ladder::new(6, 3, 2);
        assert_eq!(ladder.effort(), 1.0 / 3.0);
        let scores = [3.0, 1.0, 2.0, 1.0, 9.0, 1.0].map(Quality::feasible);
        assert!(!ladder.climb(&scores));
        assert_eq!(ladder.climbers, [1, 3]);
        assert!(ladder.climb(&[8.0, 7.0].map(Quality::feasible)));
        // Whoever climbed is better than who did not, whatever the numbers say.
        assert_eq!(ranked(&ladder.qualities), [3, 1, 5, 2, 0, 4]);
    }

    #[test]
    fn brackets_have_the_sizes_of_the_paper() {
        // R = 27, η = 3: 27 at 1, 12 at 3, 6 at 9, 4 at 27.
        let mut search = Hyperband::new(HyperbandOptions::default(), Scope::new(1, 2)).unwrap();
        let mut seen = Vec::new();
        for _ in 0..10 {
            let count = search.ask().len();
            let Task::Score { effort } = search.ask().task(0) else {
                panic!("not a score")
            };
            seen.push((count, (effort * 27.0).round() as u32));
            search.tell(&Answers::scores(vec![Quality::feasible(0.0); count]));
        }
        let paper = [
            (27, 1),
            (9, 3),
            (3, 9),
            (1, 27),
            (12, 3),
            (4, 9),
            (1, 27),
            (6, 9),
            (2, 27),
            (4, 27),
        ];
        assert_eq!(seen, paper);
    }
}
