//! How a sled engine is set up.

use std::time::Duration;

/// Settings of a [`SledEngine`](crate::SledEngine).
#[derive(Clone, Debug)]
pub struct SledOptions {
    pub(crate) cache_capacity: u64,
    pub(crate) flush_every: Duration,
    pub(crate) min_free_bytes: u64,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            cache_capacity: 256 << 20,
            flush_every: Duration::from_millis(200),
            min_free_bytes: 16 << 20,
        }
    }
}

impl SledOptions {
    /// Bytes of sled's page cache, for all trees together (default 256 MiB). Give it the working
    /// set, and expect resident memory of about twice this. Below the working set sled gets slow:
    /// scans by a factor of twenty.
    #[must_use]
    pub const fn cache_capacity(mut self, bytes: u64) -> Self {
        self.cache_capacity = bytes;
        self
    }

    /// How often sled writes out what it buffers (default 200 ms; 100 to 500 ms is sensible). A killed
    /// process loses at most this, and gets it back from the changelog.
    #[must_use]
    pub const fn flush_every(mut self, period: Duration) -> Self {
        self.flush_every = period;
        self
    }

    /// Bytes of the disk that are left free (default 16 MiB): with less, the engine does not open and
    /// writes fail with [`StoreError::DiskFull`](millstream_state::StoreError::DiskFull) before the
    /// disk itself fails under sled. Looked at every MiB written, on Unix.
    #[must_use]
    pub const fn min_free_bytes(mut self, bytes: u64) -> Self {
        self.min_free_bytes = bytes;
        self
    }
}
