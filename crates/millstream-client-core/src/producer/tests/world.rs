//! A producer's two halves over a model cluster, in virtual time, step by step.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use millstream_protocol::batch::BatchHeader;
use millstream_protocol::messages::produce_response::{
    NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use millstream_protocol::messages::{InitProducerIdResponse, ProduceResponse};
use millstream_protocol::{ApiKey, ErrorCode};
use millstream_types::{Record, Timestamp, TopicId};
use uuid::Uuid;

use super::cluster::{Appended, Log};
use crate::cx::{CommandId, Completion, Event};
use crate::outbox::{
    Destination, Owner, Pending, ProducePartition, ProduceRequest, RequestBody, RequestFailure,
    RequestId,
};
use crate::producer::{
    Clock, Delivery, EnqueueError, Flush, FlushReport, ProducerCommand, ProducerCompletion,
    ProducerConfig, ProducerMachine, ProducerShared, SealJob, SealWorkers,
};
use crate::testing::{Bench, answer};

pub(super) const TOPIC: &str = "t";
pub(super) const TOPIC_ID: TopicId = TopicId(Uuid::from_u128(7));

/// A clock that stands still between steps.
#[derive(Debug)]
pub(super) struct TestClock {
    base: Instant,
    nanos: AtomicU64,
}

impl TestClock {
    /// Lets time pass.
    pub(super) fn pass(&self, by: Duration) {
        self.nanos.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        self.base + Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Timestamp {
        Timestamp((self.nanos.load(Ordering::Relaxed) / 1_000_000) as i64)
    }
}

/// Seals where it is asked to, or when the test says so.
#[derive(Debug, Default)]
pub(super) struct Workers {
    pub(super) is_slow: AtomicBool,
    jobs: Mutex<Vec<SealJob>>,
}

impl SealWorkers for Workers {
    fn submit(&self, job: SealJob) {
        if self.is_slow.load(Ordering::Relaxed) {
            self.jobs.lock().unwrap().push(job);
        } else {
            job.run();
        }
    }
}

impl Workers {
    /// Seals what waits.
    pub(super) fn run(&self) {
        let jobs = std::mem::take(&mut *self.jobs.lock().unwrap());
        jobs.into_iter().for_each(SealJob::run);
    }
}

/// A Produce request that a broker has and has not answered.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: RequestId,
    pub(super) request: ProduceRequest,
}

/// A producer over a model cluster of one topic.
pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) clock: Arc<TestClock>,
    pub(super) workers: Arc<Workers>,
    pub(super) shared: Arc<ProducerShared>,
    pub(super) machine: ProducerMachine,
    pub(super) logs: Vec<Log>,
    pub(super) brokers: i32,
    /// Requests at each broker, in order.
    pub(super) lanes: BTreeMap<i32, VecDeque<Waiting>>,
    pub(super) init_requests: VecDeque<RequestId>,
    pub(super) next_producer_id: i64,
    pub(super) topic_id: TopicId,
}

impl World {
    /// A producer whose topic is known, with its first producer id.
    pub(super) fn new(config: ProducerConfig, brokers: i32, partitions: i32) -> Self {
        let mut world = Self::unknown(config, brokers, partitions);
        world.name_topic();
        world.grant_ids();
        world.poll();
        world
    }

    /// A producer that knows nothing yet.
    pub(super) fn unknown(config: ProducerConfig, brokers: i32, partitions: i32) -> Self {
        Self::build(config, brokers, partitions, |machine| machine)
    }

