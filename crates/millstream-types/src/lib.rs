//! The words that Millstream's public APIs share: ids, offsets, records, headers, serdes.
//!
//! Every id, epoch and offset is a type of its own, so that two bare integers never stand side by
//! side. The crate does no I/O and reads no clock.

mod header;
mod id;
mod offset;
mod record;
mod serde;
mod time;
mod topic;

pub use header::{Header, Headers};
pub use id::{
    BrokerId, ClusterId, GenerationId, GroupId, GroupInstanceId, MemberId, ProducerEpoch,
    ProducerId,
};
pub use offset::{LeaderEpoch, Offset, OffsetAndMetadata};
pub use record::{Record, RecordHeader};
pub use serde::{DefaultSerde, Deserializer, Serde, SerdeError, Serializer};
pub use time::{Timestamp, TimestampType};
pub use topic::{MalformedId, PartitionId, TopicId, TopicName, TopicPartition};
