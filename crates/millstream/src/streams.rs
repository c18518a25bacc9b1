//! The front door: building, starting, watching and closing an application.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use millstream_client::Admin;
use millstream_core::{DeserializationHandler, TaskId, TaskIdle, Topology};
use millstream_state::{CommittedState, Engine, StoreError, StoreErrorClass};
use millstream_state_sled::{SledEngine, SledOptions};
use tokio::sync::{oneshot, watch};

use crate::application::{Application, Storage};
use crate::assignment::TaskReport;
use crate::config::StreamsConfig;
use crate::error::{StartError, StreamsConfigError};
use crate::lifecycle::Lifecycle;
use crate::metrics::{Counters, StreamsMetrics};
use crate::state_dir::StateDir;
use crate::sync::lock;
use crate::uncaught::{UncaughtHandler, UncaughtResponse};
use crate::{KafkaStreamsState, StreamsError, thread};

/// Settings of an application that is about to start; Java's `StreamsConfig`, with its defaults.
#[derive(Debug)]
#[must_use = "nothing runs until `start`"]
pub struct KafkaStreamsBuilder {
    topology: Topology,
    config: StreamsConfig,
    uncaught: UncaughtHandler,
    /// The first property that could not be set; `start` gives it back.
    invalid: Option<StreamsConfigError>,
}

impl KafkaStreamsBuilder {
    /// Sets the number of stream threads. Default: 1.
    #[doc(alias = "num.stream.threads")]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.config.threads = threads;
        self
    }

    /// Sets where state is kept; each instance on a machine needs a folder of its own. Default:
    /// `kafka-streams` in the system's folder for temporary files.
    #[doc(alias = "state.dir")]
    pub fn state_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.state_dir = folder.into();
        self
    }

    /// Sets how often each thread commits. Default: 30 s.
    #[doc(alias = "commit.interval.ms")]
    pub const fn commit_interval(mut self, interval: Duration) -> Self {
        self.config.commit_interval = interval;
        self
    }

    /// Sets the bytes that record caches may hold, over all threads. Default: 10 MiB; 0 turns
    /// caching off, so that every update is forwarded.
    #[doc(alias = "statestore.cache.max.bytes")]
    pub const fn cache_bytes_max(mut self, bytes: u64) -> Self {
        self.config.cache_bytes_max = bytes;
        self
    }

    /// Sets how long a task waits for a partition without records. Default: until the broker has
    /// no more.
    #[doc(alias = "max.task.idle.ms")]
    pub const fn max_task_idle(mut self, idle: TaskIdle) -> Self {
        self.config.max_task_idle = idle;
        self
    }

    /// Sets what decides about records that cannot be read. Default: `LogAndFail`.
    #[doc(alias = "deserialization.exception.handler")]
    pub fn deserialization_handler(
        mut self,
        handler: impl DeserializationHandler + 'static,
    ) -> Self {
        self.config.deserialization = Arc::new(handler);
        self
    }

    /// Decides what happens when a stream thread dies of an error. Default: the instance closes.
    /// The handler runs on the thread that died.
    #[doc(alias = "setUncaughtExceptionHandler")]
    pub fn uncaught_handler(
        mut self,
        handler: impl Fn(&StreamsError) -> UncaughtResponse + Send + Sync + 'static,
    ) -> Self {
        self.uncaught = UncaughtHandler::new(handler);
        self
    }

    /// Sets a property by its Kafka name. `consumer.`, `main.consumer.`, `restore.consumer.`,
    /// `producer.`, `admin.` and `topic.` hand it on to that client, or to internal topics.
    pub fn property(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = self.config.set(name, value) {
            self.invalid.get_or_insert(error);
        }
        self
    }

    /// Sets properties by their Kafka names, in order.
    pub fn properties<N: AsRef<str>, V: AsRef<str>>(
        self,
        properties: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        properties
            .into_iter()
            .fold(self, |builder, (name, value)| builder.property(name.as_ref(), value.as_ref()))
    }

    /// Connects, opens the state and starts the threads. They join the group by themselves:
    /// [`KafkaStreams::wait_until_running`] tells when all tasks run.
    ///
    /// # Errors
    /// [`StartError`] if a setting cannot be, the state directory is in use or unreadable, or the
    /// cluster cannot be reached.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready starts nothing.
    pub async fn start(self) -> Result<KafkaStreams, StartError> {
        if let Some(error) = self.invalid {
            return Err(error.into());
        }
        self.config.check()?;
        let config = self.config;
        let state_dir = StateDir::open(&config.state_dir, &config.application_id)?;
        let client_id = config
            .client_id
            .clone()
            .unwrap_or_else(|| format!("{}-{}", config.application_id, state_dir.process_id()));
        let admin = Admin::builder(config.bootstrap.iter().map(String::as_str))
            .client_id(format!("{client_id}-admin"))
            .properties(&config.clients.admin())
            .connect()
            .await?;
        let cluster_id = admin.cluster_id().await?.ok_or(StartError::NoClusterId)?;
        let counters = Arc::new(Counters::default());
        let database = state_dir.database();
        let (engine, report) = open_engine(&database, &counters).map_err(StartError::Store)?;
        let subtopologies = Arc::new(self.topology.subtopologies(&config.application_id));
        let threads = config.threads;
        let app = Arc::new(Application {
            report: Arc::new(report),
            lifecycle: Lifecycle::new(config.threads),
            counters,
            uncaught: self.uncaught,
            stop: watch::Sender::new(false),
            deadline: Mutex::new(None),
            topology: self.topology,
            admin,
            config,
            subtopologies,
            client_id,
            cluster_id,
            process_id: state_dir.process_id(),
            storage: Mutex::new(Some(Storage { engine, state_dir })),
            living: AtomicUsize::new(threads),
            is_durable: AtomicBool::new(true),
        });
        start_threads(&app)
    }
}

