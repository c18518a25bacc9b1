//! What a transaction holds back, lets through, and learns: the verbs of the gate.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::batch::BatchHeader;
use millstream_types::{PartitionId, ProducerEpoch, ProducerId, TopicPartition};

use super::world::{TOPIC, World};
use crate::producer::machine::gate::FaultKind;
use crate::producer::{Delivery, DeliveryCause, DeliveryError, ProducerConfig};

const ID: ProducerId = ProducerId(77);

fn config() -> ProducerConfig {
    ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, PartitionId(number))
}

fn send(world: &mut World, partition: i32, value: &[u8]) -> Delivery {
    let delivery = world.enqueue(partition, value);
    world.poll();
    delivery
}

fn identify(world: &mut World, epoch: i16) {
    world.machine.set_identity(ID, ProducerEpoch(epoch));
    world.poll();
}

/// A world in its first transaction, of version 2.
fn begun() -> World {
    let mut world = World::transactional(config(), 1, 2);
    identify(&mut world, 0);
    world.machine.begin_transaction(true);
    world
}

/// Sends one record, and has it acknowledged.
fn write(world: &mut World, value: &[u8]) {
    let delivery = send(world, 0, value);
    world.serve(1);
    assert!(matches!(delivery.peek(), Some(Ok(_))), "{:?}", delivery.peek());
}

fn is_not_written(delivery: &Delivery) -> bool {
    matches!(delivery.peek(), Some(Err(DeliveryError::NotWritten(_))))
}

#[test]
fn nothing_is_sent_before_who_writes_and_where_is_settled() {
    let mut world = World::transactional(config(), 1, 2);
    let first = send(&mut world, 0, b"a");
    assert_eq!((world.waiting(1), world.init_requests.len()), (0, 0));
    identify(&mut world, 3);
    assert_eq!(world.waiting(1), 0, "there is no transaction");
    world.machine.begin_transaction(false);
    world.poll();
    assert_eq!(world.waiting(1), 0, "the partition is not added");
    assert_eq!(world.machine.newly_touched_partitions(), [partition(0)]);
    assert!(world.machine.newly_touched_partitions().is_empty(), "each is told once");
    assert!(!world.machine.has_touched_partitions());
    world.machine.admit_partitions(&[partition(0)]);
    world.poll();
    assert!(world.machine.has_touched_partitions());
    let waiting = &world.lanes[&1][0];
    assert_eq!(waiting.request.transactional_id.as_deref(), Some("tx"));
    let batch = &waiting.request.topics[0].partitions[0].batch;
    let header = BatchHeader::parse(batch).unwrap();
    assert!(header.attributes.is_transactional());
    assert_eq!((header.producer_id, header.producer_epoch.value()), (ID, 3));
    assert!(!world.machine.is_drained());
    world.serve(1);
    assert!(first.peek().unwrap().is_ok());
    assert!(world.machine.is_drained());
}

/// Versions 12 and up of Produce add partitions by themselves, so version 1 must stay below.
#[test]
fn the_transaction_version_bounds_the_versions_of_produce() {
    for (is_implicit, expected) in [(false, (None, Some(11))), (true, (Some(12), None))] {
        let mut world = World::transactional(config(), 1, 1);
        identify(&mut world, 0);
        world.machine.begin_transaction(is_implicit);
        drop(world.enqueue(0, b"a"));
        world.machine.poll(&mut world.bench.cx());
        world.machine.admit_partitions(&[partition(0)]);
        world.machine.poll(&mut world.bench.cx());
        let sent = world.bench.sent();
        let [pending] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((pending.version_min, pending.version_max), expected);
    }
}

#[test]
fn with_version_2_writing_adds_the_partition_once_in_each_transaction() {
    let mut world = begun();
    write(&mut world, b"a");
    write(&mut world, b"b");
    assert_eq!(world.machine.newly_touched_partitions(), [partition(0)]);
    identify(&mut world, 1);
    world.machine.begin_transaction(true);
    assert!(!world.machine.has_touched_partitions());
    let next = send(&mut world, 0, b"c");
    assert_eq!(world.sequences(1), [(1, 0)], "another epoch begins at 0");
    assert_eq!(world.machine.newly_touched_partitions(), [partition(0)]);
    world.serve(1);
    assert!(next.peek().unwrap().is_ok());
}

#[test]
fn with_version_1_sequences_go_on_across_transactions() {
    let mut world = begun();
    write(&mut world, b"a");
    identify(&mut world, 0);
    world.machine.begin_transaction(true);
    drop(send(&mut world, 0, b"b"));
    assert_eq!(world.sequences(1), [(0, 1)]);
    world.settle();
}

#[test]
fn a_known_partition_does_not_wait_for_the_first_batch_of_an_epoch() {
    let mut world = begun();
    write(&mut world, b"a");
    identify(&mut world, 1);
    world.machine.begin_transaction(true);
    let pair = [send(&mut world, 0, b"b"), send(&mut world, 0, b"c")];
    assert_eq!(world.waiting(1), 2);
    world.settle();
    assert!(pair.iter().all(|delivery| delivery.peek().unwrap().is_ok()));
}

