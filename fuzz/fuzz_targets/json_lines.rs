//! `cargo fuzz run --features whole json-lines fuzz/corpus/json-lines fuzz/seeds/json-lines`
#![no_main]
#![allow(dead_code, reason = "of all parsers, this is one")]

#[path = "../parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    parsers::json_lines(bytes);
});
