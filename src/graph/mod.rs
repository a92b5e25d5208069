//! Graph files: text -> raw, with spans -> checked -> planned. No file is opened
//! here: whatever lies outside the text is asked of a [`Catalog`].

mod catalog;
mod check;
mod clash;
mod edges;
mod flow;
mod merge;
mod options;
mod outputs;
mod plan;
mod ports;
mod raw;
mod split;
mod stage;

pub use catalog::{Catalog, Operator, Role};
pub use check::{check, check_cut};
pub use clash::{ASKED, TAKEN};
pub use merge::merging_notes;
pub use plan::{LOCAL, Layout, Plan, Replica, WORKERS_MAX, asked_workers, plan};
pub use raw::Wire;
pub use split::{Cuts, Splitting};
pub use stage::{Graph, Stage};
