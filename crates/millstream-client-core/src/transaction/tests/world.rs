//! A transactional producer, its network and the model of Kafka behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millstream_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use millstream_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
use millstream_protocol::messages::produce_response::{
    PartitionProduceResponse, TopicProduceResponse,
};
use millstream_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use millstream_protocol::messages::{self as m, ApiVersionsResponse, StrBytes};
use millstream_protocol::negotiate::BrokerVersions;
use millstream_protocol::{ApiKey, ErrorCode, api};
use millstream_types::{BrokerId, GroupId, Offset, Record, Timestamp, TopicId, TopicPartition};
use uuid::Uuid;

use super::model::{Model, Producer};
use crate::coordinator::Coordinators;
use crate::cx::{CommandId, Completion, Cx, Event};
use crate::group::GroupMetadata;
use crate::metadata::Metadata;
use crate::outbox::{Outbox, Owner, Pending, RequestBody, RequestFailure, Response, ResponseBody};
use crate::producer::{
    Clock, Delivery, EnqueueError, ProducerConfig, ProducerMachine, ProducerShared, SealJob,
    SealWorkers,
};
use crate::testing::cluster;
use crate::transaction::{
    OffsetsSource, TransactionCommand, TransactionCompletion, TransactionConfig,
    TransactionMachine, TransactionState,
};

pub(super) const TOPIC: &str = "t";
const TOPIC_ID: TopicId = TopicId(Uuid::from_u128(7));
/// How long calls wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// More rounds than any call takes.
const ROUNDS_MAX: usize = 20_000;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Serve,
    /// The connection cannot be made.
    Unsent,
    /// The connection ends before the broker has it.
    Lost,
    /// The broker applies it; the answer is lost.
    AnswerLost,
    /// The client gives it up; the broker gets it so many requests later.
    Late(u8),
    /// The broker refuses it.
    Refuse(ErrorCode),
    /// The broker applies it, and then refuses it.
    ApplyRefuse(ErrorCode),
}

#[derive(Debug)]
struct StillClock {
    base: Instant,
    nanos: AtomicU64,
}

impl Clock for StillClock {
    fn now(&self) -> Instant {
        self.base + Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Timestamp {
        Timestamp(0)
    }
}

struct AtOnce;

impl SealWorkers for AtOnce {
    fn submit(&self, job: SealJob) {
        job.run();
    }
}

pub(super) struct World {
    pub(super) now: Instant,
    clock: Arc<StillClock>,
    pub(super) metadata: Metadata,
    coordinators: Coordinators,
    outbox: Outbox,
    events: VecDeque<Event>,
    pub(super) shared: Arc<ProducerShared>,
    pub(super) producer: ProducerMachine,
    pub(super) machine: TransactionMachine,
    pub(super) model: Model,
    /// What becomes of the next requests; then all is served.
    pub(super) fates: VecDeque<Fate>,
    /// Requests on their way that nobody waits for, and after how many others they arrive.
    late: Vec<(u8, RequestBody)>,
    /// The first request of this API is refused so.
    refused: Option<(ApiKey, ErrorCode)>,
    /// Whether the coordinator speaks version 5 of EndTxn.
    pub(super) has_end_txn_5: bool,
    /// The versions that offsets may go in, and whether all their topics are known by id.
    pub(super) offset_requests: Vec<(Option<i16>, Option<i16>, bool)>,
    /// What was sent, by name.
    pub(super) sent: Vec<ApiKey>,
    next_command: u64,
}

/// The surroundings of a call of `$owner`.
macro_rules! cx {
    ($self:ident, $owner:ident) => {
        &mut Cx::new(
            $self.now,
            Owner::$owner,
            &mut $self.metadata,
            &mut $self.coordinators,
            &mut $self.outbox,
            &mut $self.events,
        )
    };
}

impl World {
    /// A producer that is not initialised, and a topic of two partitions that it knows.
    #[expect(clippy::disallowed_methods, reason = "the start of virtual time")]
    pub(super) fn new(model: Model) -> Self {
        let now = Instant::now();
        let clock = Arc::new(StillClock { base: now, nanos: AtomicU64::new(0) });
        let config = ProducerConfig {
            delivery_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(2),
            max_block: PATIENCE,
            ..ProducerConfig::default()
        };
        let shared = ProducerShared::new(config, clock.clone(), Arc::new(AtOnce)).unwrap();
        let machine =
            TransactionMachine::new(TransactionConfig::new("billing", Duration::from_secs(60)));
        let producer = machine.hold(ProducerMachine::new(Arc::clone(&shared)));
        let mut world = Self {
            now,
            clock,
            metadata: Metadata::default(),
            coordinators: Coordinators::default(),
            outbox: Outbox::new(Duration::from_secs(2)),
            events: VecDeque::new(),
            shared,
            producer,
            machine,
            model,
            fates: VecDeque::new(),
            late: Vec::new(),
            refused: None,
            has_end_txn_5: true,
            offset_requests: Vec::new(),
            sent: Vec::new(),
            next_command: 0,
        };
        let refused = world.shared.try_enqueue(&Record::to(TOPIC).value(b"x"));
        assert!(matches!(refused, Err(EnqueueError::TopicPending { .. })));
        world.poll();
        world.metadata.apply(cluster(1, &[(TOPIC, TOPIC_ID, &[1, 1], 0)]), None);
        let level = if world.model.is_v2 { 2 } else { 1 };
        world.tell_version(level, 1);
        world.poll();
        world
    }

