//! What the machine does when all goes well, and in each single trouble.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::compression::Compression;
use millstream_types::{Offset, Record};

use super::world::{TOPIC, World, poll_once};
use crate::outbox::Acks;
use crate::producer::{
    DeliveryCause, DeliveryError, Enqueue, EnqueueError, ProducerConfig, Receipt,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config() -> ProducerConfig {
    ProducerConfig::default()
}

fn receipt(end: Option<Result<Receipt, DeliveryError>>) -> Receipt {
    end.expect("it has ended").expect("it is written")
}

fn not_written(end: Option<Result<Receipt, DeliveryError>>) -> crate::producer::NotWritten {
    match end {
        Some(Err(DeliveryError::NotWritten(failed))) => failed,
        other => panic!("expected not written, got {other:?}"),
    }
}

#[test]
fn a_batch_lingers_and_goes_out_whole() {
    let mut world = World::new(config(), 1, 1);
    let first = world.enqueue(0, b"a");
    world.poll();
    world.advance(ms(4));
    let second = world.enqueue(0, b"b");
    world.poll();
    assert_eq!(world.waiting(1), 0, "it lingers");
    world.advance(ms(1));
    assert_eq!(world.waiting(1), 1);
    world.serve(1);
    assert_eq!(receipt(first.peek()).offset, Some(Offset(0)));
    assert_eq!(receipt(second.peek()).offset, Some(Offset(1)));
    assert_eq!(world.log(0), [b"a", b"b"]);
    assert_eq!(world.shared.memory_used(), 0, "the buffer went back");
}

#[test]
fn many_partitions_share_a_request() {
    let mut world = World::new(config(), 2, 8);
    let deliveries: Vec<_> = (0..8).map(|p| world.enqueue(p, b"x")).collect();
    world.poll();
    world.advance(ms(5));
    assert_eq!((world.waiting(1), world.waiting(2)), (1, 1));
    world.serve(1);
    world.serve(2);
    assert!(deliveries.iter().all(|delivery| delivery.peek().is_some()));
}

#[test]
fn a_request_stays_within_its_size() {
    let config = ProducerConfig {
        batch_size: 1024,
        max_request_size: 2048,
        linger: Duration::ZERO,
        ..config()
    };
    let mut world = World::new(config, 1, 5);
    for partition in 0..5 {
        drop(world.enqueue(partition, &[b'x'; 800]));
    }
    world.poll();
    assert_eq!(world.waiting(1), 3, "two batches a request");
    world.settle();
}

#[test]
fn at_most_five_requests_are_unanswered() {
    let config = ProducerConfig { batch_size: 128, linger: Duration::ZERO, ..config() };
    let mut world = World::new(config, 1, 1);
    // The first one proves that the broker takes us up from sequence 0, and goes alone.
    drop(world.enqueue(0, b"first"));
    world.poll();
    drop(world.enqueue(0, b"second"));
    world.poll();
    assert_eq!(world.waiting(1), 1);
    world.serve(1);
    for n in 0..20u8 {
        drop(world.enqueue(0, &[n; 60]));
        world.poll();
    }
    assert_eq!(world.waiting(1), 5);
    world.settle();
    assert_eq!(world.logs[0].records.len(), 22);
}

#[test]
fn a_full_budget_refuses_and_a_freed_one_wakes() {
    let config = ProducerConfig {
        buffer_memory: 8 * 1024,
        batch_size: 4096,
        max_request_size: 4096,
        ..config()
    };
    let mut world = World::new(config, 1, 1);
    let value = [b'x'; 1000];
    let record = Record::to(TOPIC).value(&value);
    let mut accepted = 0;
    let full = loop {
        match world.shared.try_enqueue(&record) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, EnqueueError::Full { .. }), "{full}");
    assert_eq!(accepted, 6, "three records in each of two batches of 4 KiB");
    let shared = world.shared.clone();
    let mut waiting = Enqueue::new(&shared, &record);
    assert!(poll_once(&mut waiting).is_none());
    world.poll();
    world.serve(1);
    assert!(poll_once(&mut waiting).expect("room").is_ok());
    world.settle();
}

#[test]
fn waiting_for_memory_ends_at_max_block() {
    let config = ProducerConfig {
        buffer_memory: 4 * 1024,
        batch_size: 4096,
        max_request_size: 4096,
        max_block: ms(50),
        ..config()
    };
    let mut world = World::new(config, 1, 1);
    let value = [b'x'; 3000];
    let record = Record::to(TOPIC).value(&value);
    let _held = world.shared.try_enqueue(&record).unwrap();
    let shared = world.shared.clone();
    let mut waiting = Enqueue::new(&shared, &record);
    assert!(poll_once(&mut waiting).is_none());
    let deadline = world.bench.now + ms(50);
    assert_eq!(world.machine.next_timeout(), Some(deadline), "the driver keeps the time");
    world.advance(ms(50));
    let error = poll_once(&mut waiting).expect("its time is up").unwrap_err();
    assert!(matches!(error, EnqueueError::MemoryTimedOut { .. }), "{error}");
    world.settle();
}

