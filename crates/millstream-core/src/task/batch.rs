//! What a task takes in: fetched batches, read record by record where they lie.

use millstream_types::{Headers, LeaderEpoch, Offset, Timestamp};

/// A record as it was fetched.
#[derive(Clone, Debug)]
pub struct RawRecord<'a> {
    /// Its place in its partition.
    pub offset: Offset,
    /// The time it carries.
    pub timestamp: Timestamp,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers,
}

/// Records of one partition, in order of their offsets, each handed out once.
///
/// A task keeps the batch until its last record was taken, and takes a record shortly before it
/// processes it.
pub trait RecordBatch {
    /// Takes the next record.
    fn next(&mut self) -> Option<RawRecord<'_>>;

    /// How many records are left.
    fn remaining(&self) -> usize;

    /// Where the partition goes on behind this batch.
    fn next_offset(&self) -> Offset;

    /// The leader epoch of its records, if it is known.
    fn leader_epoch(&self) -> Option<LeaderEpoch>;
}
