//! Clusters that scenarios run against: the in-process broker, and real Kafka.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millstream_broker::{Broker, BrokerBuilder, Fault, RunningCluster};
use millstream_client::consumer::ConsumerBuilder;
use millstream_client::{Admin, Consumer, NewTopic, Producer, ProducerBuilder};
use millstream_types::{BrokerId, TopicPartition};
use xtask::kafka::{Cluster, ClusterOptions, DEFAULT_VERSION, NodeAction};

use crate::deadline::{eventually, step};
use crate::proxy::Proxy;
use crate::wire;

/// The nodes of clusters that the suites start themselves.
const NODES: usize = 3;

/// A cluster under test.
#[derive(Debug)]
pub struct TestCluster {
    kind: Kind,
    admin: Admin,
}

#[derive(Debug)]
enum Kind {
    InProcess(RunningCluster),
    Kafka { bootstrap: String, version: String, own: Option<Arc<Mutex<Option<Cluster>>>> },
}

impl TestCluster {
    /// Three nodes of the in-process broker; topics are not created by naming them.
    pub async fn in_process() -> Self {
        Self::of_broker(Broker::in_process().nodes(3)).await
    }

    /// As [`in_process`](Self::in_process), of nodes as they are given here.
    ///
    /// # Panics
    /// If they do not start.
    pub async fn of_broker(broker: BrokerBuilder) -> Self {
        let broker = broker.configure(|config| {
            config.auto_create_topics = false;
            // As real Kafka is configured here: rules are kept, and the one user stands above them.
            config.security.authorizer = true;
            config.security.super_users = vec!["User:ANONYMOUS".to_owned()];
        });
        let cluster = broker.start().await.expect("the in-process broker starts");
        let admin = admin(&cluster.bootstrap());
        Self { kind: Kind::InProcess(cluster), admin }
    }

    /// As [`in_process`](Self::in_process), with a proxy before each node, in the order of the ids.
    pub async fn behind_proxies() -> (Self, Vec<Proxy>) {
        let mut proxies = Vec::new();
        for _ in 0..NODES {
            proxies.push(Proxy::bind().await);
        }
        let broker = Broker::in_process().nodes(3);
        let broker = broker.advertise_addresses(proxies.iter().map(Proxy::address));
        let cluster = Self::of_broker(broker).await;
        for (proxy, node) in proxies.iter().zip(1..) {
            proxy.forward_to(cluster.broker().address(node).expect("a node"));
        }
        (cluster, proxies)
    }

    /// The cluster that `cargo xtask test` has started for all suites. It must not be broken.
    ///
    /// # Panics
    /// If there is none.
    pub fn kafka() -> Self {
        let Ok(bootstrap) = env::var("MILLSTREAM_KAFKA") else {
            panic!(
                "this test needs real Kafka: run `cargo xtask test`, or start a cluster with \
                 `cargo xtask kafka up` and set MILLSTREAM_KAFKA to the address that it prints"
            );
        };
        let admin = admin(&bootstrap);
        Self { kind: Kind::Kafka { bootstrap, version: version(), own: None }, admin }
    }

