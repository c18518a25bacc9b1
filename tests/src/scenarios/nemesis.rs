//! Nodes die, hang and hand over while records flow: nothing is lost, nothing comes twice, and the
//! order holds.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use millstream_client::consumer::Consumer;
use millstream_client::{Admin, Producer, Record};
use millstream_types::{BrokerId, Offset, PartitionId, TopicPartition};
use tokio::sync::Notify;

use crate::cluster::{TestCluster, unique};
use crate::deadline::{eventually, step};
use crate::reading::{read_all, texts};

pub use super::streams_nemesis::{
    an_application_follows_its_leaders, an_application_outlives_a_broker,
};

/// The partitions that records flow through.
const PARTITIONS: i32 = 4;
/// How many records may wait for their acknowledgement.
const WINDOW: usize = 60;
/// How many records of a partition lie between two commits.
const COMMIT_EVERY: i64 = 20;
/// How many records are acknowledged, and read, between two disturbances.
const CALM: u64 = 400;

/// How far the flow has come.
#[derive(Debug, Default)]
struct Flow {
    acknowledged: Cell<u64>,
    read: Cell<u64>,
    is_ending: Cell<bool>,
    /// Records written, known once the writer has ended.
    total: Cell<Option<u64>>,
    ended: Notify,
}

impl Flow {
    /// Waits until many more records have passed.
    async fn calm(&self) {
        let (acknowledged, read) = (self.acknowledged.get(), self.read.get());
        step(format!("calm at {acknowledged} acknowledged, {read} read"));
        while self.acknowledged.get() < acknowledged + CALM || self.read.get() < read + CALM {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Numbers to the partitions in turn, each delivery awaited in order.
    async fn write(&self, producer: &Producer, topic: &str) {
        let mut window = VecDeque::new();
        let mut total = 0;
        while !self.is_ending.get() || !window.is_empty() {
            if window.len() < WINDOW && !self.is_ending.get() {
                let number = total / u64::from(PARTITIONS.unsigned_abs());
                let partition = PartitionId(i32::try_from(total % 4).unwrap_or(0));
                let value = number.to_string();
                let record = Record::to(topic).partition(partition).value(&value);
                window.push_back(producer.enqueue(&record).await.expect("it is accepted"));
                total += 1;
            } else if let Some(delivery) = window.pop_front() {
                delivery.await.expect("an idempotent producer gets everything written");
                self.acknowledged.set(self.acknowledged.get() + 1);
            }
        }
        assert!(producer.flush().await.is_complete());
        self.total.set(Some(total));
        self.ended.notify_one();
        step(format!("{total} records are written"));
    }

    /// Every record once and in order, committing as it goes.
    async fn read(&self, consumer: &Consumer) {
        let mut next = BTreeMap::<TopicPartition, Offset>::new();
        while self.total.get().is_none_or(|total| self.read.get() < total) {
            let batch = tokio::select! {
                batch = consumer.poll() => batch.expect("records").expect("it is open"),
                // The last record may have come before it was known to be the last.
                () = self.ended.notified() => continue,
            };
            let next = next.entry(batch.topic_partition().clone()).or_insert(Offset::ZERO);
            let before = next.value() / COMMIT_EVERY;
            for record in &batch {
                assert_eq!(record.offset, *next, "of {}", batch.topic_partition());
                let value = std::str::from_utf8(record.value.expect("a value")).expect("text");
                assert_eq!(value.parse().ok(), Some(record.offset.value()));
                *next = next.plus(1);
                self.read.set(self.read.get() + 1);
            }
            if next.value() / COMMIT_EVERY != before {
                consumer.commit(&batch).await.expect("what is owned is committed");
            }
        }
    }
}

/// Lets records flow through a group member while `disturb` does its worst, then counts.
async fn under_fire(cluster: &TestCluster, disturb: impl AsyncFnOnce(&TestCluster, &str, &Flow)) {
    let topic = cluster.topic("nemesis", PARTITIONS).await;
    let group = unique("nemesis");
    let producer = cluster
        .producer()
        .batch_size(400)
        .linger(Duration::from_millis(10))
        .request_timeout(Duration::from_secs(2))
        .build()
        .await
        .expect("a producer");
    // Longer than a coordinator takes to come back: the member keeps its place.
    let consumer = cluster
        .member(&group)
        .session_timeout(Duration::from_secs(45))
        .request_timeout(Duration::from_secs(2))
        .build()
        .await
        .expect("a member");
    consumer.subscribe([&*topic]).await.expect("it subscribes");
    let flow = Flow::default();
    let disturbing = async {
        flow.calm().await;
        disturb(cluster, &topic, &flow).await;
        flow.calm().await;
        flow.is_ending.set(true);
    };
    tokio::join!(flow.write(&producer, &topic), flow.read(&consumer), disturbing);
    consumer.close(Duration::from_secs(10)).await.expect("it leaves");
    let records = read_all(cluster, &topic).await;
    assert_eq!(Some(records.len() as u64), flow.total.get(), "records in the log");
    for partition in (0..PARTITIONS).map(PartitionId) {
        let own: Vec<_> = records.iter().filter(|r| r.partition == partition).cloned().collect();
        let expected = (0..own.len()).map(|n| n.to_string());
        assert!(texts(&own).into_iter().eq(expected), "partition {partition} is out of order");
    }
}

/// The leader of a partition dies and comes back, then the controller does.
pub async fn nodes_are_killed_and_restarted(cluster: &TestCluster) {
    under_fire(cluster, async |cluster, topic, flow| {
        let victim = cluster.leader(&TopicPartition::new(topic, 0)).await;
        cluster.kill(victim).await;
        flow.calm().await;
        cluster.restart(victim).await;
        cluster.wait_for_replicas(topic).await;
        flow.calm().await;

        let described = cluster.admin().describe_cluster().await.expect("a description");
        let victim = described.controller.expect("a controller");
        cluster.kill(victim).await;
        flow.calm().await;
        cluster.restart(victim).await;
        cluster.wait_for_replicas(topic).await;
    })
    .await;
}

/// Leadership moves, again and again.
pub async fn leaders_move(cluster: &TestCluster) {
    under_fire(cluster, async |cluster, topic, flow| {
        for round in 0..6 {
            cluster.move_leader(&TopicPartition::new(topic, round % PARTITIONS)).await;
            if round % 2 == 1 {
                flow.calm().await;
            }
        }
    })
    .await;
}

/// A node holds its connections and answers nothing, for longer than a request may take.
pub async fn a_node_hangs(cluster: &TestCluster) {
    under_fire(cluster, async |cluster, topic, _| {
        let victim = cluster.leader(&TopicPartition::new(topic, 0)).await;
        cluster.pause(victim).await;
        // Not a wait for anything: this is how long the node hangs.
        tokio::time::sleep(Duration::from_secs(3)).await;
        cluster.resume(victim).await;
    })
    .await;
}

/// While the only broker that they know is away, calls end with errors that name it; those that
/// may wait longer succeed when it comes.
pub async fn clients_start_before_their_broker(cluster: &TestCluster) {
    let topic = cluster.topic("early", 1).await;
    let victim = BrokerId(2);
    let address = cluster.address(victim);
    cluster.kill(victim).await;
    step("an admin call with little time");
    let admin = Admin::builder([&*address]).property("default.api.timeout.ms", "700");
    let error = admin.connect().await.unwrap_err().to_string();
    assert!(error.contains(&address) && error.contains("refused"), "{error}");
    step("a producer with little time");
    let impatient = Producer::builder([&*address]).max_block(Duration::from_millis(700));
    let impatient = impatient.build().await.expect("a producer");
    let error = impatient.send(&Record::to(&topic).value("lost")).await.unwrap_err().to_string();
    assert!(error.contains(&topic) && error.contains("refused"), "{error}");

    step("clients with time");
    let producer = Producer::builder([&*address]).build().await.expect("a producer");
    let reader = Consumer::reader([&*address]).property("auto.offset.reset", "earliest");
    let reader = reader.build().await.expect("a reader");
    reader.assign([TopicPartition::new(&*topic, 0)]).expect("it is assigned");
    let record = Record::to(&topic).value("patience");
    let (sent, polled, ()) =
        tokio::join!(producer.send(&record), reader.poll(), cluster.restart(victim));
    sent.expect("it is written");
    let batch = polled.expect("records").expect("it is open");
    assert_eq!(texts(&batch.detach()), ["patience"]);
    cluster.wait_for_replicas(&topic).await;
}

/// All nodes go and come back.
pub async fn the_cluster_restarts(cluster: &TestCluster) {
    under_fire(cluster, async |cluster, topic, _| {
        for node in (1..=3).map(BrokerId) {
            cluster.kill(node).await;
        }
        for node in (1..=3).map(BrokerId) {
            cluster.restart(node).await;
        }
        eventually("the partitions are led again", || async {
            cluster.admin().describe_topics([topic]).await.is_ok_and(|topics| {
                topics[topic].partitions.values().all(|partition| partition.leader.is_some())
            })
        })
        .await;
    })
    .await;
}
