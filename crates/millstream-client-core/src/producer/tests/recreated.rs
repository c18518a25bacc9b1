//! Topics that change under a producer: made anew, deleted, grown.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_types::{Offset, Record, TopicName, TopicPartition};

use super::world::{TOPIC, World};
use crate::producer::{Delivery, DeliveryError, EnqueueError, ProducerConfig};

/// One record a batch, sent at once.
fn config() -> ProducerConfig {
    ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() }
}

fn send(world: &mut World, partition: i32, value: &[u8]) -> Delivery {
    let delivery = world.enqueue(partition, value);
    world.poll();
    delivery
}

fn offset(delivery: &Delivery) -> Option<i64> {
    delivery.peek()?.ok()?.offset.map(Offset::value)
}

/// Writes `count` records, one after the other.
fn write(world: &mut World, count: u8) {
    for n in 0..count {
        let delivery = send(world, 0, &[n]);
        world.settle();
        assert!(offset(&delivery).is_some());
    }
}

fn acknowledged(world: &World) -> Option<i64> {
    let partition = TopicPartition::new(TOPIC, 0);
    world.shared.acknowledged_offset(&partition).map(Offset::value)
}

/// KAFKA-12257, librdkafka #4898: a new id is another topic, which knows nothing of the sequence.
#[test]
fn a_topic_made_anew_is_written_to_from_sequence_0_in_a_new_epoch() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, 3);
    assert_eq!(acknowledged(&world), Some(2));
    world.recreate(1);
    let first = send(&mut world, 0, b"x");
    let second = send(&mut world, 0, b"y");
    world.serve(1);
    world.serve(1);
    assert!(first.peek().is_none(), "the old id is unknown: it is sent again");
    world.learn();
    world.wait_for_request(1);
    assert_eq!(world.sequences(1), [(1, 0)]);
    assert_eq!(world.lanes[&1][0].request.topics[0].id, world.topic_id);
    world.settle();
    assert_eq!([offset(&first), offset(&second)], [Some(0), Some(1)]);
    assert_eq!(world.log(0), [b"x", b"y"]);
    assert_eq!(acknowledged(&world), Some(1), "offsets began anew");
}

/// An answer was lost, then the topic was made anew: nobody knows what the old one had, so a refusal
/// by the new one leaves it unknown; and the new one has it once at most.
#[test]
fn what_the_old_topic_may_have_had_stays_unknown() {
    for is_refused in [false, true] {
        let mut world = World::new(config(), 1, 1);
        write(&mut world, 1);
        let lost = send(&mut world, 0, b"x");
        world.disconnect(1, 1);
        world.recreate(1);
        world.learn();
        world.wait_for_request(1);
        if is_refused {
            world.serve_unless(1, |_, _| Some(ErrorCode::PolicyViolation));
            assert!(matches!(lost.peek(), Some(Err(DeliveryError::Unknown(_)))));
            assert!(world.log(0).is_empty());
        } else {
            world.settle();
            assert_eq!(offset(&lost), Some(0));
            assert_eq!(world.log(0), [b"x"]);
        }
        let after = send(&mut world, 0, b"y");
        world.settle();
        assert_eq!(offset(&after), Some(i64::from(!is_refused)));
    }
}

#[test]
fn a_topic_made_anew_with_fewer_partitions_gives_back_what_was_for_the_others() {
    let mut world = World::new(config(), 1, 2);
    let warm = [send(&mut world, 0, b"a"), send(&mut world, 1, b"b")];
    world.settle();
    assert!(warm.iter().all(|delivery| offset(delivery) == Some(0)));
    let stranded = send(&mut world, 1, b"c");
    world.recreate(1);
    world.learn();
    world.settle();
    let Some(Err(DeliveryError::NotWritten(failed))) = stranded.peek() else {
        panic!("{:?}", stranded.peek());
    };
    assert_eq!(failed.elapsed(), Duration::from_secs(120));
    assert_eq!(failed.into_record().unwrap().value.as_deref(), Some(&b"c"[..]));
    let record = Record::to(TOPIC).partition(1).value("d");
    let refused = world.shared.try_enqueue(&record);
    assert!(matches!(refused, Err(EnqueueError::UnknownPartition { count: 1, .. })));
    world.poll();
    let after = send(&mut world, 0, b"e");
    world.settle();
    assert_eq!(offset(&after), Some(0));
}

#[test]
fn a_deleted_topic_names_the_trouble_when_the_time_is_up() {
    let mut world = World::new(config(), 1, 1);
    write(&mut world, 1);
    let asked = [TopicName::from(TOPIC)].into();
    world.bench.metadata.apply(crate::testing::cluster(1, &[]), Some(&asked));
    world.poll();
    let stranded = send(&mut world, 0, b"x");
    while stranded.peek().is_none() {
        let next = world.machine.next_timeout().expect("its time is kept");
        world.advance(next.saturating_duration_since(world.bench.now));
    }
    let Some(Err(DeliveryError::NotWritten(failed))) = stranded.peek() else {
        panic!("{:?}", stranded.peek());
    };
    assert!(failed.cause().to_string().contains("UNKNOWN_TOPIC_OR_PARTITION"));
}

/// librdkafka's 0044: partitions are added under load; the old ones are not disturbed, and records
/// without a key find the new ones.
#[test]
fn added_partitions_are_written_to_and_the_others_go_on() {
    let config = ProducerConfig { batch_size: 200, ..config() };
    let mut world = World::new(config, 2, 2);
    let mut deliveries = Vec::new();
    let add = |world: &mut World, deliveries: &mut Vec<Delivery>| {
        let record = Record::to(TOPIC).value(&[b'x'; 60]);
        deliveries.push(world.shared.try_enqueue(&record).unwrap());
        world.poll();
    };
    (0..20).for_each(|_| add(&mut world, &mut deliveries));
    let named = Record::to(TOPIC).partition(5).value("x");
    let refused = world.shared.try_enqueue(&named);
    assert!(matches!(refused, Err(EnqueueError::UnknownPartition { count: 2, .. })));
    for partition in 2..6 {
        world.logs.push(super::cluster::Log::new(partition % 2 + 1));
    }
    world.learn();
    world.poll();
    assert!(world.shared.try_enqueue(&named).is_ok());
    (0..100).for_each(|_| add(&mut world, &mut deliveries));
    world.settle();
    assert!(deliveries.iter().all(|delivery| offset(delivery).is_some()));
    assert!(world.logs.iter().all(|log| !log.records.is_empty()), "each has its share");
    let total: usize = world.logs.iter().map(|log| log.records.len()).sum();
    assert_eq!(total, 121);
    assert_eq!(world.next_producer_id, 1_001);
}
