//! What single error codes, lost answers and settings make of records.

use std::sync::atomic::Ordering;
use std::time::Duration;

use millstream_protocol::compression::Compression;
use millstream_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
};
use millstream_protocol::messages::{BrokerId, StrBytes};
use millstream_protocol::{ErrorClass, ErrorCode};
use millstream_types::{Offset, Record, TopicName};

use super::world::{TOPIC, World};
use crate::cx::CommandId;
use crate::outbox::Acks;
use crate::producer::{
    Delivery, DeliveryCause, DeliveryError, NotWritten, ProducerCommand, ProducerConfig,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One record a batch, sent at once.
fn config() -> ProducerConfig {
    ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() }
}

/// Batches are numbered by nobody.
fn plain() -> ProducerConfig {
    ProducerConfig { idempotence: false, ..config() }
}

/// Sends one record.
fn send(world: &mut World, value: &[u8]) -> Delivery {
    let delivery = world.enqueue(0, value);
    world.poll();
    delivery
}

/// Sends one record, and has it acknowledged.
fn write(world: &mut World, value: &[u8]) {
    let delivery = send(world, value);
    world.serve(1);
    assert!(is_written(&delivery));
}

fn is_written(delivery: &Delivery) -> bool {
    matches!(delivery.peek(), Some(Ok(_)))
}

fn is_unknown(delivery: &Delivery) -> bool {
    matches!(delivery.peek(), Some(Err(DeliveryError::Unknown(_))))
}

fn not_written(delivery: &Delivery) -> NotWritten {
    match delivery.peek() {
        Some(Err(DeliveryError::NotWritten(failed))) => failed,
        other => panic!("expected not written, got {other:?}"),
    }
}

#[test]
fn retries_bound_how_often_a_batch_is_sent_again() {
    let mut world = World::new(ProducerConfig { retries: 2, ..plain() }, 1, 1);
    let refused = send(&mut world, b"a");
    for _ in 0..3 {
        world.wait_for_request(1);
        world.serve_unless(1, |_, _| Some(ErrorCode::NotEnoughReplicas));
    }
    let failed = not_written(&refused);
    assert_eq!(failed.attempts(), 3, "once, and two retries");
    assert!(matches!(
        failed.cause(),
        DeliveryCause::Broker { code: ErrorCode::NotEnoughReplicas, .. }
    ));
    write(&mut world, b"b");
}

#[test]
fn retries_that_run_out_leave_a_lost_answer_unknown() {
    let mut world = World::new(ProducerConfig { retries: 1, ..config() }, 1, 1);
    write(&mut world, b"a");
    let lost = send(&mut world, b"b");
    world.disconnect(1, 0);
    world.wait_for_request(1);
    world.serve_unless(1, |_, _| Some(ErrorCode::NotEnoughReplicas));
    assert!(is_unknown(&lost), "the first attempt may have written it");
    let after = send(&mut world, b"c");
    world.settle();
    assert!(is_written(&after));
    assert_eq!(world.log(0), [b"a", b"c"]);
}

#[test]
fn attempts_that_reach_no_broker_are_no_retries() {
    let mut world = World::new(ProducerConfig { retries: 1, ..config() }, 1, 1);
    let delivery = send(&mut world, b"a");
    for _ in 0..6 {
        world.wait_for_request(1);
        world.refuse_connection(1);
    }
    assert!(delivery.peek().is_none());
    world.settle();
    assert!(is_written(&delivery));
}

#[test]
fn without_retries_batches_of_a_partition_go_side_by_side() {
    let config = ProducerConfig { retries: 0, batch_size: 100, acks: Acks::Leader, ..plain() };
    let mut world = World::new(config, 1, 1);
    let first = send(&mut world, b"a");
    world.serve(1);
    let both = [send(&mut world, &[b'b'; 60]), send(&mut world, &[b'c'; 60])];
    assert_eq!(world.waiting(1), 2, "nothing can overtake what is not sent again");
    world.serve_unless(1, |_, _| Some(ErrorCode::NotEnoughReplicas));
    world.serve(1);
    assert!(is_written(&first) && is_written(&both[1]));
    assert_eq!(not_written(&both[0]).attempts(), 1);
}

