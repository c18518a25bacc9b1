//! The handle of a running cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use millstream_types::{BrokerId, ClusterId, Offset, TopicPartition};
use tokio::sync::{mpsc, oneshot};

use super::StartError;
use super::hub::SharedHub;
use super::server::Command;
use crate::core::{ControlError, Fault};

/// A cluster that runs on its own thread until it is stopped or dropped.
#[derive(Debug)]
pub struct RunningCluster {
    pub(super) hub: Arc<SharedHub>,
    addresses: BTreeMap<BrokerId, SocketAddr>,
    commands: mpsc::UnboundedSender<Command>,
}

impl RunningCluster {
    pub(super) const fn new(
        hub: Arc<SharedHub>,
        addresses: BTreeMap<BrokerId, SocketAddr>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self { hub, addresses, commands }
    }

    /// The addresses of all nodes, as `bootstrap.servers` takes them.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<_> = self.addresses.values().map(ToString::to_string).collect();
        addresses.join(",")
    }

    /// The address of one node.
    #[must_use]
    pub fn address(&self, node: impl Into<BrokerId>) -> Option<SocketAddr> {
        self.addresses.get(&node.into()).copied()
    }

    /// The ids of all nodes.
    #[must_use]
    pub fn nodes(&self) -> Vec<BrokerId> {
        self.addresses.keys().copied().collect()
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        self.hub.with(|cluster| cluster.cluster_id().clone())
    }

    /// Lets something go wrong, from the next request on.
    pub fn fault(&self, fault: Fault) {
        self.hub.with(|cluster| cluster.fault(fault));
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.hub.with(|cluster| cluster.clear_faults());
    }

    /// Closes all connections of clients that call themselves so, now.
    pub fn disconnect_clients(&self, client_id: &str) {
        self.hub.with(|cluster| cluster.disconnect_clients(client_id));
    }

    /// Creates a topic with as many replicas as the cluster gives by default.
    ///
    /// # Errors
    /// The name is invalid or taken, or the number of partitions is.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), ControlError> {
        self.hub.with(|cluster| cluster.create_topic(name, partitions))
    }

    /// Makes a node the controller until it dies.
    ///
    /// # Errors
    /// There is no such node, or it is down.
    pub fn move_controller(&self, node: impl Into<BrokerId>) -> Result<(), ControlError> {
        let node = node.into();
        self.hub.with(|cluster| cluster.move_controller(node))
    }

    /// Makes a node the leader of a partition.
    ///
    /// # Errors
    /// The node or the partition is not there, the node is down, or holds no replica.
    pub fn move_leader(
        &self,
        partition: &TopicPartition,
        node: impl Into<BrokerId>,
    ) -> Result<(), ControlError> {
        let node = node.into();
        self.hub.with(|cluster| cluster.move_leader(partition, node, Instant::now()))
    }

    /// Cuts a partition's log, as an unclean leader election does.
    ///
    /// # Errors
    /// The partition is not there.
    pub fn truncate(&self, partition: &TopicPartition, end: Offset) -> Result<(), ControlError> {
        self.hub.with(|cluster| cluster.truncate(partition, end, Instant::now()))
    }

    /// Kills a node: its connections break, its port closes, other replicas lead.
    ///
    /// # Cancel safety
    /// The node dies even if this is not awaited to the end.
    ///
    /// # Errors
    /// There is no such node.
    pub async fn crash_node(&self, node: impl Into<BrokerId>) -> Result<(), ControlError> {
        let node = node.into();
        self.hub.with(|cluster| cluster.crash_node(node, Instant::now()))?;
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Crash(node, done)).is_ok() {
            // Fails only if the broker stopped, and then the port is closed too.
            let _ = closed.await;
        }
        Ok(())
    }

    /// Starts a node again, on the port that it had.
    ///
    /// # Cancel safety
    /// The node starts even if this is not awaited to the end.
    ///
    /// # Errors
    /// The port was taken meanwhile, or the broker has stopped.
    pub async fn restart_node(&self, node: impl Into<BrokerId>) -> Result<(), StartError> {
        let node = node.into();
        let (done, opened) = oneshot::channel();
        if self.commands.send(Command::Restart(node, done)).is_err() {
            return Err(StartError::Stopped);
        }
        opened.await.unwrap_or(Err(StartError::Stopped))?;
        // An unknown node has no address and was passed over.
        let _ = self.hub.with(|cluster| cluster.restart_node(node, Instant::now()));
        Ok(())
    }

    /// Stops the cluster; its data is gone.
    ///
    /// # Cancel safety
    /// The cluster stops even if this is not awaited to the end.
    pub async fn stop(self) {
        let (done, stopped) = oneshot::channel();
        if self.commands.send(Command::Stop(Some(done))).is_ok() {
            // Fails only if the thread ended already.
            let _ = stopped.await;
        }
    }
}

impl Drop for RunningCluster {
    fn drop(&mut self) {
        // Fails only if the thread ended already.
        let _ = self.commands.send(Command::Stop(None));
    }
}
