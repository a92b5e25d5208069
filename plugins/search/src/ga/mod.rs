//! A genetic algorithm over real numbers.
//!
//! Tournaments choose parents, one child a pair; children and parents compete for their places
//! (mu + lambda), so the best is never lost. With [`GaOptions::elites`] only that many parents
//! stay, and the rest are the best children.
//!
//! # Source
//! Selection: Goldberg and Deb, FOGA 1991. Crossover: BLX-α, Eshelman and Schaffer, FOGA 2,
//! 1993; SBX, Deb and Agrawal, Complex Systems 9, 1995. Mutation: polynomial, Deb and Goyal,
//! Computer Science and Informatics 26(4), 1996. Mu + lambda: Bäck and Schwefel, Evolutionary
//! Computation 1(1), 1993.
//!
//! # What differs
//! SBX makes two children as published; here each pair has one, either side of the mean. Other
//! codes cross all coordinates or half: BLX crosses all here, SBX each with probability 1/2.
//! Mutation is a share of the box, not of the current spread.

mod crossover;
mod mutation;

use serde::{Deserialize, Serialize};

pub use crossover::Crossover;
pub use mutation::Mutation;

use crate::Purpose;
use crate::error::{Result, demand};
use crate::generation::row;
use crate::quality::ranked;
use crate::{Algorithm, Answers, Generation, Quality, Random, Scope};

/// Options of `ga`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GaOptions {
    /// Parents (mu).
    pub parents: usize,
    /// Children a generation (lambda): as many as parents where not given.
    pub children: Option<usize>,
    /// How many parents may stay: all where not given.
    pub elites: Option<usize>,
    /// How many compete to be a parent.
    pub tournament: usize,
    /// How children come from parents.
    pub crossover: Crossover,
    /// The share of children that have two parents.
    pub crossover_rate: f64,
    /// How children change.
    pub mutation: Mutation,
    /// The share of coordinates that change: one of them on average where not given.
    pub mutation_rate: Option<f64>,
}

impl Default for GaOptions {
    fn default() -> Self {
        Self {
            parents: 50,
            children: None,
            elites: None,
            tournament: 2,
            crossover: Crossover::default(),
            crossover_rate: 0.9,
            mutation: Mutation::default(),
            mutation_rate: None,
        }
    }
}

impl GaOptions {
    /// Whether every number can be what it is.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<()> {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let children = self.children();
        let rate = self.mutation_rate.unwrap_or(0.0);
        let elites = self.elites.unwrap_or(0);
        demand(self.parents >= 2, "parents", self.parents, "at least 2")?;
        demand(children >= 1, "children", children, "at least 1")?;
        demand(
            self.tournament >= 1,
            "tournament",
            self.tournament,
            "at least 1",
        )?;
        demand(
            share(self.crossover_rate),
            "crossover-rate",
            self.crossover_rate,
            "from 0 to 1",
        )?;
        demand(share(rate), "mutation-rate", rate, "from 0 to 1")?;
        let enough = self
            .elites
            .is_none_or(|elites| elites + children >= self.parents);
        demand(
            enough,
            "children",
            children,
            "at least `parents` less `elites`",
        )?;
        demand(
            elites < self.parents,
            "elites",
            elites,
            "less than `parents`",
        )?;
        self.crossover.check()?;
        self.mutation.check()
    }

    fn children(&self) -> usize {
        self.children.unwrap_or(self.parents)
    }

    /// One child of two parents.
    pub(crate) fn child(&self, one: &[f64], other: &[f64], child: &mut [f64], random: &mut Random) {
        if random.uniform() < self.crossover_rate {
            self.crossover.cross(one, other, child, random);
        } else {
            child.copy_from_slice(one);
        }
        let rate = self
            .mutation_rate
            .unwrap_or(1.0 / child.len().max(1) as f64);
        self.mutation.mutate(rate, child, random);
        child
            .iter_mut()
            .for_each(|value| *value = value.clamp(0.0, 1.0));
    }

    /// The best of some drawn at random.
    pub(crate) fn parent(&self, qualities: &[Quality], random: &mut Random) -> usize {
        let mut best = random.below(qualities.len());
        for _ in 1..self.tournament {
            let rival = random.below(qualities.len());
            if qualities[rival].beats(&qualities[best]) {
                best = rival;
            }
        }
        best
    }
}

/// `ga`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ga {
    options: GaOptions,
    scope: Scope,
    asked: Generation,
    /// (parents, dimensions), best first; none before the first generation is scored.
    parents: Vec<f64>,
    qualities: Vec<Quality>,
}

impl Ga {
    /// A population at its start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: GaOptions, scope: Scope) -> Result<Self> {
        options.check()?;
        let asked = scope.first(options.parents);
        Ok(Self {
            options,
            scope,
            asked,
            parents: Vec::new(),
            qualities: Vec::new(),
        })
    }

    /// Parents and children compete.
    fn survive(&mut self, children: &[Quality]) {
        let stay = self
            .options
            .elites
            .unwrap_or(usize::MAX)
            .min(self.qualities.len());
        let all: Vec<Quality> = [&self.qualities[..stay], children].concat();
        let width = self.scope.dimensions;
        let mut order = ranked(&all);
        if self.options.elites.is_some() {
            // Elites stay however good the children are.
            order.retain(|&number| number >= stay);
            order.splice(0..0, 0..stay);
        }
        order.truncate(self.options.parents);
        order.sort_by(|&a, &b| all[a].order(&all[b]));
        let (old, asked) = (&self.parents, &self.asked);
        let place = |&number: &usize| {
            if number < stay {
                row(old, width, number)
            } else {
                asked.position(number - stay)
            }
        };
        let next: Vec<f64> = order.iter().flat_map(place).copied().collect();
        self.qualities = order.iter().map(|&number| all[number]).collect();
        self.parents = next;
    }

    /// The next generation.
    fn breed(&mut self) {
        self.asked.number += 1;
        let (number, width) = (self.asked.number, self.scope.dimensions);
        self.asked
            .positions
            .resize(self.options.children() * width, 0.0);
        for candidate in 0..self.options.children() {
            let random = &mut self.scope.random(number, candidate, Purpose::Move);
            let one = self.options.parent(&self.qualities, random);
            let other = self.options.parent(&self.qualities, random);
            let [one, other] = [one, other].map(|number| row(&self.parents, width, number));
            self.options
                .child(one, other, self.asked.position_mut(candidate), random);
        }
    }
}

impl Algorithm for Ga {
    fn ask(&self) -> &Generation {
        &self.asked
    }

    fn tell(&mut self, answers: &Answers) {
        self.survive(&answers.qualities);
        self.breed();
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        for quality in &mut self.qualities {
            *quality = quality.rebased(before, after);
        }
    }

    fn inject(&mut self, position: &[f64], quality: &Quality) {
        let better = self
            .qualities
            .first()
            .is_some_and(|best| quality.beats(best));
        if better {
            let keep = self.parents.len() - position.len();
            self.parents.truncate(keep);
            self.parents.splice(0..0, position.iter().copied());
            self.qualities.pop();
            self.qualities.insert(0, *quality);
        }
    }
}
