//! Transactions: the coordinator, markers, what readers see, group offsets, and what goes wrong.

mod administration;
mod coordinator;
mod end;
mod idempotence;
mod init;
mod model;
mod offsets;
mod reading;
mod writing;

use millstream_broker::{ErrorCode, TransactionSnapshot};
use millstream_protocol::batch::{BatchBuilder, HeaderView};
use millstream_protocol::messages as m;
use millstream_types::{ProducerEpoch, ProducerId, Timestamp};

use crate::bench::{Bench, START, produce_request, text, topic_name};

/// A producer id and its epoch.
pub(super) type Producer = (i64, i16);

/// The last stable offset, the aborted transactions by producer and first offset, and the records by
/// offset, markers included.
pub(super) type Seen = (i64, Vec<(i64, i64)>, Vec<(i64, String)>);

/// The newest Produce that does not add its partitions to the transaction.
pub(super) const PRODUCE_V1: i16 = 11;
/// The first that does, by topic name.
pub(super) const PRODUCE_V2: i16 = 12;

pub(super) fn id(name: &str) -> m::TransactionalId {
    m::TransactionalId(text(name))
}

pub(super) fn init_request(name: &str) -> m::InitProducerIdRequest {
    m::InitProducerIdRequest::default()
        .with_transactional_id(Some(id(name)))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(m::ProducerId(-1))
        .with_producer_epoch(-1)
}

pub(super) fn batch(producer: Producer, sequence: i32, values: &[&str]) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 20);
    for (value, time) in values.iter().zip(START..) {
        let none: [HeaderView<'_>; 0] = [];
        builder.append(Timestamp(time), None, Some(value.as_bytes()), none).unwrap();
    }
    let mut batch = builder.seal();
    batch.set_producer(ProducerId(producer.0), ProducerEpoch(producer.1), sequence);
    batch.set_transactional(true);
    batch.into_bytes().into()
}

impl Bench {
    /// The node that coordinates a transactional id, as FindCoordinator says.
    pub(super) fn coordinator(&mut self, name: &str) -> i32 {
        let request = m::FindCoordinatorRequest::default()
            .with_key_type(1)
            .with_coordinator_keys(vec![text(name)]);
        let found = self.ask(1, 4, &request);
        found.coordinators[0].node_id.0
    }

    pub(super) fn try_init(
        &mut self,
        name: &str,
        expected: Producer,
    ) -> Result<Producer, ErrorCode> {
        let request = init_request(name)
            .with_producer_id(m::ProducerId(expected.0))
            .with_producer_epoch(expected.1);
        let node = self.coordinator(name);
        let answer = self.ask(node, 5, &request);
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None => Ok((answer.producer_id.0, answer.producer_epoch)),
            code => Err(code),
        }
    }

    pub(super) fn init(&mut self, name: &str) -> Producer {
        self.try_init(name, (-1, -1)).unwrap()
    }

    /// Adds a partition as clients of version 1 do.
    pub(super) fn add(
        &mut self,
        name: &str,
        producer: Producer,
        topic: &str,
        partition: i32,
    ) -> ErrorCode {
        let topic = m::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = m::AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id(name))
            .with_v3_and_below_producer_id(m::ProducerId(producer.0))
            .with_v3_and_below_producer_epoch(producer.1)
            .with_v3_and_below_topics(vec![topic]);
        let node = self.coordinator(name);
        let answer = self.ask(node, 3, &request);
        let topic = &answer.results_by_topic_v3_and_below[0];
        ErrorCode::from(topic.results_by_partition[0].partition_error_code)
    }

    /// Writes a batch in a transaction to a partition led by node 1.
    pub(super) fn write(
        &mut self,
        name: &str,
        producer: Producer,
        version: i16,
        sequence: i32,
        values: &[&str],
    ) -> (ErrorCode, i64) {
        let request = produce_request("t", 0, batch(producer, sequence, values))
            .with_transactional_id(Some(id(name)));
        let answer = self.ask(1, version, &request);
        let answer = &answer.responses[0].partition_responses[0];
        (ErrorCode::from(answer.error_code), answer.base_offset)
    }

    pub(super) fn end(
        &mut self,
        name: &str,
        producer: Producer,
        commit: bool,
        version: i16,
    ) -> Result<Producer, ErrorCode> {
        let request = m::EndTxnRequest::default()
            .with_transactional_id(id(name))
            .with_producer_id(m::ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_committed(commit);
        let node = self.coordinator(name);
        let answer = self.ask(node, version, &request);
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None => Ok((answer.producer_id.0, answer.producer_epoch)),
            code => Err(code),
        }
    }

    pub(super) fn snapshot(&self, name: &str) -> TransactionSnapshot {
        let all = self.cluster.transactions();
        all.into_iter().find(|it| it.transactional_id == name).unwrap()
    }

    pub(super) fn state(&self, name: &str) -> &'static str {
        self.snapshot(name).state
    }

    /// What a reader of committed records finds in partition 0 of `t`.
    pub(super) fn read_committed(&mut self, offset: i64) -> Seen {
        let wanted = crate::fetch::partition(0, offset);
        let request = crate::fetch::request("t", vec![wanted]).with_max_wait_ms(0);
        let answer = self.ask(1, crate::fetch::VERSION, &request.with_isolation_level(1));
        let data = &answer.responses[0].partitions[0];
        assert_eq!(data.error_code, 0);
        let aborted = data.aborted_transactions.iter().flatten();
        let aborted = aborted.map(|it| (it.producer_id.0, it.first_offset)).collect();
        (data.last_stable_offset, aborted, crate::bench::records(data.records.as_ref()))
    }

    /// Begins, writes one batch and ends a transaction by version 2; gives the producer that goes on.
    pub(super) fn transact(
        &mut self,
        name: &str,
        producer: Producer,
        values: &[&str],
        commit: bool,
    ) -> Producer {
        let (code, _) = self.write(name, producer, PRODUCE_V2, 0, values);
        assert_eq!(code, ErrorCode::None);
        self.end(name, producer, commit, 5).unwrap()
    }
}
