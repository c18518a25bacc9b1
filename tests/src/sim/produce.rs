//! Workload: producers with random settings while everything goes wrong.
//!
//! Each accepted record must end exactly once and truly: written ones are in the log once and in
//! order, others not. After the last fault everything ends in time, and producing works again.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use millstream_client_core::backoff::{Backoff, Rng};
use millstream_client_core::outbox::Acks;
use millstream_client_core::producer::{
    Delivery, DeliveryError, Flush, FlushReport, ProducerCommand, ProducerCompletion,
    ProducerConfig, ProducerMachine, ProducerShared,
};
use millstream_client_core::{Completion, Engine, Event};
use millstream_protocol::compression::Compression;
use millstream_types::{PartitionId, Record, TopicPartition};

use super::check::{self, Lane, Promise, Sent, Violation, check_writes};
use super::client::ClientId;
use super::nemesis::{Nemesis, PRODUCING};
use super::net::{NetProfile, below, happens, one_of};
use super::plant::Plant;
use super::run::Outcome;
use super::world::{Script, World};

/// The timer of the nemesis; producers have their own numbers.
const NEMESIS: u64 = 1_000;

/// How many records a producer accepts while things go wrong.
const ACCEPTED_MAX: usize = 600;

/// When a healed world's metadata must be known: a request's timeout, a connection, some retries.
const METADATA_LIMIT: Duration = Duration::from_secs(12);

/// How a run of producers is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// What the producers promise.
    pub promise: Promise,
    /// What they are judged by: their promise, unless the judge is to be tested.
    pub judged_by: Promise,
    /// A defect to plant.
    pub plant: Plant,
    /// How long producers produce while things go wrong.
    pub chaos: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            promise: Promise::Idempotent,
            judged_by: Promise::Idempotent,
            plant: Plant::Nothing,
            chaos: Duration::from_secs(20),
        }
    }
}

/// One accepted record.
struct Accepted {
    value: u64,
    delivery: Delivery,
    /// The first end that was seen.
    end: Option<check::Outcome>,
}

/// One producer and its application.
pub struct Producing {
    client: ClientId,
    shared: Arc<ProducerShared>,
    rng: Rng,
    /// Accepted records by partition, in order.
    lanes: BTreeMap<TopicPartition, Vec<Accepted>>,
    accepted: usize,
    flushes: Vec<Pin<Box<Flush>>>,
    /// What flushes and the closing reported.
    reported: [u64; 3],
    is_closed: bool,
    next_value: u64,
    /// How long to pause between bursts, at most.
    pace: Duration,
    burst_max: u64,
    size_max: usize,
    /// The longest that a record may take.
    timeout: Duration,
}

impl Producing {
    /// Starts the `number`th producer of a world.
    pub fn start(world: &mut World, number: u64, promise: Promise) -> Self {
        let mut rng = world.fork_rng();
        let config = draw_config(&mut rng, promise);
        let timeout = config.delivery_timeout;
        let parts = world.parts();
        let shared = ProducerShared::new(config, parts.clock.clone(), parts.workers.clone());
        let shared = shared.unwrap_or_else(|error| panic!("{error}"));
        shared.set_driver_waker(parts.waker());
        let engine_config = world.engine_config(&format!("producer-{number}"));
        let machine = ProducerMachine::new(Arc::clone(&shared));
        let client = world.add_client(Engine::new(&engine_config, Some(machine), None), parts);
        let pace = Duration::from_millis(one_of(&mut rng, &[20, 100, 500]));
        Self {
            client,
            shared,
            lanes: BTreeMap::new(),
            accepted: 0,
            flushes: Vec::new(),
            reported: [0; 3],
            is_closed: false,
            next_value: number << 32,
            pace,
            burst_max: 1 + rng.below(8),
            size_max: one_of(&mut rng, &[1, 40, 400]),
            rng,
            timeout,
        }
    }

    /// One turn of the application; answers how long it pauses then.
    pub fn turn(&mut self, topics: &[(&str, i32)]) -> Duration {
        self.look();
        if self.accepted < ACCEPTED_MAX {
            self.burst(topics);
        }
        Duration::from_micros(self.rng.below(1 + self.pace.as_micros() as u64))
    }

    /// The longest that a record may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The application hands over some records, and now and then flushes.
    fn burst(&mut self, topics: &[(&str, i32)]) {
        for _ in 0..=self.rng.below(self.burst_max) {
            let (topic, partitions) = topics[below(&mut self.rng, topics.len())];
            self.enqueue(topic, partitions);
        }
        if happens(&mut self.rng, 20_000) {
            self.flushes.push(Box::pin(Flush::new(&self.shared)));
        }
    }

