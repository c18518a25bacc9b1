//! What a producer is configured with, and which settings contradict each other.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorClass;
use millstream_protocol::compression::{Compression, CompressionError};
use millstream_types::TopicName;

use super::codec::{Codecs, TopicCompression};
use super::interceptor::Interceptors;
use super::partitioner::Partitioner;
use crate::backoff::Backoff;
use crate::outbox::Acks;

/// The settings of a producer: Java's defaults, except for a `batch.size` of 128 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerConfig {
    /// How many replicas must have a record before it counts as written (`acks`).
    pub acks: Acks,
    /// Whether the broker drops duplicates that retries make (`enable.idempotence`).
    pub idempotence: bool,
    /// How long a batch waits for more records (`linger.ms`).
    pub linger: Duration,
    /// The size at which a batch is full, before compression (`batch.size`).
    pub batch_size: usize,
    /// The codec of batches (`compression.type`).
    pub compression: Compression,
    /// The codec's level (`compression.gzip.level`, `compression.zstd.level`); `None`: its default.
    pub compression_level: Option<i32>,
    /// The topics whose batches are compressed in another way.
    pub topic_compression: BTreeMap<TopicName, TopicCompression>,
    /// The bytes that batches may take together (`buffer.memory`).
    pub buffer_memory: usize,
    /// How long `enqueue` may wait for memory or metadata (`max.block.ms`).
    pub max_block: Duration,
    /// When a record that is not written is given up, counted from its acceptance
    /// (`delivery.timeout.ms`).
    pub delivery_timeout: Duration,
    /// How often a batch is sent again after an answer that asks for it, or none (`retries`). Tries
    /// that reached no broker do not count; `delivery_timeout` bounds them all.
    pub retries: u32,
    /// How long one request may take (`request.timeout.ms`).
    pub request_timeout: Duration,
    /// How many requests a broker may have unanswered
    /// (`max.in.flight.requests.per.connection`).
    pub max_in_flight: usize,
    /// The largest request, and with it the largest record (`max.request.size`).
    pub max_request_size: usize,
    /// How partitions are chosen (`partitioner.class`, librdkafka's `partitioner`).
    pub partitioner: Partitioner,
    /// Whether keys do not choose the partition (`partitioner.ignore.keys`).
    pub ignore_keys: bool,
    /// Whether slow partitions get fewer of the records without a key
    /// (`partitioner.adaptive.partitioning.enable`).
    pub adaptive_partitioning: bool,
    /// When a broker that does not answer gets no more of the records without a key; zero: never
    /// (`partitioner.availability.timeout.ms`).
    pub availability_timeout: Duration,
    /// The application's hooks (`interceptor.classes`).
    pub interceptors: Interceptors,
    /// The waits between tries (`retry.backoff.ms`, `retry.backoff.max.ms`).
    pub retry_backoff: Backoff,
    /// What the partitioner's and the backoff's choices are drawn from.
    pub seed: u64,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotence: true,
            linger: Duration::from_millis(5),
            batch_size: 128 * 1024,
            compression: Compression::None,
            compression_level: None,
            topic_compression: BTreeMap::new(),
            buffer_memory: 32 * 1024 * 1024,
            max_block: Duration::from_secs(60),
            delivery_timeout: Duration::from_secs(120),
            retries: i32::MAX.unsigned_abs(),
            request_timeout: Duration::from_secs(30),
            max_in_flight: 5,
            max_request_size: 1024 * 1024,
            partitioner: Partitioner::Sticky,
            ignore_keys: false,
            adaptive_partitioning: true,
            availability_timeout: Duration::ZERO,
            interceptors: Interceptors::default(),
            retry_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
            seed: 0,
        }
    }
}

/// The most batches of a partition that a broker recognises when they come again
/// (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
pub(crate) const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;

impl ProducerConfig {
    /// Checks the settings against each other.
    ///
    /// # Errors
    /// [`ProducerConfigError`], naming the settings that cannot stand together.
    pub fn check(&self) -> Result<(), ProducerConfigError> {
        for (name, value) in [
            ("batch.size", self.batch_size),
            ("buffer.memory", self.buffer_memory),
            ("max.in.flight.requests.per.connection", self.max_in_flight),
            ("max.request.size", self.max_request_size),
        ] {
            if value == 0 {
                return Err(ProducerConfigError::Zero { name });
            }
        }
        self.check_idempotence()?;
        self.check_sizes_and_times()?;
        self.check_partitioner()?;
        Codecs::new(self).map(drop)
    }

