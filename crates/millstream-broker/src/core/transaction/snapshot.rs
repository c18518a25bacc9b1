//! What a test sees of transactions, and what it does to them.

use std::time::{Duration, Instant};

use millstream_types::{BrokerId, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use super::Moment;
use crate::core::{Cluster, ControlError};

/// One transactional id, as its coordinator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionSnapshot {
    /// The transactional id.
    pub transactional_id: String,
    /// The node that coordinates it; none while every node is down.
    pub coordinator: Option<BrokerId>,
    /// How often its coordinator has changed.
    pub coordinator_epoch: i32,
    /// Kafka's name of its state: `Ongoing`, `CompleteCommit`, ….
    pub state: &'static str,
    /// The producer id in use.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// How long a transaction may take.
    pub timeout: Duration,
    /// When the transaction began; none before the first.
    pub started: Option<Timestamp>,
    /// The partitions that take part and have no marker yet; offsets of groups stand as partitions
    /// of `__consumer_offsets`.
    pub partitions: Vec<TopicPartition>,
}

impl Cluster {
    /// All transactional ids, in order.
    #[must_use]
    pub fn transactions(&self) -> Vec<TransactionSnapshot> {
        let transactions = &self.state.transactions;
        let placement = &transactions.placement;
        let all = transactions.iter().map(|(id, it)| TransactionSnapshot {
            transactional_id: id.to_owned(),
            coordinator: placement.coordinator(id),
            coordinator_epoch: placement.epoch(id),
            state: it.state.name(),
            producer_id: it.producer.id,
            producer_epoch: it.producer.epoch,
            timeout: Duration::from_millis(u64::try_from(it.timeout_ms).unwrap_or_default()),
            started: Some(it.started).filter(|at| *at != Timestamp::NONE),
            partitions: it.partitions.iter().cloned().collect(),
        });
        all.collect()
    }

    /// Makes a node the coordinator of a transactional id (and of others in the same slot), which
    /// then loads for `ClusterConfig::transactions.load_time`. Clients of the old one learn
    /// `NOT_COORDINATOR`.
    ///
    /// # Errors
    /// There is no such node, or it is down.
    pub fn move_transaction_coordinator(
        &mut self,
        transactional_id: &str,
        node: BrokerId,
        now: Instant,
    ) -> Result<(), ControlError> {
        self.check_alive(node)?;
        self.state.transactions.placement.move_to(transactional_id, node);
        self.resume(now);
        Ok(())
    }

    /// Lets the coordinator of a transactional id load for so long: until then it answers
    /// `COORDINATOR_LOAD_IN_PROGRESS`.
    pub fn load_transaction_coordinator(
        &mut self,
        transactional_id: &str,
        time: Duration,
        now: Instant,
    ) {
        self.state.transactions.placement.load(transactional_id, now + time);
    }

    /// Makes a node the coordinator of a group (and of others in the same slot), which then loads for
    /// `ClusterConfig::groups.load_time`. Clients of the old one learn `NOT_COORDINATOR`, those that
    /// wait in a rebalance at once.
    ///
    /// # Errors
    /// There is no such node, or it is down.
    pub fn move_group_coordinator(
        &mut self,
        group: &str,
        node: BrokerId,
        now: Instant,
    ) -> Result<(), ControlError> {
        self.check_alive(node)?;
        self.state.group_placement.move_to(group, node);
        self.resume(now);
        Ok(())
    }

    /// Lets the coordinator of a group load for so long: until then it answers
    /// `COORDINATOR_LOAD_IN_PROGRESS`.
    pub fn load_group_coordinator(&mut self, group: &str, time: Duration, now: Instant) {
        self.state.load_group(group, now + time);
    }

    /// How long markers take from now on. Until they are written, a transaction that ended stands
    /// prepared and answers `CONCURRENT_TRANSACTIONS`.
    pub fn set_marker_delay(&mut self, delay: Duration) {
        self.state.transactions.marker_delay = delay;
    }

    /// Sets the finalised `transaction.version` that one node shows, or all do: nodes may disagree
    /// for a while when it is raised.
    pub fn set_transaction_version(&mut self, node: Option<BrokerId>, version: i16) {
        self.state.transactions.set_level(node, version);
    }

    /// Sets the epoch of a transactional id whose producer has no transaction open, as if it had
    /// been initialised that often: the way to epochs near 32,767.
    ///
    /// # Errors
    /// No such id is known, or it has a transaction open.
    pub fn set_producer_epoch(
        &mut self,
        transactional_id: &str,
        epoch: ProducerEpoch,
    ) -> Result<(), ControlError> {
        let found = self.state.transactions.by_id.get_mut(transactional_id);
        let found = found.filter(|found| found.state.may_expire());
        let unknown = || ControlError::NoIdleTransaction(transactional_id.to_owned());
        found.ok_or_else(unknown)?.producer.epoch = epoch;
        Ok(())
    }

    /// Fences the producer of a transactional id, as another one that initialises itself does: an
    /// open transaction is aborted, the epoch rises.
    ///
    /// # Errors
    /// No such id is known.
    pub fn fence_producer(
        &mut self,
        transactional_id: &str,
        now: Instant,
    ) -> Result<(), ControlError> {
        let at = Moment { now, wall: self.wall(now) };
        let placement = &self.state.transactions.placement;
        let coordinator = placement.coordinator(transactional_id);
        let found = self.state.transactions.by_id.get(transactional_id);
        let (Some(node), Some(found)) = (coordinator, found) else {
            return Err(ControlError::NoIdleTransaction(transactional_id.to_owned()));
        };
        let timeout = found.timeout_ms;
        // An open transaction is aborted, which fences already and is answered with an error.
        let _ = self.state.init_producer_id(node, transactional_id, timeout, None, at);
        self.settle(now);
        Ok(())
    }

    /// Coordinators are found anew, and what waited for nodes goes on.
    pub(crate) fn resume(&mut self, now: Instant) {
        let at = Moment { now, wall: self.wall(now) };
        self.state.resume_coordinators(at);
        self.settle(now);
    }
}
