//! The requests of the transaction machine, one on its way at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use millstream_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use millstream_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use millstream_protocol::messages::{
    self as m, AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest,
    InitProducerIdRequest, StrBytes, TxnOffsetCommitRequest,
};
use millstream_types::{TopicId, TopicName, TopicPartition};

use super::action::Api;
use super::error::{TransactionError, TransactionOutcome};
use super::machine::{Identity, Offsets, TransactionMachine};
use super::version::{
    END_TXN_V2, TXN_OFFSET_COMMIT_BY_NAME, TXN_OFFSET_COMMIT_V2, TransactionVersion,
};
use crate::cx::Cx;
use crate::group::GroupMetadata;
use crate::outbox::{CoordinatorKind, Destination, Lane, Request, RequestBody, RequestId};
use crate::producer::ProducerMachine;

/// The first version of InitProducerId that renews an epoch (KIP-360).
const INIT_WITH_EPOCH: i16 = 3;
/// The newest version of AddPartitionsToTxn that clients use; brokers speak the later ones.
const ADD_PARTITIONS_OF_CLIENTS: i16 = 3;
/// The first version of TxnOffsetCommit that names the member (KIP-447).
const TXN_OFFSET_COMMIT_WITH_MEMBER: i16 = 3;

/// A request without an answer.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) id: RequestId,
    pub(super) call: Call,
}

/// What was asked.
#[derive(Debug)]
pub(super) enum Call {
    /// A producer id, or the next epoch of one.
    Init,
    /// These partitions into the transaction.
    AddPartitions(Vec<TopicPartition>),
    /// The group of the first offsets in line into the transaction.
    AddOffsets,
    /// The first offsets in line, as this member; the topics by their ids.
    CommitOffsets(GroupMetadata, BTreeMap<TopicId, TopicName>),
    /// The end.
    End {
        /// Commit or abort.
        commit: bool,
    },
}

impl Call {
    /// The API in the table of actions.
    pub(super) const fn api(&self) -> Api {
        match self {
            Self::Init => Api::Init,
            Self::AddPartitions(_) => Api::AddPartitions,
            Self::AddOffsets => Api::AddOffsets,
            Self::CommitOffsets(..) => Api::CommitOffsets,
            Self::End { commit: true } => Api::Commit,
            Self::End { commit: false } => Api::Abort,
        }
    }

    /// The API in words.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Init => "InitProducerId",
            Self::AddPartitions(_) => "AddPartitionsToTxn",
            Self::AddOffsets => "AddOffsetsToTxn",
            Self::CommitOffsets(..) => "TxnOffsetCommit",
            Self::End { .. } => "EndTxn",
        }
    }
}

impl InFlight {
    /// Whether it commits the transaction.
    pub(super) const fn is_commit(&self) -> bool {
        matches!(self.call, Call::End { commit: true })
    }
}

impl TransactionMachine {
    /// Whether a request may go now.
    fn may_send(&self) -> bool {
        self.in_flight.is_none() && self.not_before.is_none()
    }

    fn send(&mut self, call: Call, request: Request, cx: &mut Cx<'_>) {
        tracing::trace!(id = %self.config.transactional_id, api = call.name(), "request");
        self.in_flight = Some(InFlight { id: cx.send(request), call });
    }

    fn to_coordinator(&self, body: impl Into<RequestBody>) -> Request {
        let destination = Destination::transaction(&self.config.transactional_id);
        Request::new(destination, Lane::Coordinator(CoordinatorKind::Transaction), body)
    }

    fn transactional_id(&self) -> m::TransactionalId {
        m::TransactionalId(text(&self.config.transactional_id))
    }

