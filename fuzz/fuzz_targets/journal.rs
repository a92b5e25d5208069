//! `cargo fuzz run --features whole journal fuzz/corpus/journal fuzz/seeds/journal`
#![no_main]
#![allow(dead_code, reason = "of all parsers, this is one")]

#[path = "../parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    parsers::journal(bytes);
});
