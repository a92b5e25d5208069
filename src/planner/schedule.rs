//! What a plan comes to: which devices run which units, and in whose turn.

use std::ops::Range;

/// A chain of groups, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Together they have all units, in order; no device is in two of them.
    pub groups: Vec<Group>,
}

/// Devices that share the batches of a range of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The units.
    pub units: Range<usize>,
    /// At least one.
    pub members: Vec<Member>,
}

/// A device of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub device: usize,
    /// How many of its workers run the units, the first ones.
    pub workers: usize,
    /// How many batches each of these gets before it is the turn of the same again.
    pub weight: u32,
}

impl Schedule {
    /// The devices that run something, in the order in which batches reach them.
    pub fn devices(&self) -> impl Iterator<Item = usize> {
        let members = self.groups.iter().flat_map(|group| &group.members);
        members.map(|member| member.device)
    }
}

impl Group {
    /// Device, worker within it, and weight of each worker that shares the batches.
    pub fn replicas(&self) -> impl Iterator<Item = (usize, usize, u32)> {
        let each = |one: &Member| {
            let Member { device, weight, .. } = *one;
            (0..one.workers).map(move |worker| (device, worker, weight))
        };
        self.members.iter().flat_map(each)
    }
}

/// Whose turn it is, as a pattern that repeats: each one comes as often as its weight says, as
/// evenly as can be.
///
/// # Source
/// Smooth weighted round-robin, as nginx has it
pub fn turns(weights: &[u32]) -> Vec<usize> {
    let weights: Vec<i64> = weights.iter().map(|&one| i64::from(one.max(1))).collect();
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0; weights.len()];
    let turn = |_| {
        for (credit, weight) in credit.iter_mut().zip(&weights) {
            *credit += weight;
        }
        // The first of those with most.
        let most = (0..credit.len()).max_by_key(|&one| (credit[one], std::cmp::Reverse(one)));
        let most = most.unwrap_or(0);
        credit[most] -= total;
        most
    };
    (0..total).map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::turns;

    #[test]
    fn each_comes_as_often_as_its_weight_says() {
        assert_eq!(turns(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(turns(&[2, 1]), [0, 1, 0]);
        assert_eq!(turns(&[1, 3]), [1, 0, 1, 1]);
    }
}
