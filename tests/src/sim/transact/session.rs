//! One transactional producer of an application, from its start until it is fenced, killed or closed.

use std::sync::Arc;
use std::time::Duration;

use millstream_client_core::backoff::Rng;
use millstream_client_core::group::GroupMetadata;
use millstream_client_core::producer::{
    Delivery, EnqueueError, ProducerCompletion, ProducerMachine, ProducerShared,
};
use millstream_client_core::transaction::{
    CommitFailure, OffsetsSource, TransactionCommand, TransactionCompletion, TransactionConfig,
    TransactionError, TransactionMachine, TransactionOutcome,
};
use millstream_client_core::{Command, CommandId, Completion, Engine, Event};
use millstream_types::{GroupId, Offset, OffsetAndMetadata, PartitionId, Record, TopicPartition};

use crate::sim::atomicity::{Told, Transaction};
use crate::sim::check::{Promise, Violation};
use crate::sim::client::ClientId;
use crate::sim::net::{below, happens};
use crate::sim::produce::draw_config;
use crate::sim::world::World;

/// What a producer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has no producer id yet.
    Fresh,
    /// A call has not come back.
    Calling(CommandId),
    /// No transaction is open.
    Idle,
    /// A transaction is open; so many records are to come.
    Open { left: u64 },
    /// It can only abort.
    Failed,
    /// The outcome of the last transaction is unknown.
    Unknown,
    /// It is closed, fenced or dead.
    Gone,
}

/// A transaction and its deliveries.
struct Trial {
    transaction: Transaction,
    deliveries: Vec<Delivery>,
    number: u64,
    has_asked: bool,
}

/// A transactional producer.
pub(super) struct Session {
    client: ClientId,
    shared: Arc<ProducerShared>,
    rng: Rng,
    id: String,
    phase: Phase,
    trials: Vec<Trial>,
    is_killed: bool,
    fenced: u64,
}

/// The topic whose offsets go with the transactions.
pub(super) const INPUT: &str = "input";

/// The group of an application.
pub(super) fn group(id: &str) -> String {
    format!("group-of-{id}")
}

impl Session {
    /// Starts a producer with this transactional id.
    pub(super) fn start(world: &mut World, id: &str, mut rng: Rng, timeout: Duration) -> Self {
        let mut config = draw_config(&mut rng, Promise::Idempotent);
        // A batch shall end while its transaction is open, so that timeouts of both are met.
        config.delivery_timeout = config.delivery_timeout.min(timeout * 2);
        let backoff = config.retry_backoff;
        let parts = world.parts();
        let shared = ProducerShared::new(config, parts.clock.clone(), parts.workers.clone());
        let shared = shared.unwrap_or_else(|error| panic!("{error}"));
        shared.set_driver_waker(parts.waker());
        let transactions = TransactionMachine::new(TransactionConfig {
            transactional_id: id.into(),
            transaction_timeout: timeout,
            retry_backoff: backoff,
            seed: rng.next(),
        });
        let engine_config = world.engine_config(id);
        let machine = ProducerMachine::new(Arc::clone(&shared));
        let engine = Engine::new(&engine_config, Some(machine), None);
        let client = world.add_client(engine.with_transactions(transactions), parts);
        Self {
            client,
            shared,
            rng,
            id: id.to_owned(),
            phase: Phase::Fresh,
            trials: Vec::new(),
            is_killed: false,
            fenced: 0,
        }
    }

