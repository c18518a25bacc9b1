//! Who waits for what: wakers with deadlines, woken all at once.
//!
//! A waiter registers and then looks again at what it waits for, so that nothing is missed between
//! the two. Waking takes it off the list; who still has to wait registers again.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// Names a waiter within its list. Small, because every delivery has room for one; a number comes
/// again after four billion others, long after its waiter was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId(NonZeroU32);

/// Wakers, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct WaitList {
    /// The number of waiters, to skip the lock where there is none.
    count: AtomicUsize,
    state: Mutex<WaitState>,
}

#[derive(Debug, Default)]
struct WaitState {
    last_id: u32,
    waiters: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: WaiterId,
    deadline: Option<Instant>,
    waker: Waker,
}

impl WaitList {
    /// Puts a waiter on the list, or renews its waker. Answers whether it was not on it before.
    pub(crate) fn register(
        &self,
        id: &mut Option<WaiterId>,
        deadline: Option<Instant>,
        waker: &Waker,
    ) -> bool {
        let mut state = self.lock();
        if let Some(known) = *id
            && let Some(waiter) = state.waiters.iter_mut().find(|waiter| waiter.id == known)
        {
            waiter.waker.clone_from(waker);
            return false;
        }
        state.last_id = state.last_id.checked_add(1).unwrap_or(1);
        let new = WaiterId(NonZeroU32::new(state.last_id).unwrap_or(NonZeroU32::MIN));
        *id = Some(new);
        state.waiters.push(Waiter { id: new, deadline, waker: waker.clone() });
        self.count.store(state.waiters.len(), Ordering::SeqCst);
        true
    }

    /// Takes a waiter off the list.
    #[inline]
    pub(crate) fn forget(&self, id: &mut Option<WaiterId>) {
        let Some(id) = id.take() else { return };
        let mut state = self.lock();
        state.waiters.retain(|waiter| waiter.id != id);
        self.count.store(state.waiters.len(), Ordering::SeqCst);
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Wakes everyone.
    pub(crate) fn wake_all(&self) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        self.take(|_| true);
    }

    /// Wakes those whose deadline has come.
    pub(crate) fn expire(&self, now: Instant) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        self.take(|waiter| waiter.deadline.is_some_and(|deadline| deadline <= now));
    }

    /// The earliest deadline of all waiters.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let state = self.lock();
        state.waiters.iter().filter_map(|waiter| waiter.deadline).min()
    }

    fn take(&self, due: impl Fn(&Waiter) -> bool) {
        let woken: Vec<Waiter> = {
            let mut state = self.lock();
            let woken = state.waiters.extract_if(.., |waiter| due(waiter)).collect();
            self.count.store(state.waiters.len(), Ordering::SeqCst);
            woken
        };
        // Outside the lock: a waker may run its task at once.
        for waiter in woken {
            waiter.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, WaitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
