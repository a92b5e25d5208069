//! Memory that is used again: fresh pages cost as much as the work done in them.

use std::sync::Mutex;

/// Buffers that are not in use.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Vec<Vec<f32>>>);

impl Pool {
    /// A buffer of `length` numbers of any value.
    pub fn take(&self, length: usize) -> Vec<f32> {
        let mut free = self.free();
        // The smallest that is large enough.
        let best = (free.iter().enumerate())
            .filter(|(_, buffer)| buffer.capacity() >= length)
            .min_by_key(|(_, buffer)| buffer.capacity())
            .map(|(i, _)| i);
        let mut buffer = match best {
            Some(i) => free.swap_remove(i),
            // A quarter more, as the next batch may be a little longer.
            None => Vec::with_capacity(length + length / 4),
        };
        drop(free);
        buffer.resize(length, 0.0);
        buffer
    }

    /// Gives a buffer back.
    pub fn give(&self, buffer: Vec<f32>) {
        self.free().push(buffer);
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Vec<f32>>> {
        // A thread that panicked left whole buffers.
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
