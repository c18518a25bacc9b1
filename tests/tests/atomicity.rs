//! Processes that copy a topic in transactions are killed with SIGKILL again and again while brokers
//! go down and come back: Java's consumer of committed records finds every record copied once, in
//! order, in both copies; and nothing is left open.
//!
//! CI runs a shortened form; `MILLSTREAM_NEMESIS_KILLS` says how often processes are killed.

use std::collections::BTreeMap;
use std::env;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use millstream_client::Record;
use millstream_tests::cluster::{TestCluster, unique};
use millstream_tests::deadline::{run, step};
use millstream_tests::java::{self, Isolation};
use millstream_tests::sim::seeds;
use millstream_types::BrokerId;

const DEADLINE: Duration = Duration::from_secs(1800);
const PARTITIONS: i32 = 4;
/// The records between two kills, over all partitions.
const RECORDS_PER_KILL: i64 = 600;
/// How often a process is killed in CI.
const KILLS: i64 = 8;
/// After so many kills of processes a broker goes down and comes back.
const KILLS_PER_BOUNCE: i64 = 4;
const PROCESSES: usize = 2;

/// The copying processes; they die with this.
struct Copiers {
    arguments: Vec<String>,
    running: Vec<Option<Child>>,
    restarts: u32,
}

impl Copiers {
    fn start(arguments: Vec<String>) -> Self {
        let running = (0..PROCESSES).map(|_| None).collect();
        let mut copiers = Self { arguments, running, restarts: 0 };
        copiers.revive();
        copiers.restarts = 0;
        copiers
    }

    /// Starts those that do not run: killed ones, and those that an error ended.
    fn revive(&mut self) {
        for place in 0..PROCESSES {
            let is_running = self.running[place]
                .as_mut()
                .is_some_and(|child| child.try_wait().expect("its state").is_none());
            if is_running {
                continue;
            }
            let mut arguments = self.arguments.clone();
            // Each place has a transactional id of its own, which its next process takes over.
            arguments[1] += &format!("-{place}");
            let mut command = Command::new(env!("CARGO_BIN_EXE_copier"));
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
            self.running[place] = Some(command.spawn().expect("it starts"));
            self.restarts += 1;
        }
    }

    /// Kills one with SIGKILL.
    fn kill(&mut self, place: usize) {
        if let Some(mut child) = self.running[place].take() {
            child.kill().expect("it dies");
            child.wait().expect("its state");
        }
    }
}

impl Drop for Copiers {
    fn drop(&mut self) {
        (0..PROCESSES).for_each(|place| self.kill(place));
    }
}

/// The offsets that the group has committed, summed up.
async fn committed(cluster: &TestCluster, group: &str) -> i64 {
    let offsets = cluster.admin().group_offsets(group).await.unwrap_or_default();
    offsets.values().map(|committed| committed.offset.value()).sum()
}

/// Waits until so many records are copied, and keeps the processes running meanwhile.
async fn until_copied(cluster: &TestCluster, copiers: &mut Copiers, group: &str, count: i64) {
    step(format!("until {count} records are copied"));
    while committed(cluster, group).await < count {
        copiers.revive();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn story(cluster: TestCluster, kills: i64) {
    let total = (kills + 1) * RECORDS_PER_KILL;
    let input = cluster.topic("input", PARTITIONS).await;
    let (output, mirror) =
        (cluster.topic("output", PARTITIONS).await, cluster.topic("mirror", PARTITIONS).await);
    let producer = cluster.producer().build().await.expect("a producer");
    let mut expected = BTreeMap::<i32, Vec<String>>::new();
    for n in 0..total {
        let (value, partition) = (n.to_string(), i32::try_from(n % 4).unwrap_or(0));
        let record = Record::to(&input).partition(partition).value(&value);
        drop(producer.enqueue(&record).await.expect("it is accepted"));
        expected.entry(partition).or_default().push(value);
    }
    assert!(producer.close(Duration::from_secs(30)).await.is_complete());
    let (id, group) = (unique("copier"), unique("copiers"));
    let arguments =
        [cluster.bootstrap(), id.clone(), group.clone(), input, output.clone(), mirror.clone()];
    let mut copiers = Copiers::start(arguments.to_vec());
    let begun = Instant::now();
    let mut state = seeds(1).start;
    println!("MILLSTREAM_SEED={state}");
    for kill in 1..=kills {
        until_copied(&cluster, &mut copiers, &group, kill * RECORDS_PER_KILL / 2).await;
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        copiers.kill(usize::try_from(state >> 33).unwrap_or(0) % PROCESSES);
        copiers.revive();
        if kill % KILLS_PER_BOUNCE == 0 {
            let victim = BrokerId(i32::try_from(kill / KILLS_PER_BOUNCE % 3).unwrap_or(0) + 1);
            cluster.kill(victim).await;
            copiers.revive();
            cluster.restart(victim).await;
            cluster.wait_for_replicas(&output).await;
        }
    }
    until_copied(&cluster, &mut copiers, &group, total).await;
    let restarts = copiers.restarts;
    drop(copiers);
    let took = begun.elapsed().as_secs();
    println!("{total} records copied in {took} s, {kills} kills, {restarts} starts of processes");
    step("what the killed ones left open is ended by its timeout");
    loop {
        let topics = [output.as_str(), mirror.as_str()];
        let found = java::transactions(&cluster.bootstrap(), &id, &topics).await;
        let is_over = |state: &String| state.starts_with("Complete") || state == "Empty";
        if found.open.is_empty() && found.states.iter().all(|(_, state)| is_over(state)) {
            break;
        }
    }
    for copy in [&output, &mirror] {
        let mut found = BTreeMap::<i32, Vec<String>>::new();
        for record in java::read(&cluster.bootstrap(), Isolation::ReadCommitted, &[copy]).await {
            found.entry(record.partition).or_default().push(record.text());
        }
        for (partition, expected) in &expected {
            let found = found.remove(partition).unwrap_or_default();
            let first = expected.iter().zip(&found).position(|(a, b)| a != b);
            assert!(
                found == *expected,
                "{copy}-{partition}: {} records, not {}; the first that differs: {first:?}",
                found.len(),
                expected.len()
            );
        }
    }
    let all = java::read(&cluster.bootstrap(), Isolation::ReadUncommitted, &[&output]).await;
    println!("{} records of {} in the log of the copy are committed", total, all.len());
}

fn kills() -> i64 {
    let text = env::var("MILLSTREAM_NEMESIS_KILLS");
    text.map_or(KILLS, |text| text.parse().expect("a number"))
}

#[test]
fn killed_copiers_copy_each_record_once_with_version_2() {
    run("killed_copiers_with_version_2", DEADLINE, || async {
        story(TestCluster::own_kafka_of("atomicity-v2", "4.3.1"), kills()).await;
    });
}

#[test]
fn killed_copiers_copy_each_record_once_with_version_1() {
    run("killed_copiers_with_version_1", DEADLINE, || async {
        story(TestCluster::own_kafka_of("atomicity-v1", "3.9.2"), kills()).await;
    });
}
