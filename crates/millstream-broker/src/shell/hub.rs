//! Where the core and the tasks of the shell meet: one lock, taken per read of a socket.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use millstream_types::BrokerId;
use tokio::sync::Notify;

use crate::core::{Cluster, ConnectionId, Output};

/// What waits to be written to one connection.
#[derive(Debug)]
struct Outbox {
    chunks: VecDeque<Bytes>,
    closed: bool,
    reset: bool,
    wake: Arc<Notify>,
}

/// The core and the outboxes.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) cluster: Cluster,
    outboxes: BTreeMap<ConnectionId, Outbox>,
    armed: Option<Instant>,
}

/// The hub, shared by the tasks of the broker's thread and by the handle outside.
#[derive(Debug)]
pub(super) struct SharedHub {
    hub: Mutex<Hub>,
    /// The timer task must look at its deadline again.
    pub(super) rearm: Notify,
}

/// What a connection's task has to do.
#[derive(Debug)]
pub(super) struct Taken {
    /// The connection is to be closed once its output is written.
    pub(super) closed: bool,
    /// It is reset instead.
    pub(super) reset: bool,
    /// Whether more requests may be read.
    pub(super) may_read: bool,
}

impl SharedHub {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            hub: Mutex::new(Hub { cluster, outboxes: BTreeMap::new(), armed: None }),
            rearm: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hub> {
        // A panic in the core is reported by the thread it happened on; the state stays readable.
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the core do something, then hands its output to the connections.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Cluster) -> T) -> T {
        let mut hub = self.lock();
        let result = act(&mut hub.cluster);
        self.pump(&mut hub);
        result
    }

    /// Opens a connection whose task is woken by `wake`.
    pub(super) fn connect(&self, node: BrokerId, wake: Arc<Notify>) -> ConnectionId {
        let mut hub = self.lock();
        let id = hub.cluster.connect(node);
        let outbox = Outbox { chunks: VecDeque::new(), closed: false, reset: false, wake };
        hub.outboxes.insert(id, outbox);
        self.pump(&mut hub);
        id
    }

    /// The connection is gone.
    pub(super) fn disconnect(&self, id: ConnectionId) {
        let mut hub = self.lock();
        hub.outboxes.remove(&id);
        hub.cluster.disconnect(id);
        self.pump(&mut hub);
    }

    /// Moves what is to be written to the connection's task.
    pub(super) fn take(&self, id: ConnectionId, into: &mut VecDeque<Bytes>) -> Taken {
        let mut hub = self.lock();
        let may_read = hub.cluster.backlog(id) < hub.cluster.config().limits.backlog;
        let Some(outbox) = hub.outboxes.get_mut(&id) else {
            return Taken { closed: true, reset: false, may_read: false };
        };
        into.append(&mut outbox.chunks);
        Taken { closed: outbox.closed, reset: outbox.reset, may_read }
    }

    /// The deadline that the timer task arms.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let mut hub = self.lock();
        hub.armed = hub.cluster.next_timeout();
        hub.armed
    }

    fn pump(&self, hub: &mut Hub) {
        while let Some((id, output)) = hub.cluster.poll_output() {
            let reset = output == Output::Close && hub.cluster.was_reset(id);
            let Some(outbox) = hub.outboxes.get_mut(&id) else {
                continue;
            };
            outbox.reset |= reset;
            match output {
                Output::Frame(frame) => outbox.chunks.extend(frame.into_chunks()),
                Output::Close => outbox.closed = true,
            }
            outbox.wake.notify_one();
        }
        let next = hub.cluster.next_timeout();
        let sooner = match (next, hub.armed) {
            (Some(next), Some(armed)) => next < armed,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        if sooner {
            self.rearm.notify_one();
        }
    }
}
