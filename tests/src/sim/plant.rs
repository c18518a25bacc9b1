//! Deliberate misbehaviour: what the checkers must find.

use bytes::Bytes;
use millstream_protocol::ApiKey;
use millstream_protocol::codec::RequestHeader;
use millstream_types::{Offset, TopicPartition};

use super::world::World;

/// A defect planted into a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plant {
    /// None.
    #[default]
    Nothing,
    /// Every so many Produce requests the network delivers one twice.
    DoublesProduce {
        /// How many until the next.
        left: u32,
        /// How many between two.
        every: u32,
    },
    /// This partition loses the last batch of its log before it is judged.
    LogLosesTail(usize),
    /// A reader loses the batch with this offset.
    ReaderDropsBatch(i64),
    /// A reader gets each batch twice.
    ReaderRepeatsBatch,
    /// A member commits three records more than it has.
    MemberCommitsAhead,
}

impl World {
    /// Cuts the last batch off a log, as if it had never been written.
    pub(super) fn drop_last_batch(&mut self, partition: &TopicPartition) {
        let end = self.read_log(partition).last().map_or(0, |last| last.offset);
        let now = self.now();
        if let Err(error) = self.cluster.truncate(partition, Offset(end), now) {
            panic!("{error}");
        }
        self.drain_cluster();
    }
}

impl Plant {
    /// Whether this frame is delivered twice.
    pub(super) fn doubles(&mut self, frame: &Bytes) -> bool {
        let Self::DoublesProduce { left, every } = self else {
            return false;
        };
        let api = RequestHeader::peek(frame).ok().and_then(|header| header.api());
        if api != Some(ApiKey::Produce) {
            return false;
        }
        *left = left.saturating_sub(1);
        let strikes = *left == 0;
        if strikes {
            *left = *every;
        }
        strikes
    }
}
