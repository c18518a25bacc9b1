//! Work goes by what is ready, not by how many partitions there are; who has nothing to do sleeps.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_types::Record;

use super::world::{TOPIC, World, poll_once};
use crate::outbox::Acks;
use crate::producer::{Enqueue, ProducerConfig};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config() -> ProducerConfig {
    ProducerConfig { linger: ms(5), ..ProducerConfig::default() }
}

/// Serves all brokers until nothing waits there, without telling metadata.
fn serve_all(world: &mut World) {
    for broker in 1..=world.brokers {
        while world.waiting(broker) > 0 {
            world.serve(broker);
        }
    }
}

/// How often partitions are looked at while 100 batches go to the first six of `partitions`.
fn looks(partitions: i32, trouble: impl Fn(&mut World, u32)) -> u64 {
    let mut world = World::new(config(), 3, partitions);
    let before = world.machine.looks;
    for round in 0..100 {
        let partition = (round % 6) as i32;
        let delivery = world.enqueue(partition, b"x");
        world.poll();
        trouble(&mut world, round);
        world.advance(ms(5));
        serve_all(&mut world);
        assert!(delivery.peek().is_some());
    }
    world.machine.looks - before
}

#[test]
fn a_thousand_partitions_are_no_more_work_than_six() {
    let of = |partitions| looks(partitions, |_, _| {});
    assert_eq!(of(1_000), of(6));
}

#[test]
fn neither_leaders_nor_memory_nor_flushes_make_all_partitions_looked_at() {
    let trouble = |world: &mut World, round: u32| match round % 3 {
        // One leader of a partition that is not used moves.
        0 => {
            let epoch = world.logs.iter().map(|log| log.leader_epoch).max().unwrap();
            world.logs[5].leader = (round % 2) as i32 + 1;
            world.logs[5].leader_epoch = epoch + 1;
            world.learn();
            world.poll();
        }
        1 => drop(world.flush()),
        _ => {
            let record = Record::to(TOPIC).partition(99).value("x");
            assert!(world.shared.try_enqueue(&record).is_err() || world.logs.len() > 99);
        }
    };
    let (few, many) = (looks(6, trouble), looks(1_000, trouble));
    // The record for partition 99 is accepted where there is one: 33 batches more, of 4 looks.
    assert!(many <= few + 33 * 6, "{many} looks with 1,000 partitions, {few} with 6");
}

#[test]
fn a_producer_id_that_is_late_is_waited_for_by_those_who_need_it() {
    let mut world = World::unknown(config(), 3, 1_000);
    let refused = world.shared.try_enqueue(&Record::to(TOPIC).value(b"x"));
    assert!(refused.is_err());
    world.poll();
    world.learn();
    world.poll();
    drop(world.enqueue(7, b"x"));
    world.poll();
    world.advance(ms(5));
    let before = world.machine.looks;
    world.grant_ids();
    assert!(world.machine.looks - before < 10, "{}", world.machine.looks - before);
    serve_all(&mut world);
    assert_eq!(world.log(7), [b"x"]);
}

#[test]
fn a_thousand_batches_go_in_one_request() {
    let mut world = World::new(config(), 1, 1_000);
    let deliveries: Vec<_> = (0..1_000).map(|partition| world.enqueue(partition, b"x")).collect();
    world.poll();
    world.advance(ms(5));
    assert_eq!(world.waiting(1), 1);
    world.serve(1);
    assert!(deliveries.iter().all(|delivery| matches!(delivery.peek(), Some(Ok(_)))));
}

/// Whatever happened before: once every record has its end, nothing is due.
#[test]
fn an_idle_producer_fires_no_timer_whatever_came_before() {
    let plain = ProducerConfig { idempotence: false, acks: Acks::Leader, ..config() };
    for config in [config(), plain] {
        let mut world = World::new(config, 2, 4);
        let errors = [
            None,
            Some(ErrorCode::NotEnoughReplicas),
            Some(ErrorCode::TopicAuthorizationFailed),
            Some(ErrorCode::OutOfOrderSequenceNumber),
            Some(ErrorCode::UnknownServerError),
        ];
        for error in errors {
            for partition in 0..4 {
                drop(world.enqueue(partition, b"x"));
            }
            world.poll();
            world.advance(ms(5));
            for broker in 1..=2 {
                if world.waiting(broker) > 0 {
                    world.serve_unless(broker, |_, _| error);
                }
            }
            world.settle();
            assert_eq!(world.machine.next_timeout(), None, "after {error:?}");
        }
        drop(world.enqueue(0, b"x"));
        world.poll();
        world.advance(ms(5));
        world.disconnect(1, 0);
        world.settle();
        drop(world.flush());
        world.poll();
        assert_eq!(world.machine.next_timeout(), None, "after a lost connection and a flush");
    }
}

/// Haste is for what is open when memory runs short; what opens later is announced by itself.
#[test]
fn waiting_for_memory_sends_what_lingers_once() {
    let config = ProducerConfig {
        buffer_memory: 8 * 1024,
        batch_size: 4096,
        max_request_size: 4096,
        linger: Duration::from_secs(10),
        ..config()
    };
    let mut world = World::new(config, 1, 2);
    let value = [b'x'; 3000];
    let held = [world.enqueue(0, &value), world.enqueue(1, &value)];
    world.poll();
    assert_eq!(world.waiting(1), 0, "both linger");
    let shared = world.shared.clone();
    let record = Record::to(TOPIC).partition(0).value(&value);
    let mut waiting = Enqueue::new(&shared, &record);
    assert!(poll_once(&mut waiting).is_none());
    world.poll();
    world.serve(1);
    let looked = world.machine.looks;
    for _ in 0..10 {
        world.poll();
    }
    assert_eq!(world.machine.looks, looked, "nothing is looked at again and again");
    serve_all(&mut world);
    assert!(held.iter().all(|delivery| delivery.peek().is_some()));
    assert!(poll_once(&mut waiting).expect("there is room").is_ok());
    world.poll();
    world.close(ms(100));
    serve_all(&mut world);
}