    pub(super) const fn client(&self) -> ClientId {
        self.client
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    /// How many transactions it knows to be committed.
    pub(super) fn commits(&self) -> usize {
        let told = self.trials.iter().map(|trial| trial.transaction.told);
        told.filter(|told| *told == Told::Committed).count()
    }

    /// Its transactions that have records.
    pub(super) fn transactions(&self) -> impl Iterator<Item = Transaction> {
        let all = self.trials.iter().map(|trial| &trial.transaction);
        all.filter(|one| !one.records.is_empty()).cloned()
    }

    /// Its host dies.
    pub(super) fn kill(&mut self, world: &mut World) {
        if !self.is_gone() {
            world.kill_client(self.client);
            self.is_killed = true;
            self.phase = Phase::Gone;
        }
    }

    /// Its application closes it.
    pub(super) fn close(&mut self, world: &mut World) {
        if !self.is_killed {
            let deadline = world.now() + Duration::from_secs(30);
            self.call(world, TransactionCommand::Close { deadline });
        }
    }

    /// One turn of its application.
    pub(super) fn turn(
        &mut self,
        world: &mut World,
        topics: &[(&str, i32)],
        may_begin: bool,
        serial: &mut i64,
        next_value: &mut u64,
    ) {
        let timeout = Duration::from_millis(500 + self.rng.below(10_000));
        match self.phase {
            Phase::Fresh => self.call(world, TransactionCommand::Initialize { timeout }),
            Phase::Idle if may_begin => self.call(world, TransactionCommand::Begin { timeout }),
            Phase::Open { left: 0 } => self.end(world, timeout, serial),
            Phase::Open { left } => {
                self.phase = Phase::Open { left: left - 1 };
                self.enqueue(topics, next_value);
            }
            Phase::Failed => self.call(world, TransactionCommand::Abort { timeout }),
            Phase::Unknown => {
                let number = self.trials.last().map_or(0, |trial| trial.number);
                let resolves = happens(&mut self.rng, 500_000) || !may_begin;
                self.call(
                    world,
                    if resolves {
                        TransactionCommand::Resolve { number, timeout }
                    } else {
                        TransactionCommand::Begin { timeout }
                    },
                );
            }
            Phase::Calling(_) | Phase::Idle | Phase::Gone => {}
        }
    }

    fn call(&mut self, world: &mut World, command: TransactionCommand) {
        // A deadline is an instant of the machine's own clock: it would differ from run to run.
        if !matches!(command, TransactionCommand::Close { .. }) {
            world.note(format_args!("{} of {} calls {command:?}", self.client, self.id));
        }
        let id = world.command(self.client, Command::Transaction(command));
        self.phase = Phase::Calling(id);
    }

    /// Ends the open transaction: offsets first, then commit, or abort.
    fn end(&mut self, world: &mut World, timeout: Duration, serial: &mut i64) {
        let Some(trial) = self.trials.last_mut() else { return };
        if trial.transaction.records.is_empty() || happens(&mut self.rng, 150_000) {
            return self.call(world, TransactionCommand::Abort { timeout });
        }
        if trial.transaction.offset.is_none() && happens(&mut self.rng, 500_000) {
            *serial += 1;
            trial.transaction.offset = Some(*serial);
            let partition = TopicPartition::new(INPUT, 0);
            let offsets = OffsetsSource::Given {
                group: GroupMetadata::of_group(GroupId::from(group(&self.id).as_str())),
                offsets: vec![(partition, OffsetAndMetadata::from(Offset(*serial)))],
            };
            return self.call(world, TransactionCommand::CommitOffsets { offsets, timeout });
        }
        trial.has_asked = true;
        trial.transaction.told = Told::Unknown;
        self.call(world, TransactionCommand::Commit { timeout });
    }

    fn enqueue(&mut self, topics: &[(&str, i32)], next_value: &mut u64) {
        let Some(trial) = self.trials.last_mut() else { return };
        for _ in 0..=self.rng.below(4) {
            let (topic, partitions) = topics[below(&mut self.rng, topics.len())];
            let mut bytes = next_value.to_be_bytes().to_vec();
            bytes.resize(8 + below(&mut self.rng, 200), b'x');
            let partition = PartitionId(self.rng.below(partitions as u64) as i32);
            let record = Record::to(topic).partition(partition).value(&bytes);
            match self.shared.try_enqueue(&record) {
                Ok(delivery) => {
                    let partition = TopicPartition::new(topic, partition);
                    trial.transaction.records.push((partition, *next_value));
                    trial.deliveries.push(delivery);
                    *next_value += 1;
                }
                Err(EnqueueError::TransactionFailed { .. }) => {
                    self.phase = Phase::Failed;
                    return;
                }
                // A full buffer or an unknown topic: the application does without the record.
                Err(_) => {}
            }
        }
    }

    /// Takes what the engine says.
    pub(super) fn event(&mut self, world: &mut World, event: Event) {
        let Event::Completed(id, completion) = event else { return };
        if self.phase != Phase::Calling(id) {
            return;
        }
        world.note(format_args!("{} of {}: {completion:?}", self.client, self.id));
        match completion {
            Completion::Transaction(completion) => self.returned(completion),
            Completion::Producer(ProducerCompletion::Closed(_)) => self.phase = Phase::Gone,
            other => panic!("{other:?}"),
        }
    }

    fn returned(&mut self, completion: TransactionCompletion) {
        match completion {
            TransactionCompletion::Initialized(result) => {
                self.phase =
                    result.map_or_else(|error| self.failed(&error, Phase::Fresh), |()| Phase::Idle);
            }
            TransactionCompletion::Begun(Ok(begun)) => {
                self.settle_previous(begun.previous);
                let transaction =
                    Transaction { records: Vec::new(), offset: None, told: Told::NotCommitted };
                let number = begun.number;
                let trial = Trial { transaction, deliveries: Vec::new(), number, has_asked: false };
                self.trials.push(trial);
                self.phase = Phase::Open { left: 1 + self.rng.below(5) };
            }
            TransactionCompletion::Begun(Err(error)) => {
                let back = if self.is_undecided() { Phase::Unknown } else { Phase::Idle };
                self.phase = self.failed(&error, back);
            }
            TransactionCompletion::OffsetsCommitted(result) => {
                self.phase = match result {
                    Ok(()) => Phase::Open { left: 0 },
                    Err(error) => self.failed(&error, Phase::Failed),
                };
            }
            TransactionCompletion::Committed(result) => self.committed(result),
            TransactionCompletion::Aborted(result) => {
                self.phase =
                    result.map_or_else(|error| self.failed(&error, Phase::Idle), |()| Phase::Idle);
            }
            other => panic!("{other:?}"),
        }
    }

    fn committed(&mut self, result: Result<(), CommitFailure>) {
        let Some(trial) = self.trials.last_mut() else { return };
        match result {
            Ok(()) => {
                trial.transaction.told = Told::Committed;
                self.phase = Phase::Idle;
            }
            Err(CommitFailure::NotCommitted(error)) => {
                trial.transaction.told = Told::NotCommitted;
                self.phase = self.failed(&error, Phase::Idle);
            }
            Err(CommitFailure::Unknown(error)) => self.phase = self.failed(&error, Phase::Unknown),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// The news of a transaction whose outcome was unknown.
    fn settle_previous(&mut self, outcome: Option<TransactionOutcome>) {
        let Some(trial) = self.trials.last_mut().filter(|trial| trial.has_asked) else { return };
        let told = &mut trial.transaction.told;
        match (outcome, *told) {
            (Some(TransactionOutcome::Committed), Told::Unknown) => *told = Told::Committed,
            (Some(TransactionOutcome::Aborted), Told::Unknown) => *told = Told::NotCommitted,
            _ => {}
        }
    }

    /// Whether the outcome of its last transaction is unknown.
    fn is_undecided(&self) -> bool {
        self.trials.last().is_some_and(|trial| trial.transaction.told == Told::Unknown)
    }

    fn failed(&mut self, error: &TransactionError, next: Phase) -> Phase {
        if error.is_final() {
            self.fenced += u64::from(matches!(error, TransactionError::Fenced { .. }));
            return Phase::Gone;
        }
        next
    }

    /// Every record that it accepted has its end, unless its host died.
    pub(super) fn check_deliveries(&self) -> Vec<Violation> {
        if self.is_killed {
            return Vec::new();
        }
        let pairs = self
            .trials
            .iter()
            .flat_map(|trial| trial.transaction.records.iter().zip(&trial.deliveries));
        let unresolved = pairs.filter(|(_, delivery)| delivery.peek().is_none());
        unresolved.map(|((p, value), _)| Violation::Unresolved(p.clone(), *value)).collect()
    }

    /// Counts what happened to it.
    pub(super) fn count_seen(&self, world: &mut World) {
        for trial in &self.trials {
            world.count_seen(
                match trial.transaction.told {
                    Told::Committed => "committed transactions",
                    Told::NotCommitted => "aborted transactions",
                    Told::Unknown => "transactions of unknown outcome",
                },
                1,
            );
        }
        world.count_seen("fenced producers", self.fenced);
    }
}
