//! What callers see of the producer's front half: partitioners, codecs, hooks, memory, time.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::batch::RawBatch;
use millstream_protocol::compression::Compression;
use millstream_types::{PartitionId, Record, Timestamp};

use super::world::{TOPIC, World, poll_once};
use crate::producer::{
    AcknowledgedOutcome, Acknowledgement, Delivery, DeliveryCause, DeliveryError, Enqueue,
    EnqueueError, InterceptedRecord, Interceptors, Partitioner, ProducerConfig,
    ProducerInterceptor, TopicCompression, TopicPartitions,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config() -> ProducerConfig {
    ProducerConfig::default()
}

fn enqueue(world: &World, record: &Record<'_>) -> Delivery {
    world.shared.try_enqueue(record).unwrap()
}

#[test]
fn round_robin_takes_the_partitions_in_turn_and_leaves_out_those_without_a_leader() {
    let config = ProducerConfig { partitioner: Partitioner::RoundRobin, ..config() };
    let mut world = World::new(config, 2, 4);
    let turn = |world: &World, count: usize| -> Vec<i32> {
        let record = Record::to(TOPIC).key("same").value("v");
        (0..count).map(|_| enqueue(world, &record).partition().value()).collect()
    };
    let first = turn(&world, 8);
    let mut sorted = first[..4].to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2, 3]);
    assert_eq!(first[..4], first[4..]);
    world.logs[2].leader = -1;
    for log in &mut world.logs {
        log.leader_epoch += 1;
    }
    world.learn();
    world.poll();
    let second = turn(&world, 30);
    let count = |partition| second.iter().filter(|taken| **taken == partition).count();
    assert_eq!((count(0), count(1), count(2), count(3)), (10, 10, 0, 10), "{second:?}");
}