    /// The broker tells its versions and features.
    pub(super) fn tell_version(&mut self, level: i16, epoch: i64) {
        let keys = ApiKey::ALL.iter().map(|key| {
            let range = api::supported_versions(*key);
            ApiVersion::default()
                .with_api_key(key.code())
                .with_min_version(range.min)
                .with_max_version(range.max)
        });
        let feature = FinalizedFeatureKey::default()
            .with_name(StrBytes::from_static_str("transaction.version"))
            .with_max_version_level(level)
            .with_min_version_level(level);
        let answer = ApiVersionsResponse::default()
            .with_api_keys(keys.collect())
            .with_finalized_features(vec![feature])
            .with_finalized_features_epoch(epoch);
        self.metadata.learn_versions(BrokerId(1), Arc::new(BrokerVersions::new(&answer)));
    }

    pub(super) fn poll(&mut self) {
        self.machine.poll(&mut self.producer, cx!(self, Transaction));
        self.producer.poll(cx!(self, Producer));
        self.machine.poll(&mut self.producer, cx!(self, Transaction));
    }

    /// Posts a call.
    pub(super) fn post(&mut self, command: TransactionCommand) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.machine.handle_command(id, command, &mut self.producer, cx!(self, Transaction));
        id
    }

    /// What a call returned, if it did.
    pub(super) fn returned(&mut self, id: CommandId) -> Option<TransactionCompletion> {
        let is_its = |event: &Event| matches!(event, Event::Completed(other, _) if *other == id);
        let at = self.events.iter().position(is_its)?;
        match self.events.remove(at) {
            Some(Event::Completed(_, Completion::Transaction(completion))) => Some(completion),
            other => panic!("{other:?}"),
        }
    }

    /// Posts a call and lets the world go on until it returns.
    pub(super) fn call(&mut self, command: TransactionCommand) -> TransactionCompletion {
        let id = self.post(command);
        for _ in 0..ROUNDS_MAX {
            if let Some(completion) = self.returned(id) {
                return completion;
            }
            self.step();
        }
        panic!("no answer; the machine is {:?}, sent {:?}", self.machine, self.sent);
    }

    /// Goes on until a state is reached.
    pub(super) fn until(&mut self, state: TransactionState) {
        for _ in 0..ROUNDS_MAX {
            if self.machine.state() == state {
                return;
            }
            self.step();
        }
        panic!("never {state}; the machine is {:?}", self.machine);
    }

    /// Goes on until a request of `api` was sent.
    pub(super) fn until_sent(&mut self, api: ApiKey) {
        for _ in 0..ROUNDS_MAX {
            if self.sent.contains(&api) {
                return;
            }
            self.step();
        }
        panic!("{api} is never sent");
    }