#[test]
fn an_unknown_topic_is_named_when_the_time_is_up() {
    let config = ProducerConfig { max_block: ms(200), ..config() };
    let mut world = World::unknown(config, 1, 1);
    let record = Record::to("nowhere").value("x");
    let shared = world.shared.clone();
    let mut waiting = Enqueue::new(&shared, &record);
    assert!(poll_once(&mut waiting).is_none());
    world.poll();
    let asked = [millstream_types::TopicName::from("nowhere")].into();
    let empty = crate::testing::cluster(1, &[]);
    world.bench.metadata.apply(empty, Some(&asked));
    world.poll();
    assert!(poll_once(&mut waiting).is_none(), "it may still be created");
    world.advance(ms(200));
    let error = poll_once(&mut waiting).expect("its time is up").unwrap_err().to_string();
    assert!(error.contains("nowhere") && error.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{error}");
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let mut world = World::new(config(), 1, 2);
    let value = vec![0; 2 * 1024 * 1024];
    let too_large = world.shared.try_enqueue(&Record::to(TOPIC).value(&value));
    assert!(matches!(too_large, Err(EnqueueError::RecordTooLarge { .. })));
    let nowhere = world.shared.try_enqueue(&Record::to(TOPIC).partition(2));
    let error = nowhere.unwrap_err().to_string();
    assert_eq!(error, "topic t has partitions 0 to 1, not 2");
    let early = world.shared.try_enqueue(&Record::to(TOPIC).timestamp(-7));
    assert!(matches!(early, Err(EnqueueError::InvalidTimestamp { .. })));
    assert_eq!(world.shared.memory_used(), 0);
    assert_eq!(world.close(ms(0)).expect("nothing is left").written, 0);
    let closed = world.shared.try_enqueue(&Record::to(TOPIC));
    assert!(matches!(closed, Err(EnqueueError::Closed)));
}

#[test]
fn a_refused_record_comes_back_as_it_was() {
    for compression in [Compression::None, Compression::Lz4, Compression::Gzip] {
        let config = ProducerConfig { compression, ..config() };
        let mut world = World::new(config, 1, 1);
        let first = world.enqueue(0, b"other");
        let record = Record::to(TOPIC)
            .partition(0)
            .timestamp(77)
            .key("k")
            .header("h", "v")
            .maybe_header("n", None);
        let second = world.shared.try_enqueue(&record).unwrap();
        world.poll();
        world.advance(ms(5));
        world.serve_unless(1, |_, _| Some(ErrorCode::TopicAuthorizationFailed));
        assert!(first.peek().is_some_and(|end| end.is_err()));
        let failed = not_written(second.peek());
        let cause = failed.cause().to_string();
        assert!(cause.contains("TOPIC_AUTHORIZATION_FAILED"), "{cause}");
        let returned = failed.into_record().expect("it is retained");
        let again = returned.to_record();
        assert_eq!(again.key_bytes(), record.key_bytes());
        assert_eq!(again.value_bytes(), None);
        assert_eq!(again.headers(), record.headers());
        assert_eq!(again.named_timestamp(), record.named_timestamp());
        assert_eq!(world.shared.memory_used(), 0, "failures hold no budget");
    }
}

#[test]
fn a_batch_too_large_is_split_until_it_fits() {
    let mut world = World::new(config(), 1, 1);
    world.logs[0].max_batch = 400;
    let deliveries: Vec<_> = (0..20u8).map(|n| world.enqueue(0, &[n; 60])).collect();
    let flush = world.flush();
    world.settle();
    let offsets: Vec<_> = deliveries
        .iter()
        .map(|delivery| receipt(delivery.peek()).offset.map(Offset::value))
        .collect();
    assert_eq!(offsets, (0..20).map(Some).collect::<Vec<_>>());
    let report = poll_once(&mut { flush }).expect("all has ended");
    assert_eq!((report.written, report.not_written), (20, 0));
}

#[test]
fn a_single_record_too_large_fails_alone() {
    let mut world = World::new(config(), 1, 1);
    world.logs[0].max_batch = 200;
    let before = world.enqueue(0, b"small");
    let large = world.enqueue(0, &[b'x'; 300]);
    let after = world.enqueue(0, b"small too");
    world.settle();
    assert_eq!(receipt(before.peek()).offset, Some(Offset(0)));
    assert_eq!(receipt(after.peek()).offset, Some(Offset(1)));
    let failed = not_written(large.peek());
    assert!(matches!(
        failed.cause(),
        DeliveryCause::Broker { code: ErrorCode::MessageTooLarge, .. }
    ));
}

#[test]
fn a_moved_leader_is_followed_in_order() {
    let mut world = World::new(config(), 2, 1);
    let first = world.enqueue(0, b"a");
    world.poll();
    world.advance(ms(5));
    world.logs[0].leader = 2;
    world.logs[0].leader_epoch = 1;
    world.serve(1);
    let second = world.enqueue(0, b"b");
    world.poll();
    assert_eq!((world.waiting(1), world.waiting(2)), (0, 0));
    world.learn();
    world.poll();
    assert_eq!(world.waiting(2), 1, "a new leader is asked without a wait");
    world.settle();
    assert!(receipt(first.peek()).offset < receipt(second.peek()).offset);
}

#[test]
fn acks_none_is_written_once_it_is_sent() {
    let config = ProducerConfig { acks: Acks::None, idempotence: false, ..config() };
    let mut world = World::new(config, 1, 1);
    let delivery = world.enqueue(0, b"a");
    world.poll();
    world.advance(ms(5));
    let id = world.lanes.get_mut(&1).unwrap().pop_front().unwrap().id;
    let sent = crate::testing::answer(9, crate::outbox::ResponseBody::None);
    world.machine.handle_response(id, Ok(sent), &mut world.bench.cx());
    assert_eq!(receipt(delivery.peek()).offset, None);
}

#[test]
fn without_idempotence_retries_do_not_overtake() {
    let config =
        ProducerConfig { idempotence: false, linger: Duration::ZERO, batch_size: 100, ..config() };
    let mut world = World::new(config, 1, 1);
    for n in 0..5u8 {
        drop(world.enqueue(0, &[n; 60]));
        world.poll();
    }
    assert_eq!(world.waiting(1), 1, "one batch of a partition at a time");
    world.serve_unless(1, |_, _| Some(ErrorCode::NotEnoughReplicas));
    world.settle();
    let firsts: Vec<u8> = world.log(0).iter().map(|value| value[0]).collect();
    assert_eq!(firsts, [0, 1, 2, 3, 4]);
}

#[test]
fn close_sends_what_lingers_and_gives_up_the_rest_at_its_deadline() {
    let mut world = World::new(config(), 1, 2);
    let sent = world.enqueue(0, b"a");
    world.poll();
    assert!(world.close(ms(100)).is_none());
    assert_eq!(world.waiting(1), 1, "closing does not linger");
    world.advance(ms(100));
    let report = world.closed().expect("the deadline has come");
    assert_eq!((report.written, report.unknown), (0, 1));
    assert!(matches!(sent.peek(), Some(Err(DeliveryError::Unknown(_)))));
}

#[test]
fn a_dropped_machine_leaves_no_delivery_waiting() {
    let mut world = World::new(config(), 1, 1);
    let sent = world.enqueue(0, b"a");
    let mut flush = world.flush();
    let queued = world.enqueue(0, b"b");
    let World { machine, shared, .. } = world;
    drop(machine);
    assert!(matches!(sent.peek(), Some(Err(DeliveryError::Unknown(_)))));
    assert!(matches!(queued.peek(), Some(Err(DeliveryError::NotWritten(_)))));
    assert_eq!(poll_once(&mut flush).map(|report| report.unknown), Some(1));
    assert!(matches!(shared.try_enqueue(&Record::to(TOPIC)), Err(EnqueueError::Closed)));
}

#[test]
fn an_idle_producer_sets_no_timer() {
    let mut world = World::new(config(), 1, 4);
    drop(world.enqueue(0, b"a"));
    world.settle();
    world.poll();
    assert_eq!(world.machine.next_timeout(), None);
}

#[test]
fn retries_back_off_exponentially() {
    let mut world = World::new(config(), 1, 1);
    drop(world.enqueue(0, b"a"));
    world.poll();
    world.advance(ms(5));
    let mut waits = Vec::new();
    for _ in 0..6 {
        world.serve_unless(1, |_, _| Some(ErrorCode::NotEnoughReplicas));
        let begun = world.bench.now;
        while world.waiting(1) == 0 {
            let next = world.machine.next_timeout().expect("a retry is due");
            world.advance(next - world.bench.now);
        }
        waits.push((world.bench.now - begun).as_millis());
    }
    for (wait, expected) in waits.iter().zip([100, 200, 400, 800, 1000, 1000]) {
        let (low, high) = (expected * 8 / 10, expected * 12 / 10);
        assert!((low..=high).contains(wait), "{waits:?}");
    }
    world.settle();
}
