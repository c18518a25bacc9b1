//! The application's end of a driver: calls go in, answers come back.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use millstream_client_core::{Command, CommandId, Completion, Event};
use tokio::sync::oneshot;

use super::io_thread::IoThread;
use super::ready::ReadyList;
use crate::error::ClientClosed;
use crate::metrics::NetworkMetrics;

/// What takes the engine's events other than completed calls. Runs on the I/O thread: it must be
/// quick and must not block.
pub(crate) trait EventSink: Send + 'static {
    /// The engine says `event`.
    fn handle_event(&mut self, event: Event);

    /// The driver went round; `is_busy` if there was something to do.
    fn round(&mut self, now: Instant, is_busy: bool, network: &NetworkMetrics) {
        let _ = (now, is_busy, network);
    }

    /// When it wants the driver to go round though nothing happened.
    fn next_round(&self) -> Option<Instant> {
        None
    }

    /// The driver ends.
    fn finish(&mut self, network: &NetworkMetrics) {
        let _ = network;
    }
}

/// A sink for clients whose engine only completes calls.
impl EventSink for () {
    fn handle_event(&mut self, event: Event) {
        tracing::debug!(?event, "event without a listener");
    }
}

/// The application's end of one client. Cloning gives another end of the same client.
#[derive(Clone)]
pub(crate) struct ClientHandle {
    shared: Arc<Shared>,
    io: IoThread,
}

impl ClientHandle {
    pub(super) fn new(io: IoThread) -> Self {
        Self { shared: Arc::new(Shared::default()), io }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Wakes the driver, so that it polls the engine. Cheap when it is awake already.
    pub(crate) fn wake(&self) {
        self.shared.ready.wake();
    }

    /// A waker of the driver, good for the client's whole life.
    pub(crate) fn waker(&self) -> Waker {
        self.shared.ready.waker()
    }

    /// Posts a call whose answer nobody waits for.
    pub(crate) fn post(&self, command: impl Into<Command>) {
        let id = self.shared.next_id();
        self.shared.push(id, command.into());
    }

    /// Calls, and waits for the answer.
    ///
    /// # Cancel safety
    /// The call is posted on the first poll. Dropping the future then loses only the answer.
    pub(crate) async fn call(
        &self,
        command: impl Into<Command>,
    ) -> Result<Completion, ClientClosed> {
        let (sender, receiver) = oneshot::channel();
        self.shared.push_waiting(command.into(), sender);
        receiver.await.map_err(|_| ClientClosed)
    }

    /// Runs a future on the client's I/O thread, as user callbacks are. It must not block.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.io.spawn(future);
    }

    /// Ends the driver: connections close, calls that wait get [`ClientClosed`]. The graceful way is
    /// a command upon which the engine finishes by itself.
    pub(crate) fn shutdown(&self) {
        lock(&self.shared.queue).shutdown = true;
        self.wake();
    }

    /// Whether somebody waits for an answer.
    #[cfg(test)]
    pub(super) fn has_waiting_calls(&self) -> bool {
        !lock(&self.shared.queue).replies.is_empty()
    }

    /// What went over the connections so far, as of the driver's last round.
    pub(crate) fn network(&self) -> NetworkMetrics {
        *lock(&self.shared.network)
    }

    /// Whether the driver has ended.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.shared.queue).closed
    }
}

impl fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandle").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// What the two ends share.
#[derive(Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    next_id: AtomicU64,
    /// What went over the connections, as of the last round.
    pub(super) network: Mutex<NetworkMetrics>,
    /// What the driver has to look at; also its waker.
    pub(super) ready: Arc<ReadyList>,
}

#[derive(Default)]
struct Queue {
    commands: VecDeque<(CommandId, Command)>,
    replies: BTreeMap<CommandId, Reply>,
    shutdown: bool,
    closed: bool,
}

/// Where an answer goes.
type Reply = oneshot::Sender<Completion>;

impl Shared {
    fn next_id(&self) -> CommandId {
        CommandId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    fn push(&self, id: CommandId, command: Command) {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return;
        }
        queue.commands.push_back((id, command));
        drop(queue);
        self.ready.wake();
    }

    /// Posts a call with its reply. On a closed client the reply is dropped, which its other end
    /// sees as [`ClientClosed`].
    fn push_waiting(&self, command: Command, reply: Reply) {
        let id = self.next_id();
        let mut queue = lock(&self.queue);
        if queue.closed {
            return;
        }
        queue.replies.insert(id, reply);
        queue.commands.push_back((id, command));
        drop(queue);
        self.ready.wake();
    }

    /// The calls posted since the last time, and whether the client shall shut down.
    pub(super) fn take(&self) -> (VecDeque<(CommandId, Command)>, bool) {
        let mut queue = lock(&self.queue);
        (std::mem::take(&mut queue.commands), queue.shutdown)
    }

    /// Hands out an answer. Nobody may be waiting for it any more.
    pub(super) fn complete(&self, id: CommandId, completion: Completion) {
        let reply = lock(&self.queue).replies.remove(&id);
        if let Some(reply) = reply {
            drop(reply.send(completion));
        }
    }

    /// The driver has ended: drops all replies, which wakes who waits for them.
    pub(super) fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        let replies = std::mem::take(&mut queue.replies);
        queue.commands.clear();
        drop(queue);
        drop(replies);
    }
}

/// Locks; a panic elsewhere while locked leaves nothing half done here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
