//! What a test does to a running cluster: faults, crashes, leaders that move, logs that are cut.

use std::time::Instant;

use millstream_types::{BrokerId, Offset, TopicPartition};
use thiserror::Error;

use super::Cluster;
use super::configs::TopicConfigs;
use super::fault::Fault;
use super::state::{Refused, State, check_topic_name};
use super::topic::Partition;

/// A control was used on something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The cluster has no such node.
    #[error("the cluster has no node {0}; nodes count from 1")]
    UnknownNode(BrokerId),
    /// The node is down.
    #[error("node {0} is down; restart it first")]
    NodeDown(BrokerId),
    /// The cluster has no such partition.
    #[error("the cluster has no partition {0}; create its topic first")]
    UnknownPartition(TopicPartition),
    /// The node holds no replica of the partition.
    #[error("node {node} holds no replica of {partition}, so it cannot lead it")]
    NotReplica {
        /// The node.
        node: BrokerId,
        /// The partition.
        partition: TopicPartition,
    },
    /// No transactional id of this name is known, or it has a transaction open.
    #[error(
        "transactional id {0} is not known or has a transaction open; initialise a producer with it"
    )]
    NoIdleTransaction(String),
    /// The topic cannot be created.
    #[error("topic {topic} cannot be created: {reason}")]
    CreateTopic {
        /// The topic.
        topic: String,
        /// Why not.
        reason: String,
    },
}

impl Cluster {
    /// Lets something go wrong.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Takes all faults back. What they hold up stays held up.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Closes all connections of clients that call themselves so, now.
    pub fn disconnect_clients(&mut self, client_id: &str) {
        let theirs = self.connections.iter();
        let theirs = theirs.filter(|(_, connection)| connection.client_id == client_id);
        for id in theirs.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.close(id);
        }
    }

    /// Kills a node: its connections close, other replicas lead. Its log survives.
    ///
    /// # Errors
    /// There is no such node.
    pub fn crash_node(&mut self, node: BrokerId, now: Instant) -> Result<(), ControlError> {
        let found = self.state.nodes.node_mut(node);
        found.ok_or(ControlError::UnknownNode(node))?.alive = false;
        let lost: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.node == node)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            self.close(id);
        }
        self.state.sessions.remove(&node);
        self.each_partition(|partition| partition.node_died(node));
        self.resume(now);
        Ok(())
    }

    /// Starts a node again.
    ///
    /// # Errors
    /// There is no such node.
    pub fn restart_node(&mut self, node: BrokerId, now: Instant) -> Result<(), ControlError> {
        let found = self.state.nodes.node_mut(node);
        let found = found.ok_or(ControlError::UnknownNode(node))?;
        found.alive = true;
        found.registered = true;
        self.each_partition(|partition| partition.node_returned(node));
        self.resume(now);
        Ok(())
    }

    /// Makes a node the controller until it dies.
    ///
    /// # Errors
    /// There is no such node, or it is down.
    pub fn move_controller(&mut self, node: BrokerId) -> Result<(), ControlError> {
        self.check_alive(node)?;
        self.state.nodes.move_controller(node);
        Ok(())
    }

    /// Makes a node the leader of a partition.
    ///
    /// # Errors
    /// The node or the partition is not there, the node is down, or holds no replica.
    pub fn move_leader(
        &mut self,
        partition: &TopicPartition,
        node: BrokerId,
        now: Instant,
    ) -> Result<(), ControlError> {
        self.check_alive(node)?;
        let State { topics, woken, .. } = &mut self.state;
        let topic = topics.topic_mut(partition.topic.as_str());
        let found = topic.and_then(|topic| topic.partition_mut(partition.partition.0));
        let Some(found) = found else {
            return Err(ControlError::UnknownPartition(partition.clone()));
        };
        if !found.replicas.contains(&node) {
            let partition = partition.clone();
            return Err(ControlError::NotReplica { node, partition });
        }
        found.lead(node);
        woken.extend(found.waiting.drain(..));
        self.resume(now);
        Ok(())
    }

    /// Cuts a partition's log so that it ends at or before `end`, under a new leader epoch: what
    /// clients meet after an unclean leader election.
    ///
    /// # Errors
    /// The partition is not there.
    pub fn truncate(
        &mut self,
        partition: &TopicPartition,
        end: Offset,
        now: Instant,
    ) -> Result<(), ControlError> {
        let State { topics, woken, .. } = &mut self.state;
        let topic = topics.topic_mut(partition.topic.as_str());
        let found = topic.and_then(|topic| topic.partition_mut(partition.partition.0));
        let Some(found) = found else {
            return Err(ControlError::UnknownPartition(partition.clone()));
        };
        found.log.truncate(end);
        found.begin_epoch();
        woken.extend(found.waiting.drain(..));
        self.settle(now);
        Ok(())
    }

    /// Creates a topic with as many replicas as the cluster gives by default.
    ///
    /// # Errors
    /// The name is invalid or taken, or the number of partitions is.
    pub fn create_topic(&mut self, name: &str, partitions: i32) -> Result<(), ControlError> {
        let refuse = |refused: Refused| ControlError::CreateTopic {
            topic: name.to_owned(),
            reason: refused.message,
        };
        check_topic_name(name).map_err(refuse)?;
        self.state.check_collision(name).map_err(refuse)?;
        let limit = self.state.config.limits.partitions_per_topic;
        let reason = if self.state.topics.get(name).is_some() {
            "it exists already"
        } else if !(1..=limit).contains(&partitions) {
            "a topic needs at least one partition, and not too many"
        } else {
            let factor = usize::try_from(self.state.config.replication_factor()).unwrap_or(1);
            let count = partitions.unsigned_abs() as usize;
            let replicas = self.state.place_replicas(count, factor);
            self.state.add_topic(name.into(), replicas, TopicConfigs::default());
            return Ok(());
        };
        Err(ControlError::CreateTopic { topic: name.to_owned(), reason: reason.to_owned() })
    }

    pub(super) fn check_alive(&self, node: BrokerId) -> Result<(), ControlError> {
        if self.state.nodes.get(node).is_none() {
            return Err(ControlError::UnknownNode(node));
        }
        if self.state.nodes.is_alive(node) { Ok(()) } else { Err(ControlError::NodeDown(node)) }
    }

    fn each_partition(&mut self, change: impl Fn(&mut Partition)) {
        let State { topics, woken, .. } = &mut self.state;
        for topic in topics.iter_mut() {
            for partition in &mut topic.partitions {
                let before = partition.epoch;
                change(partition);
                if partition.epoch != before {
                    woken.extend(partition.waiting.drain(..));
                }
            }
        }
    }
}
