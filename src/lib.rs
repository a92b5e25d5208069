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
pub mod plugins;
mod toml_file;
