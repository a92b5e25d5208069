//! Who informs whom in a swarm.

use serde::{Deserialize, Serialize};

use crate::{Quality, Random};

/// Who informs whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// Each particle informs itself and three drawn at random, perhaps the same twice; drawn
    /// again whenever the swarm's best has not improved.
    AdaptiveRandom,
    /// All inform all.
    Global,
    /// Each informs its two neighbours.
    Ring,
}

/// How many each informs.
const INFORMED: usize = 3;

/// Whom each particle informs: ([particles](draw), 3).
pub(super) fn draw(particles: usize, random: &mut Random) -> Vec<u32> {
    let draw = |_| random.below(particles) as u32;
    (0..particles * INFORMED).map(draw).collect()
}

impl Topology {
    /// For each particle, the number of the best that informs it; of equal ones its own, then
    /// the first.
    pub(super) fn informants(self, remembered: &[Quality], links: &[u32], best: usize) -> Vec<u32> {
        let count = remembered.len();
        let mut informants: Vec<u32> = (0..count as u32).collect();
        let mut inform = |from: usize, to: usize| {
            if remembered[from].beats(&remembered[informants[to] as usize]) {
                informants[to] = from as u32;
            }
        };
        match self {
            Topology::Global => (0..count).for_each(|to| inform(best, to)),
            Topology::Ring => (0..count).for_each(|from| {
                inform(from, (from + 1) % count);
                inform(from, (from + count - 1) % count);
            }),
            Topology::AdaptiveRandom => {
                for (number, &to) in links.iter().enumerate() {
                    inform(number / INFORMED, to as usize);
                }
            }
        }
        informants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_informs_neighbours_alone() {
        let remembered = [5.0, 1.0, 4.0, 3.0, 2.0].map(Quality::feasible);
        let informants = Topology::Ring.informants(&remembered, &[], 1);
        assert_eq!(informants, [1, 1, 1, 4, 4]);
    }

    #[test]
    fn links_lead_one_way() {
        let remembered = [1.0, 2.0, 3.0].map(Quality::feasible);
        let links = [2, 2, 2, 1, 1, 1, 0, 0, 0];
        let informants = Topology::AdaptiveRandom.informants(&remembered, &links, 0);
        assert_eq!(informants, [0, 1, 0]);
    }
}
