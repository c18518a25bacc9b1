//! The bytes that members exchange through the coordinator: subscriptions and assignments.
//!
//! Kafka calls them `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, versions 0 to 3:
//! a version, then plain (not flexible) fields. What is written equals Java's bytes (`ConsumerProtocol.java`);
//! a version above 3 is read as 3, its further fields being behind what we know.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use millstream_types::{GenerationId, TopicName, TopicPartition};
use thiserror::Error;

use super::{Assignment, Subscription};

/// The version this client writes.
pub const VERSION: i16 = 3;

/// `protocol_type` of consumer groups.
pub const PROTOCOL_TYPE: &str = "consumer";

/// A member's bytes that do not read as the consumer protocol.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberBytesError {
    /// A length is negative or the bytes end within a field.
    #[error("a member's {what} is truncated or malformed")]
    Malformed {
        /// Which of the two messages.
        what: &'static str,
    },
    /// The version is below 0.
    #[error("a member's {what} has version {version}, which no Kafka client writes")]
    Version {
        /// Which of the two messages.
        what: &'static str,
        /// The version read.
        version: i16,
    },
}

/// Writes a subscription at `version` (0 to 3), topics and owned partitions sorted as Java does.
#[must_use]
pub fn encode_subscription(subscription: &Subscription, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(version);
    let mut topics: Vec<&TopicName> = subscription.topics.iter().collect();
    topics.sort();
    put_len(&mut out, topics.len());
    for topic in topics {
        put_string(&mut out, topic.as_str());
    }
    put_nullable_bytes(&mut out, subscription.user_data.as_deref());
    if version >= 1 {
        let mut owned = subscription.owned_partitions.clone();
        owned.sort();
        put_partitions(&mut out, &owned);
    }
    if version >= 2 {
        let generation = subscription.generation.unwrap_or(GenerationId::NONE);
        out.put_i32(generation.value());
    }
    if version >= 3 {
        put_nullable_string(&mut out, subscription.rack.as_deref());
    }
    out.freeze()
}

/// Reads a subscription; the static member id is not part of these bytes.
///
/// # Errors
/// [`MemberBytesError`] if the bytes are not a subscription.
pub fn decode_subscription(bytes: &Bytes) -> Result<Subscription, MemberBytesError> {
    let mut reader = Reader::new(bytes, "subscription");
    let version = reader.version()?;
    let count = reader.len(2)?;
    let mut subscription = Subscription::default();
    for _ in 0..count {
        subscription.topics.push(reader.topic()?);
    }
    subscription.user_data = reader.nullable_bytes()?;
    if version >= 1 {
        subscription.owned_partitions = reader.partitions()?;
    }
    if version >= 2 {
        let generation = GenerationId(reader.i32()?);
        subscription.generation = (generation.value() >= 0).then_some(generation);
    }
    if version >= 3 {
        subscription.rack = reader.nullable_string()?;
    }
    Ok(subscription)
}

/// Writes an assignment at `version` (0 to 3): partitions grouped by topic in the order given.
#[must_use]
pub fn encode_assignment(assignment: &Assignment, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(version);
    put_partitions(&mut out, &assignment.partitions);
    put_nullable_bytes(&mut out, assignment.user_data.as_deref());
    out.freeze()
}

/// Reads an assignment. No bytes at all mean an empty assignment.
///
/// # Errors
/// [`MemberBytesError`] if the bytes are not an assignment.
pub fn decode_assignment(bytes: &Bytes) -> Result<Assignment, MemberBytesError> {
    if bytes.is_empty() {
        return Ok(Assignment::default());
    }
    let mut reader = Reader::new(bytes, "assignment");
    reader.version()?;
    Ok(Assignment { partitions: reader.partitions()?, user_data: reader.nullable_bytes()? })
}

/// Partitions grouped by topic, topics in order of first appearance.
fn put_partitions(out: &mut BytesMut, partitions: &[TopicPartition]) {
    let mut by_topic: indexmap::IndexMap<&TopicName, Vec<i32>> = indexmap::IndexMap::new();
    for partition in partitions {
        by_topic.entry(&partition.topic).or_default().push(partition.partition.value());
    }
    put_len(out, by_topic.len());
    for (topic, numbers) in by_topic {
        put_string(out, topic.as_str());
        put_len(out, numbers.len());
        for number in numbers {
            out.put_i32(number);
        }
    }
}

/// Counts here come from our own collections; Kafka's field is a signed 32-bit number.
fn put_len(out: &mut BytesMut, len: usize) {
    out.put_i32(i32::try_from(len).unwrap_or(i32::MAX));
}

fn put_string(out: &mut BytesMut, text: &str) {
    out.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
    out.put_slice(text.as_bytes());
}

fn put_nullable_string(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_string(out, text),
        None => out.put_i16(-1),
    }
}

fn put_nullable_bytes(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_len(out, bytes.len());
            out.put_slice(bytes);
        }
        None => out.put_i32(-1),
    }
}

/// Reads fields and proves each length against what is left before allocating for it.
struct Reader {
    rest: Bytes,
    what: &'static str,
}

impl Reader {
    fn new(bytes: &Bytes, what: &'static str) -> Self {
        Self { rest: bytes.clone(), what }
    }

    const fn malformed(&self) -> MemberBytesError {
        MemberBytesError::Malformed { what: self.what }
    }

    fn version(&mut self) -> Result<i16, MemberBytesError> {
        let version = self.i16()?;
        if version < 0 {
            return Err(MemberBytesError::Version { what: self.what, version });
        }
        Ok(version)
    }

    fn i16(&mut self) -> Result<i16, MemberBytesError> {
        self.rest.try_get_i16().map_err(|_| self.malformed())
    }

    fn i32(&mut self) -> Result<i32, MemberBytesError> {
        self.rest.try_get_i32().map_err(|_| self.malformed())
    }

    /// An array's length, each element taking at least `element` bytes.
    fn len(&mut self, element: usize) -> Result<usize, MemberBytesError> {
        let len = usize::try_from(self.i32()?).map_err(|_| self.malformed())?;
        if len > self.rest.len() / element {
            return Err(self.malformed());
        }
        Ok(len)
    }

    fn take(&mut self, len: usize) -> Result<Bytes, MemberBytesError> {
        if len > self.rest.len() {
            return Err(self.malformed());
        }
        Ok(self.rest.split_to(len))
    }

    fn nullable_string(&mut self) -> Result<Option<String>, MemberBytesError> {
        let len = self.i16()?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| self.malformed())?;
        let bytes = self.take(len)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| self.malformed())?;
        Ok(Some(text.to_owned()))
    }

    fn topic(&mut self) -> Result<TopicName, MemberBytesError> {
        let text = self.nullable_string()?.ok_or_else(|| self.malformed())?;
        Ok(TopicName::from(text))
    }

    fn nullable_bytes(&mut self) -> Result<Option<Bytes>, MemberBytesError> {
        let len = self.i32()?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| self.malformed())?;
        self.take(len).map(Some)
    }

    fn partitions(&mut self) -> Result<Vec<TopicPartition>, MemberBytesError> {
        let topics = self.len(6)?;
        let mut partitions = Vec::new();
        for _ in 0..topics {
            let topic = self.topic()?;
            for _ in 0..self.len(4)? {
                partitions.push(TopicPartition::new(topic.clone(), self.i32()?));
            }
        }
        Ok(partitions)
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
