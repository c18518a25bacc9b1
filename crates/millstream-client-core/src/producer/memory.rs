//! The memory of a producer: batch buffers from pooled size classes under one byte budget
//! (`buffer.memory`).
//!
//! A buffer is owned by whoever holds it: the open batch, then the request that carries it. It goes
//! back to the pool when its last holder lets go of it, so a buffer that the network still reads can
//! never be filled anew (the bug class of KAFKA-17862 and CVE-2026-35554).

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::wait::WaitList;

/// The smallest class of buffer.
const SMALLEST_CLASS: usize = 4 * 1024;

/// How many classes are pooled, each twice the one before: 4 KiB to 64 MiB. Larger buffers are
/// allocated and freed.
const POOLED_CLASSES: usize = 15;

/// Buffers by size class, and the count of bytes they may take together.
#[derive(Debug)]
pub(crate) struct BufferPool {
    budget: usize,
    state: Mutex<PoolState>,
    /// Callers who wait until memory is released.
    pub(crate) waiters: WaitList,
}

#[derive(Debug, Default)]
struct PoolState {
    /// The charges of all buffers in use.
    used: usize,
    /// The capacity of all free buffers.
    kept: usize,
    free: [Vec<Vec<u8>>; POOLED_CLASSES],
}

/// A buffer of a size class, charged to the budget until it is dropped. What it holds when it is
/// taken is of no meaning: builders overwrite it, and need not initialise it once more.
#[derive(Debug)]
pub(crate) struct PooledBuffer {
    bytes: Vec<u8>,
    charge: usize,
    pool: Arc<BufferPool>,
}

