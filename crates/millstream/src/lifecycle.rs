//! The state that an application is in, kept from what its threads report.

use std::sync::Mutex;

use tokio::sync::watch;

use crate::sync::lock;
use crate::{KafkaStreamsState, StreamsError};

/// What a stream thread is doing, as far as the application's state depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadState {
    /// Not in the group yet, or between assignments, or restoring.
    Rebalancing,
    /// All its tasks process records.
    Running,
    /// Ended.
    Dead,
}

/// The application's state; changes only along the declared transitions.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: watch::Sender<KafkaStreamsState>,
    threads: Mutex<Vec<ThreadState>>,
    failure: Mutex<Option<StreamsError>>,
}

impl Lifecycle {
    /// The state of an application whose `threads` have not started.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            state: watch::Sender::new(KafkaStreamsState::Created),
            threads: Mutex::new(vec![ThreadState::Rebalancing; threads]),
            failure: Mutex::new(None),
        }
    }

    pub(crate) fn state(&self) -> KafkaStreamsState {
        *self.state.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<KafkaStreamsState> {
        self.state.subscribe()
    }

    /// The error that ended the application, or the last one that a thread was replaced for.
    pub(crate) fn failure(&self) -> Option<StreamsError> {
        lock(&self.failure).clone()
    }

    pub(crate) fn set_failure(&self, error: StreamsError) {
        *lock(&self.failure) = Some(error);
    }

    /// Moves on to `next` if that may follow; says whether it did.
    pub(crate) fn become_state(&self, next: KafkaStreamsState) -> bool {
        self.state.send_if_modified(|state| {
            let may = state.may_become(next);
            if may {
                *state = next;
            }
            may
        })
    }

    /// A thread reports what it does; the application runs when all its living threads run.
    pub(crate) fn report(&self, thread: usize, state: ThreadState) {
        let mut threads = lock(&self.threads);
        if let Some(slot) = threads.get_mut(thread) {
            *slot = state;
        }
        let living = threads.iter().filter(|state| **state != ThreadState::Dead);
        let (mut count, mut running) = (0, 0);
        for state in living {
            count += 1;
            running += usize::from(*state == ThreadState::Running);
        }
        if count == 0 {
            // Whichever of the two is due: the others' transitions refuse it.
            self.become_state(KafkaStreamsState::NotRunning);
            self.become_state(KafkaStreamsState::Error);
        } else if running == count {
            self.become_state(KafkaStreamsState::Running);
        } else {
            self.become_state(KafkaStreamsState::Rebalancing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_runs_when_all_living_threads_run() {
        let lifecycle = Lifecycle::new(2);
        assert!(lifecycle.become_state(KafkaStreamsState::Rebalancing));
        lifecycle.report(0, ThreadState::Running);
        assert_eq!(lifecycle.state(), KafkaStreamsState::Rebalancing);
        lifecycle.report(1, ThreadState::Running);
        assert_eq!(lifecycle.state(), KafkaStreamsState::Running);
        lifecycle.report(0, ThreadState::Rebalancing);
        assert_eq!(lifecycle.state(), KafkaStreamsState::Rebalancing);
        lifecycle.report(0, ThreadState::Dead);
        assert_eq!(lifecycle.state(), KafkaStreamsState::Running);
    }

    #[test]
    fn the_last_thread_ends_what_was_pending() {
        for (pending, end) in [
            (KafkaStreamsState::PendingShutdown, KafkaStreamsState::NotRunning),
            (KafkaStreamsState::PendingError, KafkaStreamsState::Error),
        ] {
            let lifecycle = Lifecycle::new(1);
            lifecycle.become_state(KafkaStreamsState::Rebalancing);
            assert!(lifecycle.become_state(pending));
            lifecycle.report(0, ThreadState::Running);
            assert_eq!(lifecycle.state(), pending, "a closing application does not run again");
            lifecycle.report(0, ThreadState::Dead);
            assert_eq!(lifecycle.state(), end);
            assert!(!lifecycle.become_state(KafkaStreamsState::Rebalancing));
        }
    }
}
