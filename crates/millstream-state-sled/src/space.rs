//! Stops writing before the disk is full.
//!
//! Sled answers a full disk by an error on every later call of any tree, and some of its paths
//! panic. An engine that stops earlier leaves rows that are still good.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream_state::StoreError;

/// How many bytes are written between two looks at the disk.
const LOOK_EVERY: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Space {
    directory: PathBuf,
    store: Arc<str>,
    min_free: u64,
    /// Bytes written since the last look.
    written: AtomicU64,
}

impl Space {
    pub(crate) fn new(directory: PathBuf, min_free: u64) -> Self {
        Self {
            store: directory.display().to_string().into(),
            directory,
            min_free,
            written: AtomicU64::new(0),
        }
    }

    /// Notes that so many bytes are about to be written; fails if the disk has too little left.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), StoreError> {
        let bytes = bytes as u64;
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes < LOOK_EVERY {
            return Ok(());
        }
        self.written.store(0, Ordering::Relaxed);
        self.look()
    }

    /// Fails if the disk has too little left.
    pub(crate) fn look(&self) -> Result<(), StoreError> {
        match free_bytes(&self.directory) {
            Some(free) if free < self.min_free => Err(StoreError::DiskFull {
                store: self.store.clone(),
                detail: format!("{free} bytes are free, {} are kept", self.min_free).into(),
            }),
            _ => Ok(()),
        }
    }
}

/// The bytes that an unprivileged process may still write; none if nobody can tell.
#[cfg(unix)]
fn free_bytes(directory: &std::path::Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(directory).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_directory: &std::path::Path) -> Option<u64> {
    None
}