/// A running streams application: one instance of it. Dropping it closes it, without waiting.
///
/// Follows Java's `KafkaStreams`.
pub struct KafkaStreams {
    app: Arc<Application>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How [`KafkaStreams::close`] closes.
#[derive(Clone, Copy, Debug)]
pub struct Close {
    within: Duration,
}

impl Close {
    /// Commits and closes everything, giving up what is not done after `within`.
    #[must_use]
    pub const fn within(within: Duration) -> Self {
        Self { within }
    }
}

impl KafkaStreams {
    /// An application of `topology`. `application_id` names its group and its internal topics;
    /// `bootstrap` are brokers to start from, as `host:port`.
    pub fn builder<S: Into<String>>(
        topology: Topology,
        application_id: impl Into<String>,
        bootstrap: impl IntoIterator<Item = S>,
    ) -> KafkaStreamsBuilder {
        let bootstrap = bootstrap
            .into_iter()
            .flat_map(|servers| servers.into().split(',').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        KafkaStreamsBuilder {
            topology,
            config: StreamsConfig::new(application_id.into(), bootstrap),
            uncaught: UncaughtHandler::default(),
            invalid: None,
        }
    }

    /// What the application is doing now.
    #[must_use]
    pub fn state(&self) -> KafkaStreamsState {
        self.app.lifecycle.state()
    }

    /// What the ids of the application's clients begin with: `client.id`, by default the
    /// application's id and that of this instance.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.app.client_id
    }

    /// What the application has counted since it started.
    #[must_use]
    pub fn metrics(&self) -> StreamsMetrics {
        self.app.counters.read()
    }

    /// The error that the application died of, or that a thread was last replaced for.
    #[must_use]
    pub fn last_error(&self) -> Option<StreamsError> {
        self.app.lifecycle.failure()
    }

    /// Waits until all tasks process records.
    ///
    /// # Errors
    /// The error that the application died of instead; a closed application gives
    /// [`StreamsError::Closed`].
    ///
    /// # Cancel safety
    /// Safe: nothing is lost by dropping it.
    pub async fn wait_until_running(&self) -> Result<(), StreamsError> {
        let reached = self.wait_until(|state| {
            state == KafkaStreamsState::Running || state == KafkaStreamsState::PendingShutdown
        });
        match reached.await {
            KafkaStreamsState::Running => Ok(()),
            _ => Err(self.last_error().unwrap_or(StreamsError::Closed)),
        }
    }

    /// Waits until the application is in a state that `wanted` accepts, or in one that nothing
    /// follows, and gives it. Works on any runtime.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost by dropping it.
    pub async fn wait_until(
        &self,
        wanted: impl Fn(KafkaStreamsState) -> bool,
    ) -> KafkaStreamsState {
        let mut states = self.app.lifecycle.subscribe();
        let reached = states.wait_for(|state| wanted(*state) || state.is_final()).await;
        reached.map_or_else(|_| self.state(), |state| *state)
    }

