//! Which devices run what: cuts, places and replicas, the best there are, and what they can be
//! expected to do. Numbers alone: no files, no sockets, no graphs.
//!
//! A chain of units that are never cut runs on groups of devices, one group after the other; the
//! devices of a group share the batches in turns, by weights. Devices differ in speed, memory
//! and workers, every pair of them has a link of its own, and batches come from one device and
//! go to one.
//!
//! 1. [`plan`] an [`Instance`]: exactly, by dynamic programming over sets of devices, where
//!    those that are the same count by their number (`exact`); where that would take too long,
//!    by the best chain of single devices (`chain`) and by changes that make a schedule better
//!    (`climb`), with a bound (`bound`) and so with a gap that is known.
//! 2. [`forecast`] says what a [`Schedule`] comes to as a sum; [`simulate`] runs its batches
//!    one by one, through the same turns, links and window as a run does.
//! 3. [`even`], [`by_memory`] and [`alone`] are what there is without a plan.

mod bound;
mod chain;
mod classes;
mod climb;
mod costs;
mod even;
mod exact;
mod forecast;
mod instance;
mod plan;
mod schedule;
mod simulate;
#[cfg(test)]
mod tests;
mod weights;

pub use even::{alone, balanced, by_memory, even};
pub use forecast::{Bottleneck, Forecast, Load, forecast};
pub use instance::{Device, Instance, Link, Objective, Unit};
pub use plan::{Planned, chained, plan};
pub use schedule::{Group, Member, Schedule, turns};
pub use simulate::{Simulated, simulate};
