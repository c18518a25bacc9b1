//! The whole producer by steps that shrink: a failing run is cut down to the few that matter.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_types::Record;
use proptest::prelude::*;

use super::world::{TOPIC, World};
use crate::cx::CommandId;
use crate::producer::{Delivery, DeliveryError, EnqueueError, ProducerCommand, ProducerConfig};

const PARTITIONS: i32 = 2;
const BROKERS: i32 = 2;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A record for a partition, this large.
    Enqueue(i32, u8),
    /// A broker serves its oldest request.
    Serve(i32),
    /// It answers with this error, one of [`ERRORS`].
    Refuse(i32, usize),
    /// Its connection ends after it applied this many requests.
    Disconnect(i32, usize),
    /// Time passes, in milliseconds.
    Wait(u64),
    /// A partition gets another leader.
    Move(i32),
    /// The producer learns how things are.
    Learn,
    /// Requests for a producer id are granted.
    Grant,
    /// All open batches are to be sent.
    Flush,
    /// What is not sent is given up.
    Abort,
    /// The topic is deleted and made anew.
    Recreate,
}

const ERRORS: [ErrorCode; 13] = [
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::NotEnoughReplicas,
    ErrorCode::NotEnoughReplicasAfterAppend,
    ErrorCode::RequestTimedOut,
    ErrorCode::UnknownTopicOrPartition,
    ErrorCode::InvalidRecord,
    ErrorCode::TopicAuthorizationFailed,
    ErrorCode::CorruptMessage,
    ErrorCode::MessageTooLarge,
    ErrorCode::UnknownServerError,
    ErrorCode::InvalidProducerEpoch,
    ErrorCode::KafkaStorageError,
    ErrorCode::PolicyViolation,
];

fn step() -> impl Strategy<Value = Step> {
    let broker = || 1..=BROKERS;
    let partition = || 0..PARTITIONS;
    prop_oneof![
        12 => (partition(), any::<u8>()).prop_map(|(at, size)| Step::Enqueue(at, size)),
        8 => broker().prop_map(Step::Serve),
        3 => (broker(), 0..ERRORS.len()).prop_map(|(at, error)| Step::Refuse(at, error)),
        2 => (broker(), 0..4usize).prop_map(|(at, applied)| Step::Disconnect(at, applied)),
        6 => (0..12u64).prop_map(Step::Wait),
        1 => (100..4_000u64).prop_map(Step::Wait),
        1 => partition().prop_map(Step::Move),
        2 => Just(Step::Learn),
        2 => Just(Step::Grant),
        1 => Just(Step::Flush),
        1 => Just(Step::Abort),
        1 => Just(Step::Recreate),
    ]
}

/// A run: the world, what was accepted, and the logs of topics that are gone.
struct Run {
    world: World,
    /// Partition, number, delivery.
    accepted: Vec<(i32, u32, Delivery)>,
    /// Values of deleted logs, with the partition of each.
    gone: Vec<(i32, Vec<u32>)>,
    /// How many of each partition's records have their end, checked to be the oldest ones.
    told: BTreeMap<i32, usize>,
}

impl Run {
    fn new(max_in_flight: usize, is_idempotent: bool) -> Self {
        let config = ProducerConfig {
            linger: Duration::from_millis(2),
            batch_size: 300,
            delivery_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(1),
            max_in_flight,
            idempotence: is_idempotent,
            ..ProducerConfig::default()
        };
        let mut world = World::new(config, BROKERS, PARTITIONS);
        world.logs.iter_mut().for_each(|log| log.max_batch = 250);
        Self { world, accepted: Vec::new(), gone: Vec::new(), told: BTreeMap::new() }
    }

    fn numbers(&self, partition: i32) -> Vec<u32> {
        let values = self.world.log(partition as usize);
        values.iter().map(|value| u32::from_be_bytes(value[..4].try_into().unwrap())).collect()
    }

