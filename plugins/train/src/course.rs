//! A training from rows that are all there: its options, and which rows each step has.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use segue_plugin::{Error, Result};
use serde::Deserialize;

use crate::schedule::Schedule;

/// How to train, and how long.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Course {
    /// How each step goes.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// Passes over the reviews.
    pub epochs: u32,
    /// Reviews in a step.
    pub batch: usize,
}

impl Default for Course {
    fn default() -> Self {
        Course {
            schedule: Schedule::default(),
            epochs: 1,
            batch: 32,
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// The rows.
    pub rows: Vec<usize>,
    /// From 0.
    pub epoch: u32,
    /// The part of all steps that is done in the middle of this one: a rate that falls to 0 at
    /// the end is over 0 in every step, even in an only one.
    pub progress: f32,
}

impl Course {
    /// # Errors
    /// `bad-option`
    pub fn check(&self) -> Result<()> {
        self.schedule.check()?;
        for (good, option) in [(self.epochs > 0, "epochs"), (self.batch > 0, "batch")] {
            if !good {
                let message = format!("`{option}` must be over 0");
                return Err(Error::new("bad-option", message).option(option));
            }
        }
        Ok(())
    }

    /// All steps: each epoch has all of `rows`, in an order that the seed and its number give.
    pub fn lessons(&self, rows: &[usize]) -> Vec<Lesson> {
        let count = rows.len().div_ceil(self.batch) * self.epochs as usize;
        let mut lessons = Vec::with_capacity(count);
        for epoch in 0..self.epochs {
            let seed = self.schedule.seed ^ (u64::from(epoch) << 32);
            let mut order = rows.to_vec();
            order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
            for rows in order.chunks(self.batch) {
                lessons.push(Lesson {
                    rows: rows.to_vec(),
                    epoch,
                    progress: (lessons.len() as f32 + 0.5) / count as f32,
                });
            }
        }
        lessons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_has_every_row_in_an_order_of_its_own() {
        let course = Course {
            epochs: 2,
            batch: 4,
            ..Course::default()
        };
        let rows: Vec<usize> = (5..15).collect();
        let lessons = course.lessons(&rows);
        let sizes: Vec<usize> = lessons.iter().map(|lesson| lesson.rows.len()).collect();
        assert_eq!(sizes, [4, 4, 2, 4, 4, 2]);
        let epoch = |number: u32| -> Vec<usize> {
            let of = lessons.iter().filter(|lesson| lesson.epoch == number);
            of.flat_map(|lesson| lesson.rows.clone()).collect()
        };
        assert_ne!(epoch(0), epoch(1));
        for number in [0, 1] {
            let mut sorted = epoch(number);
            sorted.sort_unstable();
            assert_eq!(sorted, rows);
        }
        assert_eq!(lessons[5].progress, 11.0 / 12.0);
        assert_eq!(course.lessons(&rows), lessons);
    }

    #[test]
    fn an_only_step_learns() {
        let course = Course {
            batch: 4,
            ..Course::default()
        };
        let lessons = course.lessons(&[0, 1, 2]);
        assert_eq!(lessons.len(), 1);
        assert!(course.schedule.rate(lessons[0].progress) > 0.0);
    }
}
