//! How the learning rate goes, and when no more is learnt.

use serde::{Deserialize, Serialize};

/// A rate that rises from 0 and then falls back to 0, both in a straight line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// The rate at its highest.
    pub highest: f32,
    /// The part of all steps in which it rises, 0 to below 1.
    pub part: f32,
}

impl WarmUp {
    /// The rate when `progress` of all steps is done, 0 to 1.
    pub fn rate(self, progress: f32) -> f32 {
        let part = if progress < self.part {
            progress / self.part
        } else {
            (1.0 - progress) / (1.0 - self.part)
        };
        self.highest * part.clamp(0.0, 1.0)
    }
}

/// The best of what was seen, and how much came since.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best<Q> {
    quality: Option<Q>,
    since: usize,
}

impl<Q> Default for Best<Q> {
    fn default() -> Self {
        Best {
            quality: None,
            since: 0,
        }
    }
}

impl<Q: Copy + PartialOrd> Best<Q> {
    /// Sees another; whether it is better than all before. One as good as the best is not.
    pub fn see(&mut self, quality: Q) -> bool {
        match self.quality {
            Some(best) if best >= quality => {
                self.since += 1;
                false
            }
            _ => {
                (self.quality, self.since) = (Some(quality), 0);
                true
            }
        }
    }

    /// The best, if anything was seen.
    pub fn quality(&self) -> Option<Q> {
        self.quality
    }

    /// Whether `patience` came in a row without a better one.
    pub fn has_waited(&self, patience: usize) -> bool {
        self.quality.is_some() && self.since >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_rises_and_falls() {
        let rates = |part: f32| {
            let warm_up = WarmUp { highest: 8.0, part };
            [0.0, 0.25, 0.5, 1.0].map(|progress| warm_up.rate(progress))
        };
        assert_eq!(rates(0.5), [0.0, 4.0, 8.0, 0.0]);
        assert_eq!(rates(0.0), [8.0, 6.0, 4.0, 0.0]);
    }

    #[test]
    fn what_is_as_good_is_waited_for() {
        let mut best = Best::default();
        assert!(!best.has_waited(0), "nothing was seen");
        let seen = [0.5, 0.4, 0.6, 0.6, 0.5].map(|quality| best.see(quality));
        assert_eq!(seen, [true, false, true, false, false]);
        assert_eq!(best.quality(), Some(0.6));
        assert!(best.has_waited(2) && !best.has_waited(3));
    }
}
