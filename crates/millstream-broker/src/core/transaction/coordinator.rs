//! The requests of the transaction coordinator, and what happens by itself.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;
use millstream_types::{BrokerId, ProducerEpoch, TopicPartition};

use super::metadata::{End, Init};
use super::{Moment, Producer, Transaction, TransactionState, TransactionVersion};
use crate::core::state::State;
use crate::core::timers::Timer;

impl State {
    /// Begins a request for a transactional id: the coordinator must be this node, an id that was
    /// not used for long is forgotten, and markers that could not be written are tried again.
    fn enter_transaction(&mut self, node: BrokerId, id: &str, at: Moment) -> Result<(), ErrorCode> {
        self.transactions.placement.check(node, id, at.now)?;
        self.expire_transaction(id, at);
        let waits = self.transactions.by_id.get(id);
        if waits.is_some_and(|it| it.state.is_prepared() && it.timer.is_none()) {
            self.write_markers(id, at);
        }
        Ok(())
    }

    fn expire_transaction(&mut self, id: &str, at: Moment) {
        let expiration = self.config.transactions.id_expiration.as_millis();
        let Some(found) = self.transactions.by_id.get_mut(id) else {
            return;
        };
        let idle = at.wall.0.saturating_sub(found.updated.0);
        if found.state.may_expire() && i128::from(idle) >= expiration.cast_signed() {
            found.become_state(TransactionState::Dead, at.wall);
            self.transactions.by_id.remove(id);
        }
    }

    /// Forgets all ids that were not used for long.
    pub(crate) fn expire_transactions(&mut self, at: Moment) {
        let ids: Vec<String> = self.transactions.by_id.keys().cloned().collect();
        for id in ids {
            self.expire_transaction(&id, at);
        }
    }

    /// InitProducerId with a transactional id (`handleInitProducerId`).
    ///
    /// # Errors
    /// The id or the timeout is invalid, this node does not coordinate the id, the producer is
    /// fenced, or a transaction has to end first.
    pub(crate) fn init_producer_id(
        &mut self,
        node: BrokerId,
        id: &str,
        timeout_ms: i32,
        expected: Option<Producer>,
        at: Moment,
    ) -> Result<Producer, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let longest = self.config.transactions.max_timeout.as_millis();
        if timeout_ms <= 0 || u128::from(timeout_ms.unsigned_abs()) > longest {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        self.enter_transaction(node, id, at)?;
        if !self.transactions.by_id.contains_key(id) {
            let fresh = Transaction::new(self.new_producer_id(), timeout_ms, at.wall);
            self.transactions.by_id.insert(id.to_owned(), fresh);
        }
        let Some(found) = self.transactions.by_id.get(id) else {
            return Err(ErrorCode::UnknownServerError);
        };
        let current = found.producer;
        let (producer, last_epoch) = match found.init(expected)? {
            Init::Epoch(epoch, last_epoch) => (Producer { epoch, ..current }, last_epoch),
            Init::NewId { last_epoch } => {
                (Producer { id: self.new_producer_id(), epoch: ProducerEpoch(0) }, last_epoch)
            }
            Init::Fence => {
                self.abort_and_fence(id, at);
                return Err(ErrorCode::ConcurrentTransactions);
            }
        };
        if let Some(found) = self.transactions.by_id.get_mut(id) {
            found.initialise(producer, last_epoch, timeout_ms, at.wall);
        }
        Ok(producer)
    }

