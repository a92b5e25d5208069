//! The first bytes that two devices exchange, as anyone may send them who has an
//! identity of the cluster.
//!
//! `cargo fuzz run hello fuzz/corpus/hello fuzz/seeds/hello`
#![no_main]
#![allow(dead_code, reason = "the modules are used in part")]

#[path = "../check.rs"]
mod check;
// The files themselves: all of Segue would take minutes to build for this.
#[path = "../../src/cluster/hello.rs"]
mod hello;
#[path = "../../src/cluster/members.rs"]
mod members;

use hello::{parse_answer, parse_hello};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check::check(bytes);
});
