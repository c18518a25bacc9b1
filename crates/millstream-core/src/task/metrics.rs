//! What a task counts.

/// Why a record went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// It has no key, and its operator needs one.
    NullKey,
    /// It has no value, and its operator's closure takes one.
    NullValue,
    /// It could not be read, and the handler chose to go on.
    Undecodable,
    /// Its time is negative, and the extractor chose to go on.
    InvalidTimestamp,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 4] =
        [Self::NullKey, Self::NullValue, Self::Undecodable, Self::InvalidTimestamp];
}

/// Counters of a task since it was built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskMetrics {
    pub(crate) processed: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl TaskMetrics {
    /// The records that were taken from input partitions and processed.
    #[must_use]
    pub const fn processed(&self) -> u64 {
        self.processed
    }

    /// The records that went no further for this reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// The records that went no further (`dropped-records-total`).
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(crate) const fn count_drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}
