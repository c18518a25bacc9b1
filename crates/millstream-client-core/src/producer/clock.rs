//! Time for callers: a clock that the shell provides, and a coarse record time beside it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use millstream_types::Timestamp;

/// The clock that the shell (or a test) gives to a producer. Cores read none themselves.
pub trait Clock: Send + Sync + 'static {
    /// The monotonic time, for deadlines.
    fn now(&self) -> Instant;

    /// The time of day, for records.
    fn wall(&self) -> Timestamp;
}

/// Record time that is read once per batch and round rather than once per record.
///
/// It is read afresh when a record opens an empty batch, and for each record while the driver is
/// parked for longer; between those the driver's rounds keep it younger than 5 ms.
pub(crate) struct CoarseClock {
    source: Arc<dyn Clock>,
    base: Instant,
    millis: AtomicI64,
    parked: AtomicBool,
}

impl CoarseClock {
    /// A coarse clock over `source`.
    pub(crate) fn new(source: Arc<dyn Clock>) -> Self {
        Self {
            millis: AtomicI64::new(source.wall().value()),
            base: source.now(),
            source,
            parked: AtomicBool::new(true),
        }
    }

    /// The monotonic time.
    pub(crate) fn now(&self) -> Instant {
        self.source.now()
    }

    /// The nanoseconds from this clock's making to `time`; 0 for what was before.
    pub(crate) fn since_base(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.base);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Reads the clock, for itself and for those who come after.
    pub(crate) fn refresh(&self) -> Timestamp {
        let now = self.source.wall();
        self.millis.store(now.value(), Ordering::Relaxed);
        now
    }

    /// The record time of now, at most 5 ms old.
    pub(crate) fn coarse(&self) -> Timestamp {
        if self.parked.load(Ordering::Relaxed) {
            return self.refresh();
        }
        Timestamp(self.millis.load(Ordering::Relaxed))
    }

    /// The driver begins a round: until [`Self::park`] its rounds keep the time fresh.
    pub(crate) fn tick(&self) {
        self.refresh();
        self.parked.store(false, Ordering::Relaxed);
    }

    /// The driver goes to sleep.
    pub(crate) fn park(&self) {
        self.parked.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for CoarseClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoarseClock")
            .field("millis", &self.millis)
            .field("parked", &self.parked)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Wall(AtomicI64, Instant);

    impl Clock for Wall {
        fn now(&self) -> Instant {
            self.1
        }

        fn wall(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn a_parked_driver_never_leaves_the_time_stale() {
        let wall = Arc::new(Wall(AtomicI64::new(100), Instant::now()));
        let clock = CoarseClock::new(wall.clone());
        wall.0.store(200, Ordering::Relaxed);
        assert_eq!(clock.coarse(), Timestamp(200));
        clock.tick();
        wall.0.store(203, Ordering::Relaxed);
        assert_eq!(clock.coarse(), Timestamp(200), "the driver's last round");
        clock.park();
        assert_eq!(clock.coarse(), Timestamp(203));
    }
}