#[test]
fn the_delivery_timeout_runs_from_acceptance() {
    let mut world = World::new(ProducerConfig { linger: ms(500), ..config() }, 1, 1);
    let asked = [TopicName::from(TOPIC)].into();
    world.bench.metadata.apply(crate::testing::cluster(1, &[]), Some(&asked));
    world.poll();
    let accepted = world.bench.now;
    let delivery = world.enqueue(0, b"a");
    world.poll();
    while delivery.peek().is_none() {
        let next = world.machine.next_timeout().expect("its time is kept");
        world.advance(next.saturating_duration_since(world.bench.now));
    }
    assert_eq!(world.bench.now - accepted, Duration::from_secs(120));
    let failed = not_written(&delivery);
    assert_eq!((failed.attempts(), failed.elapsed()), (0, Duration::from_secs(120)));
    let cause = failed.cause().to_string();
    assert!(cause.contains("topic t: ") && cause.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{cause}");
    assert_eq!(failed.into_record().unwrap().value.as_deref(), Some(&b"a"[..]));
}

/// KIP-467: the broker names the records at fault; the others of the batch may go again.
#[test]
fn records_that_are_named_fail_for_their_own_reason() {
    let mut world = World::new(ProducerConfig { linger: ms(5), ..config() }, 1, 1);
    let deliveries: Vec<_> = (0..4u8).map(|n| world.enqueue(0, &[n])).collect();
    world.poll();
    world.advance(ms(5));
    let answers = [(0, super::cluster::Appended::error(ErrorCode::InvalidRecord))];
    let named = |index, message: Option<&'static str>| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(message.map(StrBytes::from_static_str))
    };
    let adjust = |partition: PartitionProduceResponse| {
        partition
            .with_record_errors(vec![named(1, Some("no key")), named(3, None)])
            .with_error_message(Some(StrBytes::from_static_str("two records are invalid")))
    };
    world.answer_as(1, &answers, adjust, Vec::new());
    let failed: Vec<_> = deliveries.iter().map(not_written).collect();
    let messages: Vec<_> = failed.iter().map(NotWritten::record_message).collect();
    assert_eq!(messages, [None, Some("no key"), None, None]);
    for (index, failed) in failed.iter().enumerate() {
        let is_named = index % 2 == 1;
        let is_own =
            matches!(failed.cause(), DeliveryCause::Broker { code: ErrorCode::InvalidRecord, .. });
        assert_eq!(is_own, is_named, "{failed:?}");
        assert_eq!(failed.cause().class() == ErrorClass::Retriable, !is_named);
    }
    let others = DeliveryError::NotWritten(failed[0].clone()).to_string();
    assert!(others.contains("2 other records") && others.contains("INVALID_RECORD"), "{others}");
    let next = world.enqueue(0, b"next");
    world.settle();
    assert!(is_written(&next));
}

/// KIP-951: the answer names the new leader and its address, which nobody has heard of before.
#[test]
fn a_leader_that_an_answer_names_is_followed_at_once() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let moved = send(&mut world, b"b");
    world.logs[0].leader = 7;
    let answers = world.apply(1, |_, _| None);
    let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(7)).with_leader_epoch(1);
    let endpoint = NodeEndpoint::default()
        .with_node_id(BrokerId(7))
        .with_host(StrBytes::from_static_str("new"))
        .with_port(1234);
    let adjust =
        |partition: PartitionProduceResponse| partition.with_current_leader(leader.clone());
    world.answer_as(1, &answers, adjust, vec![endpoint]);
    assert_eq!(world.waiting(7), 1, "without metadata, and without a wait");
    let broker = world.bench.metadata.broker(millstream_types::BrokerId(7)).unwrap();
    assert_eq!(broker.endpoint.to_string(), "new:1234");
    world.serve(7);
    assert!(is_written(&moved));
    assert_eq!(world.log(0), [b"a", b"b"]);
}

/// A hint of an older epoch than the one known does not move a partition back.
#[test]
fn a_stale_hint_is_passed_over() {
    let mut world = World::new(config(), 2, 1);
    world.logs[0].leader_epoch = 5;
    world.learn();
    let delivery = send(&mut world, b"a");
    let answers = [(0, super::cluster::Appended::error(ErrorCode::NotLeaderOrFollower))];
    let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(2)).with_leader_epoch(4);
    let adjust =
        |partition: PartitionProduceResponse| partition.with_current_leader(leader.clone());
    world.answer_as(1, &answers, adjust, Vec::new());
    world.wait_for_request(1);
    assert_eq!((world.waiting(1), world.waiting(2)), (1, 0));
    world.settle();
    assert!(is_written(&delivery));
}

#[test]
fn what_nobody_can_explain_is_unknown_at_once_and_the_next_goes_on() {
    for code in [ErrorCode::UnknownServerError, ErrorCode::from(9_999)] {
        let mut world = World::new(config(), 1, 1);
        write(&mut world, b"a");
        let unclear = send(&mut world, b"b");
        world.serve_unless(1, |_, _| Some(code));
        assert!(is_unknown(&unclear), "{code}: {:?}", unclear.peek());
        let after = send(&mut world, b"c");
        assert_eq!(world.sequences(1), [(1, 0)], "in a new epoch: the old sequence has a gap");
        world.settle();
        assert!(is_written(&after));
        assert_eq!(world.log(0), [b"a", b"c"]);
    }
}