    fn check_idempotence(&self) -> Result<(), ProducerConfigError> {
        if self.idempotence && self.acks != Acks::All {
            return conflict(
                "enable.idempotence=true".to_owned(),
                format!("acks={}", self.acks.code()),
                "an idempotent producer needs acks=all",
            );
        }
        if self.idempotence && self.retries == 0 {
            return conflict(
                "enable.idempotence=true".to_owned(),
                "retries=0".to_owned(),
                "a batch whose answer is lost is sent again to find out what became of it",
            );
        }
        if self.idempotence && self.max_in_flight > IDEMPOTENT_IN_FLIGHT_MAX {
            return conflict(
                "enable.idempotence=true".to_owned(),
                format!("max.in.flight.requests.per.connection={}", self.max_in_flight),
                "brokers recognise duplicates among the last 5 batches only",
            );
        }
        Ok(())
    }

    fn check_sizes_and_times(&self) -> Result<(), ProducerConfigError> {
        if self.delivery_timeout < self.linger + self.request_timeout {
            return conflict(
                format!("delivery.timeout.ms={}", self.delivery_timeout.as_millis()),
                format!(
                    "linger.ms={} and request.timeout.ms={}",
                    self.linger.as_millis(),
                    self.request_timeout.as_millis()
                ),
                "the delivery timeout must be at least their sum",
            );
        }
        if self.batch_size > self.buffer_memory {
            return conflict(
                format!("batch.size={}", self.batch_size),
                format!("buffer.memory={}", self.buffer_memory),
                "the memory must hold a batch",
            );
        }
        Ok(())
    }

    fn check_partitioner(&self) -> Result<(), ProducerConfigError> {
        if self.ignore_keys && self.partitioner != Partitioner::Sticky {
            return conflict(
                "partitioner.ignore.keys=true".to_owned(),
                format!("partitioner={}", self.partitioner),
                "only the sticky partitioner can be told to pass over keys",
            );
        }
        if self.availability_timeout > Duration::ZERO && !self.adaptive_partitioning {
            return conflict(
                format!(
                    "partitioner.availability.timeout.ms={}",
                    self.availability_timeout.as_millis()
                ),
                "partitioner.adaptive.partitioning.enable=false".to_owned(),
                "the timeout is a part of adaptive partitioning",
            );
        }
        Ok(())
    }

    /// How many batches of one partition may be unanswered: without sequence numbers one, lest a
    /// retry overtake what was sent behind it.
    pub(crate) const fn partition_in_flight(&self) -> usize {
        match self.acks {
            Acks::None => usize::MAX,
            _ if self.idempotence || self.retries == 0 => self.max_in_flight,
            _ => 1,
        }
    }
}

fn conflict(first: String, second: String, why: &'static str) -> Result<(), ProducerConfigError> {
    Err(ProducerConfigError::Conflict { first, second, why })
}

/// Settings that a producer cannot work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerConfigError {
    /// Two settings contradict each other.
    #[error("{first} contradicts {second}: {why}")]
    Conflict {
        /// One setting with its value.
        first: String,
        /// The other one.
        second: String,
        /// What they break together.
        why: &'static str,
    },
    /// A size or count must be positive.
    #[error("{name} must be more than 0")]
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// The codec has no such level.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// The codec of one topic has no such level.
    #[error("topic {topic}: {error}")]
    TopicCompression {
        /// The topic.
        topic: TopicName,
        /// What is wrong.
        error: CompressionError,
    },
}

impl ProducerConfigError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::InvalidConfiguration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_agree() {
        assert_eq!(ProducerConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_contradiction_names_both_settings() {
        let acks = ProducerConfig { acks: Acks::Leader, ..ProducerConfig::default() };
        let timeouts = ProducerConfig {
            delivery_timeout: Duration::from_secs(10),
            ..ProducerConfig::default()
        };
        let in_flight = ProducerConfig { max_in_flight: 6, ..ProducerConfig::default() };
        for (config, first, second) in [
            (acks, "enable.idempotence=true", "acks=1"),
            (timeouts, "delivery.timeout.ms=10000", "request.timeout.ms=30000"),
            (in_flight, "enable.idempotence=true", "connection=6"),
        ] {
            let message = match config.check() {
                Ok(()) => String::new(),
                Err(error) => error.to_string(),
            };
            assert!(message.contains(first) && message.contains(second), "{message}");
        }
    }
}