#[test]
fn a_custom_partitioner_sees_the_record_and_the_topic() {
    let by_value = |record: &Record<'_>, topic: &TopicPartitions<'_>| {
        assert_eq!((topic.topic().as_str(), topic.count()), (TOPIC, 3));
        assert!(topic.has_leader(PartitionId(0)) && !topic.has_leader(PartitionId(9)));
        PartitionId(i32::from(record.value_bytes().unwrap()[0]))
    };
    let config = ProducerConfig { partitioner: Partitioner::custom(by_value), ..config() };
    let world = World::new(config, 1, 3);
    let record = Record::to(TOPIC).key("k").value(&[2]);
    assert_eq!(enqueue(&world, &record).partition(), PartitionId(2));
    let named = Record::to(TOPIC).value(&[2]).partition(1);
    assert_eq!(enqueue(&world, &named).partition(), PartitionId(1), "a named one is not asked for");
    let refused = world.shared.try_enqueue(&Record::to(TOPIC).value(&[7])).unwrap_err();
    let EnqueueError::UnknownPartition { partition, count: 3, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(partition, PartitionId(7));
}

/// KIP-794's second half: a broker that answers nothing for the timeout gets no more keyless
/// records, until it answers.
#[test]
fn a_silent_broker_is_avoided_until_it_answers() {
    let config = ProducerConfig {
        availability_timeout: ms(100),
        linger: Duration::ZERO,
        batch_size: 1_000,
        ..config()
    };
    let mut world = World::new(config, 2, 2);
    let value = [0; 500];
    let keyless = |world: &World| {
        let record = Record::to(TOPIC).value(&value);
        (0..100).map(|_| enqueue(world, &record).partition().value()).collect::<Vec<_>>()
    };
    let _sent = world.enqueue(0, b"x");
    world.poll();
    assert_eq!(world.waiting(1), 1, "the first broker has a request");
    world.advance(ms(99));
    assert!(keyless(&world).contains(&0), "not yet");
    world.advance(ms(1));
    let later = keyless(&world);
    // The partition that was sticky when the time came may have been the silent one's.
    assert!(later[4..].iter().all(|partition| *partition == 1), "{later:?}");
    world.serve(1);
    world.settle();
    assert!(keyless(&world).contains(&0), "it answers again");
}

/// The codecs of the batches in the oldest request of a broker.
fn codecs(world: &World, broker: i32) -> Vec<(i32, Compression)> {
    let topics = &world.lanes[&broker][0].request.topics;
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    let codec = |bytes: &bytes::Bytes| {
        RawBatch::parse(bytes.clone()).unwrap().header().attributes.compression().unwrap()
    };
    partitions.map(|part| (part.partition.value(), codec(&part.batch))).collect()
}

#[test]
fn a_topic_is_compressed_with_its_own_codec() {
    let own = TopicCompression { codec: Some(Compression::Lz4), level: None };
    let config = ProducerConfig {
        compression: Compression::Gzip,
        topic_compression: BTreeMap::from([(TOPIC.into(), own)]),
        linger: Duration::ZERO,
        ..config()
    };
    let mut world = World::new(config, 1, 1);
    let delivery = world.enqueue(0, &[b'a'; 10_000]);
    world.poll();
    assert_eq!(codecs(&world, 1), [(0, Compression::Lz4)]);
    world.serve(1);
    assert!(delivery.peek().unwrap().is_ok());
    let topics = world.shared.topic_totals();
    let rate = topics[TOPIC].compression_rate_permille;
    assert!(rate.count == 1 && rate.sum < 500, "{rate:?}");
}

#[test]
fn gzip_and_zstd_never_stall_acknowledgements() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let config = ProducerConfig { compression, linger: ms(5), batch_size: 4_000, ..config() };
        let mut world = World::new(config, 1, 2);
        world.workers.is_slow.store(true, Ordering::Relaxed);
        let first = world.enqueue(0, &[b'a'; 3_000]);
        world.poll();
        world.advance(ms(5));
        world.workers.run();
        world.poll();
        assert_eq!(codecs(&world, 1), [(0, compression)]);
        // A batch that a caller fills and one that lingers out are with the workers, who are slow,
        // when the acknowledgement comes.
        let (full, _opens_another) =
            (world.enqueue(1, &[b'b'; 3_000]), world.enqueue(1, &[b'c'; 3_000]));
        let lingers = world.enqueue(0, &[b'd'; 100]);
        world.poll();
        world.advance(ms(5));
        world.serve(1);
        assert!(first.peek().unwrap().is_ok(), "it is acknowledged meanwhile");
        assert!(full.peek().is_none() && lingers.peek().is_none());
        assert_eq!(world.waiting(1), 0);
        for _ in 0..8 {
            world.workers.run();
            world.poll();
            while world.waiting(1) > 0 {
                world.serve(1);
            }
            world.advance(ms(5));
        }
        assert!(full.peek().unwrap().is_ok() && lingers.peek().unwrap().is_ok());
    }
}

#[test]
fn a_thousand_thin_partitions_fit_the_default_budget() {
    let mut world = World::new(config(), 3, 1_000);
    let mut deliveries = Vec::new();
    for round in 0..4 {
        for partition in 0..1_000 {
            let value = [round; 100];
            let record = Record::to(TOPIC).partition(partition).value(&value);
            deliveries.push(world.shared.try_enqueue(&record).expect("the budget is not spent"));
        }
    }
    assert!(world.shared.memory_used() <= 32 * 1024 * 1024);
    world.settle();
    assert!(deliveries.iter().all(|delivery| delivery.peek().is_some_and(|end| end.is_ok())));
    assert_eq!(world.shared.memory_used(), 0);
}

#[test]
fn the_sticky_partitions_next_batch_begins_at_the_size_that_the_last_one_filled() {
    let mut world = World::new(config(), 1, 50);
    let value = [1; 1_000];
    let record = Record::to(TOPIC).value(&value);
    let first = enqueue(&world, &record).partition();
    assert!(world.shared.memory_used() < 16 * 1024, "nothing is known: it begins small");
    while enqueue(&world, &record).partition() == first {}
    assert_eq!(world.shared.memory_used(), 2 * 128 * 1024, "the second has a whole buffer");
    let _named = world.enqueue(49, b"thin");
    assert!(world.shared.memory_used() <= 2 * 128 * 1024 + 4 * 1024, "others begin small");
    world.settle();
}

