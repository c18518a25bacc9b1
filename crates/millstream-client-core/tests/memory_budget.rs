//! A broker that never answers: the producer's memory stays within `buffer.memory`, counted by the
//! allocator.
//!
//! A binary of its own: the allocator counts what all threads of the process do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::alloc::System;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millstream_client_core::Cx;
use millstream_client_core::coordinator::Coordinators;
use millstream_client_core::metadata::Metadata;
use millstream_client_core::outbox::{Outbox, Owner, RequestBody, Response, ResponseBody};
use millstream_client_core::producer::{
    Clock, EnqueueError, ProducerConfig, ProducerMachine, ProducerShared, SealJob, SealWorkers,
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

const BUDGET: usize = 8 * 1024 * 1024;

/// What may come on top of the budget: handles of batches, requests, queues, and the contexts of
/// codecs; about 200 bytes a batch and 100 KiB a context.
const BESIDES: usize = 1024 * 1024;

const PARTITIONS: i32 = 100;

/// Records of 1,000 bytes: two budgets of them.
const RECORDS: u32 = 16_000;

struct VirtualClock {
    base: Instant,
    millis: AtomicU64,
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        self.base + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.millis.load(Ordering::Relaxed) as i64)
    }
}

struct Inline;

impl SealWorkers for Inline {
    fn submit(&self, job: SealJob) {
        job.run();
    }
}

/// A producer whose Produce requests no one answers.
struct World {
    shared: Arc<ProducerShared>,
    machine: ProducerMachine,
    metadata: Metadata,
    coordinators: Coordinators,
    outbox: Outbox,
    events: VecDeque<millstream_client_core::Event>,
    clock: Arc<VirtualClock>,
    /// What is with the broker.
    unanswered: Vec<RequestBody>,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any time will do to begin with")]
    fn new(config: ProducerConfig) -> Self {
        let clock = Arc::new(VirtualClock { base: Instant::now(), millis: AtomicU64::new(0) });
        let shared = ProducerShared::new(config, clock.clone(), Arc::new(Inline)).unwrap();
        let mut world = Self {
            machine: ProducerMachine::new(Arc::clone(&shared)),
            shared,
            metadata: Metadata::default(),
            coordinators: Coordinators::default(),
            outbox: Outbox::new(Duration::from_secs(30)),
            events: VecDeque::new(),
            clock,
            unanswered: Vec::new(),
        };
        assert!(world.shared.try_enqueue(&Record::to("topic")).is_err());
        world.turn();
        world.metadata.apply(topic(), None);
        world.turn();
        world
    }

    fn turn(&mut self) {
        self.clock.millis.fetch_add(6, Ordering::Relaxed);
        let now = self.clock.now();
        for granted in [false, true] {
            let mut answers = Vec::new();
            let mut cx = Cx::new(
                now,
                Owner::Producer,
                &mut self.metadata,
                &mut self.coordinators,
                &mut self.outbox,
                &mut self.events,
            );
            self.machine.poll(&mut cx);
            while let Some(sent) = self.outbox.pop() {
                match sent.body {
                    RequestBody::InitProducerId(_) => answers.push(sent.id),
                    body => self.unanswered.push(body),
                }
            }
            assert!(!granted || answers.is_empty());
            for id in answers {
                let body = ResponseBody::from(
                    InitProducerIdResponse::default().with_producer_id(1.into()),
                );
                let response = Response { from: None, version: 5, body };
                let mut cx = Cx::new(
                    now,
                    Owner::Producer,
                    &mut self.metadata,
                    &mut self.coordinators,
                    &mut self.outbox,
                    &mut self.events,
                );
                self.machine.handle_response(id, Ok(response), &mut cx);
            }
        }
    }
}

fn topic() -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(m::BrokerId(1))
        .with_host(StrBytes::from_static_str("broker"))
        .with_port(9092);
    let partitions = (0..PARTITIONS).map(|partition| {
        MetadataResponsePartition::default()
            .with_partition_index(partition)
            .with_leader_id(m::BrokerId(1))
    });
    let topic = MetadataResponseTopic::default()
        .with_name(Some(m::TopicName(StrBytes::from_static_str("topic"))))
        .with_partitions(partitions.collect());
    MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic])
}

/// Enqueues until the budget refuses, round after round, and answers the most bytes ever held.
fn most_bytes_held(compression: Compression, keyed: bool) -> usize {
    let mut world = World::new(ProducerConfig {
        compression,
        buffer_memory: BUDGET,
        ..ProducerConfig::default()
    });
    let mut value = [0; 1_000];
    let mut noise = 7u64;
    let region = Region::new(ALLOCATOR);
    let mut most = 0;
    let mut refused = 0;
    for number in 0..RECORDS {
        // What does not compress fills the budget in every codec.
        for word in value.chunks_exact_mut(8) {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word.copy_from_slice(&(noise ^ (noise >> 29)).to_le_bytes());
        }
        let key = number.to_be_bytes();
        let mut record = Record::to("topic").value(&value);
        if keyed {
            record = record.key(&key);
        }
        match world.shared.try_enqueue(&record) {
            Ok(delivery) => drop(delivery),
            Err(EnqueueError::Full { used, budget }) => {
                assert!(budget == BUDGET && used <= BUDGET + 256 * 1024, "{used}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        if number % 500 == 0 {
            world.turn();
        }
        let change = region.change();
        most = most.max(change.bytes_allocated.saturating_sub(change.bytes_deallocated));
    }
    assert!(refused > 1_000, "the budget was never spent: {refused}");
    assert!(!world.unanswered.is_empty(), "requests are with the broker");
    most
}

#[test]
fn memory_stays_within_the_budget_though_no_broker_answers() {
    for compression in [Compression::None, Compression::Lz4, Compression::Gzip] {
        for keyed in [false, true] {
            let most = most_bytes_held(compression, keyed);
            assert!(
                most <= BUDGET + BESIDES,
                "{most} bytes held for a budget of {BUDGET}, {compression}, keyed {keyed}"
            );
            assert!(most >= BUDGET / 2, "{most} bytes: the budget is not used, {compression}");
        }
    }
}