    fn enqueue(&mut self, topic: &str, partitions: i32) {
        let value = self.next_value;
        let mut bytes = value.to_be_bytes().to_vec();
        bytes.resize(8 + below(&mut self.rng, self.size_max), b'x');
        let key = [self.rng.below(250) as u8];
        let record = Record::to(topic).value(&bytes);
        let record = match self.rng.below(3) {
            0 => record.partition(PartitionId(self.rng.below(partitions as u64) as i32)),
            1 => record.key(&key),
            _ => record,
        };
        // A full buffer or an unknown topic: the application drops the record.
        if let Ok(delivery) = self.shared.try_enqueue(&record) {
            self.next_value += 1;
            self.accepted += 1;
            let partition = TopicPartition::new(topic, delivery.partition());
            let accepted = Accepted { value, delivery, end: None };
            self.lanes.entry(partition).or_default().push(accepted);
        }
    }

    /// Looks at all records and flushes; answers how many have no end yet.
    pub fn look(&mut self) -> usize {
        let mut pending = 0;
        for accepted in self.lanes.values_mut().flatten() {
            // An end is looked at again after closing: it stays what it was.
            if accepted.end.is_some() && !self.is_closed {
                continue;
            }
            let end = accepted.delivery.peek().map(|end| match end {
                Ok(receipt) => check::Outcome::Written(receipt.offset.map(|offset| offset.value())),
                Err(DeliveryError::NotWritten(_)) => check::Outcome::NotWritten,
                Err(_) => check::Outcome::Unknown,
            });
            assert!(
                accepted.end.is_none() || accepted.end == end,
                "{} ended twice",
                accepted.value
            );
            accepted.end = end;
            pending += usize::from(end.is_none());
        }
        let waker = Waker::noop();
        let mut reported = self.reported;
        self.flushes.retain_mut(|flush| {
            match flush.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Ready(report) => {
                    add(&mut reported, &report);
                    false
                }
                Poll::Pending => true,
            }
        });
        self.reported = reported;
        pending
    }

    /// Takes what the engine says.
    pub fn event(&mut self, event: Event) {
        if let Event::Completed(_, Completion::Producer(ProducerCompletion::Closed(report))) = event
        {
            add(&mut self.reported, &report);
            self.is_closed = true;
        }
    }

    /// The history, for the judges.
    #[must_use]
    pub fn lanes(&self) -> Vec<Lane> {
        let lane = |accepted: &Vec<Accepted>| {
            let sent = |one: &Accepted| Sent { value: one.value, outcome: one.end };
            accepted.iter().map(sent).collect()
        };
        self.lanes.iter().map(|(partition, accepted)| (partition.clone(), lane(accepted))).collect()
    }

    /// The ends of all records, as their deliveries told.
    fn counted(&self) -> [u64; 3] {
        let mut counted = [0; 3];
        for end in self.lanes.values().flatten().filter_map(|accepted| accepted.end) {
            counted[match end {
                check::Outcome::Written(_) => 0,
                check::Outcome::NotWritten => 1,
                check::Outcome::Unknown => 2,
            }] += 1;
        }
        counted
    }

    /// Counts the ends of records for the table of what happened.
    pub fn count_seen(&self, world: &mut World) {
        let [written, not_written, unknown] = self.counted();
        world.count_seen("written records", written);
        world.count_seen("records not written", not_written);
        world.count_seen("records of unknown end", unknown);
    }

    /// Every record is counted by one report, and by one only.
    fn check_counts(&self) -> Option<Violation> {
        let counted = self.counted();
        (counted != self.reported).then_some(Violation::Miscounted(self.reported, counted))
    }
}

fn add(counts: &mut [u64; 3], report: &FlushReport) {
    for (count, more) in counts.iter_mut().zip([report.written, report.not_written, report.unknown])
    {
        *count += more;
    }
}

pub(super) fn draw_config(rng: &mut Rng, promise: Promise) -> ProducerConfig {
    let millis = Duration::from_millis;
    let is_idempotent = promise == Promise::Idempotent;
    let request_timeout = millis(500 + rng.below(4_000));
    ProducerConfig {
        acks: Acks::All,
        idempotence: is_idempotent,
        linger: millis(one_of(rng, &[0, 5, 50, 500])),
        batch_size: one_of(rng, &[150, 1_000, 16 * 1024]),
        compression: one_of(
            rng,
            &[
                Compression::None,
                Compression::Lz4,
                Compression::Snappy,
                Compression::Gzip,
                Compression::Zstd,
            ],
        ),
        buffer_memory: one_of(rng, &[64 * 1024, 1024 * 1024]),
        request_timeout,
        delivery_timeout: request_timeout + millis(600 + rng.below(20_000)),
        max_in_flight: 1 + below(rng, 5),
        retry_backoff: Backoff::new(millis(1 + rng.below(100)), millis(1_000)),
        ignore_keys: happens(rng, 200_000),
        adaptive_partitioning: happens(rng, 500_000),
        seed: rng.next(),
        ..ProducerConfig::default()
    }
}

