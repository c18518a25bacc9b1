//! What the threads of one application share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millstream_client::Admin;
use millstream_core::{Subtopology, Topology};
use millstream_state::Engine;
use millstream_types::{ClusterId, TopicName};
use tokio::sync::watch;
use uuid::Uuid;

use crate::assignment::TaskReport;
use crate::config::StreamsConfig;
use crate::lifecycle::{Lifecycle, ThreadState};
use crate::metrics::Counters;
use crate::state_dir::StateDir;
use crate::sync::lock;
use crate::uncaught::UncaughtHandler;

/// The state of an application on this machine: the database in its folder. Dropped in this order.
pub(crate) struct Storage {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) state_dir: StateDir,
}

/// One running application: its program, its settings, its folder, its state.
pub(crate) struct Application {
    pub(crate) config: StreamsConfig,
    pub(crate) topology: Topology,
    pub(crate) subtopologies: Arc<Vec<Subtopology>>,
    pub(crate) client_id: String,
    pub(crate) cluster_id: ClusterId,
    pub(crate) admin: Admin,
    pub(crate) process_id: Uuid,
    /// None once the last thread has ended.
    pub(crate) storage: Mutex<Option<Storage>>,
    /// Threads that have not ended.
    pub(crate) living: AtomicUsize,
    /// Whether all that is committed lay on disk when the storage was released.
    pub(crate) is_durable: AtomicBool,
    pub(crate) report: Arc<TaskReport>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) counters: Arc<Counters>,
    pub(crate) uncaught: UncaughtHandler,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) deadline: Mutex<Option<Instant>>,
}

impl Application {
    pub(crate) const fn config(&self) -> &StreamsConfig {
        &self.config
    }

    pub(crate) const fn topology(&self) -> &Topology {
        &self.topology
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    pub(crate) fn report(&self) -> &TaskReport {
        &self.report
    }

    /// Every topic that any sub-topology reads: what each member subscribes to.
    pub(crate) fn input_topics(&self) -> Vec<TopicName> {
        let mut topics: Vec<_> =
            self.subtopologies.iter().flat_map(Subtopology::input_topics).collect();
        topics.sort();
        topics.dedup();
        topics
    }

    /// The input topics that the application's user has to create.
    pub(crate) fn source_topics(&self) -> Vec<TopicName> {
        let sources = self.subtopologies.iter().flat_map(|subtopology| &subtopology.sources);
        sources.map(|source| source.name.clone()).collect()
    }

    /// The database, while threads live.
    pub(crate) fn engine(&self) -> Option<Arc<dyn Engine>> {
        lock(&self.storage).as_ref().map(|storage| storage.engine.clone())
    }

    /// A thread ends; the last one makes the state durable and lets go of its folder, so that
    /// whoever awaits the end may open it.
    pub(crate) fn end_thread(&self, index: usize) {
        if self.living.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.release();
        }
        self.lifecycle.report(index, ThreadState::Dead);
    }

    fn release(&self) {
        let Some(Storage { engine, state_dir }) = lock(&self.storage).take() else { return };
        if let Err(error) = engine.flush() {
            tracing::warn!(%error, "state may have to be restored at the next start");
            self.is_durable.store(false, Ordering::SeqCst);
        }
        drop(engine);
        tracing::debug!(folder = %state_dir.path().display(), "released");
    }

    /// Asks all threads to close, each before `deadline`.
    pub(crate) fn stop(&self, within: Duration) {
        lock(&self.deadline).get_or_insert_with(|| Instant::now() + within);
        self.stop.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    pub(crate) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// When closing must be over.
    pub(crate) fn deadline(&self) -> Instant {
        lock(&self.deadline).unwrap_or_else(Instant::now)
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application")
            .field("application_id", &self.config.application_id)
            .field("state", &self.lifecycle.state())
            .finish_non_exhaustive()
    }
}
