//! One client of a simulation: an engine, its bell, and the clock it reads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use millstream_client_core::Engine;
use millstream_client_core::producer::{Clock, SealJob, SealWorkers};
use millstream_types::Timestamp;

/// The time of day when a simulation starts.
const WALL_AT_START: i64 = 1_700_000_000_000;

/// The one clock of a simulation.
#[derive(Debug)]
pub struct SimClock {
    start: Instant,
    micros: AtomicU64,
}

impl SimClock {
    /// A clock that stands at the start of time: only differences to this moment are ever seen.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), micros: AtomicU64::new(0) })
    }

    /// How much virtual time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }

    /// Goes on to `now`, rounded up to whole microseconds.
    pub(super) fn advance_to(&self, now: Instant) {
        let passed = now.saturating_duration_since(self.start);
        let micros = u64::try_from(passed.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        self.micros.fetch_max(micros, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        self.start + self.elapsed()
    }

    fn wall(&self) -> Timestamp {
        let passed = i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(WALL_AT_START + passed)
    }
}

/// A waker that is a flag.
#[derive(Debug, Default)]
pub struct Bell(AtomicBool);

impl Bell {
    /// Whether it was rung since the last time.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    /// Whether it was rung, without forgetting it.
    #[must_use]
    pub fn is_rung(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Batches that wait to be compressed: the simulation runs them when it likes.
#[derive(Default)]
pub struct SimWorkers(Mutex<VecDeque<SealJob>>);

impl SimWorkers {
    /// Runs the oldest job. Answers whether there was one.
    pub fn run_one(&self) -> bool {
        let job = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        job.map(SealJob::run).is_some()
    }

    /// Whether no job waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl SealWorkers for SimWorkers {
    fn submit(&self, job: SealJob) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
    }
}

impl fmt::Debug for SimWorkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimWorkers").finish_non_exhaustive()
    }
}

/// Names a client of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub usize);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// A client: what a shell would hold of it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) engine: Engine,
    pub(super) bell: Arc<Bell>,
    pub(super) workers: Arc<SimWorkers>,
    pub(super) next_command: u64,
    /// Its application runs and its host is up.
    pub(super) is_alive: bool,
    /// A run of the workers is in the queue.
    pub(super) is_sealing: bool,
    pub(super) links: std::collections::BTreeMap<
        millstream_client_core::connection::ConnectionId,
        super::net::LinkId,
    >,
}

/// What the parts of a client are built with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The simulation's clock.
    pub clock: Arc<SimClock>,
    /// Its driver's bell.
    pub bell: Arc<Bell>,
    /// Its workers.
    pub workers: Arc<SimWorkers>,
}

impl Parts {
    /// The waker of the client's driver.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }
}