#[test]
fn refusals_hand_the_records_back_and_the_next_goes_on() {
    use ErrorCode as C;
    for code in [
        C::TopicAuthorizationFailed,
        C::ClusterAuthorizationFailed,
        C::InvalidRequiredAcks,
        C::UnsupportedCompressionType,
        C::InvalidTimestamp,
        C::InvalidTopic,
        C::PolicyViolation,
        C::InvalidRecord,
        C::InvalidRequest,
        C::UnsupportedForMessageFormat,
        C::RecordListTooLarge,
        C::MessageTooLarge,
    ] {
        let mut world = World::new(config(), 1, 1);
        write(&mut world, b"a");
        let refused = send(&mut world, b"b");
        world.serve_unless(1, |_, _| Some(code));
        let failed = not_written(&refused);
        assert!(failed.cause().to_string().contains(code.name()), "{}", failed.cause());
        assert_eq!(failed.into_record().unwrap().value.as_deref(), Some(&b"b"[..]));
        let after = send(&mut world, b"c");
        world.settle();
        assert!(is_written(&after), "{code}");
        assert_eq!(world.log(0), [b"a", b"c"]);
    }
}

#[test]
fn passing_troubles_are_waited_out() {
    use ErrorCode as C;
    for code in [
        C::CorruptMessage,
        C::UnknownTopicOrPartition,
        C::LeaderNotAvailable,
        C::NotLeaderOrFollower,
        C::RequestTimedOut,
        C::NetworkException,
        C::NotEnoughReplicas,
        C::NotEnoughReplicasAfterAppend,
        C::KafkaStorageError,
        C::FencedLeaderEpoch,
        C::UnknownLeaderEpoch,
        C::ThrottlingQuotaExceeded,
        C::OutOfOrderSequenceNumber,
        C::UnknownProducerId,
        C::InvalidProducerEpoch,
        C::ProducerFenced,
    ] {
        let mut world = World::new(config(), 1, 1);
        write(&mut world, b"a");
        let delivery = send(&mut world, b"b");
        world.serve_unless(1, |_, _| Some(code));
        assert!(delivery.peek().is_none(), "{code}: {:?}", delivery.peek());
        assert_eq!(world.waiting(1), 0, "{code}: it is not sent again at once");
        let begun = world.bench.now;
        world.settle();
        assert!(world.bench.now - begun >= ms(80), "{code}: KIP-580");
        assert!(is_written(&delivery), "{code}: {:?}", delivery.peek());
        assert_eq!(world.log(0), [b"a", b"b"], "{code}");
    }
}

#[test]
fn who_may_not_see_a_topic_may_still_write_to_it() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let mut hidden = crate::testing::cluster(1, &[(TOPIC, world.topic_id, &[], 0)]);
    hidden.topics[0].error_code = ErrorCode::TopicAuthorizationFailed.code();
    let asked = [TopicName::from(TOPIC)].into();
    world.bench.metadata.apply(hidden, Some(&asked));
    world.poll();
    write(&mut world, b"b");
}

#[test]
fn a_refused_producer_id_ends_what_waits_and_is_asked_for_again_later() {
    let mut world = World::unknown(config(), 1, 1);
    let first = world.shared.try_enqueue(&Record::to(TOPIC).value(b"x"));
    assert!(first.is_err());
    world.poll();
    world.learn();
    world.poll();
    let refused = send(&mut world, b"a");
    world.refuse_ids(ErrorCode::ClusterAuthorizationFailed);
    let failed = not_written(&refused);
    assert!(failed.cause().to_string().contains("CLUSTER_AUTHORIZATION_FAILED"));
    assert_eq!(failed.attempts(), 0);
    // The rule is changed; nobody has to build another producer.
    let after = send(&mut world, b"b");
    world.settle();
    assert!(is_written(&after));
    assert_eq!(world.log(0), [b"b"]);
}

#[test]
fn ends_are_told_in_the_order_of_the_partition() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let slow = send(&mut world, b"b");
    let refused = send(&mut world, b"c");
    let behind = send(&mut world, b"d");
    // Appended, but the replicas are late; the broker takes no offence at what follows.
    world.serve_unless(1, |_, _| Some(ErrorCode::RequestTimedOut));
    world.serve_unless(1, |_, _| Some(ErrorCode::TopicAuthorizationFailed));
    world.serve_unless(1, |_, _| Some(ErrorCode::UnknownServerError));
    assert!(refused.peek().is_none() && behind.peek().is_none(), "the first has no end yet");
    world.wait_for_request(1);
    world.serve(1);
    assert!(is_written(&slow));
    not_written(&refused);
    assert!(is_unknown(&behind));
}

