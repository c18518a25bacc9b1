//! The producer: records in on any thread, batches out to the leaders, an end for each record.
//!
//! Two halves share one [`ProducerShared`]. Callers encode a record straight into the open batch of
//! its partition, under that partition's lock alone, and get a [`Delivery`]: a reference to the batch
//! and a place in it. The [`ProducerMachine`], one per client and run by its driver, takes the
//! batches that are full or have lingered, gives them their sequence numbers and sends them. Between
//! the two only batches hop; nothing is allocated, locked or woken for a single record.
//!
//! Every accepted record ends exactly once, as *written*, *not written* (it can be had back from
//! the retained batch) or *unknown*.

mod accumulator;
mod clock;
mod codec;
mod config;
mod delivery;
mod enqueue;
mod error;
mod interceptor;
mod machine;
mod memory;
mod metrics;
mod partitioner;
mod placing;
mod sealing;
mod shared;
mod tally;
#[cfg(test)]
mod tests;
mod topics;
mod wait;

pub use clock::Clock;
pub use codec::TopicCompression;
pub use config::{ProducerConfig, ProducerConfigError};
pub use delivery::{Delivery, DeliveryStatus, Receipt};
pub use enqueue::{Enqueue, Flush};
pub use error::{
    DeliveryCause, DeliveryError, EnqueueError, NotWritten, ReturnedRecord, UnknownDelivery,
};
pub use interceptor::{
    AcknowledgedOutcome, Acknowledgement, InterceptedRecord, Interceptors, ProducerInterceptor,
};
pub(crate) use machine::{FaultKind, TransactionFault};
pub use machine::{ProducerCommand, ProducerCompletion, ProducerEvent, ProducerMachine};
pub use metrics::{ClientTotals, Distribution, NodeTotals, TopicTotals};
pub use partitioner::{
    CustomPartitioner, Partitioner, TopicPartitions, murmur2, partition_for_key,
};
pub use sealing::{SealJob, SealWorkers};
pub use shared::ProducerShared;
pub use tally::{DeliveryFailure, FAILURES_MAX, FlushReport};