    /// Adds partitions to a transaction, which begins with the first
    /// (`handleAddPartitionsToTransaction`).
    ///
    /// # Errors
    /// This node does not coordinate the id, another producer is current, or markers are
    /// outstanding.
    pub(crate) fn add_partitions(
        &mut self,
        node: BrokerId,
        id: &str,
        producer: Producer,
        partitions: BTreeSet<TopicPartition>,
        version: TransactionVersion,
        at: Moment,
    ) -> Result<(), ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        self.enter_transaction(node, id, at)?;
        let found = self.transactions.by_id.get_mut(id);
        let found = found.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        found.check_open(producer)?;
        if found.add(partitions, version, at.wall) {
            let timeout = u64::try_from(found.timeout_ms).unwrap_or_default();
            self.arm_transaction(id, at.now + Duration::from_millis(timeout));
        }
        Ok(())
    }

    /// The partitions among these that are in no transaction of the producer
    /// (`handleVerifyPartitionsInTransaction`).
    ///
    /// # Errors
    /// As [`add_partitions`](Self::add_partitions).
    pub(crate) fn verify_partitions(
        &mut self,
        node: BrokerId,
        id: &str,
        producer: Producer,
        partitions: &BTreeSet<TopicPartition>,
        at: Moment,
    ) -> Result<BTreeSet<TopicPartition>, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        self.enter_transaction(node, id, at)?;
        let found = self.transactions.by_id.get(id);
        let found = found.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        found.check_open(producer)?;
        Ok(partitions.difference(&found.partitions).cloned().collect())
    }

    /// EndTxn (`endTransaction`); gives the producer that goes on.
    ///
    /// # Errors
    /// This node does not coordinate the id, another producer is current, markers are outstanding,
    /// or the transaction ended otherwise.
    pub(crate) fn end_transaction(
        &mut self,
        node: BrokerId,
        id: &str,
        producer: Producer,
        commit: bool,
        version: TransactionVersion,
        at: Moment,
    ) -> Result<Producer, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        self.enter_transaction(node, id, at)?;
        let found = self.transactions.by_id.get(id);
        let found = found.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let current = found.producer;
        let (empty, new_id) = match found.end(producer, commit, version)? {
            End::Done => return Ok(current),
            End::Prepare { empty, new_id } => (empty, new_id),
        };
        let next_id = new_id.then(|| self.new_producer_id());
        let Some(found) = self.transactions.by_id.get_mut(id) else {
            return Err(ErrorCode::UnknownServerError);
        };
        found.prepare(commit, empty, next_id, version, at.wall);
        let goes_on = match next_id {
            Some(id) => Producer { id, epoch: ProducerEpoch(0) },
            None => found.producer,
        };
        self.schedule_markers(id, at);
        Ok(goes_on)
    }

    /// Aborts the open transaction and raises the epoch, so that its producer is fenced.
    pub(crate) fn abort_and_fence(&mut self, id: &str, at: Moment) {
        let coordinator = self.transactions.placement.coordinator(id);
        let level = self.transactions.level(coordinator.unwrap_or(BrokerId(-1)));
        let version = TransactionVersion::from_level(level);
        let Some(found) = self.transactions.by_id.get_mut(id) else {
            return;
        };
        let new_id = version.raises_epoch() && found.is_exhausted();
        found.fence(version, at.wall);
        let next_id = new_id.then(|| self.new_producer_id());
        if let Some(found) = self.transactions.by_id.get_mut(id) {
            found.prepare(false, false, next_id, version, at.wall);
        }
        self.schedule_markers(id, at);
    }

    /// Writes markers now, or when they are due.
    fn schedule_markers(&mut self, id: &str, at: Moment) {
        let loaded = self.transactions.placement.loading_until(id, at.now);
        let due = (at.now + self.transactions.marker_delay).max(loaded.unwrap_or(at.now));
        if due > at.now {
            self.arm_transaction(id, due);
        } else {
            self.write_markers(id, at);
        }
    }

    /// Sets when something happens to a transaction by itself.
    fn arm_transaction(&mut self, id: &str, due: Instant) {
        let Some(found) = self.transactions.by_id.get_mut(id) else {
            return;
        };
        if let Some(timer) = found.timer.take() {
            self.timers.cancel(timer);
        }
        found.deadline = Some(due);
        found.timer = Some(self.timers.arm(due, Timer::Transaction(id.to_owned())));
    }

    /// Takes the deadline of a transaction back.
    pub(super) fn disarm_transaction(&mut self, id: &str) {
        let Some(found) = self.transactions.by_id.get_mut(id) else {
            return;
        };
        found.deadline = None;
        if let Some(timer) = found.timer.take() {
            self.timers.cancel(timer);
        }
    }

    /// The deadline of a transaction is over: it times out, or its markers are due.
    pub(crate) fn transaction_timeout(&mut self, id: &str, at: Moment) {
        let Some(found) = self.transactions.by_id.get_mut(id) else {
            return;
        };
        found.timer = None;
        let state = found.state;
        // With no node alive it waits for one to return.
        if self.transactions.placement.coordinator(id).is_none() {
            return;
        }
        if let Some(loaded) = self.transactions.placement.loading_until(id, at.now) {
            return self.arm_transaction(id, loaded);
        }
        match state {
            TransactionState::Ongoing => self.abort_and_fence(id, at),
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
                self.write_markers(id, at);
            }
            _ => {}
        }
    }

    /// Nodes or leaders changed: coordinators are found anew, and markers that could not be written
    /// are tried again.
    pub(crate) fn resume_coordinators(&mut self, at: Moment) {
        self.resume_groups(at.now);
        let loaded = at.now + self.config.transactions.load_time;
        self.transactions.placement.elect(&self.nodes, loaded);
        let waiting: Vec<(String, bool, Option<Instant>)> = self
            .transactions
            .by_id
            .iter()
            .filter(|(_, it)| it.timer.is_none())
            .map(|(id, it)| (id.clone(), it.state.is_prepared(), it.deadline))
            .collect();
        for (id, is_prepared, deadline) in waiting {
            if is_prepared {
                self.schedule_markers(&id, at);
            } else if let Some(deadline) = deadline {
                self.arm_transaction(&id, deadline.max(at.now));
            }
        }
    }
}
