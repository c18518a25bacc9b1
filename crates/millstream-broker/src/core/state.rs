//! What all nodes share, and the few verbs that several APIs need.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use millstream_types::{BrokerId, ClusterId, ProducerId, TopicName};

use super::acl::Acls;
use super::config::ClusterConfig;
use super::configs::TopicConfigs;
use super::connection::ConnectionId;
use super::group::Groups;
use super::node::Nodes;
use super::placement::Placement;
use super::quota::{Client, Quotas};
use super::resource::ResourceConfigs;
use super::rng::Rng;
use super::scram::ScramUsers;
use super::session::SessionCache;
use super::timers::Timers;
use super::topic::{Partition, Topic, Topics};
use super::transaction::Transactions;

/// The longest name of a topic (`Topic.java`).
const MAX_TOPIC_NAME: usize = 249;

/// A refusal with a sentence beside the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The state of the whole cluster.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: ClusterConfig,
    pub(crate) cluster_id: ClusterId,
    pub(crate) nodes: Nodes,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    /// Who coordinates groups.
    pub(crate) group_placement: Placement,
    pub(crate) transactions: Transactions,
    pub(crate) acls: Acls,
    pub(crate) quotas: Quotas,
    pub(crate) scram: ScramUsers,
    /// Configurations of all but topics.
    pub(crate) configs: ResourceConfigs,
    /// How long the client of the request being served is throttled for what it did.
    pub(crate) throttle: Duration,
    pub(crate) sessions: BTreeMap<BrokerId, SessionCache>,
    pub(crate) rng: Rng,
    pub(crate) timers: Timers,
    /// The connections that wait for a fetch.
    pub(crate) fetching: BTreeSet<ConnectionId>,
    /// Those whose fetch may have become answerable.
    pub(crate) woken: VecDeque<ConnectionId>,
    /// Answers to parked requests of groups.
    pub(crate) answered: VecDeque<(ConnectionId, Answer)>,
    next_producer_id: i64,
    next_first_replica: usize,
}

/// An answer that another request made possible.
#[derive(Debug)]
pub(crate) enum Answer {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
}

impl State {
    pub(crate) fn new(config: ClusterConfig) -> Self {
        let mut rng = Rng::new(config.seed);
        let cluster_id = config.cluster_id.clone();
        let nodes = Nodes::new(config.nodes);
        Self {
            group_placement: Placement::new(&nodes),
            transactions: Transactions::new(&nodes, config.transactions.version),
            cluster_id: cluster_id.unwrap_or_else(|| rng.text_id().into()),
            nodes,
            topics: Topics::default(),
            acls: Acls::default(),
            quotas: Quotas::default(),
            scram: ScramUsers::default(),
            configs: ResourceConfigs::default(),
            throttle: Duration::ZERO,
            groups: Groups::new(),
            sessions: BTreeMap::new(),
            rng,
            timers: Timers::default(),
            fetching: BTreeSet::new(),
            woken: VecDeque::new(),
            answered: VecDeque::new(),
            next_producer_id: 0,
            next_first_replica: 0,
            config,
        }
    }

    /// A producer id that was never given before.
    pub(crate) const fn new_producer_id(&mut self) -> ProducerId {
        let id = ProducerId(self.next_producer_id);
        self.next_producer_id += 1;
        id
    }

    /// Counts partitions that a client creates or deletes. A `strict` request is refused once the
    /// client is over its quota, another is throttled (KIP-599).
    pub(crate) fn mutate(
        &mut self,
        client_id: &str,
        partitions: usize,
        strict: bool,
        now: Instant,
    ) -> Result<(), Refused> {
        let user = self.user_of(client_id).to_owned();
        let client = Client { user: &user, id: client_id };
        match self.quotas.mutate(client, partitions, strict, now) {
            Ok(throttle) => {
                self.throttle = self.throttle.max(throttle);
                Ok(())
            }
            Err(throttle) => {
                self.throttle = self.throttle.max(throttle);
                Err(Refused::new(
                    ErrorCode::ThrottlingQuotaExceeded,
                    "The throttling quota has been exceeded.",
                ))
            }
        }
    }

