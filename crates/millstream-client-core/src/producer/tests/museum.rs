//! Bugs that other clients had, each kept as a test that it is not ours.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_types::{Offset, TopicName};

use super::world::World;
use crate::producer::{Delivery, DeliveryError, ProducerConfig};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One record a batch, sent at once.
fn config() -> ProducerConfig {
    ProducerConfig {
        linger: Duration::ZERO,
        delivery_timeout: Duration::from_secs(30),
        ..ProducerConfig::default()
    }
}

/// Sends one record, and waits for the answer.
fn write(world: &mut World, value: &[u8]) {
    let delivery = world.enqueue(0, value);
    world.poll();
    world.serve(1);
    assert!(is_written(&delivery));
}

fn is_written(delivery: &Delivery) -> bool {
    matches!(delivery.peek(), Some(Ok(_)))
}

fn is_unknown(delivery: &Delivery) -> bool {
    matches!(delivery.peek(), Some(Err(DeliveryError::Unknown(_))))
}

/// librdkafka 1.9.0: a topic that flapped out of the metadata lost its sequence counter, and new
/// records were dropped as duplicates and reported as written.
#[test]
fn seq_survives_topic_flap() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    write(&mut world, b"b");
    let asked = [TopicName::from("t")].into();
    let without = crate::testing::cluster(1, &[]);
    world.bench.metadata.apply(without, Some(&asked));
    world.poll();
    let during = world.enqueue(0, b"c");
    world.poll();
    assert_eq!(world.waiting(1), 0, "nobody leads the partition");
    world.settle();
    assert!(is_written(&during));
    write(&mut world, b"d");
    assert_eq!(world.log(0), [b"a", b"b", b"c", b"d"]);
}

/// librdkafka 2.3.0 (#4438): a batch that may have been written was taken for written, which left a
/// gap in the sequence.
#[test]
fn unknown_batch_keeps_sequence() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let lost = world.enqueue(0, b"b");
    world.poll();
    world.disconnect(1, 0);
    assert!(lost.peek().is_none(), "nobody knows yet");
    let behind = world.enqueue(0, b"c");
    world.settle();
    assert!(is_written(&lost) && is_written(&behind));
    assert_eq!(world.log(0), [b"a", b"b", b"c"]);
}

/// The same, where the batch was written and only its answer was lost (librdkafka's test 0144).
#[test]
fn a_lost_answer_is_found_out_as_a_duplicate() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let lost = world.enqueue(0, b"b");
    world.poll();
    world.disconnect(1, 1);
    world.settle();
    let end = lost.peek().expect("it has ended").expect("it is written");
    assert_eq!(end.offset, Some(Offset(1)));
    assert_eq!(world.log(0), [b"a", b"b"]);
}

/// franz-go 1.20.7 (#1217): after a batch expired with its outcome unknown, new records took its
/// sequence numbers and were dropped as duplicates of it.
#[test]
fn expired_inflight_forces_epoch_bump() {
    for applied in [0, 1] {
        let mut world = World::new(config(), 1, 1);
        write(&mut world, b"a");
        let lost = world.enqueue(0, b"b");
        world.poll();
        // The answer does not come before the record's time is up.
        world.advance(Duration::from_secs(31));
        assert!(is_unknown(&lost));
        world.disconnect(1, applied);
        let after = world.enqueue(0, b"c");
        world.settle();
        assert!(is_written(&after), "{:?}", after.peek());
        let expected: &[&[u8]] = match applied {
            0 => &[b"a", b"c"],
            _ => &[b"a", b"b", b"c"],
        };
        assert_eq!(world.log(0), expected);
    }
}

/// CVE-2026-35554 (KAFKA-17862, KAFKA-19012): the buffer of a batch that expired on its way was
/// reused while the network still read it.
#[test]
fn expired_inflight_buffer_not_reused() {
    let config = ProducerConfig {
        buffer_memory: 8 * 1024,
        batch_size: 4096,
        max_request_size: 4096,
        ..config()
    };
    let mut world = World::new(config, 1, 2);
    let lost = world.enqueue(0, &[b'x'; 3000]);
    world.poll();
    world.advance(Duration::from_secs(31));
    assert!(is_unknown(&lost));
    assert!(world.shared.memory_used() >= 3000, "the request holds its bytes");
    let other = world.enqueue(1, &[b'y'; 3000]);
    world.poll();
    // The broker reads the first request only now.
    world.serve(1);
    world.settle();
    assert_eq!(world.log(0), [&[b'x'; 3000]]);
    assert_eq!(world.log(1), [&[b'y'; 3000]]);
    assert!(is_written(&other));
}