    fn build(
        config: ProducerConfig,
        brokers: i32,
        partitions: i32,
        adjust: impl FnOnce(ProducerMachine) -> ProducerMachine,
    ) -> Self {
        let bench = Bench::new(Owner::Producer);
        let clock = Arc::new(TestClock { base: bench.now, nanos: AtomicU64::new(0) });
        let workers = Arc::new(Workers::default());
        let shared = ProducerShared::new(config, clock.clone(), workers.clone()).unwrap();
        let machine = adjust(ProducerMachine::new(Arc::clone(&shared)));
        let logs = (0..partitions).map(|partition| Log::new(partition % brokers + 1));
        Self {
            bench,
            clock,
            workers,
            shared,
            machine,
            logs: logs.collect(),
            brokers,
            lanes: BTreeMap::new(),
            init_requests: VecDeque::new(),
            next_producer_id: 1_000,
            topic_id: TOPIC_ID,
        }
    }

    /// A producer of transactions whose topic is known, before its first transaction.
    pub(super) fn transactional(config: ProducerConfig, brokers: i32, partitions: i32) -> Self {
        let with_transactions = |machine: ProducerMachine| machine.with_transactions("tx".into());
        let mut world = Self::build(config, brokers, partitions, with_transactions);
        world.name_topic();
        world
    }

    /// The first record names the topic.
    fn name_topic(&mut self) {
        let refused = self.shared.try_enqueue(&Record::to(TOPIC).value(b"x"));
        assert!(matches!(refused, Err(EnqueueError::TopicPending { .. })));
        self.poll();
        self.learn();
        self.poll();
    }

    /// Deletes the topic and makes it anew with this many partitions, led by the same brokers.
    pub(super) fn recreate(&mut self, partitions: i32) {
        let brokers = self.brokers;
        self.logs = (0..partitions).map(|partition| Log::new(partition % brokers + 1)).collect();
        self.topic_id = TopicId(Uuid::from_u128(self.topic_id.0.as_u128() + 1));
    }

    /// Tells the producer the metadata as it is.
    pub(super) fn learn(&mut self) {
        // Each topic has one leader epoch in the bench: the highest, so that news are taken.
        let epoch = self.logs.iter().map(|log| log.leader_epoch).max().unwrap();
        let leaders: Vec<i32> = self.logs.iter().map(|log| log.leader).collect();
        let topic = (TOPIC, self.topic_id, leaders.as_slice(), epoch);
        self.bench.learn(self.brokers, &[topic]);
    }

    /// Polls the machine, and takes what it sends.
    pub(super) fn poll(&mut self) {
        self.machine.poll(&mut self.bench.cx());
        for pending in self.bench.sent() {
            let Pending { id, destination, body, .. } = pending;
            match body {
                RequestBody::InitProducerId(_) => self.init_requests.push_back(id),
                RequestBody::Produce(request) => {
                    let Destination::Broker(broker) = destination else {
                        panic!("a produce request goes to a broker, not to {destination}");
                    };
                    let lane = self.lanes.entry(broker.value()).or_default();
                    lane.push_back(Waiting { id, request: *request });
                }
                other => panic!("unexpected {:?}", other.api_key()),
            }
        }
    }

    /// Lets time pass, and polls.
    pub(super) fn advance(&mut self, by: Duration) {
        self.bench.advance(by);
        self.clock.pass(by);
        self.poll();
    }

    /// Refuses all requests for a producer id.
    pub(super) fn refuse_ids(&mut self, code: ErrorCode) {
        while let Some(id) = self.init_requests.pop_front() {
            let refused = InitProducerIdResponse::default().with_error_code(code.code());
            self.machine.handle_response(id, Ok(answer(5, refused)), &mut self.bench.cx());
        }
        self.poll();
    }

    /// Lets time pass until a request waits at a broker.
    pub(super) fn wait_for_request(&mut self, broker: i32) -> Duration {
        let begun = self.bench.now;
        while self.waiting(broker) == 0 {
            let next = self.machine.next_timeout().expect("something is due");
            self.advance(next.saturating_duration_since(self.bench.now));
        }
        self.bench.now - begun
    }

