//! The offset row: up to where a tree reflects its changelog, and of which log.

use millstream_types::{ClusterId, LeaderEpoch, Offset, PartitionId, TopicId};
use uuid::Uuid;

/// The version of the layout that [`OffsetRow::encode`] writes.
const VERSION: u8 = 1;
const HAS_TOPIC_ID: u8 = 1;
const HAS_LEADER_EPOCH: u8 = 2;

/// Up to where a store holds its changelog. Written last, in the same tree as the rows.
///
/// The tree holds at least every row up to `next_offset`, perhaps some later committed ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetRow {
    /// The cluster that the log belongs to.
    pub cluster_id: ClusterId,
    /// The topic's id; none before Kafka 2.8.
    pub topic_id: Option<TopicId>,
    /// The log's partition.
    pub partition: PartitionId,
    /// The first offset that the store may lack.
    pub next_offset: Offset,
    /// The leader epoch of the last record, where it is known.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// The log that a store is about to be restored from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The cluster we are connected to.
    pub cluster_id: ClusterId,
    /// The topic's id as this cluster gives it; none before Kafka 2.8.
    pub topic_id: Option<TopicId>,
    /// The partition.
    pub partition: PartitionId,
    /// The first offset in the log.
    pub log_start: Offset,
    /// The offset behind the last record.
    pub log_end: Offset,
}

/// What an offset row is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffsetVerdict {
    /// Restore from here.
    Resume(Offset),
    /// Wipe the store and restore from the start of the log.
    Wipe(WipeReason),
}

/// Why a store is wiped before it is restored. `Display` is fit for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WipeReason {
    /// There is no offset row: the store is new, or its first restore was cut short.
    #[error("it has no offset row")]
    Missing,
    /// The offset row could not be read.
    #[error("its offset row is unreadable: {0}")]
    Unreadable(#[from] OffsetRowError),
    /// The state belongs to another cluster.
    #[error("it belongs to cluster {found}, not {expected}")]
    OtherCluster {
        /// The cluster in the row.
        found: ClusterId,
        /// The cluster we are connected to.
        expected: ClusterId,
    },
    /// The topic was deleted and made anew since.
    #[error("it belongs to topic id {found}, but the changelog is {expected}")]
    OtherTopic {
        /// The topic id in the row.
        found: TopicId,
        /// The topic id now.
        expected: TopicId,
    },
    /// The row is of another partition.
    #[error("it belongs to partition {found}, not {expected}")]
    OtherPartition {
        /// The partition in the row.
        found: PartitionId,
        /// The partition of this store.
        expected: PartitionId,
    },
    /// The log has been truncated or cleaned past the offset.
    #[error("its offset {found} lies outside the log ({log_start} to {log_end})")]
    OutsideLog {
        /// The offset in the row.
        found: Offset,
        /// Where the log starts.
        log_start: Offset,
        /// Where it ends.
        log_end: Offset,
    },
}

/// Bytes that are no offset row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OffsetRowError {
    /// Written by a newer version of this library.
    #[error("layout version {0} is unknown")]
    Version(u8),
    /// Too short, too long, or with values that cannot be.
    #[error("malformed")]
    Malformed,
}

impl OffsetRow {
    /// The row's bytes; the layout is in `docs/state.md`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let cluster = self.cluster_id.as_str().as_bytes();
        let mut out = Vec::with_capacity(34 + cluster.len());
        let mut flags = 0;
        if self.topic_id.is_some() {
            flags |= HAS_TOPIC_ID;
        }
        if self.leader_epoch.is_some() {
            flags |= HAS_LEADER_EPOCH;
        }
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&self.partition.value().to_be_bytes());
        out.extend_from_slice(&self.next_offset.value().to_be_bytes());
        if let Some(epoch) = self.leader_epoch {
            out.extend_from_slice(&epoch.value().to_be_bytes());
        }
        if let Some(id) = self.topic_id {
            out.extend_from_slice(id.0.as_bytes());
        }
        out.extend_from_slice(cluster);
        out
    }

    /// Reads a row's bytes.
    ///
    /// # Errors
    /// [`OffsetRowError`] if they are none: wipe the store then.
    pub fn decode(bytes: &[u8]) -> Result<Self, OffsetRowError> {
        let mut rest = bytes;
        let [version, flags] = take::<2>(&mut rest)?;
        if version != VERSION {
            return Err(OffsetRowError::Version(version));
        }
        if flags & !(HAS_TOPIC_ID | HAS_LEADER_EPOCH) != 0 {
            return Err(OffsetRowError::Malformed);
        }
        let partition = PartitionId(i32::from_be_bytes(take(&mut rest)?));
        let next_offset = Offset(i64::from_be_bytes(take(&mut rest)?));
        let mut leader_epoch = None;
        if flags & HAS_LEADER_EPOCH != 0 {
            leader_epoch = Some(LeaderEpoch(i32::from_be_bytes(take(&mut rest)?)));
        }
        let mut topic_id = None;
        if flags & HAS_TOPIC_ID != 0 {
            topic_id = Some(TopicId(Uuid::from_bytes(take(&mut rest)?)));
        }
        let cluster = std::str::from_utf8(rest).map_err(|_| OffsetRowError::Malformed)?;
        if next_offset < Offset::ZERO || partition.value() < 0 {
            return Err(OffsetRowError::Malformed);
        }
        Ok(Self { cluster_id: cluster.into(), topic_id, partition, next_offset, leader_epoch })
    }

    /// Whether a store with this row may go on from it, in the log `log`.
    #[must_use]
    pub fn judge(row: Option<&Self>, log: &LogIdentity) -> OffsetVerdict {
        match row.map(|row| row.check(log)) {
            None => OffsetVerdict::Wipe(WipeReason::Missing),
            Some(Err(reason)) => OffsetVerdict::Wipe(reason),
            Some(Ok(offset)) => OffsetVerdict::Resume(offset),
        }
    }

    fn check(&self, log: &LogIdentity) -> Result<Offset, WipeReason> {
        if self.cluster_id != log.cluster_id {
            return Err(WipeReason::OtherCluster {
                found: self.cluster_id.clone(),
                expected: log.cluster_id.clone(),
            });
        }
        // Where one side knows no id (Kafka before 2.8), cluster and log range decide alone.
        if let (Some(found), Some(expected)) = (self.topic_id, log.topic_id)
            && found != expected
        {
            return Err(WipeReason::OtherTopic { found, expected });
        }
        if self.partition != log.partition {
            return Err(WipeReason::OtherPartition {
                found: self.partition,
                expected: log.partition,
            });
        }
        if self.next_offset < log.log_start || self.next_offset > log.log_end {
            return Err(WipeReason::OutsideLog {
                found: self.next_offset,
                log_start: log.log_start,
                log_end: log.log_end,
            });
        }
        Ok(self.next_offset)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], OffsetRowError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(OffsetRowError::Malformed)?;
    *rest = tail;
    Ok(*head)
}
