//! Segue as its users meet it: the real binary, in a folder of its own.
//!
//! `UPDATE=1 cargo test --release --test suite` rewrites the golden files.

mod bad_models;
mod batches;
mod crashes;
mod devices;
mod epochs;
mod errors;
mod examples;
mod files;
mod fleet;
mod graphs;
mod harness;
mod hub;
mod input;
mod keep;
#[allow(dead_code, reason = "the bench uses the rest")]
mod kills;
mod loops;
mod memory;
mod models;
mod mutations;
mod new_stage;
mod outputs;
mod pace;
mod parsers;
mod planner;
mod plugins;
mod prune;
mod reference;
mod report;
mod resume;
mod search;
mod seen;
mod snapshots;
mod splits;
mod tiny;
mod training;