#[test]
fn a_record_after_ten_idle_minutes_has_the_right_time() {
    let mut world = World::new(config(), 1, 1);
    let early = world.enqueue(0, b"early");
    world.settle();
    let early = early.peek().unwrap().unwrap().timestamp;
    assert_eq!(world.machine.next_timeout(), None, "an idle producer sleeps");
    // Ten minutes in which nobody polls the machine.
    world.clock.pass(Duration::from_secs(600));
    world.bench.advance(Duration::from_secs(600));
    let late = world.enqueue(0, b"late");
    world.clock.pass(ms(3));
    world.bench.advance(ms(3));
    let later = world.enqueue(0, b"later");
    world.settle();
    let late = late.peek().unwrap().unwrap().timestamp;
    let later = later.peek().unwrap().unwrap().timestamp;
    assert!(late.value() >= early.value() + 600_000, "{early} {late}");
    assert!((0..=5).contains(&(later.value() - late.value() - 3).abs()), "{late} {later}");
}

/// Adds a header, counts the ends, and panics when it is told to.
#[derive(Default)]
struct Auditor {
    seen: Mutex<Vec<String>>,
}

impl ProducerInterceptor for Auditor {
    fn on_send(&self, record: &Record<'_>) -> Option<InterceptedRecord> {
        assert!(record.key_bytes() != Some(b"panic"), "the test says so");
        let mut copy = InterceptedRecord::copy_of(record);
        copy.headers.add("audited", None);
        Some(copy)
    }

    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        let Acknowledgement { topic, partition, records, outcome } = acknowledgement;
        let outcome = match outcome {
            AcknowledgedOutcome::Written { base_offset, .. } => {
                format!("written at {}", base_offset.unwrap())
            }
            AcknowledgedOutcome::NotWritten(cause) => format!("not written: {cause}"),
            AcknowledgedOutcome::Unknown(cause) => format!("unknown: {cause}"),
        };
        self.seen.lock().unwrap().push(format!("{topic}-{partition} {records} {outcome}"));
    }
}

#[test]
fn interceptors_change_records_and_hear_of_their_ends() {
    let auditor = Arc::new(Auditor::default());
    let mut interceptors = Interceptors::default();
    interceptors.add(auditor.clone());
    let config = ProducerConfig { interceptors, ..config() };
    let mut world = World::new(config, 1, 2);
    let panics = Record::to(TOPIC).partition(0).key("panic").value("a");
    let _passed_over = world.shared.try_enqueue(&panics).unwrap();
    let refused = world.enqueue(1, b"b");
    world.poll();
    world.advance(ms(5));
    world.serve_unless(1, |partition, _| {
        (partition == 1).then_some(ErrorCode::TopicAuthorizationFailed)
    });
    let Some(Err(DeliveryError::NotWritten(refused))) = refused.peek() else {
        panic!("it is refused");
    };
    let returned = refused.into_record().unwrap();
    assert_eq!(returned.headers.iter().next().map(|header| header.key.as_str()), Some("audited"));
    let mut seen = auditor.seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen[0], "t-0 1 written at 0");
    assert!(seen[1].starts_with("t-1 1 not written: the broker answered"), "{seen:?}");
}

#[test]
fn an_interceptor_sees_a_record_that_waits_once() {
    struct Count(Mutex<u32>);
    impl ProducerInterceptor for Count {
        fn on_send(&self, _: &Record<'_>) -> Option<InterceptedRecord> {
            *self.0.lock().unwrap() += 1;
            None
        }
    }
    let count = Arc::new(Count(Mutex::default()));
    let mut interceptors = Interceptors::default();
    interceptors.add(count.clone());
    let mut world = World::unknown(ProducerConfig { interceptors, ..config() }, 1, 1);
    let record = Record::to(TOPIC).value("v");
    let shared = world.shared.clone();
    let mut enqueue = Enqueue::new(&shared, &record);
    assert!(poll_once(&mut enqueue).is_none(), "the topic is not known");
    world.poll();
    world.learn();
    world.poll();
    assert!(poll_once(&mut enqueue).unwrap().is_ok());
    assert_eq!(*count.0.lock().unwrap(), 1);
}

