//! The controls of transactions and coordinators on a running cluster.

use std::time::{Duration, Instant};

use millstream_types::{BrokerId, ProducerEpoch};

use super::RunningCluster;
use crate::core::{ControlError, TransactionSnapshot};

impl RunningCluster {
    /// All transactional ids as their coordinators know them, in order.
    #[must_use]
    pub fn transactions(&self) -> Vec<TransactionSnapshot> {
        self.hub.with(|cluster| cluster.transactions())
    }

    /// Makes a node the coordinator of a transactional id, and of others in the same slot. Clients
    /// of the old one learn `NOT_COORDINATOR`.
    ///
    /// # Errors
    /// There is no such node, or it is down.
    pub fn move_transaction_coordinator(
        &self,
        transactional_id: &str,
        node: impl Into<BrokerId>,
    ) -> Result<(), ControlError> {
        let node = node.into();
        self.hub.with(|cluster| {
            cluster.move_transaction_coordinator(transactional_id, node, Instant::now())
        })
    }

    /// Lets the coordinator of a transactional id load for so long: until then it answers
    /// `COORDINATOR_LOAD_IN_PROGRESS`.
    pub fn load_transaction_coordinator(&self, transactional_id: &str, time: Duration) {
        self.hub.with(|cluster| {
            cluster.load_transaction_coordinator(transactional_id, time, Instant::now());
        });
    }

    /// Makes a node the coordinator of a group, and of others in the same slot. Clients of the old one
    /// learn `NOT_COORDINATOR`.
    ///
    /// # Errors
    /// There is no such node, or it is down.
    pub fn move_group_coordinator(
        &self,
        group: &str,
        node: impl Into<BrokerId>,
    ) -> Result<(), ControlError> {
        let node = node.into();
        self.hub.with(|cluster| cluster.move_group_coordinator(group, node, Instant::now()))
    }

    /// Lets the coordinator of a group load for so long: until then it answers
    /// `COORDINATOR_LOAD_IN_PROGRESS`.
    pub fn load_group_coordinator(&self, group: &str, time: Duration) {
        self.hub.with(|cluster| cluster.load_group_coordinator(group, time, Instant::now()));
    }

    /// How long markers take from now on. Until they are written, a transaction that ended stands
    /// prepared and answers `CONCURRENT_TRANSACTIONS`.
    pub fn set_marker_delay(&self, delay: Duration) {
        self.hub.with(|cluster| cluster.set_marker_delay(delay));
    }

    /// Sets the finalised `transaction.version` that all nodes show to new connections.
    pub fn set_transaction_version(&self, version: i16) {
        self.hub.with(|cluster| cluster.set_transaction_version(None, version));
    }

    /// Sets the finalised `transaction.version` that one node shows to new connections: nodes may
    /// disagree for a while when it is raised.
    pub fn set_transaction_version_of(&self, node: impl Into<BrokerId>, version: i16) {
        let node = node.into();
        self.hub.with(|cluster| cluster.set_transaction_version(Some(node), version));
    }

    /// Sets the epoch of a transactional id whose producer has no transaction open: the way to
    /// epochs near 32,767.
    ///
    /// # Errors
    /// No such id is known, or it has a transaction open.
    pub fn set_producer_epoch(
        &self,
        transactional_id: &str,
        epoch: impl Into<ProducerEpoch>,
    ) -> Result<(), ControlError> {
        let epoch = epoch.into();
        self.hub.with(|cluster| cluster.set_producer_epoch(transactional_id, epoch))
    }

    /// Fences the producer of a transactional id, as another one that initialises itself does: an
    /// open transaction is aborted, the epoch rises.
    ///
    /// # Errors
    /// No such id is known.
    pub fn fence_producer(&self, transactional_id: &str) -> Result<(), ControlError> {
        self.hub.with(|cluster| cluster.fence_producer(transactional_id, Instant::now()))
    }
}
