//! Memory that begins where a cache line does.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest register.
const LINE: usize = 64;

/// Values whose first lies at a multiple of 64 bytes, so that no load of a whole
/// register straddles two cache lines. Where memory comes from decides that otherwise,
/// and with it a few percent of the speed.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    /// Never resized, so that `start` stays right.
    values: Vec<T>,
    start: usize,
    length: usize,
}

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            start: 0,
            length: 0,
        }
    }
}

impl<T: Copy + Default> Aligned<T> {
    /// `length` zeros.
    pub fn zeros(length: usize) -> Self {
        let values = vec![T::default(); length + LINE / size_of::<T>()];
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

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.start..self.start + self.length]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_a_line_wherever_it_is_moved() {
        for length in [0, 1, 17, 5000] {
            let made = Box::new(Aligned::<f32>::zeros(length));
            assert_eq!((made.len(), made.as_ptr().align_offset(LINE)), (length, 0));
            let made = Box::new(Aligned::<i8>::zeros(length));
            assert_eq!((made.len(), made.as_ptr().align_offset(LINE)), (length, 0));
        }
    }
}
