//! Models as people have them, written by hand.

mod config;
mod folders;
mod mutations;
mod tiny;
