//! The records of one input partition that wait for processing (Java's `RecordQueue`): whole
//! batches, and the first record of them read ahead.

use std::collections::VecDeque;
use std::time::Instant;

use millstream_types::{
    Headers, LeaderEpoch, Offset, OffsetAndMetadata, Timestamp, TopicPartition,
};

use super::offset_metadata;
use super::{
    DeserializationFailure, DropReason, ErrorDecision, Now, RawRecord, RecordBatch, TaskConfig,
    TaskError, TaskMetrics,
};
use crate::operator::{Context, LoadError, SourceInput};

/// The waiting records of a partition.
pub(super) struct RecordQueue {
    pub(super) partition: TopicPartition,
    /// The typed streams that read the topic; the first one's extractor says the time.
    inputs: Vec<Box<dyn SourceInput>>,
    batches: VecDeque<Box<dyn RecordBatch>>,
    head: Option<Head>,
    /// How many records wait, the head included.
    buffered: usize,
    partition_time: Timestamp,
    /// Where the partition goes on behind everything that waits.
    position: Option<(Offset, Option<LeaderEpoch>)>,
    /// Whether anything was taken since the last commit.
    consumed: bool,
    /// How far the partition reaches beyond what was fetched, where that is known.
    pub(super) lag: Option<i64>,
    /// Until when an empty queue is waited for.
    pub(super) idle_until: Option<Instant>,
}

/// What is known of the record that is next.
struct Head {
    offset: Offset,
    timestamp: Timestamp,
    leader_epoch: Option<LeaderEpoch>,
    headers: Headers,
}

impl RecordQueue {
    pub(super) fn new(partition: TopicPartition, inputs: Vec<Box<dyn SourceInput>>) -> Self {
        Self {
            partition,
            inputs,
            batches: VecDeque::new(),
            head: None,
            buffered: 0,
            partition_time: Timestamp::NONE,
            position: None,
            consumed: false,
            lag: None,
            idle_until: None,
        }
    }

    /// Goes on where a commit stood.
    pub(super) fn set_committed(&mut self, committed: &OffsetAndMetadata) {
        let time = offset_metadata::decode(&committed.metadata);
        self.partition_time = self.partition_time.max(time);
        self.position = Some((committed.offset, committed.leader_epoch));
    }

    /// Notes that the consumer got this far. It may have gone back, after a reset.
    pub(super) fn update_position(&mut self, offset: Offset, epoch: Option<LeaderEpoch>) {
        let known = self.position.filter(|(known, _)| *known == offset);
        let epoch = epoch.or_else(|| known.and_then(|(_, epoch)| epoch));
        self.position = Some((offset, epoch));
    }

    pub(super) fn add(
        &mut self,
        batch: Box<dyn RecordBatch>,
        now: Now,
        config: &TaskConfig,
        metrics: &mut TaskMetrics,
    ) -> Result<(), TaskError> {
        self.update_position(batch.next_offset(), batch.leader_epoch());
        self.buffered += batch.remaining();
        self.batches.push_back(batch);
        self.load_head(now, config, metrics)
    }

    /// How many records wait.
    pub(super) const fn buffered(&self) -> usize {
        self.buffered
    }

    /// The time of the head.
    pub(super) fn head_timestamp(&self) -> Option<Timestamp> {
        self.head.as_ref().map(|head| head.timestamp)
    }

    /// Processes the head, to the end of every chain, and reads the next one.
    pub(super) fn process(
        &mut self,
        cx: &mut Context<'_>,
        now: Now,
        config: &TaskConfig,
    ) -> Result<Timestamp, TaskError> {
        let Some(head) = self.head.take() else {
            return Ok(Timestamp::NONE);
        };
        let context = &mut cx.task.record;
        context.timestamp = head.timestamp;
        context.offset = head.offset;
        context.partition = self.partition.partition;
        if context.topic.as_ref() != Some(&self.partition.topic) {
            context.topic = Some(self.partition.topic.clone());
        }
        context.headers = head.headers;
        self.buffered -= 1;
        self.consumed = true;
        self.partition_time = self.partition_time.max(head.timestamp);
        for input in &mut self.inputs {
            input.process(cx)?;
        }
        cx.task.metrics.processed += 1;
        self.load_head(now, config, &mut cx.task.metrics)?;
        Ok(head.timestamp)
    }