/// A run of producers.
struct Run {
    producers: Vec<Producing>,
    nemesis: Nemesis,
    topics: Vec<(&'static str, i32)>,
    is_over: bool,
}

impl Script for Run {
    fn timer(&mut self, world: &mut World, timer: u64) {
        if self.is_over {
            return;
        }
        if timer == NEMESIS {
            self.nemesis.strike(world);
            if let Some(wait) = self.nemesis.draw_wait() {
                world.set_timer(wait, NEMESIS);
            }
            return;
        }
        let wait = self.producers[timer as usize].turn(&self.topics);
        world.set_timer(wait, timer);
    }

    fn event(&mut self, _world: &mut World, client: ClientId, event: Event) {
        let producer = self.producers.iter_mut().find(|producer| producer.client == client);
        if let Some(producer) = producer {
            producer.event(event);
        }
    }
}

/// One seed of producers under faults.
#[must_use]
pub fn run(seed: u64, setup: Setup) -> Outcome {
    let mut rng = Rng::new(seed ^ 0x5eed);
    let profile = NetProfile::drawn(&mut rng);
    let mut world = World::new(seed, 1 + below(&mut rng, 3) as i32, profile);
    world.plant = setup.plant;
    let topics: Vec<_> = ["one", "two"][..=below(&mut rng, 2)]
        .iter()
        .map(|name| (*name, 1 + below(&mut rng, 4) as i32))
        .collect();
    for (name, partitions) in &topics {
        world.create_topic(name, *partitions);
    }
    let all = partitions(&topics);
    let nemesis = Nemesis::new(rng.fork(), &[PRODUCING], all.clone());
    let count = 1 + rng.below(2);
    let producers: Vec<_> =
        (0..count).map(|number| Producing::start(&mut world, number, setup.promise)).collect();
    for number in 0..count {
        world.set_timer(Duration::from_millis(1), number);
    }
    let mut run = Run { producers, nemesis, topics, is_over: false };
    if let Some(wait) = run.nemesis.draw_wait() {
        world.set_timer(wait, NEMESIS);
    }
    world.run(&mut run, setup.chaos);
    let mut found = finish(&mut world, &mut run);
    if let Plant::LogLosesTail(partition) = setup.plant {
        world.drop_last_batch(&all[partition % all.len()]);
    }
    let logs = all.iter().map(|partition| (partition.clone(), world.read_log(partition))).collect();
    let lanes: Vec<_> = run.producers.iter().flat_map(Producing::lanes).collect();
    found.extend(check_writes(setup.judged_by, &lanes, &logs));
    Outcome::of(&world, found)
}

/// Ends the chaos: everything resolves in time, and what is produced now is written.
fn finish(world: &mut World, run: &mut Run) -> Vec<Violation> {
    let mut found = Vec::new();
    run.is_over = true;
    run.nemesis.heal(world);
    let looks = |_: &mut World, run: &mut Run| {
        run.producers.iter_mut().map(Producing::look).sum::<usize>() == 0
    };
    let longest = run.producers.iter().map(|one| one.timeout).max();
    let limit = longest.unwrap_or_default() + Duration::from_secs(1);
    if !world.run_until(run, limit, looks) {
        found.push(Violation::Late("deliveries after all was healed".to_owned()));
    }
    let topics = run.topics.clone();
    for producer in &mut run.producers {
        for (topic, partitions) in &topics {
            producer.enqueue(topic, *partitions);
        }
    }
    let known = |_: &mut World, run: &mut Run| {
        run.producers.iter().all(|one| {
            run.topics.iter().all(|(topic, _)| one.shared.partition_count(topic).is_some())
        })
    };
    if !world.run_until(run, METADATA_LIMIT, known) {
        found.push(Violation::Late("metadata".to_owned()));
    }
    let before: Vec<_> = run.producers.iter().map(Producing::counted).collect();
    for producer in &mut run.producers {
        for _ in 0..20 {
            producer.burst(&topics);
        }
    }
    if !world.run_until(run, limit, looks) {
        found.push(Violation::Late("deliveries in calm".to_owned()));
    }
    for (producer, before) in run.producers.iter().zip(before) {
        let after = producer.counted();
        if after[1..] != before[1..] || after[0] == before[0] {
            found.push(Violation::Late(format!("writes in calm: {before:?}, then {after:?}")));
        }
    }
    let deadline = world.now() + limit;
    for client in run.producers.iter().map(|one| one.client).collect::<Vec<_>>() {
        world.command(client, ProducerCommand::Close { deadline });
    }
    let closed = |_: &mut World, run: &mut Run| run.producers.iter().all(|one| one.is_closed);
    if !world.run_until(run, limit, closed) {
        found.push(Violation::Late("closing".to_owned()));
    }
    for producer in &mut run.producers {
        producer.look();
        producer.count_seen(world);
        found.extend(producer.check_counts());
    }
    found
}

/// All partitions of these topics.
#[must_use]
pub fn partitions(topics: &[(&str, i32)]) -> Vec<TopicPartition> {
    let of = |(name, count): &(&str, i32)| {
        let name = (*name).to_owned();
        (0..*count).map(move |number| TopicPartition::new(name.as_str(), PartitionId(number)))
    };
    topics.iter().flat_map(of).collect()
}
