//! DescribeTransactions 0: where transactional ids stand, as their coordinator knows it (KIP-664).
//!
//! The partitions are those that have no marker yet. Omitted: authorisation.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use millstream_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use super::{Api, Call, Served, text, topic_name};
use crate::core::state::State;
use crate::core::transaction::Transaction;

impl Api for DescribeTransactionsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DescribeTransactionsResponse> {
        state.expire_transactions(call.moment());
        let states = self.transactional_ids.iter().map(|id| match find(state, call, id) {
            Ok(found) => described(id, found),
            Err(code) => failed(id, code),
        });
        let response = DescribeTransactionsResponse::default();
        Served::Now(response.with_transaction_states(states.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeTransactionsResponse {
        let states = self.transactional_ids.iter().map(|id| failed(id, code));
        DescribeTransactionsResponse::default().with_transaction_states(states.collect())
    }
}

fn failed(id: &m::TransactionalId, code: ErrorCode) -> TransactionState {
    TransactionState::default().with_transactional_id(id.clone()).with_error_code(code.code())
}

fn find<'a>(state: &'a State, call: &Call, id: &str) -> Result<&'a Transaction, ErrorCode> {
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    state.transactions.placement.check(call.node, id, call.now)?;
    state.transactions.get(id).ok_or(ErrorCode::TransactionalIdNotFound)
}

fn described(id: &m::TransactionalId, found: &Transaction) -> TransactionState {
    let mut topics = BTreeMap::<&str, Vec<i32>>::new();
    for partition in &found.partitions {
        topics.entry(partition.topic.as_str()).or_default().push(partition.partition.0);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        TopicData::default().with_topic(topic_name(name)).with_partitions(partitions)
    });
    TransactionState::default()
        .with_transactional_id(id.clone())
        .with_transaction_state(text(found.state.name()))
        .with_transaction_timeout_ms(found.timeout_ms)
        .with_transaction_start_time_ms(found.started.0)
        .with_producer_id(m::ProducerId(found.producer.id.0))
        .with_producer_epoch(found.producer.epoch.0)
        .with_topics(topics.collect())
}
