//! Which broker coordinates which group or transactional id.

use std::collections::BTreeMap;

use millstream_types::BrokerId;

use crate::outbox::CoordinatorKey;

/// The coordinators that are known.
#[derive(Debug, Default)]
pub struct Coordinators {
    known: BTreeMap<CoordinatorKey, BrokerId>,
}

impl Coordinators {
    /// The coordinator, if it is known. Sending to it does not need this: the engine looks it up.
    #[must_use]
    pub fn get(&self, key: &CoordinatorKey) -> Option<BrokerId> {
        self.known.get(key).copied()
    }

    /// Forgets a coordinator: its answer was NOT_COORDINATOR or COORDINATOR_NOT_AVAILABLE. Requests
    /// sent after this wait for the new one. Engine and machines call it.
    pub fn invalidate(&mut self, key: &CoordinatorKey) {
        self.known.remove(key);
    }
}