    /// Reads records until one can be the head, or none is left.
    fn load_head(
        &mut self,
        now: Now,
        config: &TaskConfig,
        metrics: &mut TaskMetrics,
    ) -> Result<(), TaskError> {
        while self.head.is_none() {
            let Some(batch) = self.batches.front_mut() else {
                break;
            };
            let leader_epoch = batch.leader_epoch();
            let Some(raw) = batch.next() else {
                self.batches.pop_front();
                continue;
            };
            let topic = self.partition.topic.as_str();
            let loaded = load(&mut self.inputs, topic, &raw, self.partition_time, now.wall);
            let reason = match loaded {
                Ok(timestamp) if timestamp.value() >= 0 => {
                    self.head = Some(Head {
                        offset: raw.offset,
                        timestamp,
                        leader_epoch,
                        headers: raw.headers,
                    });
                    break;
                }
                Ok(_) => DropReason::InvalidTimestamp,
                Err(error) => {
                    judge(&self.partition, &raw, error, config)?;
                    DropReason::Undecodable
                }
            };
            for input in &mut self.inputs {
                input.clear();
            }
            metrics.count_drop(reason);
            self.buffered -= 1;
            self.consumed = true;
        }
        if self.head.is_some() {
            self.idle_until = None;
        }
        Ok(())
    }

    /// What to commit, if anything was taken since the last commit.
    pub(super) fn offset_to_commit(&self) -> Option<OffsetAndMetadata> {
        if !self.consumed {
            return None;
        }
        let (offset, leader_epoch) = match &self.head {
            Some(head) => (head.offset, head.leader_epoch),
            None => self.position?,
        };
        Some(OffsetAndMetadata {
            offset,
            leader_epoch,
            metadata: offset_metadata::encode(self.partition_time),
        })
    }

    /// Notes that the offset to commit was committed.
    pub(super) const fn committed(&mut self) {
        self.consumed = false;
    }

    /// Whether anything was taken since the last commit.
    pub(super) const fn is_consumed(&self) -> bool {
        self.consumed
    }
}

/// Gives the record to every typed stream of its topic.
fn load(
    inputs: &mut [Box<dyn SourceInput>],
    topic: &str,
    raw: &RawRecord<'_>,
    partition_time: Timestamp,
    wall: Timestamp,
) -> Result<Timestamp, LoadError> {
    let Some((first, others)) = inputs.split_first_mut() else {
        return Ok(raw.timestamp);
    };
    let timestamp = first.load(topic, raw, partition_time, wall)?;
    for input in others {
        input.load(topic, raw, partition_time, wall)?;
        input.set_timestamp(timestamp);
    }
    Ok(timestamp)
}

/// Lets the handler decide about a record that could not be read.
fn judge(
    partition: &TopicPartition,
    raw: &RawRecord<'_>,
    error: LoadError,
    config: &TaskConfig,
) -> Result<(), TaskError> {
    let (part, error) = match error {
        LoadError::Deserialize(part, error) => (part, error),
        LoadError::Timestamp(source) => {
            return Err(TaskError::Timestamp {
                partition: partition.clone(),
                offset: raw.offset,
                source,
            });
        }
    };
    let failure = DeserializationFailure {
        partition,
        offset: raw.offset,
        part,
        key: raw.key,
        value: raw.value,
        error: &error,
    };
    match config.deserialization.decide(&failure) {
        ErrorDecision::Continue => Ok(()),
        ErrorDecision::Fail => Err(TaskError::Deserialize {
            partition: partition.clone(),
            offset: raw.offset,
            part,
            source: error,
        }),
    }
}
