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

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> OffsetRow {
        OffsetRow {
            cluster_id: "Some-cluster".into(),
            topic_id: Some(TopicId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10))),
            partition: PartitionId(2),
            next_offset: Offset(258),
            leader_epoch: Some(LeaderEpoch(7)),
        }
    }

    fn log() -> LogIdentity {
        LogIdentity {
            cluster_id: row().cluster_id,
            topic_id: row().topic_id,
            partition: row().partition,
            log_start: Offset(0),
            log_end: Offset(1_000),
        }
    }

    #[test]
    fn bytes_are_those_of_the_document() {
        let mut expected = vec![1, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 7];
        expected.extend(1..=16);
        expected.extend(b"Some-cluster");
        assert_eq!(row().encode(), expected);
        assert_eq!(OffsetRow::decode(&expected), Ok(row()));
        let bare = OffsetRow { topic_id: None, leader_epoch: None, ..row() };
        assert_eq!(OffsetRow::decode(&bare.encode()), Ok(bare));
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = row().encode();
        for cut in 0..34 {
            let cut = bytes.get(..cut).unwrap();
            assert_eq!(OffsetRow::decode(cut), Err(OffsetRowError::Malformed));
        }
        let broken = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            OffsetRow::decode(&bytes)
        };
        assert_eq!(broken(0, 2), Err(OffsetRowError::Version(2)));
        for (at, byte) in [(1, 4), (2, 0x80), (6, 0x80), (40, 0xff)] {
            assert_eq!(broken(at, byte), Err(OffsetRowError::Malformed), "{at}");
        }
    }

    #[test]
    fn only_a_row_of_this_log_is_resumed() {
        let judge = |row: OffsetRow| OffsetRow::judge(Some(&row), &log());
        let resume = OffsetVerdict::Resume;
        let at = |offset| OffsetRow { next_offset: Offset(offset), ..row() };
        assert_eq!(judge(row()), resume(Offset(258)));
        assert_eq!(judge(at(0)), resume(Offset(0)));
        assert_eq!(judge(at(1_000)), resume(Offset(1_000)));
        let without_id = OffsetRow { topic_id: None, ..row() };
        assert_eq!(judge(without_id), resume(Offset(258)), "Kafka before 2.8");

        let wiped = |verdict: OffsetVerdict| match verdict {
            OffsetVerdict::Wipe(reason) => reason.to_string(),
            OffsetVerdict::Resume(offset) => panic!("resumed at {offset}"),
        };
        assert_eq!(wiped(OffsetRow::judge(None, &log())), "it has no offset row");
        assert_eq!(wiped(judge(at(1_001))), "its offset 1001 lies outside the log (0 to 1000)");
        let late = LogIdentity { log_start: Offset(300), ..log() };
        let verdict = OffsetRow::judge(Some(&row()), &late);
        assert!(wiped(verdict).contains("outside the log (300 to 1000)"));
        let elsewhere = OffsetRow { cluster_id: "other".into(), ..row() };
        assert_eq!(wiped(judge(elsewhere)), "it belongs to cluster other, not Some-cluster");
        let recreated = OffsetRow { topic_id: Some(TopicId(Uuid::from_u128(1))), ..row() };
        assert!(
            wiped(judge(recreated)).starts_with("it belongs to topic id AAAAAAAAAAAAAAAAAAAAAQ")
        );
        let neighbour = OffsetRow { partition: PartitionId(3), ..row() };
        assert_eq!(wiped(judge(neighbour)), "it belongs to partition 3, not 2");
    }
}
