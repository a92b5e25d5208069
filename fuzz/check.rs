//! What must hold of any bytes that a stranger may send first. Used by the fuzz target,
//! and by the tests with bytes of their own.

use super::{parse_answer, parse_hello};

/// Reads `bytes` as a hello and as an answer: neither may panic, and what is accepted is
/// written as it was read. Gives whether anything was.
pub fn check(bytes: &[u8]) -> bool {
    let hello = parse_hello(bytes);
    if let Ok(hello) = &hello {
        assert_eq!(hello.to_bytes().as_slice(), bytes);
    }
    let answer = parse_answer(bytes);
    if let Ok((_, hello)) = &answer {
        assert_eq!(hello.to_bytes().as_slice(), &bytes[2..]);
    }
    hello.is_ok() || answer.is_ok()
}
