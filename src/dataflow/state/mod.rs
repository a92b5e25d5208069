//! How a run keeps its state, so that a later one can go on: one consistent cut a commit.
//!
//! A *cut* is what every participant needs to go on behind one time: records consumed of
//! each source, bytes of each output and of the rejects, what stages that keep state gave,
//! the rows on their way round a loop. [`Committer`] gathers it and writes it; the
//! [`Journal`] holds it and says how a run [stands](Standing).

mod commit;
mod cut;
mod journal;
mod messages;
mod origin;
mod outputs;
mod participants;
mod rejects;
mod store;
mod timing;

pub use commit::{Committed, Committer, Start};
pub use cut::{Counts, Cut, Names, Standing};
pub use journal::{Journal, parse, peek, summed};
pub use messages::{Messages, ToCommit, ToCommitter, channel};
pub use origin::{header, inputs_of, same_inputs};
pub use outputs::{beside, sweep, verify};
pub use participants::{Participants, When};
pub use rejects::default_rejects;
pub use store::{Kept, read};
