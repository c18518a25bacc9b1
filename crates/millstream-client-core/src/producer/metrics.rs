//! What a producer counts: per batch, request and wait, never per record.
//!
//! Names are Java's (`SenderMetricsRegistry`, `BufferPool`, `KafkaProducerMetrics`) with `_` for
//! `-`. Where Java has an average and a maximum of one measure, here is one [`Distribution`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millstream_types::{BrokerId, TopicName};

/// How many values there were, their sum, and the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The largest.
    pub max: u64,
}

impl Distribution {
    /// The mean; 0 where there is no value.
    #[must_use]
    pub fn avg(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

/// A [`Distribution`] that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    count: AtomicU64,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Measure {
    pub(crate) fn record(&self, value: u64) {
        add(&self.count, 1);
        add(&self.sum, value);
        self.max.fetch_max(value, Ordering::Relaxed);
    }

    pub(crate) fn record_time(&self, time: Duration) {
        self.record(micros(time));
    }

    fn read(&self) -> Distribution {
        Distribution { count: get(&self.count), sum: get(&self.sum), max: get(&self.max) }
    }
}

/// Declares a set of counters and distributions, the snapshot of it, and how it is read.
macro_rules! metric_set {
    (
        $(#[$docs:meta])* $snapshot:ident of $live:ident {
            counters { $($(#[$cdocs:meta])* $counter:ident,)* }
            distributions { $($(#[$ddocs:meta])* $distribution:ident,)* }
        }
    ) => {
        $(#[$docs])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $snapshot {
            $($(#[$cdocs])* pub $counter: u64,)*
            $($(#[$ddocs])* pub $distribution: Distribution,)*
        }

        impl $snapshot {
            /// Every counter with its name.
            #[must_use]
            pub fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($counter), self.$counter),)*]
            }

            /// Every distribution with its name.
            #[must_use]
            pub fn distributions(&self) -> Vec<(&'static str, Distribution)> {
                vec![$((stringify!($distribution), self.$distribution),)*]
            }
        }

        #[derive(Debug, Default)]
        pub(crate) struct $live {
            $(pub(crate) $counter: AtomicU64,)*
            $(pub(crate) $distribution: Measure,)*
        }

        impl $live {
            pub(crate) fn read(&self) -> $snapshot {
                $snapshot {
                    $($counter: get(&self.$counter),)*
                    $($distribution: self.$distribution.read(),)*
                }
            }
        }
    };
}

metric_set! {
    /// What a producer counted since it was built (Java's group `producer-metrics`).
    ClientTotals of ClientCounters {
        counters {
            /// Records put on the wire, again for each attempt.
            record_send_total,
            /// Records sent again.
            record_retry_total,
            /// Records that ended not written or unknown.
            record_error_total,
            /// Batches that a broker found too large and that went on in parts.
            batch_split_total,
            /// Records refused or timed out because `buffer.memory` was spent.
            buffer_exhausted_total,
            /// Nanoseconds that calls waited for memory, together.
            bufferpool_wait_time_ns_total,
            /// Nanoseconds that calls waited for a topic's metadata, together.
            metadata_wait_time_ns_total,
            /// Nanoseconds that flushes took, together.
            flush_time_ns_total,
            /// Produce requests sent.
            produce_request_total,
            /// Produce requests that ended, with an answer or without.
            produce_response_total,
        }
        distributions {
            /// Bytes of a batch as it is sent.
            batch_size,
            /// What compression left of 1,000 bytes of a batch; uncompressed batches are not in it.
            compression_rate_permille,
            /// Microseconds from a batch's first record to its first request.
            record_queue_time_us,
            /// Bytes of a record, its overhead and headers included, before compression: the mean
            /// of each batch.
            record_size,
            /// Records of a request.
            records_per_request,
            /// Microseconds from a request to its answer.
            request_latency_us,
            /// Microseconds for which a broker asked to be left alone, answer by answer.
            produce_throttle_time_us,
        }
    }
}

metric_set! {
    /// What a producer counted for one topic (Java's group `producer-topic-metrics`).
    TopicTotals of TopicCounters {
        counters {
            /// Records put on the wire, again for each attempt.
            record_send_total,
            /// Bytes of batches put on the wire.
            byte_total,
            /// Records sent again.
            record_retry_total,
            /// Records that ended not written or unknown.
            record_error_total,
        }
        distributions {
            /// What compression left of 1,000 bytes of a batch.
            compression_rate_permille,
        }
    }
}

metric_set! {
    /// What a producer counted for one broker (Java's group `producer-node-metrics`), of Produce
    /// requests.
    NodeTotals of NodeCounters {
        counters {
            /// Produce requests sent.
            request_total,
            /// Produce requests that ended, with an answer or without.
            response_total,
            /// Bytes of batches sent.
            outgoing_byte_total,
        }
        distributions {
            /// Microseconds from a request to its answer.
            request_latency_us,
        }
    }
}

/// Everything a producer counts.
#[derive(Debug, Default)]
pub(crate) struct ProducerCounters {
    pub(crate) client: ClientCounters,
    topics: Mutex<BTreeMap<TopicName, Arc<TopicCounters>>>,
    nodes: Mutex<BTreeMap<BrokerId, Arc<NodeCounters>>>,
    /// When the cluster last told of itself.
    metadata_at: Mutex<Option<Instant>>,
}

impl ProducerCounters {
    /// The counters of a topic.
    pub(crate) fn topic(&self, name: &TopicName) -> Arc<TopicCounters> {
        Arc::clone(lock(&self.topics).entry(name.clone()).or_default())
    }

    /// The counters of a broker.
    pub(crate) fn node(&self, id: BrokerId) -> Arc<NodeCounters> {
        Arc::clone(lock(&self.nodes).entry(id).or_default())
    }

    /// All topics' totals.
    pub(crate) fn topics(&self) -> BTreeMap<TopicName, TopicTotals> {
        lock(&self.topics).iter().map(|(name, topic)| (name.clone(), topic.read())).collect()
    }

    /// All brokers' totals.
    pub(crate) fn nodes(&self) -> BTreeMap<BrokerId, NodeTotals> {
        lock(&self.nodes).iter().map(|(id, node)| (*id, node.read())).collect()
    }

    /// The metadata changed or was confirmed.
    pub(crate) fn note_metadata(&self, now: Instant) {
        *lock(&self.metadata_at) = Some(now);
    }

    /// How old the metadata is.
    pub(crate) fn metadata_age(&self, now: Instant) -> Option<Duration> {
        lock(&self.metadata_at).map(|at| now.saturating_duration_since(at))
    }
}

/// Adds to a counter that is read without a lock.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Nanoseconds, as Java's totals of time have them.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_keeps_count_sum_and_maximum() {
        let measure = Measure::default();
        assert_eq!(measure.read().avg(), 0.0);
        for value in [3, 9, 6] {
            measure.record(value);
        }
        assert_eq!(measure.read(), Distribution { count: 3, sum: 18, max: 9 });
        assert_eq!(measure.read().avg(), 6.0);
    }

    #[test]
    fn totals_are_read_by_name() {
        let counters = ProducerCounters::default();
        add(&counters.topic(&"a".into()).byte_total, 7);
        add(&counters.topic(&"a".into()).byte_total, 1);
        counters.node(BrokerId(3)).request_latency_us.record_time(Duration::from_millis(2));
        let topics = counters.topics();
        assert!(topics[&TopicName::from("a")].counters().contains(&("byte_total", 8)));
        assert_eq!(counters.nodes()[&BrokerId(3)].request_latency_us.max, 2_000);
    }
}
