//! A batch in the application's hands: checked, owning its bytes, read as views.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use millstream_protocol::batch::{CheckedBatch, Cursor, RecordView, Records};
use millstream_types::{
    Headers, LeaderEpoch, Offset, PartitionId, Timestamp, TimestampType, TopicName, TopicPartition,
};

use super::budget::Share;
use super::partition::{Position, Stamp};
use super::shared::ConsumerShared;

/// Records of one partition, in order, as their producer batched them.
///
/// It was checked before it was handed out: reading it cannot fail. It owns its bytes, may be kept
/// and sent to other threads, and counts against the consumer's `buffer_memory` until it is
/// dropped.
#[derive(Debug)]
pub struct Batch {
    pub(super) partition: TopicPartition,
    pub(super) stamp: Stamp,
    /// The partition's place in the order of seeks when this was handed out.
    pub(super) version: u64,
    pub(super) checked: Arc<CheckedBatch>,
    pub(super) first: Cursor,
    /// The place in the checked batch behind the last record.
    pub(super) end: u32,
    pub(super) next: Position,
    pub(super) high_watermark: Option<Offset>,
    pub(super) consumer: Weak<ConsumerShared>,
    pub(super) _share: Share,
}

impl Batch {
    /// The topic.
    #[must_use]
    pub const fn topic(&self) -> &TopicName {
        &self.partition.topic
    }

    /// The partition within the topic.
    #[must_use]
    pub const fn partition(&self) -> PartitionId {
        self.partition.partition
    }

    /// Topic and partition.
    #[must_use]
    pub const fn topic_partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The epoch of the leader that appended the records, from brokers that tell it.
    #[must_use]
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.checked.header().partition_leader_epoch
    }

    /// Who set the records' timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.checked.header().attributes.timestamp_type()
    }

    /// The ownership under which the records were fetched.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The consumer that handed it out, unless that is gone.
    #[must_use]
    pub fn consumer(&self) -> Option<Arc<ConsumerShared>> {
        self.consumer.upgrade()
    }

    /// The number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        (self.end - self.first.index()) as usize
    }

    /// Whether there is none; such batches are not handed out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of a cursor behind the last record.
    #[must_use]
    pub const fn end_index(&self) -> u32 {
        self.end
    }

    /// Where reading goes on behind this batch: what a commit of it commits.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.next.offset
    }

    /// The end of the partition's log when the batch was fetched, replicated records only.
    #[must_use]
    pub const fn high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }

    /// The records, as views into the batch. Allocates nothing.
    #[must_use]
    pub fn iter(&self) -> BatchRecords<'_> {
        BatchRecords { records: self.checked.records_from(self.first), left: self.len() }
    }

    /// The place of the first record, for [`Batch::next_record`].
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.first
    }

    /// The record at `cursor`, which moves behind it: for who keeps the batch but no borrow of it.
    /// Begin with [`Batch::cursor`].
    pub fn next_record(&self, cursor: &mut Cursor) -> Option<RecordView<'_>> {
        if cursor.index() >= self.end {
            return None;
        }
        self.checked.next_record(cursor)
    }

    /// The records with bytes of their own: copies every key and value.
    #[must_use]
    pub fn detach(&self) -> Vec<ConsumerRecord> {
        self.iter().map(|view| self.own(&view)).collect()
    }

    /// One of this batch's records with bytes of its own.
    #[must_use]
    pub fn own(&self, view: &RecordView<'_>) -> ConsumerRecord {
        ConsumerRecord {
            topic: self.partition.topic.clone(),
            partition: self.partition.partition,
            offset: view.offset,
            leader_epoch: self.leader_epoch(),
            timestamp: view.timestamp,
            key: view.key.map(Bytes::copy_from_slice),
            value: view.value.map(Bytes::copy_from_slice),
            headers: view.headers().map(|header| header.to_header()).collect(),
        }
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = RecordView<'a>;
    type IntoIter = BatchRecords<'a>;

    fn into_iter(self) -> BatchRecords<'a> {
        self.iter()
    }
}

/// The records of a [`Batch`], in order.
#[derive(Clone, Debug)]
pub struct BatchRecords<'a> {
    records: Records<'a>,
    /// A part of a batch ends before its records do.
    left: usize,
}

impl<'a> Iterator for BatchRecords<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordView<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.records.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for BatchRecords<'_> {}

/// A record with bytes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerRecord {
    /// The topic.
    pub topic: TopicName,
    /// The partition within it.
    pub partition: PartitionId,
    /// The place in the partition's log.
    pub offset: Offset,
    /// The epoch of the leader that appended it, from brokers that tell it.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Its time.
    pub timestamp: Timestamp,
    /// The key; null and empty are different values.
    pub key: Option<Bytes>,
    /// The value; null and empty are different values.
    pub value: Option<Bytes>,
    /// The headers, in order, duplicates included.
    pub headers: Headers,
}
