//! Buffers for decompressed batches, kept for the next one.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A few buffers that batches give back when they are dropped. Cloning it shares it.
#[derive(Clone)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

struct Shared {
    buffers: Mutex<Vec<Vec<u8>>>,
    buffers_max: usize,
    buffer_bytes_max: usize,
}

impl BufferPool {
    /// How many buffers the default pool keeps.
    pub const DEFAULT_BUFFERS: usize = 16;
    /// The largest buffer that the default pool keeps: a batch above it is a rare one.
    pub const DEFAULT_BUFFER_BYTES: usize = 4 * 1024 * 1024;

    /// A pool that keeps at most `buffers_max` buffers of at most `buffer_bytes_max` bytes each.
    #[must_use]
    pub fn new(buffers_max: usize, buffer_bytes_max: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                buffers: Mutex::new(Vec::new()),
                buffers_max,
                buffer_bytes_max,
            }),
        }
    }

    /// The number of buffers that wait for use.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.buffers().len()
    }

    /// Takes a buffer; what it holds is of no meaning.
    pub(super) fn take(&self) -> Vec<u8> {
        self.buffers().pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next batch, or drops it where the pool is full or it is too large.
    pub(super) fn put(&self, buffer: Vec<u8>) {
        if buffer.capacity() == 0 || buffer.capacity() > self.shared.buffer_bytes_max {
            return;
        }
        let mut buffers = self.buffers();
        if buffers.len() < self.shared.buffers_max {
            buffers.push(buffer);
        }
    }

    fn buffers(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // A list of buffers has no state in between that a panic could leave behind.
        let buffers = self.shared.buffers.lock();
        buffers.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BUFFERS, Self::DEFAULT_BUFFER_BYTES)
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool").field("idle", &self.idle()).finish_non_exhaustive()
    }
}
