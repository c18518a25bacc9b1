//! Numbered records while brokers are killed, paused and restarted in turn: what the producer was
//! told of each of them, for the judges to hold against what a reader finds.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::time::Duration;

use millstream_client::producer::{Delivery, DeliveryError};
use millstream_client::{Admin, Producer, Record};
use millstream_types::{BrokerId, PartitionId, TopicPartition};
use tokio::sync::Notify;

use crate::cluster::TestCluster;
use crate::deadline::{eventually, step};
use crate::sim::check::{Lane, Outcome, Sent};

/// The partitions that the records go to in turn.
pub const PARTITIONS: i32 = 6;
/// How many records may wait for their acknowledgement.
const WINDOW: usize = 3000;
/// How long a paused node hangs if its leadership is not to move: longer than a request may take.
const SHORT_PAUSE: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How much is written, and how often a node is struck meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The records, over all partitions.
    pub records: u64,
    /// The rounds, in each of which one node is struck.
    pub rounds: u64,
}

impl Plan {
    /// `short`, or what `MILLSTREAM_NEMESIS_RECORDS` and `MILLSTREAM_NEMESIS_ROUNDS` say.
    ///
    /// # Panics
    /// If they are no numbers.
    #[must_use]
    pub fn or_env(short: Self) -> Self {
        let number = |name: &str, default| {
            env::var(name).map_or(default, |text| text.parse().expect("a number"))
        };
        Self {
            records: number("MILLSTREAM_NEMESIS_RECORDS", short.records),
            rounds: number("MILLSTREAM_NEMESIS_ROUNDS", short.rounds).max(1),
        }
    }
}

/// What is done to a node in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strike {
    /// Killed with SIGKILL, and started again once the round's records are written without it.
    Kill,
    /// Stopped with SIGSTOP for longer than a request may take, and resumed as the leader it was.
    ShortPause,
    /// Killed with SIGKILL and started at once.
    Restart,
    /// Stopped with SIGSTOP until others lead its partitions, and resumed as a leader of the past.
    LongPause,
}

impl Strike {
    const ALL: [Self; 4] = [Self::Kill, Self::ShortPause, Self::Restart, Self::LongPause];
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The accepted records by partition, in order, with their ends.
    pub lanes: Vec<Lane>,
    /// How often each strike was made.
    pub strikes: BTreeMap<Strike, u32>,
}

impl Told {
    /// How many records were written, not written, and unknown.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let count = |is: fn(&Outcome) -> bool| {
            let sent = self.lanes.iter().flat_map(|(_, sent)| sent);
            sent.filter(|sent| sent.outcome.as_ref().is_some_and(is)).count()
        };
        [
            count(|outcome| matches!(outcome, Outcome::Written(_))),
            count(|outcome| matches!(outcome, Outcome::NotWritten)),
            count(|outcome| matches!(outcome, Outcome::Unknown)),
        ]
    }
}

/// How far writing may go and has come.
#[derive(Debug, Default)]
struct Progress {
    allowed: Cell<u64>,
    ended: Cell<u64>,
    changed: Notify,
}

/// How a delivery ended, in the words of the judges.
#[must_use]
pub fn outcome<T>(
    end: Result<T, &DeliveryError>,
    offset: impl FnOnce(T) -> Option<i64>,
) -> Outcome {
    match end {
        Ok(receipt) => Outcome::Written(offset(receipt)),
        Err(DeliveryError::NotWritten(_)) => Outcome::NotWritten,
        Err(_) => Outcome::Unknown,
    }
}

/// Writes the plan's records to a new topic while nodes are struck; gives the topic and what the
/// producer was told.
///
/// # Panics
/// If the cluster does not come back.
pub async fn write_under_strikes(cluster: &TestCluster, plan: Plan) -> (String, Told) {
    let topic = cluster.topic("numbered", PARTITIONS).await;
    let producer = cluster
        .producer()
        .batch_size(16 * 1024)
        .request_timeout(REQUEST_TIMEOUT)
        .build()
        .await
        .expect("a producer");
    let admin = Admin::builder([cluster.bootstrap()]).request_timeout(Duration::from_secs(1));
    let admin = admin.build().expect("an admin client");
    let progress = Progress::default();
    let mut told = Told::default();
    let (lanes, strikes) = tokio::join!(
        write(&producer, &topic, plan.records, &progress),
        strike_in_turn(cluster, &admin, &topic, plan, &progress)
    );
    (told.lanes, told.strikes) = (lanes, strikes);
    let report = producer.close(Duration::from_secs(60)).await;
    let [written, not_written, unknown] = told.counts().map(|count| count as u64);
    assert_eq!(
        (report.written, report.not_written, report.unknown),
        (written, not_written, unknown)
    );
    (topic, told)
}

