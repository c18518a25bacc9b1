//! Why a record was not accepted, and why an accepted one was not written.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use millstream_protocol::batch::{CheckedBatch, RawBatch};
use millstream_protocol::compression::Decompressor;
use millstream_protocol::{ErrorClass, ErrorCode};
use millstream_types::{Headers, PartitionId, Record, SerdeError, Timestamp, TopicName};

use crate::outbox::RequestFailure;

/// Why a record was not accepted: nothing of it is kept.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The byte budget is spent; `enqueue` would wait for it.
    #[error(
        "the producer's memory is full: {used} of {budget} bytes wait to be acknowledged; wait, \
         shed load or raise buffer.memory"
    )]
    Full {
        /// The bytes in use.
        used: usize,
        /// The budget (`buffer.memory`).
        budget: usize,
    },
    /// The topic's partitions are not known yet; `enqueue` would wait for them.
    #[error("the partitions of topic {topic} are not known yet; use enqueue to wait for them")]
    TopicPending {
        /// The topic.
        topic: TopicName,
    },
    /// The budget stayed spent for `max.block`.
    #[error(
        "no memory for a record of topic {topic} within {waited:?}: the brokers acknowledge more \
         slowly than records are enqueued{}", because(.last_error.as_deref())
    )]
    MemoryTimedOut {
        /// The topic.
        topic: TopicName,
        /// How long the call waited (`max.block.ms`).
        waited: Duration,
        /// The last error that a batch met, if any did.
        last_error: Option<String>,
    },
    /// The topic did not turn up within `max.block`.
    #[error(
        "topic {topic} was not found within {waited:?}{}; create it, or check its name and that \
         the brokers can be reached", because(.last_error.as_deref())
    )]
    TopicTimedOut {
        /// The topic.
        topic: TopicName,
        /// How long the call waited (`max.block.ms`).
        waited: Duration,
        /// What the cluster last said of the topic.
        last_error: Option<String>,
    },
    /// The cluster refuses the topic for good: not authorised, an invalid name.
    #[error("topic {topic} cannot be written to: {code}")]
    TopicRefused {
        /// The topic.
        topic: TopicName,
        /// What the broker said.
        code: ErrorCode,
    },
    /// The topic has no such partition.
    #[error("topic {topic} has partitions 0 to {}, not {partition}", .count.saturating_sub(1))]
    UnknownPartition {
        /// The topic.
        topic: TopicName,
        /// The partition that the record names.
        partition: PartitionId,
        /// How many there are.
        count: usize,
    },
    /// The record alone is larger than a request, or than all memory.
    #[error(
        "a record of topic {topic} takes {size} bytes and at most {limit} are allowed: make it \
         smaller or raise max.request.size (and buffer.memory)"
    )]
    RecordTooLarge {
        /// The topic.
        topic: TopicName,
        /// The size of a batch with this record alone.
        size: usize,
        /// The largest size.
        limit: usize,
    },
    /// The timestamp is negative.
    #[error("a record of topic {topic} has the invalid timestamp {timestamp}")]
    InvalidTimestamp {
        /// The topic.
        topic: TopicName,
        /// The timestamp.
        timestamp: Timestamp,
    },
    /// The application's serde has no bytes for the key or the value.
    #[error("the {part} of a record of topic {topic} cannot be serialised: {error}")]
    Serde {
        /// The topic.
        topic: TopicName,
        /// `key` or `value`.
        part: &'static str,
        /// What the serde said.
        error: std::sync::Arc<SerdeError>,
    },
    /// The transaction that the record was for can only be aborted.
    #[error("the transaction takes no more records, abort it: {reason}")]
    TransactionFailed {
        /// Why.
        reason: String,
        /// What a caller can do about it.
        class: ErrorClass,
    },
    /// The producer is closed or closing.
    #[error("the producer is closed")]
    Closed,
}

impl EnqueueError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Full { .. }
            | Self::TopicPending { .. }
            | Self::MemoryTimedOut { .. }
            | Self::TopicTimedOut { .. } => ErrorClass::Retriable,
            Self::TopicRefused { code, .. } => code.class(),
            Self::TransactionFailed { class, .. } => *class,
            Self::UnknownPartition { .. } | Self::RecordTooLarge { .. } => {
                ErrorClass::InvalidConfiguration
            }
            Self::InvalidTimestamp { .. } | Self::Serde { .. } | Self::Closed => ErrorClass::Fatal,
        }
    }
}

