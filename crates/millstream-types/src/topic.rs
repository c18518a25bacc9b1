//! Topics and their partitions.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::id::{name_type, number_type};

name_type! {
    /// A topic's name; cloning it costs a reference count.
    TopicName
}

number_type! {
    /// The number of a partition within its topic, from 0.
    PartitionId(i32)
}

/// The id of a topic, new each time a topic of that name is created (KIP-516).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// "No id": what brokers before 2.8 and requests by name carry.
    pub const ZERO: Self = Self(Uuid::nil());

    /// Whether this is a real id.
    #[must_use]
    pub const fn is_known(self) -> bool {
        !self.0.is_nil()
    }
}

/// As Kafka prints it: URL-safe base64 without padding (`org.apache.kafka.common.Uuid`).
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Base64Display::new(self.0.as_bytes(), &URL_SAFE_NO_PAD), f)
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for TopicId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let mut bytes = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(16) => Ok(Self(Uuid::from_bytes(bytes))),
            _ => Err(MalformedId(text.to_owned())),
        }
    }
}

/// A text that is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id: 22 characters of URL-safe base64 are needed")]
pub struct MalformedId(String);

/// A partition of a topic. Printed as Kafka prints it: `orders-3`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition within it.
    pub partition: PartitionId,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    pub fn new(topic: impl Into<TopicName>, partition: impl Into<PartitionId>) -> Self {
        Self { topic: topic.into(), partition: partition.into() }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_in_java() {
        // `new Uuid(0x0123456789abcdefL, 0xfedcba9876543210L).toString()`
        let id = TopicId(Uuid::from_u64_pair(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210));
        assert_eq!(id.to_string(), "ASNFZ4mrze_-3LqYdlQyEA");
        assert_eq!("ASNFZ4mrze_-3LqYdlQyEA".parse(), Ok(id));
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in
            ["", "ASNFZ4mrze_-3LqYdlQyE", "ASNFZ4mrze_-3LqYdlQyEAA", "ASNFZ4mrze/-3LqYdlQyEA"]
        {
            assert!(text.parse::<TopicId>().is_err(), "{text}");
        }
    }
}
