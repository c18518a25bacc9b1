//! Metrics: a typed snapshot, and the same figures through the `metrics` facade.
//!
//! Names follow one rule from Java's: group `producer-metrics`, name `record-send-total` is
//! [`ProducerMetrics::totals`]`.record_send_total` in the snapshot and
//! `millstream_producer_record_send_total` in the facade (`millstream_`, the group without
//! `-metrics`, the name, `_` for `-`; Java's tags are labels). Java's pairs `x-avg` and `x-max` are
//! one [`Distribution`] here and one histogram there; times are in microseconds and shares in per
//! mille, and end in `_us` and `_permille`. Rates are left to whoever reads the totals.

mod facade;

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_types::{BrokerId, TopicName};

pub(crate) use facade::ProducerPublisher;
pub use millstream_client_core::producer::{
    ClientTotals as ProducerTotals, Distribution, NodeTotals, TopicTotals,
};

/// What a producer has counted since it was built, and how it stands.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ProducerMetrics {
    /// The producer's totals (Java's group `producer-metrics`).
    pub totals: ProducerTotals,
    /// Produce requests without an answer (`requests-in-flight`).
    pub requests_in_flight: u64,
    /// `buffer.memory` (`buffer-total-bytes`).
    pub buffer_total_bytes: u64,
    /// What is left of it (`buffer-available-bytes`).
    pub buffer_available_bytes: u64,
    /// Calls that wait for memory (`waiting-threads`).
    pub waiting_threads: u64,
    /// How long ago the cluster last told of itself (`metadata-age`); `None` before it ever did.
    pub metadata_age: Option<Duration>,
    /// Connections and bytes, of all requests.
    pub network: NetworkMetrics,
    /// Totals by broker, of Produce requests (Java's group `producer-node-metrics`).
    pub nodes: BTreeMap<BrokerId, NodeTotals>,
    /// Totals by topic (Java's group `producer-topic-metrics`).
    pub topics: BTreeMap<TopicName, TopicTotals>,
}

/// What went over a client's connections since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkMetrics {
    /// Connections made.
    pub connection_creation_total: u64,
    /// Connections ended, by either side.
    pub connection_close_total: u64,
    /// Connections that could not be made.
    pub connection_failure_total: u64,
    /// Requests of all kinds put on the wire.
    pub request_total: u64,
    /// Bytes that went out.
    pub outgoing_byte_total: u64,
    /// Bytes that came in.
    pub incoming_byte_total: u64,
}

impl NetworkMetrics {
    /// Connections that are open now.
    #[must_use]
    pub const fn connection_count(&self) -> u64 {
        self.connection_creation_total.saturating_sub(self.connection_close_total)
    }

    /// Every counter with its name.
    #[must_use]
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("connection_creation_total", self.connection_creation_total),
            ("connection_close_total", self.connection_close_total),
            ("connection_failure_total", self.connection_failure_total),
            ("request_total", self.request_total),
            ("outgoing_byte_total", self.outgoing_byte_total),
            ("incoming_byte_total", self.incoming_byte_total),
        ]
    }
}