    /// Commits, closes every task, leaves the group; says whether all of it was done in time.
    /// Closing again waits for the first close.
    ///
    /// # Cancel safety
    /// Closing goes on if the future is dropped.
    pub async fn close(&self, close: Close) -> bool {
        self.begin_close(close);
        let threads = std::mem::take(&mut *lock(&self.threads));
        let (done, closed) = oneshot::channel();
        let app = self.app.clone();
        let closer = std::thread::Builder::new().name(format!("{}-CloseThread", app.client_id));
        let started = closer.spawn(move || {
            // Nobody may be listening any more.
            let _ = done.send(finish(&app, threads, close.within));
        });
        match started {
            Ok(_) => closed.await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// As [`close`](Self::close), for threads without a runtime.
    pub fn close_blocking(&self, close: Close) -> bool {
        self.begin_close(close);
        let threads = std::mem::take(&mut *lock(&self.threads));
        finish(&self.app, threads, close.within)
    }

    fn begin_close(&self, close: Close) {
        self.app.lifecycle.become_state(KafkaStreamsState::PendingShutdown);
        self.app.stop(close.within);
    }
}

impl Drop for KafkaStreams {
    fn drop(&mut self) {
        self.begin_close(Close::within(DROP_DEADLINE));
    }
}

impl fmt::Debug for KafkaStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaStreams")
            .field("application_id", &self.app.config.application_id)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// What a dropped application has to commit and leave.
const DROP_DEADLINE: Duration = Duration::from_secs(30);
/// Threads look at the clock at least this often while they close.
const GRACE: Duration = Duration::from_millis(500);

fn start_threads(app: &Arc<Application>) -> Result<KafkaStreams, StartError> {
    app.lifecycle.become_state(KafkaStreamsState::Rebalancing);
    let streams = KafkaStreams { app: app.clone(), threads: Mutex::new(Vec::new()) };
    for index in 0..app.config.threads {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(StartError::Thread)?;
        let app = app.clone();
        let thread = std::thread::Builder::new()
            .name(format!("{}-StreamThread-{}", app.client_id, index + 1))
            .spawn(move || thread::run(&app, index, &runtime))
            .map_err(StartError::Thread)?;
        lock(&streams.threads).push(thread);
    }
    Ok(streams)
}

/// Waits for the threads; the last of them makes the state durable.
fn finish(app: &Application, threads: Vec<JoinHandle<()>>, within: Duration) -> bool {
    let deadline = app.deadline() + GRACE;
    let mut states = app.lifecycle.subscribe();
    let mut in_time = true;
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() {
        in_time = runtime.block_on(async {
            let ended = states.wait_for(|state| state.is_final());
            tokio::time::timeout_at(deadline.into(), ended).await.is_ok()
        });
    }
    if !in_time {
        tracing::warn!(?within, "closing did not end in time: what is left goes on by itself");
        return false;
    }
    for thread in threads {
        // A thread's panic was reported by the default hook.
        let _ = thread.join();
    }
    app.is_durable.load(Ordering::SeqCst)
}

/// Opens the database. One that is damaged is wiped: all it holds comes back from changelogs.
fn open_engine(
    folder: &Path,
    counters: &Counters,
) -> Result<(Arc<dyn Engine>, TaskReport), StoreError> {
    let open = || {
        let engine = SledEngine::open(folder, &SledOptions::default())?;
        let report = report_of(&engine)?;
        Ok::<_, StoreError>((Arc::new(engine) as Arc<dyn Engine>, report))
    };
    match open() {
        Err(error) if error.class() == StoreErrorClass::WipeAndRestore => {
            tracing::warn!(%error, folder = %folder.display(), "state wiped");
            counters.add_wiped();
            SledEngine::destroy(folder)?;
            open()
        }
        opened => opened,
    }
}

/// Which tasks have state on disk, and how far it reaches.
fn report_of(engine: &dyn Engine) -> Result<TaskReport, StoreError> {
    let report = TaskReport::default();
    let mut sums = std::collections::BTreeMap::<TaskId, i64>::new();
    for name in engine.tree_names()? {
        let Some(task) = name.split('/').next().and_then(|task| task.parse().ok()) else {
            continue;
        };
        if let Some(row) = CommittedState::open(engine, &name)?.offset_row()? {
            *sums.entry(task).or_default() += row.next_offset.value();
        }
    }
    for (task, sum) in sums {
        report.set_on_disk(task, sum);
    }
    Ok(report)
}
