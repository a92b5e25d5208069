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

mod done;
mod elsewhere;
mod join;
mod load;
mod local;
mod memory;
mod outputs;
mod restarts;
mod survivors;
mod target;

pub use elsewhere::load_here;
pub use join::{Agent, Apart, Duty, Joined, Part, join};
pub use load::{Errors, Loaded, Unready, load};
pub use local::local_cluster;
pub use memory::{check_memory, queues, weights};
pub use outputs::{Extra, check_extra};
pub use restarts::{Ended, Next, Restarts};
pub use target::{Request, Target, Where};