    /// Producer epoch and first sequence number of each batch of a broker's oldest request.
    pub(super) fn sequences(&self, broker: i32) -> Vec<(i16, i32)> {
        let request = &self.lanes[&broker][0].request;
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        let header = |partition: &ProducePartition| {
            let header = BatchHeader::parse(&partition.batch).unwrap();
            (header.producer_epoch.value(), header.base_sequence)
        };
        partitions.map(header).collect()
    }

    /// The connection to a broker cannot be made: its requests fail unsent.
    pub(super) fn refuse_connection(&mut self, broker: i32) {
        while let Some(waiting) = self.lanes.get_mut(&broker).and_then(VecDeque::pop_front) {
            let failure = RequestFailure::DisconnectedUnsent {
                api: ApiKey::Produce,
                broker: broker.to_string(),
                reason: "refused".to_owned(),
            };
            self.machine.handle_response(waiting.id, Err(failure), &mut self.bench.cx());
        }
        self.poll();
    }

    /// Answers all requests for a producer id.
    pub(super) fn grant_ids(&mut self) {
        while let Some(id) = self.init_requests.pop_front() {
            let granted = InitProducerIdResponse::default()
                .with_producer_id(self.next_producer_id.into())
                .with_producer_epoch(0);
            self.next_producer_id += 1;
            let result = Ok(answer(5, granted));
            self.machine.handle_response(id, result, &mut self.bench.cx());
        }
        self.poll();
    }

    /// Accepts a record for a partition.
    pub(super) fn enqueue(&mut self, partition: i32, value: &[u8]) -> Delivery {
        let record = Record::to(TOPIC).partition(partition).value(value);
        self.shared.try_enqueue(&record).unwrap()
    }

    /// The number of requests that wait at a broker.
    pub(super) fn waiting(&self, broker: i32) -> usize {
        self.lanes.get(&broker).map_or(0, VecDeque::len)
    }

    /// The broker applies its oldest request to the logs, without answering.
    pub(super) fn apply(
        &mut self,
        broker: i32,
        mut veto: impl FnMut(i32, &Log) -> Option<ErrorCode>,
    ) -> Vec<(i32, Appended)> {
        let waiting = &self.lanes[&broker][0];
        let topic = &waiting.request.topics[0];
        let is_gone = topic.id != self.topic_id;
        let mut answers = Vec::new();
        for partition in topic.partitions.clone() {
            let number = partition.partition.value();
            let Some(log) = self.logs.get_mut(number as usize) else {
                answers.push((number, Appended::error(ErrorCode::UnknownTopicId)));
                continue;
            };
            let appended = if is_gone {
                Appended::error(ErrorCode::UnknownTopicId)
            } else if log.leader != broker {
                Appended::error(ErrorCode::NotLeaderOrFollower)
            } else {
                match veto(number, log) {
                    // These two are told of a batch that the leader has appended.
                    Some(
                        code @ (ErrorCode::RequestTimedOut
                        | ErrorCode::NotEnoughReplicasAfterAppend),
                    ) => {
                        let appended = log.append(&partition.batch);
                        if appended.code.is_ok() { Appended { code, ..appended } } else { appended }
                    }
                    Some(code) => Appended::error(code),
                    None => log.append(&partition.batch),
                }
            };
            answers.push((number, appended));
        }
        answers
    }

    /// The broker answers its oldest request.
    pub(super) fn answer(&mut self, broker: i32, answers: &[(i32, Appended)]) {
        self.answer_as(broker, answers, |partition| partition, Vec::new());
    }

    /// The broker answers its oldest request, with more to say of each partition and of nodes.
    pub(super) fn answer_as(
        &mut self,
        broker: i32,
        answers: &[(i32, Appended)],
        adjust: impl Fn(PartitionProduceResponse) -> PartitionProduceResponse,
        endpoints: Vec<NodeEndpoint>,
    ) {
        let waiting = self.lanes.get_mut(&broker).unwrap().pop_front().unwrap();
        let partitions = answers.iter().map(|(partition, appended)| {
            PartitionProduceResponse::default()
                .with_index(*partition)
                .with_error_code(appended.code.code())
                .with_base_offset(appended.base_offset)
                .with_log_append_time_ms(-1)
        });
        let partitions = partitions.map(adjust);
        let topic = TopicProduceResponse::default()
            .with_topic_id(waiting.request.topics[0].id.0)
            .with_partition_responses(partitions.collect());
        let response =
            ProduceResponse::default().with_responses(vec![topic]).with_node_endpoints(endpoints);
        let result = Ok(answer(13, response));
        self.machine.handle_response(waiting.id, result, &mut self.bench.cx());
        self.poll();
    }

