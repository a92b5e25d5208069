//! Cooperation: a search a block of coordinates, each scored within a context vector.
//!
//! In many dimensions one swarm must get all coordinates right at once; in blocks, each search
//! has few, and one vector holds the best of all. Van den Bergh and Engelbrecht's CPSO-S is
//! `pso` in blocks, CPSO-H the same with [`BlockOptions::hybrid`]; every other algorithm can be
//! used so too.
//!
//! # Source
//! Van den Bergh and Engelbrecht, "A Cooperative Approach to Particle Swarm Optimization", IEEE
//! TEC 8(3), 2004.
//!
//! # What differs
//! A generation is one block's candidates, so they can be scored in parallel and the context
//! is always a vector that was scored. There a particle's own best is compared by a fitness from
//! an older context, which is unfair to it, or scored again, which costs as much as the search;
//! here it is corrected by what the context has gained since, which is exact where blocks add
//! up. In CPSO-H the context replaces what the whole swarm's worst particle remembers, not a
//! random one's.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::algorithm::{Method, State};
use crate::error::{Result, demand};
use crate::quality;
use crate::{Algorithm, Answers, Generation, Quality, Scope, Start};
use segue_candidates::random::inner_seed;

/// How coordinates are cut into blocks. A sweep over them costs all their candidates, so each
/// should have few: ten do well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BlockOptions {
    /// Coordinates of a block; the last may have fewer.
    pub size: usize,
    /// Generations of a block before the next has its turn.
    pub turn: u64,
    /// After all blocks, a generation of a search over all coordinates, with an exchange of what
    /// both found.
    pub hybrid: bool,
}

impl Default for BlockOptions {
    fn default() -> Self {
        Self {
            size: 16,
            turn: 1,
            hybrid: false,
        }
    }
}

/// Any algorithm, block by block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blocks {
    options: BlockOptions,
    asked: Generation,
    /// The best of all blocks, and how good it is.
    context: Vec<f64>,
    quality: Quality,
    /// One a block; the last has all coordinates where [`BlockOptions::hybrid`].
    parts: Vec<Part>,
    /// Whose candidates were asked: `None` in the first generation, whose whole vectors only
    /// give the context.
    turn: Option<usize>,
    /// Generations of this turn so far.
    taken: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    range: Range<usize>,
    state: State,
    /// How good the context was when the part was told last.
    seen: Quality,
    /// Whether the context has something in this range that the part did not find itself.
    learns: bool,
}

impl Blocks {
    /// At the start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: BlockOptions, method: &Method, scope: Scope) -> Result<Self> {
        demand(options.size >= 1, "size", options.size, "at least 1")?;
        demand(options.turn >= 1, "turn", options.turn, "at least 1")?;
        let whole = matches!(
            method,
            Method::PsoAdam(_) | Method::Blocks(..) | Method::Halving(..) | Method::Hyperband(_)
        );
        demand(
            !whole,
            "blocks",
            "set",
            "unset with this algorithm, which needs whole vectors",
        )?;
        let all = 0..scope.dimensions;
        let mut ranges: Vec<_> = all
            .clone()
            .step_by(options.size)
            .map(|from| from..(from + options.size).min(all.end))
            .collect();
        if options.hybrid {
            ranges.push(all);
        }
        let part = |(number, range): (usize, Range<usize>)| {
            let state = method.start(inner(&scope, number, &range))?;
            Ok(Part {
                range,
                state,
                seen: Quality::WORST,
                learns: true,
            })
        };
        let parts = ranges
            .into_iter()
            .enumerate()
            .map(part)
            .collect::<Result<Vec<_>>>()?;
        let candidates = parts.first().map_or(0, |part| part.state.ask().len());
        let asked = scope.first(candidates);
        let context = vec![0.0; scope.dimensions];
        let quality = Quality::WORST;
        Ok(Self {
            options,
            asked,
            context,
            quality,
            parts,
            turn: None,
            taken: 0,
        })
    }

    /// Keeps the best candidate, where it beats the context.
    fn keep(&mut self, qualities: &[Quality]) {
        let best = quality::best(qualities);
        if self.turn.is_some() && !qualities[best].beats(&self.quality) {
            return;
        }
        self.context.copy_from_slice(self.asked.position(best));
        self.quality = qualities[best];
        let Some(finder) = self.turn else { return };
        let found = self.parts[finder].range.clone();
        for (number, part) in self.parts.iter_mut().enumerate() {
            let shares = part.range.start < found.end && found.start < part.range.end;
            part.learns |= shares && number != finder;
        }
    }

    /// Whose turn is next.
    fn pass(&mut self) {
        self.taken += 1;
        let next = match self.turn {
            Some(part) if self.taken < self.options.turn => part,
            Some(part) => (part + 1) % self.parts.len(),
            None => 0,
        };
        if self.turn != Some(next) {
            self.taken = 0;
        }
        self.turn = Some(next);
    }

    /// Asks the part whose turn it is.
    fn pose(&mut self) {
        let Some(turn) = self.turn else { return };
        let part = &mut self.parts[turn];
        part.state.rebase(&part.seen, &self.quality);
        part.seen = self.quality;
        if std::mem::take(&mut part.learns) {
            part.state
                .inject(&self.context[part.range.clone()], &self.quality);
        }
        let inner = part.state.ask();
        self.asked.number += 1;
        self.asked.tasks.clone_from(&inner.tasks);
        self.asked.positions.clear();
        for candidate in 0..inner.len() {
            self.asked.positions.extend_from_slice(&self.context);
            self.asked.position_mut(candidate)[part.range.clone()]
                .copy_from_slice(inner.position(candidate));
        }
    }
}

/// What a part knows of the problem: a seed of its own and its block of the start.
fn inner(scope: &Scope, number: usize, range: &Range<usize>) -> Scope {
    let start = match &scope.start {
        Start::Uniform => Start::Uniform,
        Start::Around { at, spread } => Start::Around {
            at: at[range.clone()].to_vec(),
            spread: *spread,
        },
    };
    Scope {
        seed: inner_seed(scope.seed, number as u64),
        dimensions: range.len(),
        start,
    }
}

impl Algorithm for Blocks {
    fn ask(&self) -> &Generation {
        &self.asked
    }

    fn tell(&mut self, answers: &Answers) {
        if answers.qualities.is_empty() {
            return;
        }
        self.keep(&answers.qualities);
        if let Some(turn) = self.turn {
            let part = &mut self.parts[turn];
            part.state.tell(&Answers::scores(answers.qualities.clone()));
            part.seen = self.quality;
        }
        self.pass();
        self.pose();
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        self.quality = self.quality.rebased(before, after);
        for part in &mut self.parts {
            part.state.rebase(before, after);
            part.seen = part.seen.rebased(before, after);
        }
    }
}
