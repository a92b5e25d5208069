//! Runs that are killed for real, by SIGKILL, at any moment; and what is left of them in the
//! end, which must be the bytes of a run that nobody disturbed, and nothing else.
//!
//! `benches/kills.rs` kills as often as it is told to, the tests here a handful of times.

mod agents;
mod left;
mod moment;
mod scenario;
#[cfg(test)]
mod tests;
mod trial;

use std::time::{Duration, Instant};

pub use moment::Moment;
pub use scenario::{SCENARIOS, Scenario};
pub use trial::Expected;

use crate::harness::Random;

/// A run that takes longer counts as hung.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The part of a run, before its end, that kills are swept through.
const SWEPT: Duration = Duration::from_millis(50);
/// The same behind the moment at which all is committed: a run rarely lives longer.
const SWEPT_BEHIND: Duration = Duration::from_millis(10);
/// What lies between two swept moments.
const STEP: Duration = Duration::from_micros(200);

/// What came of the kills of a scenario.
#[derive(Debug, Default)]
pub struct Tally {
    /// Processes that were killed.
    pub kills: usize,
    /// Runs that went on behind a commit of one that was killed.
    pub resumed: usize,
    /// Trials that failed, or in whose end a file was another, missing or too many.
    pub differences: usize,
    /// Trials with a run that did not end within [`LIMIT`].
    pub hung: usize,
    /// Rows that came more often than they should.
    pub repeated: usize,
    /// Rows that came less often.
    pub lost: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What each failed trial has to say.
    pub complaints: Vec<String>,
}

impl Tally {
    /// Whether every trial ended as it should.
    pub fn is_clean(&self) -> bool {
        self.complaints.is_empty()
            && [self.differences, self.hung, self.repeated, self.lost] == [0; 4]
    }

    /// Adds what came of `other`.
    pub fn add(&mut self, other: Tally) {
        self.kills += other.kills;
        self.resumed += other.resumed;
        self.differences += other.differences;
        self.hung += other.hung;
        self.repeated += other.repeated;
        self.lost += other.lost;
        self.seconds += other.seconds;
        self.complaints.extend(other.complaints);
    }
}

/// Kills runs of `scenario` until `kills` processes were killed: half of them at random
/// moments, half swept through the end of the run.
pub fn kill_often(scenario: &Scenario, kills: usize, seed: u64) -> Tally {
    let started = Instant::now();
    let expected = Expected::measure(scenario);
    let mut random = Random(seed);
    let mut tally = Tally::default();
    // A kill may come too late, and does not count then.
    for trial in 0..kills * 4 {
        if tally.kills >= kills {
            break;
        }
        let moment = match trial % 4 {
            1 => before_the_end(&expected, trial / 4),
            3 => Moment::Ended(step(trial / 4, SWEPT_BEHIND)),
            _ => expected.any_moment(&mut random),
        };
        trial::trial(scenario, &expected, moment, &mut random, &mut tally);
    }
    tally.seconds = started.elapsed().as_secs_f64();
    tally
}

fn before_the_end(expected: &Expected, number: usize) -> Moment {
    let start = expected.lasts.saturating_sub(SWEPT);
    Moment::After(start + step(number, SWEPT))
}

/// The step `number` of those within `whole`: steps that follow each other lie apart, so that
/// few are spread over the whole too.
fn step(number: usize, whole: Duration) -> Duration {
    let count = whole.div_duration_f64(STEP) as usize;
    // Prime, and thus without a factor in common with any count that it does not divide.
    STEP * ((number * 97) % count) as u32
}
