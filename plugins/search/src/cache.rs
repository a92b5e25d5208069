//! What was scored before is not scored again.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::Task;
use crate::setup::Score;
use crate::space::Space;
use segue_candidates::digest::Digest;

/// Scores by what the candidate stands for and at what effort; the oldest go first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cache {
    limit: usize,
    scores: BTreeMap<Digest, Score>,
    order: VecDeque<Digest>,
}

impl Cache {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            scores: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Under what a candidate is kept. Adam's steps are always taken.
    pub fn key(&self, space: &Space, position: &[f64], task: Task) -> Option<Digest> {
        let Task::Score { effort } = task else {
            return None;
        };
        if self.limit == 0 {
            return None;
        }
        let mut digest = Digest::default();
        digest.word(effort.to_bits());
        space.digest(position, &mut digest);
        Some(digest)
    }

    pub fn get(&self, key: &Digest) -> Option<&Score> {
        self.scores.get(key)
    }

    pub fn insert(&mut self, key: Digest, score: Score) {
        if self.scores.insert(key, score).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.limit {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.scores.remove(&oldest));
        }
    }
}
