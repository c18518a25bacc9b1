//! The state updater: a thread beside each stream thread that restores stores from their
//! changelogs and writes committed rows to the engine, so that neither delays processing.

mod restore;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millstream_client::{Admin, Consumer, ConsumerEvent};
use millstream_core::TaskId;
use millstream_state::{CommittedState, Engine, LogIdentity, ValueFormat};
use millstream_types::{ClusterId, TopicPartition};
use tokio::sync::mpsc::UnboundedSender;

use crate::StreamsError;
use crate::metrics::Counters;
use restore::TaskRestore;

/// How long the thread waits for changelog records before it looks at its commands again.
const POLL: Duration = Duration::from_millis(20);
/// Frozen overlays are written to the engine once a store holds this much in them, and at least
/// this often.
const APPLY_BYTES: u64 = 4 * 1024 * 1024;
const APPLY_INTERVAL: Duration = Duration::from_secs(1);

/// A store to open and restore.
#[derive(Clone, Debug)]
pub(crate) struct StoreToRestore {
    /// The engine's tree, as `0_1/counts`.
    pub(crate) tree: String,
    pub(crate) format: ValueFormat,
    /// None for a store without a changelog: it starts with what lies on disk.
    pub(crate) changelog: Option<TopicPartition>,
}

/// A store that is ready for its task.
#[derive(Clone, Debug)]
pub(crate) struct RestoredStore {
    pub(crate) committed: Arc<CommittedState>,
    /// The changelog that it was restored from, if it has one.
    pub(crate) log: Option<(TopicPartition, LogIdentity)>,
}

/// Tells one restore of a task from an earlier one that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incarnation(pub(crate) u64);

/// What the updater tells its stream thread.
#[derive(Debug)]
pub(crate) enum UpdaterEvent {
    /// Every store of the task holds its changelog up to the end, in the order asked for.
    Restored { task: TaskId, incarnation: Incarnation, stores: Vec<RestoredStore> },
    /// A task cannot be restored, or committed rows cannot be written.
    Failed(StreamsError),
}

enum Command {
    Restore {
        task: TaskId,
        incarnation: Incarnation,
        stores: Vec<StoreToRestore>,
    },
    /// The sender is dropped once nothing of the task is touched any more.
    Cancel(Vec<TaskId>, Sender<()>),
    Apply(Vec<Arc<CommittedState>>),
}

/// What the updater works with.
pub(crate) struct UpdaterParts {
    pub(crate) name: String,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) admin: Admin,
    pub(crate) cluster_id: ClusterId,
    /// Reads changelogs; in no group.
    pub(crate) reader: Consumer,
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: UnboundedSender<UpdaterEvent>,
}

