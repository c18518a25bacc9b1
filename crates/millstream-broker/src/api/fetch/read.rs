//! Reading partitions for a fetch: which batches, and what else is told.

use millstream_protocol::ErrorCode;
use millstream_types::{BrokerId, LeaderEpoch, Offset};

use crate::core::log::AbortedTransaction;
use crate::core::session::{FetchedPartition, FetchedPartitions, PartitionKey};
use crate::core::state::State;
use crate::core::topic::{Partition, TopicRef};

/// What a fetch found in one partition. The batches themselves stay in the log.
#[derive(Clone, Debug)]
pub(super) struct PartitionRead {
    pub(super) key: PartitionKey,
    pub(super) error: ErrorCode,
    pub(super) high_watermark: i64,
    pub(super) last_stable: i64,
    pub(super) log_start: i64,
    /// The aborted transactions among the batches, for who reads committed records.
    pub(super) aborted: Vec<AbortedTransaction>,
    /// Where the client's log and this one part.
    pub(super) diverging: Option<(LeaderEpoch, Offset)>,
    /// Who leads, when it is not this node or the client knows an old epoch.
    pub(super) leader: Option<(BrokerId, LeaderEpoch)>,
    /// Where the batches begin, how many they are and their bytes.
    pub(super) from: Offset,
    pub(super) batches: usize,
    pub(super) bytes: usize,
}

impl PartitionRead {
    pub(super) fn failed(key: PartitionKey, error: ErrorCode) -> Self {
        Self {
            key,
            error,
            high_watermark: -1,
            last_stable: -1,
            log_start: -1,
            aborted: Vec::new(),
            diverging: None,
            leader: None,
            from: Offset::ZERO,
            batches: 0,
            bytes: 0,
        }
    }

    /// Whether the client is told nothing unusual.
    pub(super) const fn is_ok(&self) -> bool {
        self.error.is_ok() && self.diverging.is_none()
    }
}

fn find<'a>(state: &'a State, topic: &TopicRef, index: i32) -> Result<&'a Partition, ErrorCode> {
    let topic = state.topics.find(topic)?;
    topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)
}

fn check_offset(partition: &Partition, fetched: &FetchedPartition) -> Result<(), ErrorCode> {
    let log = &partition.log;
    if fetched.offset < log.start().0 || fetched.offset > log.end().0 {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    Ok(())
}

/// Where the client's log and this one part, if the epoch it fetched last says so
/// (`Partition.readRecords`).
fn divergence(
    partition: &Partition,
    fetched: &FetchedPartition,
) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
    if fetched.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let asked = LeaderEpoch(fetched.last_fetched_epoch);
    let Some((epoch, end)) = partition.log.end_of_epoch(asked, partition.epoch) else {
        return Err(ErrorCode::OffsetOutOfRange);
    };
    let parts = epoch < asked || end.0 < fetched.offset;
    Ok(parts.then_some((epoch, end)))
}

/// The bytes that wait in a partition, counted up to `limit`; an error or a divergence is news that
/// should not wait.
pub(super) fn available(
    state: &State,
    node: BrokerId,
    topic: &TopicRef,
    index: i32,
    fetched: &FetchedPartition,
    committed_only: bool,
    limit: usize,
) -> Result<usize, ErrorCode> {
    let partition = find(state, topic, index)?;
    partition.check_leader(node, fetched.leader_epoch)?;
    if divergence(partition, fetched)?.is_some() {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    check_offset(partition, fetched)?;
    let limit = limit.clamp(1, fetched.max_bytes.max(1));
    let end = partition.log.readable_end(committed_only);
    let waiting = partition.log.available(Offset(fetched.offset), end, limit);
    Ok(waiting)
}

/// Reads all partitions within `max_bytes`.
pub(super) fn read(
    state: &State,
    node: BrokerId,
    partitions: &FetchedPartitions,
    committed_only: bool,
    max_bytes: usize,
) -> Vec<PartitionRead> {
    let mut left = max_bytes;
    let mut any = false;
    let mut reads = Vec::with_capacity(partitions.len());
    for (key, fetched) in partitions {
        let read = read_one(state, node, key, fetched, committed_only, left, !any);
        left = left.saturating_sub(read.bytes);
        any |= read.bytes > 0;
        reads.push(read);
    }
    reads
}

fn read_one(
    state: &State,
    node: BrokerId,
    key: &PartitionKey,
    fetched: &FetchedPartition,
    committed_only: bool,
    left: usize,
    first: bool,
) -> PartitionRead {
    let partition = match find(state, &key.0, key.1) {
        Ok(partition) => partition,
        Err(code) => return PartitionRead::failed(key.clone(), code),
    };
    let known = partition.leader.map(|leader| (leader, partition.epoch));
    if let Err(code) = partition.check_leader(node, fetched.leader_epoch) {
        let mut read = PartitionRead::failed(key.clone(), code);
        let tells = matches!(code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
        read.leader = known.filter(|_| tells);
        return read;
    }
    let log = &partition.log;
    let diverging = match divergence(partition, fetched) {
        Ok(diverging) => diverging,
        Err(code) => return PartitionRead::failed(key.clone(), code),
    };
    if diverging.is_none()
        && let Err(code) = check_offset(partition, fetched)
    {
        return PartitionRead::failed(key.clone(), code);
    }
    let mut read = PartitionRead::failed(key.clone(), ErrorCode::None);
    read.high_watermark = log.end().0;
    read.last_stable = log.last_stable().0;
    read.log_start = log.start().0;
    if diverging.is_some() {
        read.diverging = diverging;
        return read;
    }
    let limit = left.min(fetched.max_bytes);
    read.from = Offset(fetched.offset);
    let end = log.readable_end(committed_only);
    let mut last = read.from;
    for batch in log.batches_from(read.from).iter().take_while(|batch| batch.base_offset < end) {
        // KIP-74: the first batch of an answer is sent whatever its size.
        let progress = first && read.batches == 0;
        if !progress && read.bytes + batch.size() > limit {
            break;
        }
        read.bytes += batch.size();
        read.batches += 1;
        last = Offset(batch.last_offset.0 + 1);
    }
    if committed_only && read.batches > 0 {
        read.aborted = log.aborted(read.from, last);
    }
    read
}
