#![doc = include_str!("ARCHITECTURE.md")]

pub mod account;
pub mod cluster;
pub mod dataflow;
pub mod deploy;
pub mod diagnostic;
pub mod graph;
pub mod hub;
pub mod io;
pub mod operators;
pub mod planner;
pub mod plugins;
pub mod profile;
mod toml_file;
