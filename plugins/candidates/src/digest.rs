//! A number for what was searched, to find it again.

use serde::{Deserialize, Serialize};

use crate::random::mix;

/// 128 bits of a sequence of words: two of a search's candidates share one with a chance of
/// about 10⁻²⁸ after a hundred thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(u64, u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344)
    }
}

impl Digest {
    /// Takes a word.
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.0 = mix(self.0.rotate_left(23) ^ word);
        self.1 = mix(self
            .1
            .wrapping_add(word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }

    /// Takes bytes, and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }
}
