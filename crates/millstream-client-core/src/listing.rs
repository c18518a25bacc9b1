//! Which offset of a partition is asked for, and which records count: the words of ListOffsets.

use millstream_types::Timestamp;

/// Which offset of a partition is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The first record there is.
    Earliest,
    /// Behind the last record that counts: the high watermark, or the last stable offset.
    Latest,
    /// The first record of this time or a later one.
    Timestamp(Timestamp),
    /// The record of the highest timestamp (KIP-734, Kafka 3.0).
    MaxTimestamp,
    /// The first record on the leader's own disks, where older ones are tiered (KIP-405, Kafka 3.4).
    EarliestLocal,
    /// The last record in tiered storage (KIP-1005, Kafka 3.9).
    LatestTiered,
    /// The first record that is yet to be tiered (KIP-1023, Kafka 4.2).
    EarliestPendingUpload,
}

impl OffsetSpec {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::Timestamp(time) => time.0,
            Self::MaxTimestamp => -3,
            Self::EarliestLocal => -4,
            Self::LatestTiered => -5,
            Self::EarliestPendingUpload => -6,
        }
    }

    /// The first version of ListOffsets that knows it: older ones take the number for a time.
    #[must_use]
    pub const fn version_min(self) -> i16 {
        match self {
            Self::Earliest | Self::Latest | Self::Timestamp(_) => 1,
            Self::MaxTimestamp => 7,
            Self::EarliestLocal => 8,
            Self::LatestTiered => 9,
            Self::EarliestPendingUpload => 11,
        }
    }
}

/// Which records of transactions are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All, also of transactions that are open or aborted.
    #[default]
    ReadUncommitted,
    /// Only those of committed transactions, up to the last stable offset.
    ReadCommitted,
}

impl IsolationLevel {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}