#[test]
fn ends_by_time_keep_the_order_too() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let all: Vec<_> = [b"b", b"c", b"d"].map(|value| send(&mut world, value)).into();
    world.serve_unless(1, |_, _| Some(ErrorCode::NotEnoughReplicas));
    // The first waits to be sent again behind two that are on their way.
    let watched = super::order::watch(&all);
    world.advance(Duration::from_secs(121));
    assert_eq!(watched.told(), [0, 1, 2]);
    assert!(matches!(all[0].peek(), Some(Err(DeliveryError::NotWritten(_)))));
    assert!(is_unknown(&all[1]) && is_unknown(&all[2]));
}

#[test]
fn a_split_batch_keeps_its_place_in_the_sequence() {
    let mut world = World::new(ProducerConfig { linger: ms(5), ..config() }, 1, 1);
    let warm = world.enqueue(0, b"a");
    world.settle();
    assert!(is_written(&warm));
    world.logs[0].max_batch = 400;
    let large: Vec<_> = (0..10u8).map(|n| world.enqueue(0, &[n; 60])).collect();
    world.poll();
    world.advance(ms(5));
    let behind = world.enqueue(0, b"z");
    world.poll();
    world.advance(ms(5));
    assert_eq!(world.waiting(1), 2);
    world.serve(1);
    world.serve(1);
    world.wait_for_request(1);
    assert_eq!(world.sequences(1), [(0, 1)], "the first half, in the same epoch");
    world.settle();
    let end = |delivery: &Delivery| delivery.peek().unwrap().unwrap().offset;
    let offsets: Vec<_> = large.iter().map(end).collect();
    let expected: Vec<_> = (1..=10).map(|offset| Some(Offset(offset))).collect();
    assert_eq!(offsets, expected);
    assert_eq!(behind.peek().unwrap().unwrap().offset, Some(Offset(11)));
    assert_eq!(world.next_producer_id, 1_001, "no other id was asked for");
}

#[test]
fn a_partition_that_rested_sends_its_first_batch_alone() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, b"a");
    let pair = [send(&mut world, b"b"), send(&mut world, b"c")];
    assert_eq!(world.waiting(1), 2);
    world.settle();
    assert!(pair.iter().all(is_written));
    world.advance(Duration::from_secs(601));
    // The broker may have forgotten the producer: it would take the second for the first.
    world.logs[0].forget_producers();
    let pair = [send(&mut world, b"d"), send(&mut world, b"e")];
    assert_eq!(world.waiting(1), 1);
    world.disconnect(1, 0);
    world.settle();
    assert!(pair.iter().all(is_written));
    assert_eq!(world.log(0), [b"a", b"b", b"c", b"d", b"e"]);
}

fn abort(world: &mut World) {
    world.machine.handle_command(CommandId(9), ProducerCommand::Abort, &mut world.bench.cx());
    world.poll();
}

#[test]
fn an_abort_ends_what_is_not_sent_and_waits_for_what_is() {
    let mut world = World::new(ProducerConfig { linger: ms(5), ..config() }, 1, 2);
    let warm = world.enqueue(0, b"a");
    world.settle();
    let sent = world.enqueue(0, b"b");
    world.poll();
    world.advance(ms(5));
    let queued = [world.enqueue(0, b"c"), world.enqueue(1, b"d")];
    abort(&mut world);
    assert!(sent.peek().is_none());
    assert!(queued[0].peek().is_none(), "its partition has an older record without an end");
    assert!(matches!(not_written(&queued[1]).cause(), DeliveryCause::Aborted));
    world.serve(1);
    assert!(is_written(&warm) && is_written(&sent));
    let returned = not_written(&queued[0]).into_record().unwrap();
    assert_eq!(returned.value.as_deref(), Some(&b"c"[..]));
    let after = world.enqueue(0, b"e");
    world.settle();
    assert!(is_written(&after));
    assert_eq!(world.log(0), [b"a", b"b", b"e"]);
}

#[test]
fn a_batch_that_is_being_compressed_is_given_back_whole() {
    let config = ProducerConfig { compression: Compression::Gzip, linger: ms(5), ..config() };
    let mut world = World::new(config, 1, 1);
    world.workers.is_slow.store(true, Ordering::Relaxed);
    let first = world.enqueue(0, b"a");
    world.poll();
    world.advance(ms(5));
    assert_eq!(world.waiting(1), 0, "it is being compressed");
    let second = world.enqueue(0, b"b");
    abort(&mut world);
    let third = world.enqueue(0, b"c");
    world.poll();
    world.workers.run();
    world.poll();
    for (delivery, value) in [(first, b"a"), (second, b"b")] {
        let returned = not_written(&delivery).into_record().expect("it was sealed first");
        assert_eq!(returned.value.as_deref(), Some(&value[..]));
    }
    world.workers.is_slow.store(false, Ordering::Relaxed);
    world.settle();
    assert!(is_written(&third), "what came after the abort is not a part of it");
    assert_eq!(world.log(0), [b"c"]);
}
