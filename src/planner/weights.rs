//! How batches are shared by workers of unequal speed.

/// The largest weight: patterns stay short beside a window.
const WEIGHT_MAX: u32 = 12;

/// Workers that take the same time.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// A batch takes so long on each.
    pub seconds: f64,
    /// What one of them is busy with besides, for each batch of all.
    pub base: f64,
    /// How many there are.
    pub workers: usize,
}

/// Each peer's weight, so that the busiest worker is as little busy as whole weights allow,
/// and how long that one is busy for each batch of all.
///
/// Where every `base` is zero no weights up to [`WEIGHT_MAX`] are better: let the busiest peer
/// of the best ones have weight q; what every other peer can do in the time of q of its batches
/// is at least its own weight, and is one of those tried.
pub fn weights(peers: &[Peer]) -> (Vec<u32>, f64) {
    let mut best = (vec![1; peers.len()], busiest(peers, &vec![1; peers.len()]));
    let mut tried = vec![0; peers.len()];
    for slowest in peers {
        for weight in 1..=WEIGHT_MAX {
            // A little more, so that what is equal but for rounding is equal.
            let time = f64::from(weight) * slowest.seconds * (1.0 + 1e-12);
            for (tried, peer) in tried.iter_mut().zip(peers) {
                let fits = (time / peer.seconds).floor();
                // A peer that takes no time gets as much as there is.
                *tried = fits.clamp(0.0, f64::from(WEIGHT_MAX)) as u32;
            }
            if tried.contains(&0) {
                continue;
            }
            let busy = busiest(peers, &tried);
            if busy < best.1 * (1.0 - 1e-12) {
                best = (tried.clone(), busy);
            }
        }
    }
    let common = best.0.iter().copied().fold(0, common_divisor).max(1);
    best.0.iter_mut().for_each(|weight| *weight /= common);
    best
}

/// How long the busiest worker is busy for each batch of all.
pub fn busiest(peers: &[Peer], weights: &[u32]) -> f64 {
    let pairs = || peers.iter().zip(weights);
    let total: f64 = pairs()
        .map(|(peer, &weight)| f64::from(weight) * peer.workers as f64)
        .sum();
    let busy =
        |(peer, &weight): (&Peer, &u32)| peer.base + f64::from(weight) / total * peer.seconds;
    pairs().map(busy).fold(0.0, f64::max)
}

fn common_divisor(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        _ => common_divisor(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::{Peer, weights};

    fn of(seconds: &[f64]) -> Vec<u32> {
        let peer = |&seconds: &f64| Peer {
            seconds,
            base: 0.0,
            workers: 1,
        };
        weights(&seconds.iter().map(peer).collect::<Vec<_>>()).0
    }

    #[test]
    fn the_faster_gets_more() {
        assert_eq!(of(&[1.0]), [1]);
        assert_eq!(of(&[0.3, 0.3, 0.3]), [1, 1, 1]);
        assert_eq!(of(&[1.0, 2.0]), [2, 1]);
        assert_eq!(of(&[3.0, 1.0, 1.5]), [1, 3, 2]);
        assert_eq!(of(&[1.0, 100.0]), [12, 1]);
    }

    #[test]
    fn no_other_weights_are_better() {
        let seconds = [1.0, 1.7, 2.3];
        let peers = seconds.map(|seconds| Peer {
            seconds,
            base: 0.0,
            workers: 1,
        });
        let (_, found) = weights(&peers);
        for a in 1..=12 {
            for b in 1..=12 {
                for c in 1..=12 {
                    let other = super::busiest(&peers, &[a, b, c]);
                    assert!(
                        found <= other * (1.0 + 1e-9),
                        "{a} {b} {c}: {other} < {found}"
                    );
                }
            }
        }
    }
}
