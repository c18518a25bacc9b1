//! Looks into the cluster past all clients and the network: what is in the logs, what is committed.
//!
//! Requests go straight into the broker's core, so only a healed cluster without faults answers.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use millstream_broker::{ErrorCode, Output};
use millstream_protocol::batch::{CheckedBatch, ControlRecord, RawBatches};
use millstream_protocol::codec;
use millstream_protocol::compression::Decompressor;
use millstream_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use millstream_protocol::messages::{
    FetchRequest, GroupId, OffsetFetchRequest, Request, StrBytes, TopicName,
};
use millstream_types::{BrokerId, PartitionId, ProducerEpoch, ProducerId, TopicPartition};

use super::check::Logged;
use super::world::World;

/// A version of Fetch that names topics and needs no session.
const FETCH_VERSION: i16 = 11;

/// A version of OffsetFetch for one group.
const OFFSET_FETCH_VERSION: i16 = 5;

/// The largest batch that is ever written here.
const BATCH_MAX: usize = 64 * 1024 * 1024;

impl World {
    /// Asks a node directly. `None` if it is dead or does not answer at once.
    fn ask<R: Request>(
        &mut self,
        node: BrokerId,
        version: i16,
        request: &R,
    ) -> Option<R::Response> {
        let now = self.now();
        let connection = self.cluster.connect(node);
        let mut frame = BytesMut::new();
        if let Err(error) =
            codec::encode_request(version, 1, Some("inspector"), request, &mut frame)
        {
            panic!("{error}");
        }
        self.cluster.handle_frame(connection, now, frame.split_off(4).freeze());
        let mut answer = None;
        while let Some((id, output)) = self.cluster.poll_output() {
            if id == connection {
                if let Output::Frame(frame) = output {
                    answer = Some(frame.into_bytes().slice(4..));
                }
            } else {
                self.put_out(id, output);
            }
        }
        self.cluster.disconnect(connection);
        match codec::decode_response::<R>(version, answer?) {
            Ok(response) => Some(response),
            Err(error) => panic!("{error}"),
        }
    }

    /// All records of a partition, in the order of the log.
    pub fn read_log(&mut self, partition: &TopicPartition) -> Vec<Logged> {
        let mut log = Vec::new();
        loop {
            let from = log.last().map_or(0, |last: &Logged| last.offset + 1);
            let records = self.fetch(partition, from);
            let before = log.len();
            let batches = check_batches(records);
            let records = batches.iter().flat_map(logged);
            log.extend(records.filter(|record| record.offset >= from));
            if log.len() == before {
                return log;
            }
        }
    }

    /// What readers of committed records find in a partition.
    pub fn read_committed_log(&mut self, partition: &TopicPartition) -> CommittedLog {
        let mut log = CommittedLog::default();
        let mut open: BTreeMap<ProducerId, Vec<Logged>> = BTreeMap::new();
        let mut next = 0;
        loop {
            let from = next;
            for batch in check_batches(self.fetch(partition, from)) {
                next = batch.next_offset().value();
                let producer = batch.header().producer_id;
                match batch.control_record() {
                    Some(ControlRecord::Commit { .. }) => {
                        log.records.extend(open.remove(&producer).unwrap_or_default());
                    }
                    Some(_) => drop(open.remove(&producer)),
                    None if batch.header().attributes.is_transactional() => {
                        let epoch = batch.header().producer_epoch;
                        log.epochs.extend(logged(&batch).map(|record| (record.value, epoch)));
                        open.entry(producer).or_default().extend(logged(&batch));
                    }
                    None => log.records.extend(logged(&batch)),
                }
            }
            if next == from {
                log.records.sort_by_key(|record| record.offset);
                log.undecided = open.values().map(Vec::len).sum();
                return log;
            }
        }
    }

    fn fetch(&mut self, partition: &TopicPartition, from: i64) -> Bytes {
        let wanted = FetchPartition::default()
            .with_partition(partition.partition.value())
            .with_fetch_offset(from)
            .with_current_leader_epoch(-1)
            .with_partition_max_bytes(i32::MAX);
        let topic = FetchTopic::default().with_topic(topic_name(partition));
        let request = FetchRequest::default()
            .with_max_bytes(i32::MAX)
            .with_session_epoch(-1)
            .with_topics(vec![topic.with_partitions(vec![wanted])]);
        for node in self.cluster.nodes() {
            let Some(answer) = self.ask(node, FETCH_VERSION, &request) else { continue };
            let mut parts = answer.responses.into_iter().flat_map(|topic| topic.partitions);
            if let Some(part) = parts.next()
                && part.error_code == ErrorCode::None.code()
            {
                return part.records.unwrap_or_default();
            }
        }
        panic!("no node leads {partition}\n{}", self.trace.tail(40));
    }

    /// What a group has committed.
    pub fn committed(&mut self, group: &str) -> BTreeMap<TopicPartition, i64> {
        let group = GroupId(StrBytes::from_string(group.to_owned()));
        let request = OffsetFetchRequest::default().with_group_id(group).with_topics(None);
        for node in self.cluster.nodes() {
            let Some(answer) = self.ask(node, OFFSET_FETCH_VERSION, &request) else { continue };
            if answer.error_code != ErrorCode::None.code() {
                continue;
            }
            let topics = answer.topics.into_iter();
            let offsets = topics.flat_map(|topic| {
                let name = topic.name.to_string();
                topic.partitions.into_iter().map(move |part| {
                    let partition = PartitionId(part.partition_index);
                    (TopicPartition::new(name.as_str(), partition), part.committed_offset)
                })
            });
            return offsets.filter(|(_, offset)| *offset >= 0).collect();
        }
        panic!("no node coordinates the group\n{}", self.trace.tail(40));
    }
}

fn topic_name(partition: &TopicPartition) -> TopicName {
    TopicName(StrBytes::from_string(partition.topic.as_str().to_owned()))
}

/// A partition as readers of committed records find it.
#[derive(Debug, Default)]
pub struct CommittedLog {
    /// Its records, in order.
    pub records: Vec<Logged>,
    /// The epoch in which each record of a transaction was written, aborted ones too.
    pub epochs: BTreeMap<u64, ProducerEpoch>,
    /// How many records belong to transactions that are not over.
    pub undecided: usize,
}

/// The batches of a fetch answer.
fn check_batches(records: Bytes) -> Vec<CheckedBatch> {
    let mut decompressor = Decompressor::new(BATCH_MAX);
    let check = |raw| match raw {
        Ok(raw) => match CheckedBatch::check(raw, &mut decompressor) {
            Ok(checked) => checked,
            Err(error) => panic!("the log is damaged: {}", error.error),
        },
        Err(error) => panic!("the log is damaged: {error}"),
    };
    RawBatches::new(records).map(check).collect()
}

/// The records of a batch.
fn logged(batch: &CheckedBatch) -> impl Iterator<Item = Logged> {
    batch.records().map(|record| Logged {
        offset: record.offset.value(),
        value: number(record.value).unwrap_or(u64::MAX),
    })
}

/// The number that a value of the workloads begins with.
#[must_use]
pub fn number(value: Option<&[u8]>) -> Option<u64> {
    let head = value?.get(..8)?;
    head.try_into().ok().map(u64::from_be_bytes)
}
