//! What a cluster is started with.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_types::ClusterId;

/// How a [`Cluster`](super::Cluster) behaves. Start from `default()` and set what differs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// The number of nodes; their ids count from 1.
    pub nodes: i32,
    /// Where every id that the cluster invents comes from.
    pub seed: u64,
    /// The cluster's id; by default one that follows from the seed.
    pub cluster_id: Option<ClusterId>,
    /// Whether a metadata request creates the topics that it names (`auto.create.topics.enable`).
    pub auto_create_topics: bool,
    /// The partitions of a topic whose creator names no number (`num.partitions`).
    pub default_partitions: i32,
    /// The replicas of a topic whose creator names no number (`default.replication.factor`); by
    /// default three, or one per node where there are fewer (Kafka's own default is 1).
    pub default_replication_factor: Option<i16>,
    /// Whether records are acknowledged and thrown away: a broker for measuring producers.
    pub discard: bool,
    /// How long a partition takes to move to other replicas. None here: a test should not wait.
    pub reassignment_time: Duration,
    /// Whether requests for the controller are refused by other nodes (`NOT_CONTROLLER`), as before
    /// KRaft; by default each node takes them.
    pub controller_only: bool,
    /// Judges new topics (`create.topic.policy.class.name`).
    pub create_topic_policy: Option<CreateTopicPolicy>,
    /// Who may do what.
    pub security: SecurityConfig,
    /// How quotas are counted.
    pub quotas: QuotaConfig,
    /// How groups behave.
    pub groups: GroupConfig,
    /// How transactions and idempotent producers behave.
    pub transactions: TransactionConfig,
    /// What the cluster refuses to exceed.
    pub limits: Limits,
}

/// Judges a topic that is to be created: its name, partitions and replicas. What it returns as an
/// error is answered with `POLICY_VIOLATION`.
pub type CreateTopicPolicy = fn(&str, usize, usize) -> Result<(), String>;

/// Who may do what.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SecurityConfig {
    /// Whether rules of access are kept and enforced (`authorizer.class.name`). Without it every
    /// client may do everything, and requests about rules are refused.
    pub authorizer: bool,
    /// The principals that may do everything, like `User:admin` (`super.users`).
    pub super_users: Vec<String>,
    /// What is allowed where no rule speaks of a resource (`allow.everyone.if.no.acl.found`).
    pub allow_everyone_if_no_acl_found: bool,
    /// The principals of clients by their client ids; all others are `User:ANONYMOUS`. It stands in
    /// for authentication, which this broker does not have.
    pub principals: BTreeMap<String, String>,
}

/// How quotas are counted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct QuotaConfig {
    /// How long a request counts as having kept a thread busy (`request_percentage`). None by
    /// default: this broker measures no time.
    pub request_time: Duration,
}

/// How consumer groups behave; the names are those of Kafka's `group.*` settings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupConfig {
    /// How long the first rebalance of an empty group waits for more members. 0 here, 3 s in Kafka:
    /// a test should not wait.
    pub initial_rebalance_delay: Duration,
    /// The shortest session timeout that a member may ask for.
    pub min_session_timeout: Duration,
    /// The longest one.
    pub max_session_timeout: Duration,
    /// How long a member may take that has been given no member id yet.
    pub new_member_join_timeout: Duration,
    /// The most members of one group (`group.max.size`).
    pub max_size: usize,
    /// The most bytes of the text that a group keeps with an offset.
    pub offset_metadata_max_bytes: usize,
    /// How long a node loads after it became coordinator of groups. None here: a test should not
    /// wait.
    pub load_time: Duration,
}

/// How transactions and idempotent producers behave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransactionConfig {
    /// The finalised feature `transaction.version`: 2 raises the epoch with each transaction
    /// (KIP-890), 1 does not.
    pub version: i16,
    /// The longest timeout that a producer may ask for (`transaction.max.timeout.ms`).
    pub max_timeout: Duration,
    /// When an id that is not used is forgotten (`transactional.id.expiration.ms`).
    pub id_expiration: Duration,
    /// When a partition forgets a producer that wrote nothing (`producer.id.expiration.ms`).
    pub producer_expiration: Duration,
    /// How long a node loads after it became coordinator. None here: a test should not wait.
    pub load_time: Duration,
}

/// Sizes and counts that come from outside and are bounded here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The largest request (`socket.request.max.bytes`).
    pub request_bytes: usize,
    /// The largest answer to one fetch (`fetch.max.bytes`).
    pub fetch_bytes: usize,
    /// The most fetch sessions of one node (`max.incremental.fetch.session.cache.slots`).
    pub fetch_sessions: usize,
    /// The requests of one connection that may wait behind a parked one before the shell stops
    /// reading from it.
    pub backlog: usize,
    /// The most partitions of one topic, so that a request cannot ask for all memory.
    pub partitions_per_topic: i32,
    /// The most rules of access.
    pub acls: usize,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            nodes: 1,
            seed: 0,
            cluster_id: None,
            auto_create_topics: true,
            default_partitions: 1,
            default_replication_factor: None,
            discard: false,
            reassignment_time: Duration::ZERO,
            controller_only: false,
            create_topic_policy: None,
            security: SecurityConfig::default(),
            quotas: QuotaConfig::default(),
            groups: GroupConfig::default(),
            transactions: TransactionConfig::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::ZERO,
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(1800),
            new_member_join_timeout: Duration::from_secs(300),
            max_size: 10_000,
            offset_metadata_max_bytes: 4096,
            load_time: Duration::ZERO,
        }
    }
}

impl Default for TransactionConfig {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            version: 2,
            max_timeout: Duration::from_secs(15 * 60),
            id_expiration: Duration::from_secs(7 * DAY),
            producer_expiration: Duration::from_secs(DAY),
            load_time: Duration::ZERO,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 100 * 1024 * 1024,
            fetch_bytes: 55 * 1024 * 1024,
            fetch_sessions: 1000,
            backlog: 64,
            partitions_per_topic: 100_000,
            acls: 100_000,
        }
    }
}

impl ClusterConfig {
    /// The replicas of a topic whose creator names no number.
    pub(crate) fn replication_factor(&self) -> i16 {
        self.default_replication_factor
            .unwrap_or_else(|| i16::try_from(self.nodes.clamp(1, 3)).unwrap_or(1))
    }
}
