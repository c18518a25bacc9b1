//! What an application counts, for its owner and for a metrics recorder.
//!
//! Recorder names are Kafka Streams' sensor names with dashes turned into underscores and the
//! group before them: `stream_task_metrics_process_total`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A reading of an application's counters since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamsMetrics {
    /// Records taken from input and repartition topics and processed.
    pub processed: u64,
    /// Records passed over, because they could not be read or had no key where one is needed.
    pub dropped: u64,
    /// Changelog records read to restore state.
    pub restored: u64,
    /// Commits of all tasks of a thread that carried offsets.
    pub commits: u64,
    /// Stores wiped because their state could not be trusted.
    pub wiped: u64,
    /// Threads replaced after an uncaught error.
    pub threads_replaced: u64,
}

/// The counters themselves: added to once per round of a thread, never per record.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    processed: AtomicU64,
    dropped: AtomicU64,
    restored: AtomicU64,
    commits: AtomicU64,
    wiped: AtomicU64,
    threads_replaced: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> StreamsMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StreamsMetrics {
            processed: read(&self.processed),
            dropped: read(&self.dropped),
            restored: read(&self.restored),
            commits: read(&self.commits),
            wiped: read(&self.wiped),
            threads_replaced: read(&self.threads_replaced),
        }
    }

    pub(crate) fn add_processed(&self, count: u64) {
        self.processed.fetch_add(count, Ordering::Relaxed);
        metrics::counter!("stream_task_metrics_process_total").increment(count);
    }

    pub(crate) fn add_dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
        metrics::counter!("stream_task_metrics_dropped_records_total").increment(count);
    }

    pub(crate) fn add_restored(&self, count: u64) {
        self.restored.fetch_add(count, Ordering::Relaxed);
        metrics::counter!("stream_state_updater_metrics_restore_records_total").increment(count);
    }

    pub(crate) fn add_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("stream_thread_metrics_commit_total").increment(1);
    }

    pub(crate) fn add_wiped(&self) {
        self.wiped.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("stream_state_updater_metrics_wiped_stores_total").increment(1);
    }

    pub(crate) fn add_thread_replaced(&self) {
        self.threads_replaced.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("stream_metrics_failed_stream_threads").increment(1);
    }
}
