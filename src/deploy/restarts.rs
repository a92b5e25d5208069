//! Whether and when a run that has ended before it was complete is begun again, as the next
//! generation, from the last commit on.

use std::time::Duration;

use crate::diagnostic::Diagnostic;

/// Before another generation, so that a lost device is not asked for in a busy loop.
const PAUSE: Duration = Duration::from_millis(300);
/// The longest pause after crashes, each of which doubles it.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Generations in which nobody was there, after which an agent that has never met another
/// device gives up: the run may have been completed long ago.
const NOBODY_MAX: usize = 10;
/// Crashes in a row, with nothing committed between them, after which an agent gives up.
const CRASHES_MAX: u32 = 5;
/// The same where somebody else, such as the system when it is out of memory, ended it.
const KILLS_MAX: u32 = 30;

/// How one generation of a run ended on this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is complete, or this device's part of it.
    Done,
    /// The others were there, and may be again.
    Lost,
    /// Not one of the others was there.
    Nobody,
    /// By a crash of a plugin, or by somebody else.
    Crashed {
        /// Where all had begun, if they had.
        begins: Option<u64>,
        /// Whether no plugin can be to blame.
        by_others: bool,
        /// How, for people.
        text: String,
    },
    /// By a failure that another generation would meet too.
    Failed,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is complete.
    Complete,
    /// Nothing: the generation has said what is wrong.
    Fail,
    /// Nothing more, for this reason.
    GiveUp(Diagnostic),
    /// Another generation, after this pause.
    Again(Duration),
}

/// What became of the generations so far.
#[derive(Debug, Default)]
pub struct Restarts {
    /// Whether another device was ever there.
    met: bool,
    /// In how many generations nobody was there.
    alone: usize,
    /// Where the run had begun that crashed last.
    begins: Option<u64>,
    /// How often in a row it has crashed since.
    crashes: u32,
}

impl Restarts {
    /// What to do after a generation that has ended so.
    pub fn after(&mut self, ended: &Ended) -> Next {
        match ended {
            Ended::Done => Next::Complete,
            Ended::Failed => Next::Fail,
            Ended::Lost => {
                self.met = true;
                Next::Again(PAUSE)
            }
            Ended::Nobody => {
                self.alone += 1;
                if !self.met && self.alone >= NOBODY_MAX {
                    Next::GiveUp(nobody())
                } else {
                    Next::Again(PAUSE)
                }
            }
            Ended::Crashed {
                begins,
                by_others,
                text,
            } => self.after_crash(*begins, *by_others, text),
        }
    }

    fn after_crash(&mut self, begins: Option<u64>, by_others: bool, text: &str) -> Next {
        // One that never began has made no way either.
        if begins.is_some() && begins != self.begins {
            self.begins = begins;
            self.crashes = 0;
        }
        self.crashes += 1;
        let most = if by_others { KILLS_MAX } else { CRASHES_MAX };
        if self.crashes >= most {
            return Next::GiveUp(crashed(text, self.crashes));
        }
        let doubled = PAUSE * 2_u32.saturating_pow(self.crashes - 1).min(1 << 10);
        Next::Again(if by_others {
            PAUSE
        } else {
            doubled.min(PAUSE_MAX)
        })
    }
}

fn nobody() -> Diagnostic {
    let message = format!("nobody was there in {NOBODY_MAX} generations");
    let help = "the run may be complete; if not, start the other agents, then this one again";
    Diagnostic::new("missing-devices", message).help(help)
}

fn crashed(text: &str, times: u32) -> Diagnostic {
    let message = format!("{text}, {times} times in a row with nothing committed between");
    let help = "a plugin of this device's stages may be at fault; what it printed last is above";
    Diagnostic::new("crashed", message).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(begins: Option<u64>, by_others: bool) -> Ended {
        Ended::Crashed {
            begins,
            by_others,
            text: "it crashed".to_owned(),
        }
    }

    #[test]
    fn crashes_count_until_something_is_committed() {
        let mut restarts = Restarts::default();
        let mut one = |begins| restarts.after(&crash(begins, false));
        for begins in [None, Some(3), Some(3), None, Some(3)] {
            assert!(matches!(one(begins), Next::Again(_)));
        }
        for _ in 1..CRASHES_MAX {
            assert!(matches!(one(Some(4)), Next::Again(_)));
        }
        let Next::GiveUp(error) = one(None) else {
            panic!("it goes on for ever")
        };
        let text = error.text();
        assert!(
            text.contains("error[crashed]: it crashed, 5 times"),
            "{text}"
        );
    }

    #[test]
    fn pauses_grow_with_crashes_and_not_with_kills() {
        let pauses = |by_others| {
            let mut restarts = Restarts::default();
            let mut one = || match restarts.after(&crash(Some(1), by_others)) {
                Next::Again(pause) => pause.as_millis(),
                other => panic!("{other:?}"),
            };
            [one(), one(), one()]
        };
        assert_eq!(pauses(false), [300, 600, 1200]);
        assert_eq!(pauses(true), [300, 300, 300]);
    }

    #[test]
    fn only_who_was_always_alone_gives_up() {
        let alone = |mut restarts: Restarts| {
            let mut again = || matches!(restarts.after(&Ended::Nobody), Next::Again(_));
            (0..NOBODY_MAX).filter(|_| again()).count()
        };
        assert_eq!(alone(Restarts::default()), NOBODY_MAX - 1);
        let mut restarts = Restarts::default();
        assert_eq!(restarts.after(&Ended::Lost), Next::Again(PAUSE));
        assert_eq!(alone(restarts), NOBODY_MAX);
    }
}
