//! `cargo fuzz run --features whole tokenizer fuzz/corpus/tokenizer fuzz/seeds/tokenizer`
#![no_main]
#![allow(dead_code, reason = "of all parsers, this is one")]

#[path = "../parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    parsers::tokenizer(bytes);
});