/// What a caller drops before it is ready has accepted nothing and is on no list.
#[test]
fn an_enqueue_dropped_while_it_waits_accepts_nothing() {
    let config =
        ProducerConfig { buffer_memory: 20_000, batch_size: 16_384, ..ProducerConfig::default() };
    let mut world = World::new(config, 1, 1);
    let fills = world.enqueue(0, &[1; 16_000]);
    let big = [2; 10_000];
    let record = Record::to(TOPIC).partition(0).value(&big);
    let shared = world.shared.clone();
    for polls in 0..4 {
        let mut enqueue = Enqueue::new(&shared, &record);
        for _ in 0..polls {
            assert!(poll_once(&mut enqueue).is_none());
        }
        drop(enqueue);
        assert_eq!(shared.waiting_for_memory(), 0);
    }
    world.settle();
    assert!(fills.peek().unwrap().is_ok());
    assert_eq!(world.log(0).len(), 1, "nothing but the first record was sent");
    let totals = world.shared.totals();
    assert_eq!(totals.record_send_total, 1);
}

/// A dropped flush loses nothing: its counts are in the next report.
#[test]
fn a_flush_dropped_at_any_point_leaves_its_counts_to_the_next() {
    for polls in 0..3 {
        let mut world = World::new(config(), 1, 1);
        let delivery = world.enqueue(0, b"x");
        let mut flush = world.flush();
        for _ in 0..polls {
            assert!(poll_once(&mut flush).is_none());
        }
        drop(flush);
        assert_eq!(world.waiting(1), 1, "the batch is sent in any case");
        world.serve(1);
        assert!(delivery.peek().unwrap().is_ok());
        let mut next = world.flush();
        assert_eq!(poll_once(&mut next).unwrap().written, 1);
    }
}

#[test]
fn an_abort_gives_up_what_is_not_on_its_way_and_the_producer_goes_on() {
    let mut world = World::new(config(), 1, 1);
    let given_up = world.enqueue(0, b"given up");
    world.abort();
    let Some(Err(DeliveryError::NotWritten(end))) = given_up.peek() else {
        panic!("it is given up");
    };
    assert!(matches!(end.cause(), DeliveryCause::Aborted));
    assert_eq!(end.into_record().unwrap().value.as_deref(), Some(&b"given up"[..]));
    let sent = world.enqueue(0, b"goes on");
    world.settle();
    assert!(sent.peek().unwrap().is_ok());
    assert_eq!(world.log(0), [b"goes on"]);
    let mut report = world.flush();
    let report = poll_once(&mut report).unwrap();
    assert_eq!((report.written, report.not_written), (1, 1));
}

#[test]
fn what_happened_is_counted() {
    let mut world = World::new(ProducerConfig { compression: Compression::Lz4, ..config() }, 1, 2);
    let records: Vec<_> = (0..10).map(|i| world.enqueue(i % 2, &[b'a'; 1_000])).collect();
    world.poll();
    world.advance(ms(5));
    world.advance(ms(7));
    world.serve_unless(1, |partition, _| {
        (partition == 1).then_some(ErrorCode::TopicAuthorizationFailed)
    });
    assert!(records.iter().all(|delivery| delivery.peek().is_some()));
    let totals = world.shared.totals();
    assert_eq!(totals.record_send_total, 10);
    assert_eq!(totals.record_error_total, 5);
    assert_eq!((totals.produce_request_total, totals.produce_response_total), (1, 1));
    assert_eq!((totals.batch_size.count, totals.records_per_request.sum), (2, 10));
    assert_eq!(totals.record_queue_time_us.max, 5_000);
    assert_eq!(totals.request_latency_us.max, 7_000);
    assert!((1_000..1_040).contains(&totals.record_size.max), "{:?}", totals.record_size);
    assert!(totals.compression_rate_permille.avg() < 200.0);
    let topic = &world.shared.topic_totals()[TOPIC];
    assert_eq!((topic.record_send_total, topic.record_error_total), (10, 5));
    assert_eq!(topic.byte_total, totals.batch_size.sum);
    let nodes = world.shared.node_totals();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[&1.into()].request_total, 1);
    assert_eq!(world.shared.metadata_age(), Some(ms(12)));
}

#[test]
fn the_time_of_a_record_is_its_own_where_it_has_one() {
    let mut world = World::new(config(), 1, 1);
    let delivery = enqueue(&world, &Record::to(TOPIC).value("v").timestamp(1_234));
    world.settle();
    assert_eq!(delivery.peek().unwrap().unwrap().timestamp, Timestamp(1_234));
}