    /// A cluster of real Kafka for one suite alone, which may break it; taken down when dropped.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn own_kafka(name: &str) -> Self {
        Self::own_kafka_of(name, &version())
    }

    /// As [`own_kafka`](Self::own_kafka), of this version.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn own_kafka_of(name: &str, version: &str) -> Self {
        let version = version.to_owned();
        let options = ClusterOptions { version, nodes: NODES, properties: Vec::new() };
        let cluster = Cluster::up(name, &options).unwrap_or_else(|error| panic!("{error:#}"));
        let bootstrap = cluster.bootstrap();
        let admin = admin(&bootstrap);
        let own = Some(Arc::new(Mutex::new(Some(cluster))));
        Self { kind: Kind::Kafka { bootstrap, version: options.version, own }, admin }
    }

    /// The addresses that clients start from.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        match &self.kind {
            Kind::InProcess(cluster) => cluster.bootstrap(),
            Kind::Kafka { bootstrap, .. } => bootstrap.clone(),
        }
    }

    /// The address of one node.
    ///
    /// # Panics
    /// If there is no such node, or the cluster is not one's own.
    #[must_use]
    pub fn address(&self, node: BrokerId) -> String {
        match &self.kind {
            Kind::InProcess(cluster) => cluster.address(node).expect("a node").to_string(),
            Kind::Kafka { own, .. } => {
                let own = own.as_ref().expect("a cluster of one's own");
                let cluster = own.lock().unwrap_or_else(PoisonError::into_inner);
                let id = u32::try_from(node.value()).expect("ids count from 1");
                let cluster = cluster.as_ref().expect("it is up until dropped");
                cluster.address(id).expect("a node")
            }
        }
    }

    /// The in-process broker, for what real Kafka cannot be made to do.
    ///
    /// # Panics
    /// On real Kafka.
    #[must_use]
    pub fn broker(&self) -> &RunningCluster {
        match &self.kind {
            Kind::InProcess(cluster) => cluster,
            Kind::Kafka { .. } => panic!("this scenario is for the in-process broker"),
        }
    }

    /// Whether it is real Kafka from before this version.
    #[must_use]
    pub fn is_before(&self, major: u32, minor: u32) -> bool {
        self.version().is_some_and(|version| {
            let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
            (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (major, minor)
        })
    }

    /// The version of Kafka, if it is real.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match &self.kind {
            Kind::InProcess(_) => None,
            Kind::Kafka { version, .. } => Some(version),
        }
    }

    /// An admin client of the cluster.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// A producer to be built.
    pub fn producer(&self) -> ProducerBuilder {
        Producer::builder([self.bootstrap()])
    }

    /// A member of a group to be built, which starts at the first record.
    pub fn member(&self, group: &str) -> ConsumerBuilder {
        let builder = Consumer::builder([self.bootstrap()]).group(group);
        // A member that dies without a word is noticed after the shortest time that Kafka allows.
        builder
            .property("auto.offset.reset", "earliest")
            .session_timeout(Duration::from_secs(6))
            .heartbeat_interval(Duration::from_millis(200))
    }

    /// A consumer without a group to be built, which starts at the first record.
    pub fn reader(&self) -> ConsumerBuilder {
        Consumer::reader([self.bootstrap()]).property("auto.offset.reset", "earliest")
    }

    /// Creates a topic under a name that nobody has used, and waits until it has leaders.
    pub async fn topic(&self, name: &str, partitions: i32) -> String {
        self.topic_with(name, partitions, &[]).await
    }

    /// [`topic`](Self::topic), with settings.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn topic_with(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> String {
        let name = unique(name);
        step(format!("create topic {name}"));
        let topic = NewTopic::new(&*name, partitions);
        let topic = configs.iter().fold(topic, |topic, (name, value)| topic.config(*name, *value));
        self.admin.create_topics([topic]).await.expect("the topic is created");
        self.wait_for_leaders(&name).await;
        name
    }

    /// Waits until every partition of a topic has a leader.
    pub async fn wait_for_leaders(&self, topic: &str) {
        eventually("every partition has a leader", || async {
            self.admin.describe_topics([topic]).await.is_ok_and(|topics| {
                topics[topic].partitions.values().all(|partition| partition.leader.is_some())
            })
        })
        .await;
    }

    /// The leader of a partition.
    ///
    /// # Panics
    /// If the cluster does not say.
    pub async fn leader(&self, partition: &TopicPartition) -> BrokerId {
        let topics = self.admin.describe_topics([&partition.topic]).await.expect("a description");
        topics[&partition.topic].partitions[&partition.partition].leader.expect("a leader")
    }

    /// Kills a node.
    ///
    /// # Panics
    /// If it survives.
    pub async fn kill(&self, node: BrokerId) {
        step(format!("kill node {node}"));
        match &self.kind {
            Kind::InProcess(cluster) => cluster.crash_node(node).await.expect("it dies"),
            Kind::Kafka { .. } => self.real_node(node, NodeAction::Kill).await,
        }
    }

    /// Starts a killed node again, and waits until it takes part.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&self, node: BrokerId) {
        step(format!("restart node {node}"));
        match &self.kind {
            Kind::InProcess(cluster) => cluster.restart_node(node).await.expect("it starts"),
            Kind::Kafka { .. } => self.real_node(node, NodeAction::Restart).await,
        }
    }

    /// Lets a node hold its connections and answer nothing.
    pub async fn pause(&self, node: BrokerId) {
        step(format!("pause node {node}"));
        match &self.kind {
            Kind::InProcess(cluster) => {
                use millstream_broker::ApiKey as Api;
                for api in [Api::Produce, Api::Fetch, Api::Metadata, Api::ApiVersions] {
                    cluster.fault(Fault::on(api).node(node).always().drop());
                }
            }
            Kind::Kafka { .. } => self.real_node(node, NodeAction::Pause).await,
        }
    }

    /// Lets a paused node go on.
    pub async fn resume(&self, node: BrokerId) {
        step(format!("resume node {node}"));
        match &self.kind {
            Kind::InProcess(cluster) => cluster.clear_faults(),
            Kind::Kafka { .. } => self.real_node(node, NodeAction::Resume).await,
        }
    }

    /// Moves the leadership of a partition to another of its replicas, and waits until it has
    /// moved.
    ///
    /// # Panics
    /// If it does not move.
    pub async fn move_leader(&self, partition: &TopicPartition) -> BrokerId {
        step(format!("move the leader of {partition}"));
        let topics = self.admin.describe_topics([&partition.topic]).await.expect("a description");
        let described = &topics[&partition.topic].partitions[&partition.partition];
        let others = described.in_sync.iter().filter(|id| Some(**id) != described.leader);
        let new = *others.max().expect("another replica is in sync");
        match &self.kind {
            Kind::InProcess(cluster) => cluster.move_leader(partition, new).expect("it moves"),
            Kind::Kafka { bootstrap, .. } => {
                let mut replicas = described.replicas.clone();
                replicas.sort_by_key(|id| *id != new);
                wire::prefer(bootstrap, partition, &replicas).await;
            }
        }
        eventually("the leader has moved", || async { self.leader(partition).await == new }).await;
        new
    }

    /// Waits until all replicas of a topic's partitions are in sync.
    pub async fn wait_for_replicas(&self, topic: &str) {
        eventually("all replicas are in sync", || async {
            self.admin.describe_topics([topic]).await.is_ok_and(|topics| {
                let mut partitions = topics[topic].partitions.values();
                partitions.all(|partition| partition.in_sync.len() == partition.replicas.len())
            })
        })
        .await;
    }

    async fn real_node(&self, node: BrokerId, action: NodeAction) {
        let Kind::Kafka { own: Some(own), .. } = &self.kind else {
            panic!("nodes are broken only in a cluster of one's own");
        };
        let own = Arc::clone(own);
        let work = tokio::task::spawn_blocking(move || {
            let mut cluster = own.lock().unwrap_or_else(PoisonError::into_inner);
            let id = u32::try_from(node.value()).expect("ids count from 1");
            cluster.as_mut().expect("it is up until dropped").node(id, action)
        });
        work.await.expect("no panic").unwrap_or_else(|error| panic!("{error:#}"));
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        let Kind::Kafka { own: Some(own), .. } = &self.kind else {
            return;
        };
        let cluster = own.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = cluster.map(Cluster::down) {
            eprintln!("a cluster of real Kafka was not taken down: {error:#}");
        }
    }
}

/// A name that no other test, and no earlier run against the same cluster, has used.
#[must_use]
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{n}", since.as_micros())
}

fn version() -> String {
    env::var("MILLSTREAM_KAFKA_VERSION").unwrap_or_else(|_| DEFAULT_VERSION.to_owned())
}

fn admin(bootstrap: &str) -> Admin {
    let builder = Admin::builder([bootstrap]).client_id("suite-admin");
    builder.build().expect("the settings are right")
}