    /// Asks for a producer id, or for the next epoch of the one there is.
    pub(super) fn send_init(&mut self, cx: &mut Cx<'_>) {
        if !self.may_send() {
            return;
        }
        let timeout = i32::try_from(self.config.transaction_timeout.as_millis());
        let mut body = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.transactional_id()))
            .with_transaction_timeout_ms(timeout.unwrap_or(i32::MAX))
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        if let Some(Identity { id, epoch }) = self.identity {
            body = body.with_producer_id(id.value().into()).with_producer_epoch(epoch.value());
        }
        let mut request = self.to_coordinator(body);
        if self.identity.is_some() {
            request = request.version_min(INIT_WITH_EPOCH);
        }
        self.send(Call::Init, request, cx);
    }

    /// Takes over the partitions that records are for and that the transaction does not have.
    pub(super) fn collect_partitions(&mut self, producer: &mut ProducerMachine) {
        let touched = producer.newly_touched_partitions();
        if self.version == TransactionVersion::V1 {
            self.current.partitions.extend(touched);
        }
    }

    /// Adds partitions, then offsets. Answers whether nothing is left of either and nothing is on
    /// its way.
    pub(super) fn send_next(&mut self, cx: &mut Cx<'_>) -> bool {
        let is_done = self.current.partitions.is_empty() && self.current.offsets.is_empty();
        if is_done || !self.may_send() {
            return is_done && self.in_flight.is_none();
        }
        let Some(identity) = self.identity else { return false };
        if self.current.partitions.is_empty() {
            self.send_offsets(identity, cx);
        } else {
            self.send_partitions(identity, cx);
        }
        false
    }

    fn send_partitions(&mut self, identity: Identity, cx: &mut Cx<'_>) {
        let partitions: Vec<_> = self.current.partitions.iter().cloned().collect();
        let mut topics: IndexMap<&TopicName, AddPartitionsToTxnTopic> = IndexMap::new();
        for partition in &partitions {
            let topic = topics.entry(&partition.topic).or_insert_with(|| {
                AddPartitionsToTxnTopic::default()
                    .with_name(m::TopicName(text(partition.topic.as_str())))
            });
            topic.partitions.push(partition.partition.value());
        }
        let body = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.transactional_id())
            .with_v3_and_below_producer_id(identity.id.value().into())
            .with_v3_and_below_producer_epoch(identity.epoch.value())
            .with_v3_and_below_topics(topics.into_values().collect());
        let request = self.to_coordinator(body).version_max(ADD_PARTITIONS_OF_CLIENTS);
        self.send(Call::AddPartitions(partitions), request, cx);
    }

    /// Sends the first offsets in line: with version 1 the group has to be in the transaction first.
    fn send_offsets(&mut self, identity: Identity, cx: &mut Cx<'_>) {
        let Some(offsets) = self.current.offsets.front() else { return };
        let group = match offsets.source.group() {
            Ok(group) => group,
            Err(error) => {
                // The partitions went to another member meanwhile. Nothing is in the transaction
                // that should not be, so it can go on.
                let call = offsets.call;
                self.current.offsets.pop_front();
                let result = Err(TransactionError::NotOwned(error));
                let completion = super::TransactionCompletion::OffsetsCommitted(result);
                return cx.complete(call, completion);
            }
        };
        if self.version == TransactionVersion::V1 && !offsets.is_added {
            let body = AddOffsetsToTxnRequest::default()
                .with_transactional_id(self.transactional_id())
                .with_producer_id(identity.id.value().into())
                .with_producer_epoch(identity.epoch.value())
                .with_group_id(m::GroupId(text(group.group.as_str())));
            let request = self.to_coordinator(body);
            return self.send(Call::AddOffsets, request, cx);
        }
        let (topics, ids) = offset_topics(offsets, cx);
        let (member, instance) = (group.member.as_ref(), group.instance.as_ref());
        let body = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_group_id(m::GroupId(text(group.group.as_str())))
            .with_producer_id(identity.id.value().into())
            .with_producer_epoch(identity.epoch.value())
            .with_generation_id_or_member_epoch(group.generation.value())
            .with_member_id(member.map_or_else(StrBytes::default, |id| text(id.as_str())))
            .with_group_instance_id(instance.map(|id| text(id.as_str())))
            .with_topics(topics);
        let lane = Lane::Coordinator(CoordinatorKind::Group);
        let mut request = Request::new(Destination::group(&group.group), lane, body);
        request = match self.version {
            TransactionVersion::V1 => request.version_max(TXN_OFFSET_COMMIT_V2 - 1),
            TransactionVersion::V2 => {
                let request = request.version_min(TXN_OFFSET_COMMIT_V2);
                let by_id = ids.is_some();
                if by_id { request } else { request.version_max(TXN_OFFSET_COMMIT_BY_NAME) }
            }
        };
        if member.is_some() && self.version == TransactionVersion::V1 {
            request = request.version_min(TXN_OFFSET_COMMIT_WITH_MEMBER);
        }
        let left = offsets.deadline().saturating_duration_since(cx.now);
        let request = request.timeout_max(left.max(Duration::from_millis(1)));
        self.send(Call::CommitOffsets(group, ids.unwrap_or_default()), request, cx);
    }

    /// Ends the transaction, at the coordinator too if that may know of it.
    pub(super) fn end(&mut self, commit: bool, producer: &ProducerMachine, cx: &mut Cx<'_>) {
        let outcome =
            if commit { TransactionOutcome::Committed } else { TransactionOutcome::Aborted };
        let is_implicit = self.version == TransactionVersion::V2;
        let is_started =
            self.current.is_started || is_implicit && producer.has_touched_partitions();
        if !is_started {
            return self.ended(outcome, cx);
        }
        self.start_commit_time(cx.now);
        let Some(identity) = self.identity else { return };
        if !self.may_send() {
            return;
        }
        let body = EndTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(identity.id.value().into())
            .with_producer_epoch(identity.epoch.value())
            .with_committed(commit);
        let request = self.to_coordinator(body);
        let request = if is_implicit && !self.current.is_downgraded {
            request.version_min(END_TXN_V2)
        } else {
            request.version_max(END_TXN_V2 - 1)
        };
        self.send(Call::End { commit }, request, cx);
    }
}

/// The offsets by topic, and the topics' ids if all are known (KIP-1319).
fn offset_topics(
    offsets: &Offsets,
    cx: &mut Cx<'_>,
) -> (Vec<TxnOffsetCommitRequestTopic>, Option<BTreeMap<TopicId, TopicName>>) {
    let mut topics: IndexMap<&TopicName, TxnOffsetCommitRequestTopic> = IndexMap::new();
    for (partition, offset) in offsets.source.offsets() {
        let epoch = offset.leader_epoch.map_or(-1, |epoch| epoch.value());
        let entry = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(partition.partition.value())
            .with_committed_offset(offset.offset.value())
            .with_committed_leader_epoch(epoch)
            .with_committed_metadata(Some(text(&offset.metadata)));
        let topic = topics.entry(&partition.topic).or_insert_with(|| {
            let name = m::TopicName(text(partition.topic.as_str()));
            TxnOffsetCommitRequestTopic::default().with_name(name)
        });
        topic.partitions.push(entry);
    }
    let mut ids = BTreeMap::new();
    let mut are_known = true;
    for (name, topic) in &mut topics {
        cx.metadata.request_topic(name, cx.now);
        match cx.metadata.topic(name.as_str()).map(|topic| topic.id) {
            Some(id) if id.is_known() => {
                topic.topic_id = id.0;
                ids.insert(id, (*name).clone());
            }
            _ => are_known = false,
        }
    }
    (topics.into_values().collect(), are_known.then_some(ids))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
