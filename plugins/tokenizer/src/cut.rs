//! What is kept of a text that has too many tokens.

/// A way to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// So many from the start, so many from the end.
    Keep {
        /// From the start.
        head: usize,
        /// From the end.
        tail: usize,
    },
    /// Everything, in parts of `room` tokens that start `step` apart.
    Windows {
        /// Tokens of a part.
        room: usize,
        /// From one part's start to the next; at most `room`.
        step: usize,
    },
}

impl Cut {
    /// The parts of `ids` that are kept: one, but for windows.
    pub fn apply(self, ids: &[u32]) -> Vec<Vec<u32>> {
        match self {
            Cut::Keep { head, tail } if ids.len() > head + tail => {
                vec![[&ids[..head], &ids[ids.len() - tail..]].concat()]
            }
            Cut::Windows { room, step } if ids.len() > room => {
                // The last window is the first that reaches the end.
                let last = (ids.len() - room).div_ceil(step);
                let window = |i: usize| ids[i * step..(i * step + room).min(ids.len())].to_vec();
                (0..=last).map(window).collect()
            }
            _ => vec![ids.to_vec()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cut: Cut, length: u32, expect: &[&[u32]]) {
        let ids: Vec<u32> = (0..length).collect();
        assert_eq!(cut.apply(&ids), expect, "{cut:?} of {length}");
    }

    #[test]
    fn short_texts_stay_whole() {
        check(Cut::Keep { head: 2, tail: 1 }, 3, &[&[0, 1, 2]]);
        check(Cut::Windows { room: 3, step: 1 }, 3, &[&[0, 1, 2]]);
        check(Cut::Keep { head: 2, tail: 1 }, 0, &[&[]]);
        check(Cut::Windows { room: 3, step: 1 }, 0, &[&[]]);
    }

    #[test]
    fn long_texts_lose_their_middle_or_an_end() {
        check(Cut::Keep { head: 3, tail: 0 }, 5, &[&[0, 1, 2]]);
        check(Cut::Keep { head: 0, tail: 3 }, 5, &[&[2, 3, 4]]);
        check(Cut::Keep { head: 1, tail: 2 }, 5, &[&[0, 3, 4]]);
    }

    #[test]
    fn windows_cover_everything() {
        check(Cut::Windows { room: 3, step: 3 }, 4, &[&[0, 1, 2], &[3]]);
        check(
            Cut::Windows { room: 3, step: 3 },
            6,
            &[&[0, 1, 2], &[3, 4, 5]],
        );
        check(
            Cut::Windows { room: 3, step: 2 },
            6,
            &[&[0, 1, 2], &[2, 3, 4], &[4, 5]],
        );
    }
}