/// What stood in the way of a batch.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryCause {
    /// The broker refused it.
    #[error("the broker answered {code}{}", because(.message.as_deref()))]
    Broker {
        /// The code.
        code: ErrorCode,
        /// What the broker added, about the batch or about this record (KIP-467).
        message: Option<String>,
    },
    /// The broker refused other records of the batch, by name (KIP-467), and with them the batch.
    #[error("the broker refused its batch for {count} other records with {code}; send it again")]
    BatchRefused {
        /// What is wrong with those.
        code: ErrorCode,
        /// How many they are.
        count: usize,
    },
    /// The request was not answered.
    #[error(transparent)]
    Request(#[from] RequestFailure),
    /// The answer says nothing of the partition.
    #[error("the broker's answer leaves the partition out")]
    NotAnswered,
    /// `delivery.timeout.ms` passed.
    #[error("it was not acknowledged within {timeout:?}{}", because(.last_error.as_deref()))]
    TimedOut {
        /// The timeout.
        timeout: Duration,
        /// The last error met before: of the batch, or of the topic or producer id it waited for.
        last_error: Option<String>,
    },
    /// The producer was closed and its deadline passed.
    #[error("the producer was closed first{}", because(.last_error.as_deref()))]
    Closed {
        /// The last error met before.
        last_error: Option<String>,
    },
    /// The application gave up what was not sent.
    #[error("it was given up before it was sent")]
    Aborted,
    /// The transaction that it was part of is aborted, or can only be.
    #[error("its transaction is aborted{}", because(.reason.as_deref()))]
    TransactionAborted {
        /// What failed in the transaction; `None` if the application asked for the abort.
        reason: Option<String>,
    },
    /// The retained batch of a refused one could not be taken apart to be sent in pieces.
    #[error("the batch is too large for the broker and could not be split: {0}")]
    Split(String),
}

impl DeliveryCause {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Broker { code, .. } => code.class(),
            Self::Request(failure) => failure.class(),
            Self::NotAnswered | Self::TimedOut { .. } | Self::BatchRefused { .. } => {
                ErrorClass::Retriable
            }
            Self::TransactionAborted { .. } => ErrorClass::Abortable,
            Self::Closed { .. } | Self::Aborted | Self::Split(_) => ErrorClass::Fatal,
        }
    }
}

/// The end of a record that was accepted and is not known to be written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DeliveryError {
    /// It is in no log and will never be. The record can be had back.
    NotWritten(NotWritten),
    /// It may or may not be in the log: a request that carried it was not answered.
    Unknown(UnknownDelivery),
}

/// A record that is in no log.
#[derive(Clone, Debug)]
pub struct NotWritten(pub(crate) FailedDelivery);

/// A record that may or may not be in the log.
#[derive(Clone, Debug)]
pub struct UnknownDelivery(pub(crate) FailedDelivery);

/// One record of a batch that failed.
#[derive(Clone, Debug)]
pub(crate) struct FailedDelivery {
    pub(crate) topic: TopicName,
    pub(crate) partition: PartitionId,
    pub(crate) index: u32,
    pub(crate) failure: std::sync::Arc<BatchFailure>,
}

/// How a batch failed.
#[derive(Debug)]
pub(crate) struct BatchFailure {
    pub(crate) cause: DeliveryCause,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    /// What the broker said of single records (KIP-467).
    pub(crate) record_errors: RecordErrors,
    /// The batch as it was sealed, to read its records again.
    pub(crate) retained: Option<Bytes>,
}

/// The records of a refused batch that the broker names as the ones at fault (KIP-467).
#[derive(Debug, Default)]
pub(crate) struct RecordErrors {
    /// Their places in the batch, and what is wrong with each.
    named: Vec<(u32, Option<String>)>,
    /// What stood in the way of the others: those.
    rest: Option<DeliveryCause>,
}

impl RecordErrors {
    /// The records that an answer of `code` names.
    pub(crate) fn new(code: ErrorCode, named: Vec<(u32, Option<String>)>) -> Self {
        let count = named.len();
        let rest = (count > 0).then_some(DeliveryCause::BatchRefused { code, count });
        Self { named, rest }
    }

    fn message(&self, index: u32) -> Option<&str> {
        let (_, message) = self.named.iter().find(|(named, _)| *named == index)?;
        message.as_deref()
    }

