//! Interceptors: an application's hooks before a record is accepted and after its end.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Headers, Offset, PartitionId, Record, Timestamp, TopicName};

use super::delivery::{BatchHandle, Outcome};
use super::error::DeliveryCause;

/// Hooks of an application, as Java's `ProducerInterceptor`: to add headers, to count, to audit.
///
/// A producer without interceptors pays nothing for them. One that panics is passed over for that
/// call, and the panic logged.
pub trait ProducerInterceptor: Send + Sync + 'static {
    /// A record is about to be enqueued: gives another one to take its place, or `None` to leave it
    /// as it is. Called once per call, on the caller's thread, before a partition is chosen; each
    /// interceptor sees what the one before it gave.
    fn on_send(&self, record: &Record<'_>) -> Option<InterceptedRecord> {
        let _ = record;
        None
    }

    /// A batch of records has its end: called once for each batch, not for each record, on the
    /// client's I/O thread. It must be quick and must not block.
    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        let _ = acknowledgement;
    }
}

/// A record that an interceptor gives in another's place. It owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterceptedRecord {
    /// The topic.
    pub topic: TopicName,
    /// The partition, if one is named.
    pub partition: Option<PartitionId>,
    /// Its time, if it is not the producer's clock that says it.
    pub timestamp: Option<Timestamp>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
}

impl InterceptedRecord {
    /// A copy of a record, to be changed.
    #[must_use]
    pub fn copy_of(record: &Record<'_>) -> Self {
        let mut headers = Headers::new();
        for header in record.headers() {
            headers.add(header.key, header.value.map(Bytes::copy_from_slice));
        }
        Self {
            topic: record.topic().into(),
            partition: record.named_partition(),
            timestamp: record.named_timestamp(),
            key: record.key_bytes().map(Bytes::copy_from_slice),
            value: record.value_bytes().map(Bytes::copy_from_slice),
            headers,
        }
    }

    /// The record, borrowed.
    #[must_use]
    pub fn to_record(&self) -> Record<'_> {
        let mut record = Record::to(self.topic.as_str())
            .maybe_key(self.key.as_deref())
            .maybe_value(self.value.as_deref());
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        if let Some(timestamp) = self.timestamp {
            record = record.timestamp(timestamp);
        }
        self.headers.iter().fold(record, |record, header| {
            record.maybe_header(&header.key, header.value.as_deref())
        })
    }
}

/// The end of a batch of records, as interceptors are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgement<'a> {
    /// The topic.
    pub topic: &'a TopicName,
    /// The partition.
    pub partition: PartitionId,
    /// How many records the batch has.
    pub records: u64,
    /// What became of them.
    pub outcome: AcknowledgedOutcome<'a>,
}

/// What became of the records of a batch.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AcknowledgedOutcome<'a> {
    /// They are in the log (with `acks=0`: on the wire).
    Written {
        /// The offset of the first one, where the broker told; the others follow.
        base_offset: Option<Offset>,
        /// Their time, where it is the broker's (`LogAppendTime`).
        append_time: Option<Timestamp>,
    },
    /// They are in no log.
    NotWritten(&'a DeliveryCause),
    /// They may or may not be in the log.
    Unknown(&'a DeliveryCause),
}

/// The interceptors of a producer, in the order in which they are called.
#[derive(Clone, Default)]
pub struct Interceptors(Vec<Arc<dyn ProducerInterceptor>>);

impl Interceptors {
    /// Appends one.
    pub fn add(&mut self, interceptor: Arc<dyn ProducerInterceptor>) {
        self.0.push(interceptor);
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the interceptors make of a record: `None` if they leave it as it is.
    #[cold]
    pub(crate) fn on_send(&self, record: &Record<'_>) -> Option<Box<InterceptedRecord>> {
        let mut made: Option<Box<InterceptedRecord>> = None;
        for interceptor in &self.0 {
            let given = catch_unwind(AssertUnwindSafe(|| match &made {
                Some(made) => interceptor.on_send(&made.to_record()),
                None => interceptor.on_send(record),
            }));
            match given {
                Ok(Some(given)) => made = Some(Box::new(given)),
                Ok(None) => {}
                Err(_) => tracing::error!("an interceptor panicked in on_send and is passed over"),
            }
        }
        made
    }

    /// Tells of the end of a batch.
    #[cold]
    pub(crate) fn on_acknowledgement(&self, batch: &BatchHandle, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Written { base_offset, append_time } => AcknowledgedOutcome::Written {
                base_offset: *base_offset,
                append_time: *append_time,
            },
            Outcome::NotWritten(failure) => AcknowledgedOutcome::NotWritten(&failure.cause),
            Outcome::Unknown(failure) => AcknowledgedOutcome::Unknown(&failure.cause),
            // Its parts have their own ends.
            Outcome::Split(_) => return,
        };
        let acknowledgement = Acknowledgement {
            topic: &batch.topic,
            partition: batch.partition,
            records: batch.records(),
            outcome,
        };
        for interceptor in &self.0 {
            let told = catch_unwind(AssertUnwindSafe(|| {
                interceptor.on_acknowledgement(&acknowledgement);
            }));
            if told.is_err() {
                tracing::error!("an interceptor panicked in on_acknowledgement");
            }
        }
    }
}

impl PartialEq for Interceptors {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl Eq for Interceptors {}

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interceptors({})", self.0.len())
    }
}