    /// The broker applies and answers its oldest request.
    pub(super) fn serve(&mut self, broker: i32) {
        self.serve_unless(broker, |_, _| None);
    }

    /// The broker serves its oldest request, but for partitions that `veto` has an error for.
    pub(super) fn serve_unless(
        &mut self,
        broker: i32,
        veto: impl FnMut(i32, &Log) -> Option<ErrorCode>,
    ) {
        let answers = self.apply(broker, veto);
        self.answer(broker, &answers);
    }

    /// The connection to a broker ends; the first `applied` of its requests reached the logs.
    pub(super) fn disconnect(&mut self, broker: i32, applied: usize) {
        for at in 0..self.waiting(broker) {
            let reached = at < applied;
            if reached {
                let _lost = self.apply(broker, |_, _| None);
            }
            let lane = self.lanes.get_mut(&broker).unwrap();
            let id = lane.pop_front().unwrap().id;
            let failure = RequestFailure::Disconnected {
                api: ApiKey::Produce,
                broker: broker.to_string(),
                reason: "the test says so".to_owned(),
            };
            self.machine.handle_response(id, Err(failure), &mut self.bench.cx());
        }
        self.poll();
    }

    /// Serves everything and lets time pass until nothing is outstanding.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.learn();
            self.grant_ids();
            let busy: Vec<i32> = self
                .lanes
                .iter()
                .filter(|(_, lane)| !lane.is_empty())
                .map(|(broker, _)| *broker)
                .collect();
            for broker in &busy {
                self.serve(*broker);
            }
            if busy.is_empty() && self.shared.tallies.is_idle() {
                return;
            }
            if busy.is_empty() {
                let next = self.machine.next_timeout();
                let now = self.bench.now;
                let by = next.map(|at| at.saturating_duration_since(now));
                self.advance(by.unwrap_or(Duration::from_millis(1)));
            }
        }
        panic!("the producer does not come to rest: {:?}", self.machine);
    }

    /// Begins a flush.
    pub(super) fn flush(&mut self) -> Flush {
        let flush = Flush::new(&self.shared);
        self.poll();
        flush
    }

    /// Gives up what is not sent.
    pub(super) fn abort(&mut self) {
        let command = ProducerCommand::Abort;
        self.machine.handle_command(CommandId(2), command, &mut self.bench.cx());
        self.poll();
    }

    /// Closes, and gives the report if the machine finished at once.
    pub(super) fn close(&mut self, within: Duration) -> Option<FlushReport> {
        let deadline = self.bench.now + within;
        let command = ProducerCommand::Close { deadline };
        self.machine.handle_command(CommandId(1), command, &mut self.bench.cx());
        self.poll();
        self.closed()
    }

    /// The report of a close that has finished.
    pub(super) fn closed(&mut self) -> Option<FlushReport> {
        self.bench.events.drain(..).find_map(|event| match event {
            Event::Completed(_, Completion::Producer(ProducerCompletion::Closed(report))) => {
                Some(report)
            }
            _ => None,
        })
    }

    /// The values of a partition's log.
    pub(super) fn log(&self, partition: usize) -> Vec<&[u8]> {
        let records: &Vec<Bytes> = &self.logs[partition].records;
        records.iter().map(|value| &value[..]).collect()
    }
}

/// Polls a future once, with a waker that does nothing.
pub(super) fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(future).poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