    /// The cause of a record that is not named though others are.
    fn rest(&self, index: u32) -> Option<&DeliveryCause> {
        let is_named = self.named.iter().any(|(named, _)| *named == index);
        self.rest.as_ref().filter(|_| !is_named)
    }
}

/// What a failed delivery tells, for both of its faces.
macro_rules! failed {
    ($($name:ident),*) => {$(
        impl $name {
            /// The topic of the record.
            #[must_use]
            pub const fn topic(&self) -> &TopicName {
                &self.0.topic
            }

            /// The partition it was for.
            #[must_use]
            pub const fn partition(&self) -> PartitionId {
                self.0.partition
            }

            /// What ended it.
            #[must_use]
            pub fn cause(&self) -> &DeliveryCause {
                self.0.cause()
            }

            /// How many requests carried it.
            #[must_use]
            pub fn attempts(&self) -> u32 {
                self.0.failure.attempts
            }

            /// The time from its acceptance to its end.
            #[must_use]
            pub fn elapsed(&self) -> Duration {
                self.0.failure.elapsed
            }

            /// What the broker said of this very record (KIP-467). Where it names records, the cause
            /// of the others is [`DeliveryCause::BatchRefused`]: they may be sent again.
            #[must_use]
            pub fn record_message(&self) -> Option<&str> {
                self.0.record_message()
            }

            /// The record, read again from the batch. `None` only if the batch was damaged in
            /// memory.
            #[must_use]
            pub fn into_record(self) -> Option<ReturnedRecord> {
                self.0.into_record()
            }
        }
    )*};
}

failed!(NotWritten, UnknownDelivery);

impl FailedDelivery {
    fn record_message(&self) -> Option<&str> {
        self.failure.record_errors.message(self.index)
    }

    fn cause(&self) -> &DeliveryCause {
        self.failure.record_errors.rest(self.index).unwrap_or(&self.failure.cause)
    }

    fn into_record(self) -> Option<ReturnedRecord> {
        let bytes = self.failure.retained.clone()?;
        let raw = RawBatch::parse(bytes).ok()?;
        let batch = CheckedBatch::check(raw, &mut Decompressor::default()).ok()?;
        let view = batch.records().nth(usize::try_from(self.index).ok()?)?;
        Some(ReturnedRecord {
            topic: self.topic,
            partition: self.partition,
            timestamp: view.timestamp,
            key: view.key.map(Bytes::copy_from_slice),
            value: view.value.map(Bytes::copy_from_slice),
            headers: view.headers().to_headers(),
        })
    }

    fn display(&self, f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
        let Self { topic, partition, failure, .. } = self;
        let BatchFailure { attempts, elapsed, .. } = &**failure;
        write!(
            f,
            "the record for {topic}-{partition} {what} after {attempts} attempts in {elapsed:?}: {}",
            self.cause()
        )?;
        match self.record_message() {
            Some(message) => write!(f, " ({message})"),
            None => Ok(()),
        }
    }
}

impl DeliveryError {
    /// What a caller can do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.cause().class()
    }

    /// What ended the delivery.
    #[must_use]
    pub fn cause(&self) -> &DeliveryCause {
        match self {
            Self::NotWritten(failed) => failed.cause(),
            Self::Unknown(failed) => failed.cause(),
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWritten(failed) => failed.0.display(f, "was not written"),
            Self::Unknown(failed) => failed.0.display(f, "may or may not have been written"),
        }
    }
}

impl std::error::Error for DeliveryError {}

/// A record that came back: it owns its bytes, and can be enqueued again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedRecord {
    /// The topic.
    pub topic: TopicName,
    /// The partition that was chosen for it.
    pub partition: PartitionId,
    /// Its time.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
}

impl ReturnedRecord {
    /// The record as it can be enqueued again: to the same partition, with the same time.
    #[must_use]
    pub fn to_record(&self) -> Record<'_> {
        let record = Record::to(self.topic.as_str())
            .partition(self.partition)
            .timestamp(self.timestamp)
            .maybe_key(self.key.as_deref())
            .maybe_value(self.value.as_deref());
        self.headers.iter().fold(record, |record, header| {
            record.maybe_header(&header.key, header.value.as_deref())
        })
    }
}

/// A cause that may be missing, as the end of a sentence.
fn because(cause: Option<&str>) -> impl fmt::Display {
    struct Because<'a>(Option<&'a str>);
    impl fmt::Display for Because<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Some(cause) => write!(f, ": {cause}"),
                None => Ok(()),
            }
        }
    }
    Because(cause)
}