#[test]
fn aborting_gives_back_what_is_not_sent_after_what_is() {
    let mut world = begun();
    write(&mut world, b"a");
    let sent = send(&mut world, 0, b"b");
    world.machine.clear_identity();
    let queued = [send(&mut world, 0, b"c"), send(&mut world, 1, b"d")];
    world.machine.abort_undrained(&DeliveryCause::Aborted, world.bench.now);
    world.poll();
    assert!(is_not_written(&queued[1]) && queued[0].peek().is_none());
    assert!(!world.machine.is_drained(), "its answer is to come");
    world.serve(1);
    assert!(sent.peek().unwrap().is_ok());
    assert!(is_not_written(&queued[0]));
    assert!(world.machine.is_drained());
    assert!(world.machine.take_fault().is_none(), "nothing of it is a failure");
}

#[test]
fn failures_are_told_by_what_they_mean_for_the_transaction() {
    use ErrorCode as C;
    for (code, expected) in [
        (C::TopicAuthorizationFailed, FaultKind::AbortableNewEpoch),
        (C::InvalidTxnState, FaultKind::AbortableNewEpoch),
        (C::TransactionAbortable, FaultKind::AbortableNewEpoch),
        (C::InvalidProducerEpoch, FaultKind::AbortableNewEpoch),
        (C::OutOfOrderSequenceNumber, FaultKind::AbortableNewEpoch),
        (C::UnknownServerError, FaultKind::AbortableNewEpoch),
        (C::ProducerFenced, FaultKind::Fatal),
        (C::InvalidProducerIdMapping, FaultKind::Fatal),
        (C::TransactionalIdAuthorizationFailed, FaultKind::Fatal),
        (C::ClusterAuthorizationFailed, FaultKind::Fatal),
    ] {
        let mut world = begun();
        write(&mut world, b"a");
        let failed = send(&mut world, 0, b"b");
        world.serve_unless(1, |_, _| Some(code));
        assert!(failed.peek().unwrap().is_err(), "{code}");
        let fault = world.machine.take_fault().expect("a fault");
        assert_eq!((fault.kind, fault.partition), (expected, partition(0)), "{code}");
        assert!(fault.cause.to_string().contains(code.name()));
        assert!(!world.machine.has_identity(), "{code}: the sequence is broken");
        assert!(world.init_requests.is_empty(), "the coordinator gives out epochs");
        // What comes behind it waits for another identity.
        let next = send(&mut world, 0, b"c");
        assert_eq!(world.waiting(1), 0);
        identify(&mut world, 1);
        world.machine.begin_transaction(true);
        world.poll();
        assert_eq!(world.sequences(1), [(1, 0)]);
        world.settle();
        assert!(next.peek().unwrap().is_ok());
    }
}

#[test]
fn a_record_that_ran_out_of_time_is_a_fault_that_needs_another_epoch() {
    let mut world = begun();
    write(&mut world, b"a");
    let lost = send(&mut world, 0, b"b");
    world.advance(Duration::from_secs(120));
    assert!(matches!(lost.peek(), Some(Err(DeliveryError::Unknown(_)))));
    let fault = world.machine.take_fault().expect("a fault");
    assert_eq!(fault.kind, FaultKind::AbortableNewEpoch);
    assert!(!world.machine.is_drained(), "its answer may still come");
    world.disconnect(1, 1);
    assert!(world.machine.is_drained());
}

#[test]
fn passing_troubles_are_no_faults() {
    for code in [ErrorCode::ConcurrentTransactions, ErrorCode::NotEnoughReplicas] {
        let mut world = begun();
        let delivery = send(&mut world, 0, b"a");
        world.serve_unless(1, |_, _| Some(code));
        world.settle();
        assert!(delivery.peek().unwrap().is_ok(), "{code}");
        assert!(world.machine.take_fault().is_none());
        assert!(world.machine.has_identity());
    }
}

#[test]
fn a_split_batch_stays_in_its_transaction() {
    let config = ProducerConfig { linger: Duration::from_millis(5), ..config() };
    let mut world = World::transactional(config, 1, 1);
    identify(&mut world, 0);
    world.machine.begin_transaction(true);
    world.logs[0].max_batch = 400;
    let all: Vec<_> = (0..10u8).map(|n| world.enqueue(0, &[n; 60])).collect();
    world.machine.hurry();
    world.poll();
    assert_eq!(world.waiting(1), 1, "a commit does not linger");
    world.serve(1);
    world.wait_for_request(1);
    let batch = &world.lanes[&1][0].request.topics[0].partitions[0].batch;
    assert!(BatchHeader::parse(batch).unwrap().attributes.is_transactional());
    world.settle();
    assert!(all.iter().all(|delivery| delivery.peek().unwrap().is_ok()));
    assert!(world.machine.take_fault().is_none() && world.machine.has_identity());
}

#[test]
fn whoever_is_fenced_ends_everything_truly() {
    let mut world = begun();
    write(&mut world, b"a");
    let sent = send(&mut world, 0, b"b");
    world.machine.clear_identity();
    let queued = send(&mut world, 1, b"c");
    world.machine.fail_everything(&DeliveryCause::Aborted, world.bench.now);
    assert!(matches!(sent.peek(), Some(Err(DeliveryError::Unknown(_)))));
    assert!(is_not_written(&queued));
    assert!(!world.machine.is_drained(), "its answer is to come");
}

#[test]
fn a_topic_made_anew_in_a_transaction_raises_no_epoch() {
    let mut world = begun();
    write(&mut world, b"a");
    let again = send(&mut world, 0, b"b");
    world.recreate(2);
    world.serve(1);
    world.settle();
    assert!(again.peek().unwrap().is_ok());
    assert!(world.machine.has_identity());
    assert_eq!(world.log(0), [b"b"]);
}
