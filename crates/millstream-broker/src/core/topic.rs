//! Topics, their partitions and who leads them.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_types::{BrokerId, LeaderEpoch, TopicName};
use uuid::Uuid;

use super::configs::TopicConfigs;
use super::connection::ConnectionId;
use super::log::Log;
use super::node::Nodes;
use super::reassign::Reassignment;

/// One partition.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) leader: Option<BrokerId>,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) replicas: Vec<BrokerId>,
    pub(crate) isr: Vec<BrokerId>,
    /// The move to other replicas that is under way.
    pub(crate) reassignment: Option<Reassignment>,
    /// The directories of replicas that do not lie in the first.
    pub(crate) directories: BTreeMap<BrokerId, usize>,
    pub(crate) log: Log,
    /// The connections whose parked fetches read this partition.
    pub(crate) waiting: Vec<ConnectionId>,
}

/// One topic.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) configs: TopicConfigs,
}

/// How a request names a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TopicRef {
    Name(TopicName),
    Id(Uuid),
}

impl Partition {
    /// A partition led by the first of its replicas that is alive.
    pub(crate) fn new(replicas: Vec<BrokerId>, nodes: &Nodes) -> Self {
        let isr: Vec<_> = replicas.iter().copied().filter(|id| nodes.is_alive(*id)).collect();
        let mut log = Log::default();
        log.begin_epoch(LeaderEpoch(0));
        Self {
            leader: isr.first().copied(),
            epoch: LeaderEpoch(0),
            replicas,
            isr,
            reassignment: None,
            directories: BTreeMap::new(),
            log,
            waiting: Vec::new(),
        }
    }

    /// Whether `node` may serve this partition to a client that knows `epoch` (-1: none), as
    /// `Partition.checkCurrentLeaderEpoch` and `localLogWithEpochOrThrow` decide.
    pub(crate) fn check_leader(&self, node: BrokerId, epoch: i32) -> Result<(), ErrorCode> {
        if epoch >= 0 && epoch < self.epoch.0 {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if epoch > self.epoch.0 {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        if self.leader == Some(node) { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
    }

    /// Takes note that a node died: another replica leads.
    pub(crate) fn node_died(&mut self, node: BrokerId) {
        // The last in-sync replica stays in the set though it is dead, as in Kafka.
        if self.isr.len() > 1 {
            self.isr.retain(|id| *id != node);
        }
        if self.leader == Some(node) {
            let next = self.replicas.iter().copied();
            let mut next = next.filter(|id| *id != node && self.isr.contains(id));
            self.leader = next.next();
            self.begin_epoch();
        }
    }

    /// Takes note that a node is back: it is in sync at once, and leads where nobody did.
    pub(crate) fn node_returned(&mut self, node: BrokerId) {
        if !self.replicas.contains(&node) {
            return;
        }
        if !self.isr.contains(&node) {
            self.isr.push(node);
        }
        if self.leader.is_none() {
            self.leader = Some(node);
            self.begin_epoch();
        }
    }

    /// Makes `node` the leader.
    pub(crate) fn lead(&mut self, node: BrokerId) {
        if self.leader != Some(node) {
            self.leader = Some(node);
            self.begin_epoch();
        }
    }

    /// The replicas that it has once the move that is under way is done.
    pub(crate) fn factor(&self) -> usize {
        let removing = self.reassignment.as_ref().map_or(0, |running| running.removing().count());
        self.replicas.len() - removing
    }

    /// Raises the leader epoch.
    pub(crate) fn begin_epoch(&mut self) {
        self.epoch.0 += 1;
        self.log.begin_epoch(self.epoch);
    }

    /// The replicas that are dead.
    pub(crate) fn offline<'a>(&'a self, nodes: &'a Nodes) -> impl Iterator<Item = BrokerId> + 'a {
        let replicas = self.replicas.iter().copied();
        replicas.filter(|id| !nodes.is_alive(*id))
    }
}

impl Topic {
    /// Whether the broker keeps it for itself.
    pub(crate) fn is_internal(&self) -> bool {
        matches!(self.name.as_str(), "__consumer_offsets" | "__transaction_state")
    }

    /// The partition of this number.
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// The partition of this number.
    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }

    /// The replicas of each partition (that of the first: Kafka reports no more).
    pub(crate) fn replication_factor(&self) -> i16 {
        let replicas = self.partitions.first().map_or(0, |first| first.replicas.len());
        i16::try_from(replicas).unwrap_or(i16::MAX)
    }
}

/// All topics, by name and by id.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    slots: Vec<Option<Topic>>,
    by_name: BTreeMap<TopicName, usize>,
    by_id: BTreeMap<Uuid, usize>,
}

impl Topics {
    pub(crate) fn insert(&mut self, topic: Topic) {
        let slot = self.slots.len();
        self.by_name.insert(topic.name.clone(), slot);
        self.by_id.insert(topic.id, slot);
        self.slots.push(Some(topic));
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Topic> {
        let slot = self.by_name.remove(name)?;
        let topic = self.slots.get_mut(slot)?.take()?;
        self.by_id.remove(&topic.id);
        Some(topic)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.slots.get(*self.by_name.get(name)?)?.as_ref()
    }

    pub(crate) fn topic_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.slots.get_mut(*self.by_name.get(name)?)?.as_mut()
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<&Topic> {
        self.slots.get(*self.by_id.get(&id)?)?.as_ref()
    }

    /// The topic that a request names, or the error that says it is not there.
    pub(crate) fn find(&self, topic: &TopicRef) -> Result<&Topic, ErrorCode> {
        match topic {
            TopicRef::Name(name) => {
                self.get(name.as_str()).ok_or(ErrorCode::UnknownTopicOrPartition)
            }
            TopicRef::Id(id) => self.by_id(*id).ok_or(ErrorCode::UnknownTopicId),
        }
    }

    /// The topic that a request names, or the error that says it is not there.
    pub(crate) fn find_mut(&mut self, topic: &TopicRef) -> Result<&mut Topic, ErrorCode> {
        let (slot, missing) = match topic {
            TopicRef::Name(name) => {
                (self.by_name.get(name.as_str()), ErrorCode::UnknownTopicOrPartition)
            }
            TopicRef::Id(id) => (self.by_id.get(id), ErrorCode::UnknownTopicId),
        };
        let slot = slot.and_then(|slot| self.slots.get_mut(*slot));
        slot.and_then(Option::as_mut).ok_or(missing)
    }

    /// All topics by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values().filter_map(|slot| self.slots.get(*slot)?.as_ref())
    }

    /// All topics in the order of creation.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Topic> {
        self.slots.iter_mut().flatten()
    }
}