impl BufferPool {
    /// A pool that hands out at most `budget` bytes at a time.
    pub(crate) fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self { budget, state: Mutex::default(), waiters: WaitList::default() })
    }

    /// The class that holds `size` bytes.
    pub(crate) fn class_of(size: usize) -> usize {
        size.max(SMALLEST_CLASS).next_power_of_two()
    }

    /// The bytes that all buffers may take together.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// The bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.lock().used
    }

    /// A buffer for `size` bytes, if the budget has room for its class; for `size` alone where only
    /// that fits.
    pub(crate) fn try_acquire(self: &Arc<Self>, size: usize) -> Option<PooledBuffer> {
        let mut state = self.lock();
        let class = Self::class_of(size);
        let room = self.budget.saturating_sub(state.used);
        let charge = if class <= room { class } else { size };
        if charge > room {
            return None;
        }
        Some(self.take(&mut state, charge))
    }

    /// A buffer for `size` bytes, charged even when the budget is spent: for work that only then
    /// releases memory, such as compressing a batch.
    pub(crate) fn acquire_over(self: &Arc<Self>, size: usize) -> PooledBuffer {
        let mut state = self.lock();
        self.take(&mut state, Self::class_of(size))
    }

    fn take(self: &Arc<Self>, state: &mut PoolState, charge: usize) -> PooledBuffer {
        state.used += charge;
        let bytes = match class_index(charge).and_then(|class| state.free.get_mut(class)?.pop()) {
            Some(bytes) => {
                state.kept -= bytes.capacity();
                bytes
            }
            None => Vec::with_capacity(charge),
        };
        state.trim(self.budget);
        PooledBuffer { bytes, charge, pool: Arc::clone(self) }
    }

    fn release(&self, bytes: Vec<u8>, charge: usize) {
        {
            let mut state = self.lock();
            state.used -= charge;
            let capacity = bytes.capacity();
            if let Some(free) = class_index(capacity).and_then(|class| state.free.get_mut(class)) {
                free.push(bytes);
                state.kept += capacity;
                state.trim(self.budget);
            }
        }
        self.waiters.wake_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolState {
    /// Frees kept buffers, largest first, until used and kept ones fit the budget.
    fn trim(&mut self, budget: usize) {
        for free in self.free.iter_mut().rev() {
            while self.used + self.kept > budget {
                let Some(bytes) = free.pop() else { break };
                self.kept -= bytes.capacity();
            }
        }
    }
}

/// The index of the class of exactly `size` bytes, if that is a pooled class.
fn class_index(size: usize) -> Option<usize> {
    let class = size.checked_div(SMALLEST_CLASS)?;
    let exact = class.is_power_of_two() && class * SMALLEST_CLASS == size;
    let index = usize::try_from(class.trailing_zeros()).ok()?;
    (exact && index < POOLED_CLASSES).then_some(index)
}

impl PooledBuffer {
    /// The size that is charged to the budget.
    pub(crate) fn charge(&self) -> usize {
        self.charge
    }

    /// Raises the charge to the class of `size` bytes, if the budget has room; the bytes stay.
    pub(crate) fn try_grow(&mut self, size: usize) -> bool {
        let class = BufferPool::class_of(size);
        let mut state = self.pool.lock();
        let room = self.pool.budget.saturating_sub(state.used);
        let more = class.saturating_sub(self.charge);
        if more > room {
            return false;
        }
        state.used += more;
        state.trim(self.pool.budget);
        self.charge += more;
        true
    }

    /// Lowers or raises the charge to the class of `size` bytes, as when compressed bytes turn out
    /// smaller than the buffer taken for them. May overdraw the budget.
    pub(crate) fn recharge(&mut self, size: usize) {
        let class = BufferPool::class_of(size);
        let lowered = {
            let mut state = self.pool.lock();
            state.used = state.used - self.charge + class;
            class < self.charge
        };
        self.charge = class;
        if lowered {
            self.pool.waiters.wake_all();
        }
    }

    /// Takes the vector out for a builder that owns its buffer; the charge stays until this is
    /// dropped, so the vector must come back by [`Self::put_back`].
    pub(crate) fn take_vec(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Gives a vector taken by [`Self::take_vec`] back.
    pub(crate) fn put_back(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }

    /// The bytes as shared ones; the buffer goes back to the pool with the last clone.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        self.pool.release(std::mem::take(&mut self.bytes), self.charge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_thin_buffers_fit_where_eight_full_ones_do() {
        let pool = BufferPool::new(4 * 1024 * 1024);
        let thin: Vec<_> = (0..1024).map_while(|_| pool.try_acquire(100)).collect();
        assert_eq!(thin.len(), 1024);
        assert!(pool.try_acquire(1).is_none(), "the budget is spent");
        drop(thin);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn the_last_bytes_of_the_budget_are_usable() {
        let pool = BufferPool::new(10_000);
        let first = pool.try_acquire(5_000).map(|buffer| buffer.charge());
        assert_eq!(first, Some(8_192), "the class while it fits");
        let _held = pool.try_acquire(5_000);
        let exact = pool.try_acquire(1_800).map(|buffer| buffer.charge());
        assert_eq!(exact, Some(1_800), "the size itself where the class does not");
        assert!(pool.try_acquire(1_809).is_none());
    }

    #[test]
    fn a_buffer_returns_with_its_last_clone_and_is_used_again() {
        let pool = BufferPool::new(64 * 1024);
        let mut buffer = pool.acquire_over(5_000);
        let mut bytes = buffer.take_vec();
        bytes.extend_from_slice(b"abc");
        let address = bytes.as_ptr();
        buffer.put_back(bytes);
        let bytes = buffer.into_bytes();
        let clone = bytes.slice(1..);
        drop(bytes);
        assert_eq!(pool.used(), 8_192, "a clone still holds the buffer");
        drop(clone);
        assert_eq!(pool.used(), 0);
        let again = pool.acquire_over(8_000);
        assert_eq!(again.as_ref().as_ptr(), address);
    }

    #[test]
    fn kept_buffers_never_push_the_total_over_the_budget() {
        let pool = BufferPool::new(16 * 1024);
        drop(pool.try_acquire(16 * 1024));
        let thin = pool.try_acquire(1);
        assert!(thin.is_some());
        let state = pool.lock();
        assert!(state.used + state.kept <= pool.budget);
    }

    #[test]
    fn releasing_wakes_who_waits() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        struct Count(AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let pool = BufferPool::new(4096);
        let held = pool.try_acquire(1);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let mut id = None;
        pool.waiters.register(&mut id, None, &Arc::clone(&count).into());
        drop(held);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
