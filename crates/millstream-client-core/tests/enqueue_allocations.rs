//! What accepting a record costs in allocations, counted by the allocator.
//!
//! A binary of its own: the allocator counts what all threads of the process do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the figures are what one runs it for")]

use std::alloc::System;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_client_core::Cx;
use millstream_client_core::coordinator::Coordinators;
use millstream_client_core::metadata::Metadata;
use millstream_client_core::outbox::{
    Outbox, Owner, RequestBody, RequestId, Response, ResponseBody,
};
use millstream_client_core::producer::{
    Clock, ProducerConfig, ProducerMachine, ProducerShared, SealJob, SealWorkers,
};
use millstream_protocol::compression::Compression;
use millstream_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use millstream_protocol::messages::{
    self as m, InitProducerIdResponse, MetadataResponse, StrBytes,
};
use millstream_types::{Record, Timestamp};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The budget: what a batch costs is spread over its records.
const ALLOCATIONS_PER_RECORD_MAX: f64 = 0.01;

struct SystemClock(Instant);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the test measures real time")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.now().duration_since(self.0).as_millis() as i64)
    }
}

struct Inline;

impl SealWorkers for Inline {
    fn submit(&self, job: SealJob) {
        job.run();
    }
}

/// A producer whose every request is acknowledged at the next turn.
struct World {
    shared: Arc<ProducerShared>,
    machine: ProducerMachine,
    metadata: Metadata,
    coordinators: Coordinators,
    outbox: Outbox,
    events: VecDeque<millstream_client_core::Event>,
    clock: Arc<SystemClock>,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "the test measures real time")]
    fn new(config: ProducerConfig) -> Self {
        let clock = Arc::new(SystemClock(Instant::now()));
        let shared = ProducerShared::new(config, clock.clone(), Arc::new(Inline)).unwrap();
        let mut world = Self {
            machine: ProducerMachine::new(Arc::clone(&shared)),
            shared,
            metadata: Metadata::default(),
            coordinators: Coordinators::default(),
            outbox: Outbox::new(Duration::from_secs(30)),
            events: VecDeque::new(),
            clock,
        };
        assert!(world.shared.try_enqueue(&Record::to("topic")).is_err());
        world.turn();
        world.metadata.apply(one_topic(4), None);
        world.turn();
        world
    }

    /// Polls, and answers everything that was sent with success.
    fn turn(&mut self) {
        let now = self.clock.now();
        let (machine, metadata) = (&mut self.machine, &mut self.metadata);
        let (coordinators, outbox) = (&mut self.coordinators, &mut self.outbox);
        let mut cx =
            Cx::new(now, Owner::Producer, metadata, coordinators, outbox, &mut self.events);
        machine.poll(&mut cx);
        while let Some(sent) = self.outbox.pop() {
            let body = match sent.body {
                RequestBody::InitProducerId(_) => {
                    let id = InitProducerIdResponse::default().with_producer_id(1.into());
                    ResponseBody::from(id)
                }
                // As good as an acknowledgement, and does not allocate in the name of a broker.
                _ => ResponseBody::None,
            };
            self.answer(sent.id, body);
        }
    }

    fn answer(&mut self, id: RequestId, body: ResponseBody) {
        let response = Response { from: None, version: 9, body };
        let now = self.clock.now();
        let (metadata, coordinators) = (&mut self.metadata, &mut self.coordinators);
        let (outbox, events) = (&mut self.outbox, &mut self.events);
        let mut cx = Cx::new(now, Owner::Producer, metadata, coordinators, outbox, events);
        self.machine.handle_response(id, Ok(response), &mut cx);
        self.machine.poll(&mut cx);
    }
}

fn one_topic(partitions: i32) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(m::BrokerId(1))
        .with_host(StrBytes::from_static_str("broker"))
        .with_port(9092);
    let partitions = (0..partitions).map(|partition| {
        MetadataResponsePartition::default()
            .with_partition_index(partition)
            .with_leader_id(m::BrokerId(1))
    });
    let topic = MetadataResponseTopic::default()
        .with_name(Some(m::TopicName(StrBytes::from_static_str("topic"))))
        .with_partitions(partitions.collect());
    MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic])
}

/// Enqueues `count` records and answers allocations and nanoseconds per record.
fn run(world: &mut World, count: u32, keyed: bool) -> (f64, f64) {
    let value = [b'v'; 100];
    let region = Region::new(ALLOCATOR);
    let begun = world.clock.now();
    for number in 0..count {
        let key = number.to_be_bytes();
        let mut record = Record::to("topic").value(&value).header("trace", "id");
        if keyed {
            record = record.key(&key);
        }
        drop(world.shared.try_enqueue(&record).unwrap());
        if number % 10_000 == 0 {
            world.turn();
        }
    }
    let elapsed = world.clock.now() - begun;
    let allocations = region.change().allocations as f64 / f64::from(count);
    world.turn();
    (allocations, elapsed.as_nanos() as f64 / f64::from(count))
}

#[test]
fn a_record_costs_no_allocation() {
    for compression in [Compression::None, Compression::Lz4] {
        let mut world = World::new(ProducerConfig { compression, ..ProducerConfig::default() });
        for keyed in [false, true] {
            run(&mut world, 50_000, keyed);
            let (allocations, nanos) = run(&mut world, 200_000, keyed);
            println!(
                "{compression}, keyed {keyed}: {allocations:.4} allocations and {nanos:.0} ns a record"
            );
            assert!(
                allocations <= ALLOCATIONS_PER_RECORD_MAX,
                "{allocations} allocations a record, {compression}, keyed {keyed}"
            );
        }
    }
}
