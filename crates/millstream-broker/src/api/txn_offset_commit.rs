//! TxnOffsetCommit 0 to 6: offsets of a group inside a transaction (KIP-98, KIP-447, KIP-890).
//!
//! They are kept aside until the transaction ends. The group must take part in it: up to version 4
//! AddOffsetsToTxn comes first, from 5 on this request adds the group itself. Version 3 brings the
//! member, whose generation is checked; version 6 names topics by id. A refusal of the transaction
//! coordinator is told for every partition, as Kafka passes it on. Omitted: authorisation.

use std::collections::BTreeSet;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use millstream_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use millstream_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use millstream_types::{ProducerEpoch, ProducerId, TopicName};

use super::{Api, Call, Served, instance};
use crate::core::group::{CommitRequest, CommittedOffset};
use crate::core::state::State;
use crate::core::topic::TopicRef;
use crate::core::transaction::{Producer, TransactionVersion, Transactions};

/// The first version that can be told that its group is loading (KAFKA-7296).
const KNOWS_LOADING: i16 = 2;
/// The first version that takes `TRANSACTION_ABORTABLE` for an answer.
const KNOWS_ABORTABLE: i16 = 4;
/// The first version that adds the group to the transaction.
const ADDS: i16 = 5;
/// The first version that names topics by id.
const BY_ID: i16 = 6;

impl Api for TxnOffsetCommitRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<TxnOffsetCommitResponse> {
        let found = |topic: &TxnOffsetCommitRequestTopic, index| find(state, call, topic, index);
        let known = self.topics.iter().any(|topic| {
            let mut partitions = topic.partitions.iter();
            partitions.any(|wanted| found(topic, wanted.partition_index).is_ok())
        });
        let refusal = if known { check(state, call, &self).err() } else { None };
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                let kept = match (find(state, call, topic, wanted.partition_index), refusal) {
                    (Err(code), _) | (Ok(_), Some(code)) => Err(code),
                    (Ok(name), None) => commit(state, call, &self, name, wanted),
                };
                partition(wanted, kept.err().unwrap_or(ErrorCode::None), call.version)
            });
            answer(topic, partitions.collect())
        });
        Served::Now(TxnOffsetCommitResponse::default().with_topics(topics.collect()))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> TxnOffsetCommitResponse {
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            answer(topic, partitions.map(|wanted| partition(wanted, code, version)).collect())
        });
        TxnOffsetCommitResponse::default().with_topics(topics.collect())
    }
}

fn answer(
    topic: &TxnOffsetCommitRequestTopic,
    partitions: Vec<TxnOffsetCommitResponsePartition>,
) -> TxnOffsetCommitResponseTopic {
    TxnOffsetCommitResponseTopic::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
        .with_partitions(partitions)
}

fn partition(
    wanted: &TxnOffsetCommitRequestPartition,
    code: ErrorCode,
    version: i16,
) -> TxnOffsetCommitResponsePartition {
    let code = match code {
        ErrorCode::CoordinatorLoadInProgress if version < KNOWS_LOADING => {
            ErrorCode::CoordinatorNotAvailable
        }
        code => code,
    };
    TxnOffsetCommitResponsePartition::default()
        .with_partition_index(wanted.partition_index)
        .with_error_code(code.code())
}

fn producer(request: &TxnOffsetCommitRequest) -> Producer {
    Producer { id: ProducerId(request.producer_id.0), epoch: ProducerEpoch(request.producer_epoch) }
}

/// The name of the topic that is committed for, if the partition exists.
fn find(
    state: &State,
    call: &Call,
    topic: &TxnOffsetCommitRequestTopic,
    index: i32,
) -> Result<TopicName, ErrorCode> {
    let wanted = TopicRef::of(call.version >= BY_ID, topic.topic_id, &topic.name);
    let found = state.topics.find(&wanted)?;
    match found.partition(index) {
        Some(_) => Ok(found.name.clone()),
        None => Err(ErrorCode::UnknownTopicOrPartition),
    }
}

/// Whether anything may be committed: the group is here, the transaction holds it, and the member
/// is one.
fn check(
    state: &mut State,
    call: &Call,
    request: &TxnOffsetCommitRequest,
) -> Result<(), ErrorCode> {
    let group = request.group_id.as_str();
    state.check_group(call.node, group)?;
    let producer = producer(request);
    let verified = !state.transactions.has_open_offsets(group, producer);
    if verified {
        ask(state, call, request, producer)?;
    }
    let committer = CommitRequest {
        member: request.member_id.as_str().into(),
        instance: instance(request.group_instance_id.as_ref()),
        generation: request.generation_id_or_member_epoch,
    };
    let create = committer.generation < 0;
    let checked = state.with_group(group, call.now, create, |group, _| {
        group.check_transactional_commit(&committer)
    });
    checked.unwrap_or(Err(ErrorCode::IllegalGeneration))?;
    state.transactions.check_offsets(group, producer, verified)
}

/// Adds the group to the transaction, or makes sure that it was.
fn ask(
    state: &mut State,
    call: &Call,
    request: &TxnOffsetCommitRequest,
    producer: Producer,
) -> Result<(), ErrorCode> {
    let id = request.transactional_id.as_str();
    let at = call.moment();
    let partitions = BTreeSet::from([Transactions::offsets_partition(&request.group_id)]);
    let coordinator = state.transactions.placement.coordinator(id);
    let coordinator = coordinator.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let asked = if call.version >= ADDS {
        let version = TransactionVersion::V2;
        state.add_partitions(coordinator, id, producer, partitions, version, at)
    } else {
        match state.verify_partitions(coordinator, id, producer, &partitions, at) {
            Ok(missing) if missing.is_empty() => Ok(()),
            Ok(_) if call.version >= KNOWS_ABORTABLE => Err(ErrorCode::TransactionAbortable),
            Ok(_) => Err(ErrorCode::InvalidTxnState),
            Err(code) => Err(code),
        }
    };
    asked.map_err(|code| match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        code => code,
    })
}

fn commit(
    state: &mut State,
    call: &Call,
    request: &TxnOffsetCommitRequest,
    topic: TopicName,
    wanted: &TxnOffsetCommitRequestPartition,
) -> Result<(), ErrorCode> {
    let metadata = wanted.committed_metadata.as_deref().unwrap_or_default();
    if metadata.len() > state.config.groups.offset_metadata_max_bytes {
        return Err(ErrorCode::OffsetMetadataTooLarge);
    }
    let offset = CommittedOffset {
        offset: wanted.committed_offset,
        leader_epoch: wanted.committed_leader_epoch,
        metadata: metadata.to_owned(),
    };
    let (group, producer) = (request.group_id.as_str(), producer(request));
    state.transactions.offsets_written(group, producer, call.moment());
    state.with_group(group, call.now, false, |group, _| {
        group.commit_pending(producer.id, topic, wanted.partition_index, offset);
    });
    Ok(())
}
