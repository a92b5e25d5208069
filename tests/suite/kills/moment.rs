//! When a run is killed.

use std::time::{Duration, Instant};

use super::LIMIT;
use crate::harness::Project;
use crate::pace::commits;

/// The moment at which a run is killed.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// So long after it was started.
    After(Duration),
    /// As soon as its journal has so many commits.
    Commits(usize),
    /// So long after its journal says that all is committed.
    Ended(Duration),
}

/// What came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The moment.
    Reached,
    /// The end of the run.
    Ended,
    /// The end of all patience.
    Hung,
}

/// Between two looks at a run.
const TICK: Duration = Duration::from_micros(100);

impl Moment {
    /// Waits for it, in a run that was started at `started` and whose journal is that of
    /// `output`; not beyond the end of the run, which `ended` tells.
    pub fn wait(
        self,
        started: Instant,
        (project, output): (&Project, &str),
        mut ended: impl FnMut() -> bool,
    ) -> Waited {
        let mut until = match self {
            Moment::After(delay) => Some(started + delay),
            Moment::Commits(_) | Moment::Ended(_) => None,
        };
        loop {
            let now = Instant::now();
            let left = until.map(|until| until.saturating_duration_since(now));
            if left == Some(Duration::ZERO) {
                return Waited::Reached;
            }
            if ended() {
                return Waited::Ended;
            }
            if now - started > LIMIT {
                return Waited::Hung;
            }
            match (left, self) {
                // The last bit is not slept through: sleep may take longer than asked for.
                (Some(left), _) if left < TICK * 2 => std::hint::spin_loop(),
                (Some(left), _) => std::thread::sleep((left - TICK).min(TICK * 10)),
                (None, Moment::Commits(count)) if commits(project, output) >= count => {
                    until = Some(now);
                }
                (None, Moment::Ended(delay)) if all_is_committed(project, output) => {
                    until = Some(Instant::now() + delay);
                }
                (None, _) => std::thread::sleep(TICK),
            }
        }
    }
}

/// Whether the journal says so.
fn all_is_committed(project: &Project, output: &str) -> bool {
    let journal = std::fs::read_to_string(project.path(&format!("{output}.journal")));
    journal.is_ok_and(|journal| journal.contains("\"ended\":true"))
}
