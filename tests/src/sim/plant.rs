//! Deliberate misbehaviour: what the checkers must find.

use bytes::Bytes;
use millstream_protocol::ApiKey;
use millstream_protocol::codec::RequestHeader;

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
    /// A reader loses the batch that it gets first behind this offset.
    ReaderDropsBatch(i64),
    /// A reader gets each batch twice.
    ReaderRepeatsBatch,
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
