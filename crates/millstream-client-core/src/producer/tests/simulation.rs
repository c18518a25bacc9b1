//! Random troubles in virtual time, and a judge: each record ends once, and its end is the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::compression::Compression;
use millstream_types::Record;
use proptest::prelude::*;

use super::world::{TOPIC, World, poll_once};
use crate::backoff::Rng;
use crate::producer::{Delivery, DeliveryError, EnqueueError, ProducerConfig};

const BROKERS: i32 = 3;
const PARTITIONS: i32 = 4;

/// How much trouble there is, in per mille of steps.
#[derive(Clone, Debug)]
struct Profile {
    seed: u64,
    disconnects: u64,
    errors: u64,
    moves: u64,
    stalls: u64,
    in_flight: usize,
    compressed: bool,
    max_batch: usize,
}

fn profiles() -> impl Strategy<Value = Profile> {
    (
        any::<u64>(),
        0..60u64,
        0..120u64,
        0..40u64,
        0..10u64,
        1..=5usize,
        any::<bool>(),
        prop_oneof![Just(usize::MAX), Just(500)],
    )
        .prop_map(
            |(seed, disconnects, errors, moves, stalls, in_flight, compressed, max_batch)| {
                Profile {
                    seed,
                    disconnects,
                    errors,
                    moves,
                    stalls,
                    in_flight,
                    compressed,
                    max_batch,
                }
            },
        )
}

/// Errors that a broker may have for a partition at any time.
const ERRORS: [ErrorCode; 9] = [
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::NotEnoughReplicas,
    ErrorCode::NotEnoughReplicasAfterAppend,
    ErrorCode::RequestTimedOut,
    ErrorCode::LeaderNotAvailable,
    ErrorCode::UnknownTopicOrPartition,
    ErrorCode::InvalidRecord,
    ErrorCode::TopicAuthorizationFailed,
    ErrorCode::CorruptMessage,
];

struct Run {
    world: World,
    rng: Rng,
    profile: Profile,
    /// What was accepted: partition and number, in order.
    accepted: Vec<(i32, u64, Delivery)>,
    next: u64,
}

impl Run {
    fn new(profile: Profile) -> Self {
        let config = ProducerConfig {
            linger: Duration::from_millis(2),
            batch_size: 600,
            buffer_memory: 256 * 1024,
            delivery_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(1),
            max_in_flight: profile.in_flight,
            compression: if profile.compressed { Compression::Snappy } else { Compression::None },
            seed: profile.seed,
            ..ProducerConfig::default()
        };
        let mut world = World::new(config, BROKERS, PARTITIONS);
        for log in &mut world.logs {
            log.max_batch = profile.max_batch;
        }
        Self { world, rng: Rng::new(profile.seed), profile, accepted: Vec::new(), next: 0 }
    }

    fn chance(&mut self, per_mille: u64) -> bool {
        self.rng.below(1000) < per_mille
    }

    fn step(&mut self) {
        for _ in 0..self.rng.below(6) {
            self.enqueue();
        }
        self.world.poll();
        let broker = self.rng.below(BROKERS as u64) as i32 + 1;
        if self.chance(self.profile.moves) {
            let partition = self.rng.below(PARTITIONS as u64) as usize;
            let epoch = self.world.logs.iter().map(|log| log.leader_epoch).max().unwrap_or(0);
            let log = &mut self.world.logs[partition];
            log.leader = broker;
            log.leader_epoch = epoch + 1;
        }
        if self.chance(100) {
            self.world.learn();
            self.world.poll();
        }
        if self.chance(300) {
            self.world.grant_ids();
        }
        if self.chance(self.profile.disconnects) {
            let waiting = self.world.waiting(broker) as u64;
            let applied = self.rng.below(waiting + 1) as usize;
            self.world.disconnect(broker, applied);
        } else if self.world.waiting(broker) > 0 && self.chance(700) {
            let errors = self.profile.errors;
            let mut rng = self.rng.fork();
            self.world.serve_unless(broker, |_, _| {
                let is_hit = rng.below(1000) < errors;
                is_hit.then(|| ERRORS[rng.below(ERRORS.len() as u64) as usize])
            });
        }
        let pause = if self.chance(self.profile.stalls) {
            // Longer than a record has.
            self.rng.below(4_000)
        } else {
            self.rng.below(4)
        };
        self.world.advance(Duration::from_millis(pause));
    }

    fn enqueue(&mut self) {
        let partition = self.rng.below(PARTITIONS as u64) as i32;
        let value = format!("{:06}-{}", self.next, "x".repeat(self.rng.below(80) as usize));
        let record = Record::to(TOPIC).partition(partition).value(&value);
        match self.world.shared.try_enqueue(&record) {
            Ok(delivery) => {
                self.accepted.push((partition, self.next, delivery));
                self.next += 1;
            }
            Err(EnqueueError::Full { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Where each accepted record stands in its log.
    fn places(&self) -> BTreeMap<u64, Vec<(i32, usize)>> {
        let mut places: BTreeMap<u64, Vec<(i32, usize)>> = BTreeMap::new();
        for partition in 0..PARTITIONS {
            for (offset, value) in self.world.log(partition as usize).iter().enumerate() {
                let number = std::str::from_utf8(&value[..6]).unwrap().parse().unwrap();
                places.entry(number).or_default().push((partition, offset));
            }
        }
        places
    }

    fn judge(&mut self) {
        let places = self.places();
        let mut counts = (0, 0, 0);
        for (partition, number, delivery) in &self.accepted {
            let found = places.get(number).map_or(&[][..], Vec::as_slice);
            assert!(found.len() <= 1, "record {number} is there twice: {found:?}");
            match delivery.peek().expect("every record has its end") {
                Ok(receipt) => {
                    counts.0 += 1;
                    let (at, offset) = found.first().expect("what is written is there");
                    assert_eq!(at, partition);
                    if let Some(told) = receipt.offset {
                        assert_eq!(told.value(), *offset as i64, "record {number}");
                    }
                }
                Err(DeliveryError::NotWritten(failed)) => {
                    counts.1 += 1;
                    assert!(found.is_empty(), "record {number} is there: {failed:?}");
                    let value = failed.into_record().unwrap().value.unwrap();
                    assert!(value.starts_with(format!("{number:06}").as_bytes()));
                }
                Err(DeliveryError::Unknown(_)) => counts.2 += 1,
            }
        }
        // In each log the records stand in the order in which they were accepted.
        for partition in 0..PARTITIONS {
            let log = self.world.log(partition as usize);
            assert!(
                log.windows(2).all(|pair| pair[0][..6] < pair[1][..6]),
                "partition {partition} is out of order"
            );
        }
        let mut flush = self.world.flush();
        let report = poll_once(&mut flush).expect("nothing is outstanding");
        assert_eq!((report.written, report.not_written, report.unknown), counts);
        assert_eq!(self.world.shared.memory_used(), 0, "all memory went back");
    }
}

proptest! {
    #[test]
    fn every_record_ends_once_and_truly(profile in profiles()) {
        let mut run = Run::new(profile);
        for _ in 0..400 {
            run.step();
        }
        run.world.settle();
        run.judge();
    }
}
