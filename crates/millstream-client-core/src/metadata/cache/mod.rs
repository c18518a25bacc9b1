//! The cache of metadata: applies answers, ignores what is older than what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::MetadataResponse;
use millstream_protocol::messages::metadata_response::{
    MetadataResponsePartition, MetadataResponseTopic,
};
use millstream_protocol::negotiate::BrokerVersions;
use millstream_types::{BrokerId, ClusterId, LeaderEpoch, TopicId, TopicName, TopicPartition};

use super::view::{Broker, Leader, Partition, Topic};
use crate::config::Endpoint;

/// What the cache has to say of a topic.
#[derive(Clone, Copy, Debug)]
pub enum TopicState<'a> {
    /// Nobody has asked for it: call [`Metadata::request_topic`].
    NotRequested,
    /// It was asked for; no answer yet.
    Pending,
    /// The cluster says it cannot be had: unknown, not authorised, an invalid name. It stays
    /// requested, so a topic created later turns up.
    Missing(ErrorCode),
    /// It is there.
    Known(&'a Topic),
}

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct Metadata {
    cluster_id: Option<ClusterId>,
    controller: Option<BrokerId>,
    brokers: BTreeMap<BrokerId, Broker>,
    topics: BTreeMap<TopicName, Topic>,
    names_by_id: BTreeMap<TopicId, TopicName>,
    versions: BTreeMap<BrokerId, Arc<BrokerVersions>>,
    wanted: BTreeMap<TopicName, Want>,
    /// Wanted topics that no request has asked for yet.
    fresh: BTreeSet<TopicName>,
    /// How many wanted topics the cluster does not have.
    missing: usize,
    wants_all_topics: bool,
    update_requested: bool,
    /// Its nodes are controllers, not brokers (KIP-919).
    is_of_controllers: bool,
    generation: u64,
    last_error: Option<String>,
    /// The brokers were forgotten, and their connections are still to be closed.
    rebootstraps: bool,
}

/// A topic that somebody asked for.
#[derive(Debug)]
struct Want {
    last_asked: Instant,
    /// The error of the last answer; `None` while there was no answer or the topic is known.
    error: Option<ErrorCode>,
}

impl Metadata {
    /// The cluster's id, once a broker told it.
    #[must_use]
    pub const fn cluster_id(&self) -> Option<&ClusterId> {
        self.cluster_id.as_ref()
    }

    /// The controller, if there is one. On KRaft clusters: a broker that forwards to it.
    #[must_use]
    pub const fn controller(&self) -> Option<BrokerId> {
        self.controller
    }

    /// Whether the client speaks to controllers, so that its nodes are these (KIP-919).
    #[must_use]
    pub const fn is_of_controllers(&self) -> bool {
        self.is_of_controllers
    }

    pub(crate) const fn note_controllers(&mut self) {
        self.is_of_controllers = true;
    }

