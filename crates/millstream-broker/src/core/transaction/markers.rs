//! The ends of transactions, written into the partitions that took part
//! (`TransactionMarkerChannelManager.scala`, `KafkaApis.handleWriteTxnMarkersRequest`).
//!
//! A partition without a leader gets its marker when it has one again; a partition that was deleted
//! is left out. A marker that its partition refuses for its epoch is left out too, where Kafka would
//! leave the transaction in its prepared state.

use std::collections::BTreeSet;

use millstream_protocol::ErrorCode;
use millstream_types::{Offset, TopicPartition};

use super::{Moment, OFFSETS_TOPIC, Producer, Transactions};
use crate::core::placement::slot_of;
use crate::core::producers::Marker;
use crate::core::state::State;

impl State {
    /// Writes the markers of a transaction that is being ended; when all are, it is complete.
    pub(super) fn write_markers(&mut self, id: &str, at: Moment) {
        let coordinator_epoch = self.transactions.placement.epoch(id);
        if self.transactions.placement.coordinator(id).is_none() {
            return;
        }
        let found = self.transactions.by_id.get(id);
        let Some(found) = found.filter(|found| found.state.is_prepared()) else {
            return;
        };
        let marker = Marker {
            producer_id: found.producer.id,
            epoch: found.producer.epoch,
            coordinator_epoch,
            commit: found.state == super::TransactionState::PrepareCommit,
            raised: found.version.raises_epoch(),
        };
        let partitions = found.partitions.clone();
        self.disarm_transaction(id);
        let left: BTreeSet<TopicPartition> = partitions
            .into_iter()
            .filter(|partition| {
                let written = self.write_marker(partition, marker, at);
                written == Err(ErrorCode::NotLeaderOrFollower)
            })
            .collect();
        let Some(found) = self.transactions.by_id.get_mut(id) else {
            return;
        };
        found.partitions = left;
        if found.partitions.is_empty() {
            found.complete(at.wall);
        }
    }

    /// Writes the end of a transaction into one partition.
    ///
    /// # Errors
    /// The partition is gone or has no leader, or refuses the marker for its epoch.
    pub(crate) fn write_marker(
        &mut self,
        partition: &TopicPartition,
        marker: Marker,
        at: Moment,
    ) -> Result<(), ErrorCode> {
        if partition.topic.as_str() == OFFSETS_TOPIC {
            return self.end_offsets(partition.partition.0, marker, at);
        }
        let Self { topics, woken, config, .. } = self;
        let found = topics.topic_mut(partition.topic.as_str());
        let found = found.and_then(|topic| topic.partition_mut(partition.partition.0));
        let found = found.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if found.leader.is_none() {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if config.discard {
            found.log.skip(1);
        } else {
            found.log.append_marker(marker, found.epoch, at.wall)?;
        }
        woken.extend(found.waiting.drain(..));
        Ok(())
    }

    /// Ends a transaction in a partition of the groups' offsets: what it committed counts, or is
    /// forgotten.
    fn end_offsets(&mut self, slot: i32, marker: Marker, at: Moment) -> Result<(), ErrorCode> {
        let slot = u32::try_from(slot).map_err(|_| ErrorCode::UnknownTopicOrPartition)?;
        let producers = self.transactions.offsets.entry(slot).or_default();
        producers.check_marker(&marker)?;
        producers.ended(&marker, at.wall);
        for (id, group) in &mut self.groups {
            if slot_of(id.as_str()) == slot {
                group.end_transaction(marker.producer_id, marker.commit);
            }
        }
        Ok(())
    }
}

impl Transactions {
    /// Whether a producer may write offsets of a group now.
    ///
    /// # Errors
    /// Its epoch is old, or it has no transaction with this group.
    pub(crate) fn check_offsets(
        &self,
        group: &str,
        producer: Producer,
        verified: bool,
    ) -> Result<(), ErrorCode> {
        match self.offsets.get(&slot_of(group)) {
            Some(producers) => producers.check_offsets(producer.id, producer.epoch, verified),
            None if verified => Ok(()),
            None => Err(ErrorCode::InvalidTxnState),
        }
    }

    /// Whether a producer has written offsets in the slot of this group since its last marker.
    pub(crate) fn has_open_offsets(&self, group: &str, producer: Producer) -> bool {
        let producers = self.offsets.get(&slot_of(group));
        producers.is_some_and(|producers| producers.has_open(producer.id, producer.epoch))
    }

    /// Takes note that a producer wrote offsets of a group.
    pub(crate) fn offsets_written(&mut self, group: &str, producer: Producer, at: Moment) {
        let producers = self.offsets.entry(slot_of(group)).or_default();
        // There is no log of offsets, so only the order matters, and that is the order of ids.
        let position = Offset(0);
        producers.offsets_written(producer.id, producer.epoch, position, at.wall);
    }

    /// The partition of `__consumer_offsets` that holds a group's offsets.
    pub(crate) fn offsets_partition(group: &str) -> TopicPartition {
        TopicPartition::new(OFFSETS_TOPIC, i32::try_from(slot_of(group)).unwrap_or(0))
    }
}
