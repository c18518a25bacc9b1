//! AddPartitionsToTxn 0 to 5: partitions take part in a transaction (KIP-98, KIP-890).
//!
//! Up to version 3 a client adds partitions to one transaction; the first begins it. From 4 on
//! brokers ask, for several transactions at once, and may only verify. An unknown partition refuses
//! all of its transaction: the others are answered `OPERATION_NOT_ATTEMPTED`. Omitted: authorisation,
//! so clients may send versions 4 and 5 too.

use std::collections::BTreeSet;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use millstream_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use millstream_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use millstream_types::{ProducerEpoch, ProducerId, TopicPartition};

use super::{Api, Call, Served};
use crate::core::state::State;
use crate::core::transaction::{Producer, TransactionVersion};

/// The first version that knows `PRODUCER_FENCED`.
const KNOWS_FENCED: i16 = 2;
/// The first version that brokers send, for several transactions at once.
const BATCHED: i16 = 4;

impl Api for AddPartitionsToTxnRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<AddPartitionsToTxnResponse> {
        if call.version < BATCHED {
            let transaction = AddPartitionsToTxnTransaction::default()
                .with_transactional_id(self.v3_and_below_transactional_id)
                .with_producer_id(self.v3_and_below_producer_id)
                .with_producer_epoch(self.v3_and_below_producer_epoch)
                .with_topics(self.v3_and_below_topics);
            let topics = serve_one(state, call, &transaction);
            let response = AddPartitionsToTxnResponse::default();
            return Served::Now(response.with_results_by_topic_v3_and_below(topics));
        }
        let results = self.transactions.iter().map(|transaction| {
            let topics = serve_one(state, call, transaction);
            result(transaction, topics)
        });
        let response = AddPartitionsToTxnResponse::default();
        Served::Now(response.with_results_by_transaction(results.collect()))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> AddPartitionsToTxnResponse {
        let response = AddPartitionsToTxnResponse::default();
        if version < BATCHED {
            let topics = answer(&self.v3_and_below_topics, |_, _| code);
            return response.with_results_by_topic_v3_and_below(topics);
        }
        response.with_error_code(code.code())
    }
}

fn result(
    transaction: &AddPartitionsToTxnTransaction,
    topics: Vec<AddPartitionsToTxnTopicResult>,
) -> AddPartitionsToTxnResult {
    AddPartitionsToTxnResult::default()
        .with_transactional_id(transaction.transactional_id.clone())
        .with_topic_results(topics)
}

/// The answer for all partitions, each with what `code` says of it.
fn answer(
    topics: &[AddPartitionsToTxnTopic],
    code: impl Fn(&m::TopicName, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topics = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code(&topic.name, *index).code())
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    topics.collect()
}

fn serve_one(
    state: &mut State,
    call: &Call,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topics = &transaction.topics;
    let exists = |name: &m::TopicName, index| {
        state.topics.get(name).is_some_and(|topic| topic.partition(index).is_some())
    };
    let named = topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|index| (&topic.name, *index))
    });
    if named.clone().any(|(name, index)| !exists(name, index)) {
        return answer(topics, |name, index| match exists(name, index) {
            true => ErrorCode::OperationNotAttempted,
            false => ErrorCode::UnknownTopicOrPartition,
        });
    }
    let partitions: BTreeSet<_> =
        named.map(|(name, index)| TopicPartition::new(name.as_str(), index)).collect();
    let id = transaction.transactional_id.as_str();
    let producer = Producer {
        id: ProducerId(transaction.producer_id.0),
        epoch: ProducerEpoch(transaction.producer_epoch),
    };
    let (node, at) = (call.node, call.moment());
    if transaction.verify_only {
        let missing = state.verify_partitions(node, id, producer, &partitions, at);
        return answer(topics, |name, index| match &missing {
            Err(code) => *code,
            Ok(missing) if missing.contains(&TopicPartition::new(name.as_str(), index)) => {
                ErrorCode::TransactionAbortable
            }
            Ok(_) => ErrorCode::None,
        });
    }
    let version = match call.version {
        BATCHED.. => TransactionVersion::V2,
        _ => TransactionVersion::V0,
    };
    let added = state.add_partitions(node, id, producer, partitions, version, at);
    let code = match added {
        Err(ErrorCode::ProducerFenced) if call.version < KNOWS_FENCED => {
            ErrorCode::InvalidProducerEpoch
        }
        added => added.err().unwrap_or(ErrorCode::None),
    };
    answer(topics, |_, _| code)
}
