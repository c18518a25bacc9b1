//! Which connections have something to do, so that a wake-up looks at those and not at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use millstream_client_core::connection::ConnectionId;

use super::handle::lock;

/// The driver's waker and the connections that woke it.
#[derive(Default)]
pub(super) struct ReadyList {
    /// Set from the first wake-up until the driver looks: later ones are free.
    awake: AtomicBool,
    driver: Mutex<Option<Waker>>,
    connections: Mutex<Vec<ConnectionId>>,
}

impl ReadyList {
    /// Wakes the driver.
    pub(super) fn wake(&self) {
        if self.awake.swap(true, Ordering::AcqRel) {
            return;
        }
        let driver = lock(&self.driver).take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// A waker of the driver itself.
    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(DriverWaker(Arc::clone(self))))
    }

    /// A waker that also says which connection is ready.
    pub(super) fn connection_waker(self: &Arc<Self>, id: ConnectionId) -> Waker {
        Waker::from(Arc::new(ConnectionWaker { id, list: Arc::clone(self) }))
    }

    /// Says that a connection has more to do, without a wake-up from outside.
    pub(super) fn push(&self, id: ConnectionId) {
        let mut connections = lock(&self.connections);
        if !connections.contains(&id) {
            connections.push(id);
        }
    }

    /// The driver looks: registers its waker *before* it takes the connections, so that nothing
    /// that happens from here on goes unseen.
    pub(super) fn begin(&self, driver: &Waker) {
        *lock(&self.driver) = Some(driver.clone());
        self.awake.swap(false, Ordering::AcqRel);
    }

    /// Takes the connections that are ready into `into`.
    pub(super) fn take(&self, into: &mut Vec<ConnectionId>) {
        into.append(&mut lock(&self.connections));
    }
}

struct DriverWaker(Arc<ReadyList>);

impl Wake for DriverWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}

struct ConnectionWaker {
    id: ConnectionId,
    list: Arc<ReadyList>,
}

impl Wake for ConnectionWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.list.push(self.id);
        self.list.wake();
    }
}