/// Several batches on their way are lost together; the first one's time is up before the others'.
#[test]
fn the_rest_of_a_lost_connection_is_settled_before_the_epoch_changes() {
    for applied in 0..=3 {
        let mut world = World::new(config(), 1, 1);
        write(&mut world, b"a");
        let first = world.enqueue(0, b"b");
        world.poll();
        world.advance(ms(500));
        let second = world.enqueue(0, b"c");
        world.poll();
        let third = world.enqueue(0, b"d");
        world.poll();
        assert_eq!(world.waiting(1), 3);
        // Down until the first one's time is up.
        world.advance(ms(29_400));
        world.disconnect(1, applied);
        world.advance(ms(110));
        assert!(is_unknown(&first), "{:?}", first.peek());
        let after = world.enqueue(0, b"e");
        world.settle();
        assert!(is_written(&second) && is_written(&third) && is_written(&after));
        let expected: &[&[u8]] = match applied {
            0 => &[b"a", b"c", b"d", b"e"],
            _ => &[b"a", b"b", b"c", b"d", b"e"],
        };
        assert_eq!(world.log(0), expected, "{applied} were applied");
    }
}

/// KIP-360: the producer's records were deleted, and its state with them.
#[test]
fn a_forgotten_producer_goes_on() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    world.logs[0].forget_producers();
    write(&mut world, b"b");
    let refused = world.enqueue(0, b"c");
    world.poll();
    world.serve_unless(1, |_, _| Some(ErrorCode::UnknownProducerId));
    world.settle();
    assert!(is_written(&refused));
    assert_eq!(world.log(0), [b"a", b"b", b"c"]);
}

/// The log lost acknowledged records (an unclean election): the sequence has a gap for good.
#[test]
fn a_truncated_log_is_written_to_in_a_new_epoch() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let refused = world.enqueue(0, b"b");
    world.poll();
    world.serve_unless(1, |_, _| Some(ErrorCode::OutOfOrderSequenceNumber));
    world.settle();
    assert!(is_written(&refused));
    assert_eq!(world.log(0), [b"a", b"b"]);
}

/// A batch that is refused leaves a gap behind which others are on their way.
#[test]
fn a_refused_batch_does_not_hold_up_those_behind_it() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let refused = world.enqueue(0, b"b");
    world.poll();
    let behind = world.enqueue(0, b"c");
    world.poll();
    world.serve_unless(1, |_, _| Some(ErrorCode::InvalidRecord));
    world.serve(1);
    world.settle();
    assert!(matches!(refused.peek(), Some(Err(DeliveryError::NotWritten(_)))));
    assert!(is_written(&behind));
    assert_eq!(world.log(0), [b"a", b"c"]);
}

/// A refusal after an attempt without an answer proves nothing about that attempt.
#[test]
fn a_refusal_after_a_lost_answer_is_unknown() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let lost = world.enqueue(0, b"b");
    world.poll();
    world.disconnect(1, 1);
    world.advance(ms(200));
    world.serve_unless(1, |_, _| Some(ErrorCode::TopicAuthorizationFailed));
    assert!(is_unknown(&lost), "{:?}", lost.peek());
    assert_eq!(world.log(0), [b"a", b"b"]);
}

/// The epochs of a producer id run out; a new id takes over.
#[test]
fn an_exhausted_epoch_gets_a_new_producer_id() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let ids_before = world.next_producer_id;
    let fenced = world.enqueue(0, b"b");
    world.poll();
    world.serve_unless(1, |_, _| Some(ErrorCode::InvalidProducerEpoch));
    world.settle();
    assert!(is_written(&fenced));
    assert_eq!(world.next_producer_id, ids_before + 1);
    assert_eq!(world.log(0), [b"a", b"b"]);
}

/// Found by our own simulation: four batches behind one that is not answered were acknowledged, and
/// then more were sent with its retry, so that the broker forgot the one before it could be
/// recognised as a duplicate.
#[test]
fn a_retry_stays_within_what_the_broker_remembers() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let lost = world.enqueue(0, b"b");
    world.poll();
    for value in [b"c", b"d", b"e", b"f"] {
        drop(world.enqueue(0, value));
        world.poll();
    }
    assert_eq!(world.waiting(1), 5);
    // Appended by the leader, but the replicas are late.
    world.serve_unless(1, |_, _| Some(ErrorCode::RequestTimedOut));
    for _ in 0..4 {
        world.serve(1);
    }
    for value in [b"g", b"h", b"i"] {
        drop(world.enqueue(0, value));
        world.poll();
    }
    world.advance(ms(200));
    assert_eq!(world.waiting(1), 1, "the retry goes alone");
    // Its answer is lost again.
    world.disconnect(1, 1);
    world.settle();
    assert!(is_written(&lost));
    let expected: [&[u8]; 9] = [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h", b"i"];
    assert_eq!(world.log(0), expected);
}