/// The stream thread's end of its updater. Dropping it ends the thread after what it was told.
pub(crate) struct Updater {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Updater {
    /// Starts the thread.
    pub(crate) fn start(parts: UpdaterParts) -> io::Result<Self> {
        let (commands, inbox) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new()
            .name(parts.name.clone())
            .spawn(move || Worker::new(parts, runtime).run(&inbox))?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// Restores the stores of `task`; an event tells when it is done.
    pub(crate) fn restore(
        &self,
        task: TaskId,
        incarnation: Incarnation,
        stores: Vec<StoreToRestore>,
    ) {
        self.send(Command::Restore { task, incarnation, stores });
    }

    /// Gives up restoring these tasks. When this returns their stores are touched no more, so
    /// that another thread may open them.
    pub(crate) fn cancel(&self, tasks: Vec<TaskId>) {
        if tasks.is_empty() {
            return;
        }
        let (done, cancelled) = channel();
        self.send(Command::Cancel(tasks, done));
        // Nothing is ever sent: this ends when the other end is gone.
        let _ = cancelled.recv();
    }

    /// Writes the frozen overlays of these stores to the engine, soon.
    pub(crate) fn apply(&self, stores: Vec<Arc<CommittedState>>) {
        self.send(Command::Apply(stores));
    }

    /// Ends the thread and waits for it. Every store it was told of is written to the engine.
    pub(crate) fn finish(mut self) {
        self.join();
    }

    fn send(&self, command: Command) {
        // A worker that is gone has said why in its last event.
        if let Some(commands) = &self.commands {
            let _ = commands.send(command);
        }
    }

    fn join(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the default hook; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Drop for Updater {
    fn drop(&mut self) {
        self.join();
    }
}

/// The thread's side.
struct Worker {
    parts: UpdaterParts,
    runtime: tokio::runtime::Runtime,
    restoring: BTreeMap<TaskId, TaskRestore>,
    /// Stores with frozen overlays, by tree.
    frozen: BTreeMap<String, Arc<CommittedState>>,
    applied: Instant,
}

impl Worker {
    fn new(parts: UpdaterParts, runtime: tokio::runtime::Runtime) -> Self {
        let (restoring, frozen) = (BTreeMap::new(), BTreeMap::new());
        Self { parts, runtime, restoring, frozen, applied: Instant::now() }
    }

    fn run(mut self, inbox: &Receiver<Command>) {
        loop {
            match self.next_command(inbox) {
                Ok(Some(command)) => self.obey(command),
                Ok(None) => {}
                Err(Closed) => break,
            }
            self.read_changelogs();
            if self.applied.elapsed() >= APPLY_INTERVAL || self.holds_much() {
                self.apply_all();
            }
        }
        self.apply_all();
        let _ = self.parts.reader.close_blocking(Duration::from_secs(1));
    }

    /// Waits for a command only while there is nothing else to do.
    fn next_command(&self, inbox: &Receiver<Command>) -> Result<Option<Command>, Closed> {
        if !self.restoring.is_empty() {
            return match inbox.try_recv() {
                Ok(command) => Ok(Some(command)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Disconnected) => Err(Closed),
            };
        }
        if self.frozen.is_empty() {
            return inbox.recv().map(Some).map_err(|_| Closed);
        }
        let wait = APPLY_INTERVAL.saturating_sub(self.applied.elapsed());
        match inbox.recv_timeout(wait) {
            Ok(command) => Ok(Some(command)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Closed),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Restore { task, incarnation, stores } => {
                self.start_restore(task, incarnation, stores);
            }
            Command::Cancel(tasks, _done) => {
                let before = self.restoring.len();
                self.restoring.retain(|task, _| !tasks.contains(task));
                if self.restoring.len() != before {
                    self.assign_reader();
                }
            }
            Command::Apply(stores) => {
                for store in stores {
                    store.merge_frozen();
                    self.frozen.insert(store.name().to_owned(), store);
                }
            }
        }
    }

    fn start_restore(
        &mut self,
        task: TaskId,
        incarnation: Incarnation,
        stores: Vec<StoreToRestore>,
    ) {
        let restore = TaskRestore::open(&self.parts, &self.runtime, task, incarnation, stores);
        match restore {
            Ok(restore) if restore.is_complete() => self.finish_restore(task, restore),
            Ok(restore) => {
                self.restoring.insert(task, restore);
                self.assign_reader();
            }
            Err(error) => self.tell(UpdaterEvent::Failed(error)),
        }
    }

    fn finish_restore(&self, task: TaskId, restore: TaskRestore) {
        let restored = restore.restored();
        if restored > 0 {
            tracing::info!(%task, records = restored, "restored from the changelog");
        }
        let incarnation = restore.incarnation();
        self.tell(UpdaterEvent::Restored { task, incarnation, stores: restore.into_stores() });
    }

    /// Reads the changelogs of all tasks that are being restored, each from where it stands.
    fn assign_reader(&self) {
        let positions = self.restoring.values().flat_map(TaskRestore::positions);
        let outcome = self.parts.reader.assign_from(positions);
        if let Err(error) = outcome {
            self.tell(UpdaterEvent::Failed(StreamsError::Consumer(Arc::new(error))));
        }
    }

    fn read_changelogs(&mut self) {
        if self.restoring.is_empty() {
            return;
        }
        match self.parts.reader.next_event_blocking(POLL) {
            Ok(Some(ConsumerEvent::Records(batch))) => {
                let partition = batch.topic_partition().clone();
                let restore = self.restoring.iter_mut().find(|(_, r)| r.reads(&partition));
                let Some((task, restore)) = restore else { return };
                let task = *task;
                match restore.add(&batch) {
                    Ok(count) => self.parts.counters.add_restored(count),
                    Err(cause) => {
                        self.restoring.remove(&task);
                        let cause = Arc::new(cause);
                        self.tell(UpdaterEvent::Failed(StreamsError::Store { task, cause }));
                    }
                }
            }
            Ok(_) => {}
            Err(error) => {
                self.restoring.clear();
                self.tell(UpdaterEvent::Failed(StreamsError::Fetch(Arc::new(error))));
            }
        }
        self.complete_restores();
    }

    /// The reader's position moves past records that were compacted away, too.
    fn complete_restores(&mut self) {
        let reader = &self.parts.reader;
        for restore in self.restoring.values_mut() {
            restore.update_positions(|partition| reader.position(partition));
        }
        let done: Vec<_> = self
            .restoring
            .iter()
            .filter(|(_, restore)| restore.is_complete())
            .map(|(task, _)| *task)
            .collect();
        for task in &done {
            if let Some(restore) = self.restoring.remove(task) {
                self.finish_restore(*task, restore);
            }
        }
        if !done.is_empty() {
            self.assign_reader();
        }
    }

    fn holds_much(&self) -> bool {
        self.frozen.values().any(|store| store.frozen_bytes() >= APPLY_BYTES)
    }

    fn apply_all(&mut self) {
        self.applied = Instant::now();
        for (_, store) in std::mem::take(&mut self.frozen) {
            if let Err(cause) = store.apply_frozen() {
                let task = store.name().split('/').next().and_then(|task| task.parse().ok());
                let cause = Arc::new(cause);
                self.tell(UpdaterEvent::Failed(match task {
                    Some(task) => StreamsError::Store { task, cause },
                    None => StreamsError::Updater(cause.to_string()),
                }));
            }
        }
    }

    fn tell(&self, event: UpdaterEvent) {
        // A stream thread that is gone needs no news.
        let _ = self.parts.events.send(event);
    }
}

/// The stream thread let go of its end.
struct Closed;
