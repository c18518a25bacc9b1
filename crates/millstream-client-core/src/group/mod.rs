//! Group membership: what members tell each other, assignors, and the classic protocol's state machine.

mod assignor;
pub mod classic;
mod metadata;

pub mod protocol;

use std::collections::BTreeMap;

use bytes::Bytes;
use millstream_types::{
    BrokerId, ClusterId, GenerationId, GroupInstanceId, MemberId, PartitionId, TopicId, TopicName,
    TopicPartition,
};
use thiserror::Error;

pub use assignor::{RANGE, assign_range};
pub use metadata::GroupMetadata;

/// How a member moves from one assignment to the next (KIP-429).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RebalanceProtocol {
    /// Everything is given up before each join.
    Eager,
    /// Only what goes to another member is given up, and then the member joins again.
    Cooperative,
}

/// What a member told the group when it joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The topics it wants.
    pub topics: Vec<TopicName>,
    /// The assignor's own bytes.
    pub user_data: Option<Bytes>,
    /// What it owned when it joined (KIP-429).
    pub owned_partitions: Vec<TopicPartition>,
    /// The generation in which it owned them (KIP-792).
    pub generation: Option<GenerationId>,
    /// Where it runs (`client.rack`, KIP-881).
    pub rack: Option<String>,
    /// Its static name; comes from the join answer, not from the member's bytes.
    pub group_instance_id: Option<GroupInstanceId>,
}

/// What a member is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The partitions, in the assignor's order.
    pub partitions: Vec<TopicPartition>,
    /// The assignor's own bytes.
    pub user_data: Option<Bytes>,
}

/// All members of a group, as its leader sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSubscription {
    /// The generation being formed.
    pub generation: GenerationId,
    /// The leader: this member.
    pub leader: MemberId,
    /// Every member's subscription.
    pub members: BTreeMap<MemberId, Subscription>,
}

/// An assignment for every member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupAssignment(pub BTreeMap<MemberId, Assignment>);

/// The cluster as an assignor sees it: the topics that any member subscribes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// The cluster's id, where the brokers give one.
    pub cluster_id: Option<ClusterId>,
    /// The brokers.
    pub brokers: BTreeMap<BrokerId, BrokerView>,
    /// The topics that exist.
    pub topics: BTreeMap<TopicName, TopicView>,
}

/// A broker, as an assignor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerView {
    /// Its advertised host.
    pub host: String,
    /// Its advertised port.
    pub port: u16,
    /// Its rack (`broker.rack`).
    pub rack: Option<String>,
}

/// A topic, as an assignor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// Its id; zero before Kafka 2.8.
    pub id: TopicId,
    /// Its partitions by number.
    pub partitions: Vec<PartitionView>,
}

/// A partition, as an assignor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// Its number.
    pub partition: PartitionId,
    /// Its leader, if it has one.
    pub leader: Option<BrokerId>,
    /// Its replicas.
    pub replicas: Vec<BrokerId>,
}

/// An assignor could not compute an assignment; the member leaves the round and joins again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("assignor {assignor} could not assign: {reason}")]
pub struct AssignorError {
    /// The assignor's name.
    pub assignor: String,
    /// What stood in its way.
    pub reason: String,
}
