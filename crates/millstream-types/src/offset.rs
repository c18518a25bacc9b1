//! Places in a partition's log.

use crate::id::number_type;

number_type! {
    /// The place of a record in its partition's log, from 0.
    Offset(i64)
}

number_type! {
    /// The epoch of a partition's leader, raised each time leadership moves (KIP-320).
    LeaderEpoch(i32)
}

impl Offset {
    /// The first offset a log can have.
    pub const ZERO: Self = Self(0);

    /// The offset `count` records further on.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0 + count)
    }
}

/// A position that a group commits: the offset of the *next* record to process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next record to process.
    pub offset: Offset,
    /// The leader epoch of the last processed record, where it is known (KIP-320).
    pub leader_epoch: Option<LeaderEpoch>,
    /// Text that the application keeps with the offset; empty by default.
    pub metadata: String,
}

impl From<Offset> for OffsetAndMetadata {
    fn from(offset: Offset) -> Self {
        Self { offset, leader_epoch: None, metadata: String::new() }
    }
}