    fn take(&mut self, step: &Step) {
        let world = &mut self.world;
        match *step {
            Step::Enqueue(partition, size) => {
                let number = self.accepted.len() as u32;
                let mut value = number.to_be_bytes().to_vec();
                value.resize(4 + usize::from(size) / 4, b'x');
                let record = Record::to(TOPIC).partition(partition).value(&value);
                match world.shared.try_enqueue(&record) {
                    Ok(delivery) => self.accepted.push((partition, number, delivery)),
                    Err(EnqueueError::Full { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Serve(broker) if world.waiting(broker) > 0 => world.serve(broker),
            Step::Refuse(broker, error) if world.waiting(broker) > 0 => {
                world.serve_unless(broker, |_, _| Some(ERRORS[error]));
            }
            Step::Disconnect(broker, applied) => world.disconnect(broker, applied),
            Step::Wait(millis) => world.advance(Duration::from_millis(millis)),
            Step::Move(partition) => {
                let epoch = world.logs.iter().map(|log| log.leader_epoch).max().unwrap_or(0);
                let log = &mut world.logs[partition as usize];
                log.leader = log.leader % BROKERS + 1;
                log.leader_epoch = epoch + 1;
            }
            Step::Learn => world.learn(),
            Step::Grant => world.grant_ids(),
            Step::Flush => drop(world.flush()),
            Step::Abort => {
                let mut cx = world.bench.cx();
                world.machine.handle_command(CommandId(1), ProducerCommand::Abort, &mut cx);
            }
            Step::Recreate => {
                for partition in 0..PARTITIONS {
                    let numbers = self.numbers(partition);
                    self.gone.push((partition, numbers));
                }
                self.world.recreate(PARTITIONS);
                self.world.logs.iter_mut().for_each(|log| log.max_batch = 250);
            }
            Step::Serve(_) | Step::Refuse(..) => {}
        }
        self.world.poll();
    }

    /// Ends are told in the order of the partition: those that have one are the oldest.
    fn check_order(&mut self) -> Result<(), TestCaseError> {
        for partition in 0..PARTITIONS {
            let told = self.told.entry(partition).or_default();
            let mut of_it = self.accepted.iter().filter(|(at, ..)| *at == partition);
            let mut of_it = of_it.by_ref().skip(*told);
            let ended = of_it.by_ref().take_while(|(.., end)| end.peek().is_some()).count();
            *told += ended;
            let late = of_it.find(|(.., end)| end.peek().is_some());
            prop_assert!(late.is_none(), "record {} was told too early", late.unwrap().1);
        }
        Ok(())
    }

    /// Each end is the truth, and each log has its records once and in order.
    fn judge(&mut self, is_idempotent: bool) -> Result<(), TestCaseError> {
        let logs: Vec<_> =
            (0..PARTITIONS).map(|partition| (partition, self.numbers(partition))).collect();
        for (partition, numbers) in logs.iter().chain(&self.gone) {
            if is_idempotent {
                let in_order = numbers.windows(2).all(|pair| pair[0] < pair[1]);
                prop_assert!(in_order, "partition {partition}: {numbers:?}");
            }
        }
        for (partition, number, delivery) in &self.accepted {
            let all = logs.iter().chain(&self.gone);
            let found = all.filter(|(at, log)| at == partition && log.contains(number)).count();
            match delivery.peek() {
                Some(Ok(_)) => prop_assert!(found > 0, "record {number} is lost"),
                Some(Err(DeliveryError::NotWritten(failed))) => {
                    prop_assert!(found == 0, "record {number} is there: {failed:?}");
                    let value = failed.into_record().unwrap().value.unwrap();
                    prop_assert_eq!(&value[..4], &number.to_be_bytes());
                }
                Some(Err(DeliveryError::Unknown(_))) => {}
                None => prop_assert!(false, "record {number} has no end"),
            }
        }
        prop_assert_eq!(self.world.shared.memory_used(), 0);
        // Record time is kept for a moment after batches were filled.
        self.world.advance(Duration::from_millis(5));
        prop_assert_eq!(self.world.machine.next_timeout(), None);
        Ok(())
    }
}

fn run(steps: &[Step], in_flight: usize, is_idempotent: bool) -> Result<(), TestCaseError> {
    let mut run = Run::new(in_flight, is_idempotent);
    for step in steps {
        run.take(step);
        run.check_order()?;
    }
    run.world.settle();
    run.world.poll();
    run.check_order()?;
    run.judge(is_idempotent)
}

proptest! {
    #[test]
    fn whatever_happens_ends_are_true_and_in_order(
        steps in prop::collection::vec(step(), 1..250),
        in_flight in 1..=5usize,
    ) {
        run(&steps, in_flight, true)?;
    }

    #[test]
    fn without_idempotence_ends_are_true_and_in_order(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        run(&steps, 5, false)?;
    }
}
