//! Searches as operators of a graph.
//!
//! ```text
//! search ──candidates──▶ evaluator (as many replicas as one likes)
//!   ▲ │                      │
//!   │ └─▶ history, best      │
//!   └───────── scores ───────┘   a `loop` edge
//! ```
//!
//! A search gives four kinds of [rows](segue_candidates::rows), told apart by `what`: candidates, which evaluators
//! score; a row a generation, which `search-history` keeps; and at its end the front, which
//! `search-front` keeps, and the best, which `search-best` keeps. What an evaluator scores depends on the candidate alone, and a search
//! sorts scores by candidate, so neither replicas nor devices change a byte of what is found.

mod common;
pub mod curves;
pub mod function;
pub mod grid;
mod objectives;
pub mod population;
pub mod report;
mod search;
pub mod swarm;

pub use common::Common;
pub use search::{Options, SearchStage};
