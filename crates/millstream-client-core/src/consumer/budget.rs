//! The consumer's one budget of bytes: what is buffered, and what the application has not dropped yet.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

/// Counts the bytes of batches in the application's hands, and wakes the driver when they are
/// given back while fetching waits for room.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    held: AtomicUsize,
    /// Fetching has stopped for want of room.
    starved: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Budget {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            held: AtomicUsize::new(0),
            starved: AtomicBool::new(false),
            driver: Mutex::new(None),
        }
    }

    /// What is left beside `buffered` bytes.
    pub(super) fn room(&self, buffered: usize) -> usize {
        self.limit.saturating_sub(buffered).saturating_sub(self.held.load(Ordering::Acquire))
    }

    /// Asks to be woken when bytes are given back, or no longer.
    pub(super) fn set_starved(&self, starved: bool) {
        self.starved.store(starved, Ordering::Release);
    }

    /// Whether nothing was given back since fetching stopped for want of room.
    pub(super) fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Acquire)
    }

    /// Charges `bytes` until the share is dropped.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Share {
        self.held.fetch_add(bytes, Ordering::AcqRel);
        Share { budget: Arc::clone(self), bytes }
    }

    pub(super) fn set_driver(&self, waker: Waker) {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    pub(super) fn wake_driver(&self) {
        let waker = self.driver.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the driver if fetching waits for room.
    pub(super) fn room_made(&self) {
        if self.starved.swap(false, Ordering::AcqRel) {
            self.wake_driver();
        }
    }
}

/// Bytes that are charged to the budget for as long as this lives.
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.room_made();
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)
    }
}
