//! Bytes that several stores of a thread share.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number of bytes that the stores of one stream thread use up together.
///
/// Record caches evict when it is exceeded (`statestore.cache.max.bytes`), uncommitted overlays ask
/// for a commit (`statestore.uncommitted.max.bytes`).
#[derive(Debug)]
pub struct ByteBudget {
    used: AtomicU64,
    max: u64,
}

impl ByteBudget {
    /// A budget of `max` bytes.
    #[must_use]
    pub const fn new(max: u64) -> Self {
        Self { used: AtomicU64::new(0), max }
    }

    /// The bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The bytes there are.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// Whether more is in use than there is.
    #[must_use]
    pub fn exceeded(&self) -> bool {
        self.used() > self.max
    }

    pub(crate) fn charge(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