    /// Replicas for `count` partitions: leaders go round the nodes alive, from partition to
    /// partition and from topic to topic.
    pub(crate) fn place_replicas(&mut self, count: usize, factor: usize) -> Vec<Vec<BrokerId>> {
        let nodes: Vec<_> = self.nodes.alive().map(|node| node.id).collect();
        let first = self.next_first_replica;
        self.next_first_replica = first.wrapping_add(count);
        (0..count)
            .map(|index| {
                let ring = nodes.iter().copied().cycle();
                let start = first.wrapping_add(index) % nodes.len().max(1);
                ring.skip(start).take(factor.min(nodes.len())).collect()
            })
            .collect()
    }

    /// Adds a topic whose name and configs were checked.
    pub(crate) fn add_topic(
        &mut self,
        name: TopicName,
        replicas: Vec<Vec<BrokerId>>,
        configs: TopicConfigs,
    ) {
        let id = self.rng.kafka_uuid();
        let partitions =
            replicas.into_iter().map(|replicas| Partition::new(replicas, &self.nodes)).collect();
        self.topics.insert(Topic { name, id, partitions, configs });
    }

    /// Adds a topic with the cluster's defaults, as a metadata request may.
    pub(crate) fn auto_create_topic(&mut self, name: &TopicName) -> Result<(), Refused> {
        check_topic_name(name.as_str())?;
        self.check_collision(name.as_str())?;
        let factor = usize::try_from(self.config.replication_factor()).unwrap_or(1);
        if factor > self.nodes.alive().count() {
            return Err(Refused::new(ErrorCode::InvalidReplicationFactor, ""));
        }
        let count = usize::try_from(self.config.default_partitions).unwrap_or(1);
        let replicas = self.place_replicas(count, factor);
        self.add_topic(name.clone(), replicas, TopicConfigs::default());
        Ok(())
    }

    /// Refuses a name that differs from another only in `.` and `_`: metric names fold the two.
    pub(crate) fn check_collision(&self, name: &str) -> Result<(), Refused> {
        let folded = fold(name);
        let mut others = self.topics.iter().map(|topic| topic.name.as_str());
        let found = others.find(|other| *other != name && fold(other) == folded);
        match found {
            Some(other) => Err(Refused::new(
                ErrorCode::InvalidTopic,
                format!("Topic '{name}' collides with existing topic: {other}"),
            )),
            None => Ok(()),
        }
    }

    /// The node that coordinates a group.
    pub(crate) fn coordinator_of(&self, key: &str) -> Option<BrokerId> {
        self.group_placement.coordinator(key)
    }

    /// Whether `node` coordinates a group, and the group has a name.
    pub(crate) fn check_group(&self, node: BrokerId, id: &str) -> Result<(), ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        self.check_coordinator(node, id)
    }

    /// Whether `node` coordinates a group, and has loaded it.
    pub(crate) fn check_coordinator(&self, node: BrokerId, key: &str) -> Result<(), ErrorCode> {
        self.group_placement.check_told(node, key)
    }
}

/// Java's `String.hashCode`, made positive as `Utils.abs` does: it chooses the partition of a
/// coordinator's topic in Kafka.
pub(crate) fn key_hash(key: &str) -> u32 {
    let hash = key
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX).unsigned_abs()
}

/// Checks the name of a new topic (`Topic.validate`).
pub(crate) fn check_topic_name(name: &str) -> Result<(), Refused> {
    let refuse = |why: String| Err(Refused::new(ErrorCode::InvalidTopic, why));
    if name.is_empty() {
        return refuse("Topic name is invalid: the empty string is not allowed".to_owned());
    }
    if name == "." || name == ".." {
        return refuse(format!("Topic name is invalid: '{name}' is not allowed"));
    }
    if name.len() > MAX_TOPIC_NAME {
        return refuse(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length \
             {MAX_TOPIC_NAME}"
        ));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.chars().all(legal) {
        return refuse(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'"
        ));
    }
    Ok(())
}

fn fold(name: &str) -> String {
    name.replace('.', "_")
}
