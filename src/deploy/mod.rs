//! A graph on the devices it is to run on: which plan that gives, what each device must hold,
//! how the devices come together, and when a run that was lost is begun again.
//!
//! # How a host uses it
//! 1. [`load`] a [`Request`], or [`load_here`] on one of several devices.
//! 2. [`join`] the others, and give the [`Part`] that comes of it to
//!    [`run_here`](crate::dataflow::run_here).
//! 3. At the end, [`Duty::complete`] where there is a duty.
//!
//! Whoever starts runs again asks [`Restarts`] whether and when.

mod automatic;
mod chain;
mod done;
mod elsewhere;
mod join;
mod known;
mod load;
mod local;
mod measured;
mod memory;
mod outputs;
mod restarts;
mod survivors;
mod target;

pub use automatic::{Automatic, Measured, Planning};
pub use elsewhere::load_here;
pub use join::{Agent, Apart, Duty, Joined, Part, join};
pub use known::name_of;
pub use load::{Errors, Loaded, Unready, load, load_units};
pub use local::local_cluster;
pub use measured::{profile_beside, read_profile};
pub use memory::{check_memory, lengths, queues, weights};
pub use outputs::{Extra, check_extra};
pub use restarts::{Ended, Next, Restarts};
pub use target::{Request, Target, Where};
