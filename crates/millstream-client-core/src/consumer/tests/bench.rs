//! A consumer machine under test: a log per partition, and a broker that answers as told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{BatchBuilder, BatchMut, HeaderView};
use millstream_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use millstream_protocol::messages::{FetchResponse, StrBytes};
use millstream_types::{LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};

use crate::backoff::Backoff;
use crate::consumer::{
    Batch, ConsumerConfig, ConsumerMachine, ConsumerShared, FetchError, Next, Wants,
};
use crate::outbox::{Owner, Pending, RequestBody, RequestFailure, RequestId, ResponseBody};
use crate::testing::{Bench, answer};

/// A machine, its surroundings and the application's side.
pub(super) struct Consumed {
    pub(super) bench: Bench,
    pub(super) machine: ConsumerMachine,
    pub(super) shared: Arc<ConsumerShared>,
}

pub(super) fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

impl Consumed {
    /// A machine that knows topic `t`, each of whose partitions is led as listed, at epoch 0.
    pub(super) fn new(config: ConsumerConfig, leaders: &[i32]) -> Self {
        let shared = ConsumerShared::new(config);
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let machine = ConsumerMachine::new(Arc::clone(&shared), backoff, 7);
        let mut consumed = Self { bench: Bench::new(Owner::Consumer), machine, shared };
        consumed.led_by(leaders, 0);
        consumed
    }

    pub(super) fn led_by(&mut self, leaders: &[i32], epoch: i32) {
        self.bench.learn(3, &[("t", TopicId(uuid::Uuid::from_u128(1)), leaders, epoch)]);
    }

    /// Polls the machine and gives what it sent.
    pub(super) fn sent(&mut self) -> Vec<Pending> {
        self.machine.poll(&mut self.bench.cx());
        let due = self.machine.next_timeout();
        assert!(due.is_none_or(|due| due > self.bench.now), "due again at once: a spin");
        self.bench.sent()
    }

    /// Polls the machine, which sends exactly one request.
    pub(super) fn one(&mut self) -> Pending {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    pub(super) fn answer(&mut self, id: RequestId, body: impl Into<ResponseBody>) {
        self.machine.handle_response(id, Ok(answer(0, body)), &mut self.bench.cx());
    }

    pub(super) fn fail(&mut self, id: RequestId) {
        let failure = RequestFailure::Disconnected {
            api: millstream_protocol::ApiKey::Fetch,
            broker: "broker 1".to_owned(),
            reason: "test".to_owned(),
        };
        self.machine.handle_response(id, Err(failure), &mut self.bench.cx());
    }

    /// What the application gets if it asks now.
    pub(super) fn next(&mut self, wants: Wants) -> Option<Next> {
        let now = self.bench.now;
        self.shared.enter(now).unwrap();
        let polled = self.shared.poll_next(wants, Waker::noop());
        self.shared.leave(now);
        match polled {
            Poll::Ready(next) => next,
            Poll::Pending => None,
        }
    }

    pub(super) fn batch(&mut self) -> Batch {
        match self.next(Wants::Records) {
            Some(Next::Records(batch)) => batch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn error(&mut self) -> FetchError {
        match self.next(Wants::Records) {
            Some(Next::Failed(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, millis: u64) {
        self.bench.advance(Duration::from_millis(millis));
    }
}

/// A batch of records at these offsets, each with its offset as value.
pub(super) fn batch(first: i64, count: i64) -> Vec<u8> {
    batch_of(first, count, |_| {})
}

pub(super) fn batch_of(
    first: i64,
    count: i64,
    change: impl FnOnce(&mut millstream_protocol::batch::SealedBatch),
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Vec::new(), usize::MAX);
    let none: [HeaderView<'_>; 0] = [];
    for number in first..first + count {
        let value = number.to_string();
        builder.append(Timestamp(number), None, Some(value.as_bytes()), none).unwrap();
    }
    let mut sealed = builder.seal();
    change(&mut sealed);
    sealed.finish();
    at(sealed.into_bytes(), first)
}

/// The batch as a broker has appended it at `first`, in epoch 0.
pub(super) fn at(mut bytes: Vec<u8>, first: i64) -> Vec<u8> {
    let mut appended = BatchMut::new(&mut bytes).unwrap();
    appended.set_base_offset(Offset(first));
    appended.set_partition_leader_epoch(LeaderEpoch(0));
    bytes
}

/// An answer of session 9 with one partition of `t`.
pub(super) fn fetched(partition: PartitionData) -> FetchResponse {
    let topic = FetchableTopicResponse::default()
        .with_topic(millstream_protocol::messages::TopicName(StrBytes::from_static_str("t")))
        .with_topic_id(uuid::Uuid::from_u128(1))
        .with_partitions(vec![partition]);
    FetchResponse::default().with_session_id(9).with_responses(vec![topic])
}

pub(super) fn data(partition: i32, records: Vec<u8>) -> PartitionData {
    PartitionData::default()
        .with_partition_index(partition)
        .with_high_watermark(1_000)
        .with_last_stable_offset(1_000)
        .with_log_start_offset(0)
        .with_preferred_read_replica(millstream_protocol::messages::BrokerId(-1))
        .with_records(Some(Bytes::from(records)))
}

pub(super) fn refused(partition: i32, error: ErrorCode) -> FetchResponse {
    fetched(data(partition, Vec::new()).with_error_code(error.code()))
}

pub(super) fn offsets(batch: &Batch) -> Vec<i64> {
    batch.iter().map(|record| record.offset.value()).collect()
}

/// What a fetch asks for: partitions and offsets, in order.
pub(super) fn asked(pending: &Pending) -> BTreeMap<i32, i64> {
    let RequestBody::Fetch(request) = &pending.body else { panic!("{pending:?}") };
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| (partition.partition, partition.fetch_offset)).collect()
}
