//! What a run tells its agent: a word a line, over the socket that is its stdin. stdout
//! is left to plugins, which may print there what they like.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// What an agent hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// All devices are together, and go on at this time.
    Begins(u64),
    /// This device has done its part, whatever happens next.
    Done,
}

impl Word {
    /// Tells it to the agent, if there is one.
    pub fn say(self) {
        let line = match self {
            Word::Begins(time) => format!("begins {time}\n"),
            Word::Done => "done\n".to_owned(),
        };
        // With the agent gone this process ends anyway.
        let _ = std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .and_then(|socket| UnixStream::from(socket).write_all(line.as_bytes()));
    }

    /// The words in what was said; whatever else is in it is passed over.
    pub fn heard(said: &[u8]) -> impl Iterator<Item = Word> {
        said.split(|byte| *byte == b'\n').filter_map(|line| {
            let line = std::str::from_utf8(line).ok()?;
            match line.split_once(' ') {
                None if line == "done" => Some(Word::Done),
                Some(("begins", time)) => Some(Word::Begins(time.parse().ok()?)),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_is_none() {
        let said = b"begins 12\nundone\n\xff\xfe\ndone \nbegins x\ndone\n";
        let heard: Vec<Word> = Word::heard(said).collect();
        assert_eq!(heard, [Word::Begins(12), Word::Done]);
    }
}