/// Writes numbers to the partitions in turn, as far as allowed, and notes the end of each.
async fn write(producer: &Producer, topic: &str, total: u64, progress: &Progress) -> Vec<Lane> {
    let partitions = || (0..PARTITIONS).map(PartitionId);
    let mut lanes: Vec<Lane> =
        partitions().map(|id| (TopicPartition::new(topic, id), Vec::new())).collect();
    let mut window: VecDeque<(u64, Delivery)> = VecDeque::new();
    let mut next = 0;
    while progress.ended.get() < total {
        if next < progress.allowed.get() && window.len() < WINDOW {
            let value = next.to_string();
            let place = lane_of(next);
            let record = Record::to(topic).partition(lanes[place].0.partition).value(&value);
            window.push_back((next, producer.enqueue(&record).await.expect("it is accepted")));
            next += 1;
        } else if let Some((value, delivery)) = window.pop_front() {
            let end = delivery.await;
            let end = outcome(end.as_ref(), |receipt| receipt.offset.map(|offset| offset.value()));
            lanes[lane_of(value)].1.push(Sent { value, outcome: Some(end) });
            progress.ended.set(progress.ended.get() + 1);
            progress.changed.notify_one();
        } else {
            progress.changed.notified().await;
        }
    }
    lanes
}

fn lane_of(value: u64) -> usize {
    usize::try_from(value % u64::from(PARTITIONS.unsigned_abs())).unwrap_or(0)
}

/// In each round a part of the records may be written, and amid them a leader is struck.
async fn strike_in_turn(
    cluster: &TestCluster,
    admin: &Admin,
    topic: &str,
    plan: Plan,
    progress: &Progress,
) -> BTreeMap<Strike, u32> {
    let mut strikes = BTreeMap::new();
    for round in 0..plan.rounds {
        let (begin, end) =
            (plan.records * round / plan.rounds, plan.records * (round + 1) / plan.rounds);
        let strike = Strike::ALL[usize::try_from(round % 4).unwrap_or(0)];
        let struck = TopicPartition::new(topic, i32::try_from(round % 6).unwrap_or(0));
        let victim = leader(admin, &struck).await.expect("a leader");
        progress.allowed.set(end);
        progress.changed.notify_one();
        reached(progress, begin + (end - begin) / 4).await;
        step(format!("round {round}: {strike:?} {victim}, the leader of {struck}"));
        match strike {
            Strike::Kill => {
                cluster.kill(victim).await;
                reached(progress, end).await;
                cluster.restart(victim).await;
            }
            Strike::ShortPause => {
                cluster.pause(victim).await;
                // Not a wait for anything: this is how long the node hangs.
                tokio::time::sleep(SHORT_PAUSE).await;
                cluster.resume(victim).await;
            }
            Strike::Restart => {
                cluster.kill(victim).await;
                cluster.restart(victim).await;
            }
            Strike::LongPause => {
                cluster.pause(victim).await;
                eventually("another node leads", || async {
                    leader(admin, &struck).await.is_some_and(|leader| leader != victim)
                })
                .await;
                cluster.resume(victim).await;
            }
        }
        reached(progress, end).await;
        cluster.wait_for_replicas(topic).await;
        *strikes.entry(strike).or_default() += 1;
    }
    strikes
}

/// Waits until so many records have their end.
async fn reached(progress: &Progress, count: u64) {
    step(format!("until {count} records have their end"));
    while progress.ended.get() < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The leader, if somebody tells one now.
async fn leader(admin: &Admin, partition: &TopicPartition) -> Option<BrokerId> {
    let topics = admin.describe_topics([&partition.topic]).await.ok()?;
    topics[&partition.topic].partitions[&partition.partition].leader
}
