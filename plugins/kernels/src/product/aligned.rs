//! Memory that begins where a cache line does.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest register.
const LINE: usize = 64;

/// f32 values whose first lies at a multiple of 64 bytes, so that no load of a whole
/// register straddles two cache lines. Where memory comes from decides that otherwise,
/// and with it a few percent of the speed.
#[derive(Debug, Default)]
pub(crate) struct Aligned {
    /// Never resized, so that `start` stays right.
    values: Vec<f32>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// `length` zeros.
    pub fn zeros(length: usize) -> Self {
        let values = vec![0.0; length + LINE / size_of::<f32>()];
        let start = values.as_ptr().align_offset(LINE);
        // Alignment is only speed: without it any place will do.
        let start = if start + length <= values.len() {
            start
        } else {
            0
        };
        Self {
            values,
            start,
            length,
        }
    }

    /// Makes it at least `length` long; what it held may be lost.
    pub fn grow(&mut self, length: usize) {
        if self.length < length {
            *self = Self::zeros(length);
        }
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..self.start + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_a_line_wherever_it_is_moved() {
        for length in [0, 1, 17, 5000] {
            let made = Box::new(Aligned::zeros(length));
            assert_eq!((made.len(), made.as_ptr().align_offset(LINE)), (length, 0));
        }
    }
}