    /// Goes on until all records have their ends.
    pub(super) fn flush(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if self.producer.is_drained() {
                return;
            }
            self.step();
        }
        panic!("records without an end");
    }

    /// The first request of `api` from now on is refused.
    pub(super) fn refuse_first(&mut self, api: ApiKey, code: ErrorCode) {
        self.refused = Some((api, code));
    }

    /// Whether the client is at its end.
    pub(super) fn is_finished(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Finished))
    }

    /// Serves one request, or lets time pass until something is due.
    pub(super) fn step(&mut self) {
        self.poll();
        match self.outbox.pop() {
            Some(pending) => self.serve(pending),
            None => {
                let timeouts = [self.machine.next_timeout(), self.producer.next_timeout()];
                // Nothing may be due: the call has returned, or never will.
                let next = timeouts.into_iter().flatten().min();
                self.advance(next.unwrap_or(self.now).saturating_duration_since(self.now));
            }
        }
        self.poll();
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.clock.nanos.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Everything that is still on its way arrives.
    pub(super) fn let_late_arrive(&mut self) {
        for (_, body) in std::mem::take(&mut self.late) {
            drop(self.apply(&body));
        }
    }

    fn serve(&mut self, pending: Pending) {
        let api = pending.body.api_key();
        self.sent.push(api);
        self.let_some_arrive();
        if let RequestBody::TxnOffsetCommit(request) = &pending.body {
            let by_id = request.topics.iter().all(|topic| !topic.topic_id.is_nil());
            let range = (pending.version_min, pending.version_max, by_id);
            self.offset_requests.push(range);
        }
        let mut fate = self.fates.pop_front().unwrap_or(Fate::Serve);
        if let Some((_, code)) = self.refused.take_if(|(refused, _)| *refused == api) {
            fate = match code {
                // Who says so has it.
                ErrorCode::DuplicateSequenceNumber if api == ApiKey::Produce => {
                    Fate::ApplyRefuse(code)
                }
                code => Fate::Refuse(code),
            };
        }
        let is_too_new = pending.version_min == Some(5) && !self.has_end_txn_5;
        if api == ApiKey::EndTxn && is_too_new {
            let (broker, reason) = ("1".to_owned(), "EndTxn 5".to_owned());
            let failure = RequestFailure::UnsupportedVersion { api, broker, reason };
            let cx = cx!(self, Transaction);
            return self.machine.handle_response(pending.id, Err(failure), &mut self.producer, cx);
        }
        let version = pending.version_max.unwrap_or_else(|| api::supported_versions(api).max);
        let broker = "1".to_owned();
        let reason = "it was lost".to_owned();
        let result = match fate {
            Fate::Serve => Ok(self.apply(&pending.body)),
            Fate::Unsent => Err(RequestFailure::DisconnectedUnsent { api, broker, reason }),
            Fate::Lost => Err(RequestFailure::Disconnected { api, broker, reason }),
            Fate::AnswerLost => {
                drop(self.apply(&pending.body));
                Err(RequestFailure::Disconnected { api, broker, reason })
            }
            Fate::Late(after) => {
                self.late.push((after, pending.body));
                self.advance(Duration::from_secs(2));
                Err(RequestFailure::TimedOut { api, broker, waited: Duration::from_secs(2) })
            }
            Fate::Refuse(code) => Ok(refusal(&pending.body, code)),
            Fate::ApplyRefuse(code) => {
                drop(self.apply(&pending.body));
                Ok(refusal(&pending.body, code))
            }
        };
        let result = result.map(|body| Response { from: Some(BrokerId(1)), version, body });
        match pending.owner {
            Owner::Transaction => self.machine.handle_response(
                pending.id,
                result,
                &mut self.producer,
                cx!(self, Transaction),
            ),
            _ => self.producer.handle_response(pending.id, result, cx!(self, Producer)),
        }
    }

    fn let_some_arrive(&mut self) {
        let mut due = Vec::new();
        self.late = std::mem::take(&mut self.late)
            .into_iter()
            .filter_map(|(after, body)| match after.checked_sub(1) {
                Some(after) => Some((after, body)),
                None => {
                    due.push(body);
                    None
                }
            })
            .collect();
        for body in due {
            drop(self.apply(&body));
        }
    }

    /// The broker does what it is asked.
    fn apply(&mut self, body: &RequestBody) -> ResponseBody {
        let model = &mut self.model;
        match body {
            RequestBody::InitProducerId(request) => {
                let asked = (request.producer_id.0 >= 0)
                    .then_some((request.producer_id.0, request.producer_epoch));
                let answer = m::InitProducerIdResponse::default();
                match model.init(asked) {
                    Ok((id, epoch)) => {
                        answer.with_producer_id(id.into()).with_producer_epoch(epoch).into()
                    }
                    Err(code) => answer.with_error_code(code.code()).into(),
                }
            }
            RequestBody::AddPartitionsToTxn(request) => {
                let producer: Producer =
                    (request.v3_and_below_producer_id.0, request.v3_and_below_producer_epoch);
                let topics = request.v3_and_below_topics.iter();
                let partitions: Vec<i32> =
                    topics.flat_map(|topic| topic.partitions.iter().copied()).collect();
                let code = code_of(model.add_partitions(producer, &partitions));
                refusal(body, code)
            }
            RequestBody::AddOffsetsToTxn(request) => {
                let producer = (request.producer_id.0, request.producer_epoch);
                refusal(body, code_of(model.add_offsets(producer)))
            }
            RequestBody::TxnOffsetCommit(request) => {
                let producer = (request.producer_id.0, request.producer_epoch);
                let offset = request.topics[0].partitions[0].committed_offset;
                refusal(body, code_of(model.commit_offsets(producer, offset)))
            }
            RequestBody::EndTxn(request) => {
                let producer = (request.producer_id.0, request.producer_epoch);
                let answer = m::EndTxnResponse::default();
                match model.end_txn(producer, request.committed) {
                    Ok((id, epoch)) => {
                        answer.with_producer_id(id.into()).with_producer_epoch(epoch).into()
                    }
                    Err(code) => answer.with_error_code(code.code()).into(),
                }
            }
            RequestBody::Produce(request) => {
                assert!(request.transactional_id.is_some(), "outside of a transaction");
                let topics = request.topics.iter().map(|topic| {
                    let partitions = topic.partitions.iter().map(|partition| {
                        let number = partition.partition.value();
                        let code = code_of(model.produce(number, partition.batch.clone()));
                        produced(number, code)
                    });
                    TopicProduceResponse::default()
                        .with_topic_id(topic.id.0)
                        .with_name(m::TopicName(StrBytes::from_static_str(TOPIC)))
                        .with_partition_responses(partitions.collect())
                });
                let topics = topics.collect();
                m::ProduceResponse::default().with_responses(topics).into()
            }
            other => panic!("unexpected {:?}", other.api_key()),
        }
    }
}