    /// The brokers, by id.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values()
    }

    /// A broker.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// The API versions and features that a broker told on its last connection.
    #[must_use]
    pub fn versions(&self, id: BrokerId) -> Option<&BrokerVersions> {
        self.versions.get(&id).map(|versions| &**versions)
    }

    /// A topic that is known. [`Metadata::topic_state`] says why one is not.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// A topic by its id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(self.names_by_id.get(&id)?)
    }

    /// The topics that are known, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.values()
    }

    /// What is known of a topic, or why nothing is.
    #[must_use]
    pub fn topic_state(&self, name: &str) -> TopicState<'_> {
        if let Some(topic) = self.topics.get(name) {
            return TopicState::Known(topic);
        }
        match self.wanted.get(name) {
            None => TopicState::NotRequested,
            Some(want) => want.error.map_or(TopicState::Pending, TopicState::Missing),
        }
    }

    /// A partition that is known.
    #[must_use]
    pub fn partition(&self, partition: &TopicPartition) -> Option<&Partition> {
        self.topics.get(&partition.topic)?.partitions.get(&partition.partition)
    }

    /// The leader of a partition, if it has one and the leader's address is known.
    #[must_use]
    pub fn leader(&self, partition: &TopicPartition) -> Option<Leader> {
        let known = self.partition(partition)?;
        let broker = known.leader?;
        self.brokers.contains_key(&broker).then_some(Leader { broker, epoch: known.leader_epoch })
    }

    /// Why the last try to fetch metadata failed, in words that name the broker; `None` once one
    /// succeeded. While no broker can be reached this is the last connection's error.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    pub(super) fn note_error(&mut self, error: Option<String>) {
        self.last_error = error;
    }

    /// Rises with every change: machines compare it with the one they last saw.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Asks for a topic, and keeps it from being forgotten. Cheap when it is known: call it at
    /// every use, or once in a while ([`EngineConfig::metadata_max_idle`](crate::EngineConfig)).
    pub fn request_topic(&mut self, name: &TopicName, now: Instant) {
        if let Some(want) = self.wanted.get_mut(name) {
            want.last_asked = now;
            return;
        }
        self.wanted.insert(name.clone(), Want { last_asked: now, error: None });
        self.fresh.insert(name.clone());
    }

    /// Asks for all topics of the cluster instead of single ones (pattern subscriptions).
    pub fn request_all_topics(&mut self, all: bool) {
        if all && !self.wants_all_topics {
            self.update_requested = true;
        }
        self.wants_all_topics = all;
    }

    /// Asks for an update of everything wanted: a leader was wrong, a broker is gone. The machine
    /// sends it as soon as the retry backoff allows.
    pub const fn request_update(&mut self) {
        self.update_requested = true;
    }

    /// Takes over a leader that a Produce or Fetch answer told (KIP-951). Returns whether it was
    /// news; an older epoch is not.
    pub fn update_leader(
        &mut self,
        partition: &TopicPartition,
        leader: BrokerId,
        epoch: LeaderEpoch,
        endpoint: Option<Endpoint>,
    ) -> bool {
        let Some(known) = self
            .topics
            .get_mut(&partition.topic)
            .and_then(|topic| topic.partitions.get_mut(&partition.partition))
        else {
            return false;
        };
        if known.leader_epoch.is_some_and(|known| known >= epoch) {
            return false;
        }
        known.leader = Some(leader);
        known.leader_epoch = Some(epoch);
        if let Some(endpoint) = endpoint {
            let rack = self.brokers.get(&leader).and_then(|b| b.rack.clone());
            self.brokers.insert(leader, Broker { id: leader, endpoint, rack });
        }
        self.generation += 1;
        true
    }

    /// Takes over an answer. `asked` names the topics that it was asked for; `None`: all.
    pub fn apply(&mut self, response: MetadataResponse, asked: Option<&BTreeSet<TopicName>>) {
        self.apply_cluster(&response);
        let mut seen = BTreeSet::new();
        for topic in response.topics {
            if let Some(name) = self.apply_topic(topic) {
                seen.insert(name);
            }
        }
        match asked {
            // An answer to "all" says by silence which topics are gone.
            None => {
                let gone: Vec<_> =
                    self.topics.keys().filter(|name| !seen.contains(*name)).cloned().collect();
                for name in gone {
                    self.forget(&name, ErrorCode::UnknownTopicOrPartition);
                }
            }
            Some(asked) => {
                for name in asked.iter().filter(|name| !seen.contains(*name)) {
                    self.forget(name, ErrorCode::UnknownTopicOrPartition);
                }
            }
        }
        self.generation += 1;
    }

    /// Takes over a broker that another answer than Metadata's named.
    pub(crate) fn learn_broker(&mut self, id: BrokerId, endpoint: Endpoint) {
        if self.brokers.contains_key(&id) {
            return;
        }
        let broker = Broker { id, endpoint, rack: None };
        self.brokers.insert(id, broker);
        self.generation += 1;
    }

    pub(crate) fn learn_versions(&mut self, id: BrokerId, versions: Arc<BrokerVersions>) {
        self.versions.insert(id, versions);
    }

    fn apply_cluster(&mut self, response: &MetadataResponse) {
        if let Some(id) = &response.cluster_id {
            self.cluster_id = Some(ClusterId::from(id.as_str()));
        }
        let controller = BrokerId(response.controller_id.0);
        self.controller = (controller.0 >= 0).then_some(controller);
        let brokers = response.brokers.iter().filter_map(|broker| {
            let id = BrokerId(broker.node_id.0);
            let endpoint =
                Endpoint { host: broker.host.to_string(), port: u16::try_from(broker.port).ok()? };
            let rack = broker.rack.as_ref().map(ToString::to_string);
            Some((id, Broker { id, endpoint, rack }))
        });
        let brokers: BTreeMap<_, _> = brokers.collect();
        // An answer without a broker comes from a broker that is starting up: keep what is known.
        if !brokers.is_empty() {
            self.brokers = brokers;
        }
    }

    fn apply_topic(&mut self, answer: MetadataResponseTopic) -> Option<TopicName> {
        let name = TopicName::from(answer.name.as_ref()?.0.as_str());
        let code = ErrorCode::from(answer.error_code);
        let id = TopicId(answer.topic_id);
        if !code.is_ok() {
            // Without a leader a topic is still there; anything else says it is not to be had.
            let is_there =
                matches!(code, ErrorCode::LeaderNotAvailable) && !answer.partitions.is_empty();
            if !is_there {
                self.forget(&name, code);
                return Some(name);
            }
        }
        let known = self.topics.remove(&name);
        if let Some(known) = &known {
            self.names_by_id.remove(&known.id);
        }
        // A topic of another id is another topic: the epochs of the old one mean nothing (KIP-516).
        let known = known.filter(|known| known.id == id);
        let partitions = answer
            .partitions
            .into_iter()
            .map(|partition| apply_partition(known.as_ref(), &partition))
            .map(|partition| (partition.id, partition))
            .collect();
        if id.is_known() {
            self.names_by_id.insert(id, name.clone());
        }
        self.topics.insert(
            name.clone(),
            Topic { name: name.clone(), id, is_internal: answer.is_internal, partitions },
        );
        if let Some(want) = self.wanted.get_mut(&name)
            && want.error.take().is_some()
        {
            self.missing -= 1;
        }
        Some(name)
    }

    fn forget(&mut self, name: &TopicName, error: ErrorCode) {
        if let Some(known) = self.topics.remove(name) {
            self.names_by_id.remove(&known.id);
        }
        if let Some(want) = self.wanted.get_mut(name)
            && want.error.replace(error).is_none()
        {
            self.missing += 1;
        }
    }

    /// Whether an update was asked for, by name or by somebody's `request_update`.
    pub(super) const fn update_wanted(&self) -> bool {
        self.update_requested
    }

    /// Whether topics were asked for that no request carries yet.
    pub(super) fn has_new_topics(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Whether the cluster lacks a topic that is wanted; it may turn up.
    pub(super) const fn has_missing_topics(&self) -> bool {
        self.missing > 0
    }

    /// Begins an update: the topics to ask for, `None` for all.
    pub(super) fn begin_update(&mut self, only_new: bool) -> Option<BTreeSet<TopicName>> {
        let fresh = std::mem::take(&mut self.fresh);
        if self.wants_all_topics {
            self.update_requested = false;
            return None;
        }
        if only_new {
            return Some(fresh);
        }
        self.update_requested = false;
        Some(self.wanted.keys().cloned().collect())
    }

    /// Drops topics that nobody has asked for since `since`.
    pub(super) fn expire_topics(&mut self, since: Instant) {
        let idle: Vec<_> = self
            .wanted
            .iter()
            .filter(|(_, want)| want.last_asked < since)
            .map(|(name, _)| name.clone())
            .collect();
        for name in idle {
            let want = self.wanted.remove(&name);
            self.missing -= usize::from(want.is_some_and(|want| want.error.is_some()));
            self.fresh.remove(&name);
            if let Some(topic) = self.topics.remove(&name) {
                self.names_by_id.remove(&topic.id);
            }
        }
    }

    /// Forgets the brokers, to start again from the bootstrap servers (KIP-899). Topics stay: their
    /// epochs tell old answers from new ones.
    pub fn forget_brokers(&mut self) {
        self.brokers.clear();
        self.controller = None;
        self.update_requested = true;
        self.rebootstraps = true;
        self.generation += 1;
    }

    /// Whether brokers were forgotten since the last call: their connections are to be closed.
    pub(crate) const fn take_rebootstrap(&mut self) -> bool {
        std::mem::replace(&mut self.rebootstraps, false)
    }
}

/// A partition of an answer, unless an answer of a later epoch is known (KIP-320).
fn apply_partition(known: Option<&Topic>, answer: &MetadataResponsePartition) -> Partition {
    let answer = Partition::read(answer);
    let known = known.and_then(|topic| topic.partitions.get(&answer.id));
    match known {
        Some(known)
            if answer.leader_epoch.is_some() && known.leader_epoch > answer.leader_epoch =>
        {
            known.clone()
        }
        _ => answer,
    }
}

#[cfg(test)]
mod tests;