/// What the application does.
impl World {
    pub(super) fn initialize(&mut self) -> TransactionCompletion {
        self.call(TransactionCommand::Initialize { timeout: PATIENCE })
    }

    pub(super) fn begin(&mut self) -> TransactionCompletion {
        self.call(TransactionCommand::Begin { timeout: PATIENCE })
    }

    pub(super) fn commit(&mut self) -> TransactionCompletion {
        self.call(TransactionCommand::Commit { timeout: PATIENCE })
    }

    pub(super) fn abort(&mut self) -> TransactionCompletion {
        self.call(TransactionCommand::Abort { timeout: PATIENCE })
    }

    pub(super) fn enqueue(&self, partition: i32, value: &str) -> Result<Delivery, EnqueueError> {
        self.shared.try_enqueue(&Record::to(TOPIC).partition(partition).value(value))
    }

    pub(super) fn offsets(&self, offset: i64) -> TransactionCommand {
        self.offsets_of("input", offset)
    }

    pub(super) fn offsets_of(&self, topic: &str, offset: i64) -> TransactionCommand {
        let offsets = vec![(TopicPartition::new(topic, 0), Offset(offset).into())];
        let group = GroupMetadata::of_group(GroupId::from("group"));
        let offsets = OffsetsSource::Given { group, offsets };
        TransactionCommand::CommitOffsets { offsets, timeout: PATIENCE }
    }
}

fn code_of(result: Result<(), ErrorCode>) -> ErrorCode {
    result.err().unwrap_or(ErrorCode::None)
}

fn produced(partition: i32, code: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(partition)
        .with_error_code(code.code())
        .with_base_offset(if code.is_ok() { 0 } else { -1 })
        .with_log_append_time_ms(-1)
}

/// An answer of this code, for each part of the request.
pub(super) fn refusal(body: &RequestBody, code: ErrorCode) -> ResponseBody {
    let code = code.code();
    match body {
        RequestBody::InitProducerId(_) => {
            m::InitProducerIdResponse::default().with_error_code(code).into()
        }
        RequestBody::AddPartitionsToTxn(request) => {
            let topics = request.v3_and_below_topics.iter().map(|topic| {
                let results = topic.partitions.iter().map(|partition| {
                    AddPartitionsToTxnPartitionResult::default()
                        .with_partition_index(*partition)
                        .with_partition_error_code(code)
                });
                AddPartitionsToTxnTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_results_by_partition(results.collect())
            });
            m::AddPartitionsToTxnResponse::default()
                .with_results_by_topic_v3_and_below(topics.collect())
                .into()
        }
        RequestBody::AddOffsetsToTxn(_) => {
            m::AddOffsetsToTxnResponse::default().with_error_code(code).into()
        }
        RequestBody::TxnOffsetCommit(request) => {
            let topics = request.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    TxnOffsetCommitResponsePartition::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(code)
                });
                TxnOffsetCommitResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_topic_id(topic.topic_id)
                    .with_partitions(partitions.collect())
            });
            m::TxnOffsetCommitResponse::default().with_topics(topics.collect()).into()
        }
        RequestBody::EndTxn(_) => m::EndTxnResponse::default().with_error_code(code).into(),
        RequestBody::Produce(request) => {
            let topics = request.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter();
                let partitions = partitions
                    .map(|partition| produced(partition.partition.value(), ErrorCode::from(code)));
                TopicProduceResponse::default()
                    .with_topic_id(topic.id.0)
                    .with_name(m::TopicName(StrBytes::from_static_str(TOPIC)))
                    .with_partition_responses(partitions.collect())
            });
            m::ProduceResponse::default().with_responses(topics.collect()).into()
        }
        other => panic!("unexpected {:?}", other.api_key()),
    }
}
